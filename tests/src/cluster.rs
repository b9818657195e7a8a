//! A cluster of six: three primaries with a third of the slots each, and a replica for each of them.

mod migration;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::certificates::Certificates;
use crate::eventually::eventually_ok;
use crate::fault_proxy::FaultProxy;
use crate::redis_server::{RedisOptions, RedisServer};

pub use migration::Migration;

/// How long a change of the whole cluster may take; on an idle machine about three seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long one node may take to say how it is: a stopped one is not waited for.
const GLANCE: Duration = Duration::from_millis(250);

/// A failover on demand that has not succeeded after this time was ignored, or has failed.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// How many slots a cluster has.
pub const SLOTS: u16 = 16_384;

/// How many primaries it begins with.
const PRIMARIES: usize = 3;

/// Six nodes. One that does not answer for a second is down.
#[derive(Debug)]
pub struct Cluster {
    /// At first the primaries, then their replicas in the same order.
    nodes: Vec<RedisServer>,
    /// One before each node, or none at all.
    proxies: Vec<FaultProxy>,
    /// The ids of the nodes, in the same order.
    ids: Vec<String>,
}

impl Cluster {
    /// Starts all six and joins them. Takes a good two seconds: so long every node waits before it takes writes.
    ///
    /// # Panics
    ///
    /// If they do not get there within 30 seconds.
    pub async fn start() -> Self {
        Self::join((0..2 * PRIMARIES).map(|_| node().start()).collect(), Vec::new()).await
    }

    /// The same, with a proxy before each node: clients and replicas know a node by its proxy alone.
    ///
    /// # Panics
    ///
    /// As [`Cluster::start`] does.
    pub async fn start_behind_proxies() -> Self {
        let nodes: Vec<_> = (0..2 * PRIMARIES).map(|_| node().start()).collect();
        let mut proxies = Vec::new();
        for node in &nodes {
            let proxy = FaultProxy::start(node.address()).expect("a port is free");
            node.cli(&["CONFIG", "SET", "cluster-announce-port", &proxy.port().to_string()]);
            node.cli(&["CONFIG", "SET", "cluster-announce-bus-port", &node.cluster_port().to_string()]);
            // It is to be announced after a restart too.
            node.cli(&["CONFIG", "REWRITE"]);
            proxies.push(proxy);
        }
        Self::join(nodes, proxies).await
    }

    /// The same, over TLS: clients, replicas and the nodes among themselves, all under one authority.
    ///
    /// # Panics
    ///
    /// As [`Cluster::start`] does.
    pub async fn start_encrypted() -> Self {
        let certificates = Arc::new(Certificates::create());
        Self::join((0..2 * PRIMARIES).map(|_| node().tls_under(&certificates).start()).collect(), Vec::new()).await
    }

    async fn join(nodes: Vec<RedisServer>, proxies: Vec<FaultProxy>) -> Self {
        let ids = nodes.iter().map(|node| node.cli(&["CLUSTER", "MYID"])).collect();
        let cluster = Self { nodes, proxies, ids };
        cluster.assign_slots();
        cluster.introduce();
        cluster.until_all("cluster_known_nodes", "6").await;
        for (replica, primary) in cluster.nodes[PRIMARIES..].iter().zip(&cluster.ids) {
            // A node that has only heard of its primary cannot follow it yet.
            eventually_ok(PATIENCE, || async { replica.call(&["CLUSTER", "REPLICATE", primary]).ok() }).await;
        }
        cluster.until_all("cluster_state", "ok").await;
        cluster.until_replicated().await;
        cluster
    }

    /// `redis-cluster://127.0.0.1:a,127.0.0.1:b,..`, or `rediss-cluster://..?ca=..`.
    #[must_use]
    pub fn url(&self) -> String {
        let addresses: Vec<_> =
            (0..self.nodes.len()).map(|node| format!("127.0.0.1:{}", self.known_port(node))).collect();
        match self.nodes[0].authority() {
            Some(authority) => format!("rediss-cluster://{}?ca={}", addresses.join(","), authority.display()),
            None => format!("redis-cluster://{}", addresses.join(",")),
        }
    }

    /// All nodes; at first three primaries, then their replicas in the same order.
    #[must_use]
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The proxies before the nodes, in the same order; none unless they were asked for.
    #[must_use]
    pub fn proxies(&self) -> &[FaultProxy] {
        &self.proxies
    }

    /// The port by which clients and replicas know a node.
    fn known_port(&self, node: usize) -> u16 {
        self.proxies.get(node).map_or_else(|| self.nodes[node].address().port(), FaultProxy::port)
    }

    /// The slot of a key.
    ///
    /// # Panics
    ///
    /// If no node answers.
    #[must_use]
    pub fn slot_of(&self, key: &str) -> u16 {
        let slot = self.glance(&["CLUSTER", "KEYSLOT", key]).into_iter().find_map(|slot| slot.parse().ok());
        slot.expect("a node lives")
    }

    /// The primary that serves a slot, in the eyes of most nodes that answer.
    ///
    /// # Panics
    ///
    /// If they do not agree: a failover or a migration is under way.
    #[must_use]
    pub fn primary_of(&self, slot: u16) -> &RedisServer {
        &self.nodes[self.owner(slot).expect("most nodes agree, unless a failover is under way")]
    }

    /// The index among [`Cluster::nodes`] of the primary that serves a slot, if most nodes agree on one.
    #[must_use]
    pub fn find_primary_of(&self, slot: u16) -> Option<usize> {
        self.owner(slot).ok()
    }

    /// A living replica of the primary that serves a slot.
    ///
    /// # Panics
    ///
    /// If there is none, or the nodes do not agree on the primary.
    #[must_use]
    pub fn replica_of(&self, slot: u16) -> &RedisServer {
        let primary = self.known_port(self.owner(slot).expect("most nodes agree, unless a failover is under way"));
        let line = format!("role:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:{primary}\r\n");
        let follows = |node: &&RedisServer| {
            glance(node, &["INFO", "replication"]).is_ok_and(|replication| replication.contains(&line))
        };
        self.nodes.iter().find(follows).expect("every primary has a replica, unless a test killed it")
    }

    /// Kills the primary of a slot. Returns the promoted replica when the cluster serves all slots again; the dead one comes
    /// back as a replica if it is restarted.
    ///
    /// # Panics
    ///
    /// If this does not happen within 30 seconds.
    pub async fn kill_primary_of(&self, slot: u16) -> &RedisServer {
        let old = self.primary_of(slot);
        old.kill();
        self.until_promoted(slot, old.port()).await
    }

    /// An orderly failover (`CLUSTER FAILOVER`): the replica of a slot takes over, without losing a write. Returns it when
    /// the cluster knows.
    ///
    /// # Panics
    ///
    /// If this does not happen within 30 seconds.
    pub async fn failover(&self, slot: u16) -> &RedisServer {
        let (old, replica) = (self.primary_of(slot).port(), self.replica_of(slot));
        let mut asked: Option<Instant> = None;
        eventually_ok(PATIENCE, async || {
            // A primary that has not heard yet that it has this replica does nothing.
            if asked.is_none_or(|asked| asked.elapsed() > ASK_AGAIN) {
                replica.call(&["CLUSTER", "FAILOVER"]);
                asked = Some(Instant::now());
            }
            self.promoted(slot, old)
        })
        .await;
        self.until_promoted(slot, old).await
    }

    /// Waits until another node than the one with this port serves the slot and the cluster is well. For a failover that
    /// the test began itself, say by [`RedisServer::stop`].
    ///
    /// # Panics
    ///
    /// If this does not happen within 30 seconds.
    pub async fn until_promoted(&self, slot: u16, old_port: u16) -> &RedisServer {
        let promoted = eventually_ok(PATIENCE, || async { self.promoted(slot, old_port) }).await;
        self.until_all("cluster_state", "ok").await;
        promoted
    }

    /// Waits until all slots are served and all replicas replicate.
    ///
    /// # Panics
    ///
    /// If this does not happen within 30 seconds.
    pub async fn until_calm(&self) {
        self.until_all("cluster_state", "ok").await;
        self.until_replicated().await;
    }

    fn promoted(&self, slot: u16, old_port: u16) -> Result<&RedisServer, &'static str> {
        let owner = &self.nodes[self.owner(slot)?];
        if owner.port() == old_port { Err("still the old primary") } else { Ok(owner) }
    }

    /// Begins to move a slot, live. Until [`Migration::finish`], its old primary answers `ASK` for keys that are not there.
    ///
    /// # Panics
    ///
    /// If `to` is not a primary of this cluster, or serves the slot already.
    #[must_use]
    pub fn begin_migration(&self, slot: u16, to: &RedisServer) -> Migration<'_> {
        Migration::begin(self, slot, to)
    }

    /// Moves a slot with all its keys. Returns when all nodes know.
    ///
    /// # Panics
    ///
    /// If `to` is not a primary of this cluster, or serves the slot already.
    pub async fn migrate_slot(&self, slot: u16, to: &RedisServer) {
        let migration = self.begin_migration(slot, to);
        migration.complete().await;
    }

    fn assign_slots(&self) {
        let share = SLOTS.div_ceil(3);
        for (node, first) in self.nodes.iter().zip((0..SLOTS).step_by(usize::from(share))) {
            let last = (first + share).min(SLOTS) - 1;
            node.cli(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
        }
        // Without epochs of their own they would have to quarrel about who has which.
        for (node, epoch) in self.nodes.iter().zip(1..) {
            node.cli(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch.to_string()]);
        }
    }

    /// Everybody to everybody: gossip alone takes seconds.
    fn introduce(&self) {
        for (index, node) in self.nodes.iter().enumerate() {
            for other in &self.nodes[index + 1..] {
                let (port, bus) = (other.address().port().to_string(), other.cluster_port().to_string());
                node.cli(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
            }
        }
    }

    /// Waits until all nodes that answer say so of themselves in `CLUSTER INFO`.
    async fn until_all(&self, field: &str, value: &str) {
        let wanted = format!("{field}:{value}\r\n");
        eventually_ok(PATIENCE, || async {
            let told = self.glance(&["CLUSTER", "INFO"]);
            told.into_iter().find(|told| !told.contains(&wanted)).map_or(Ok(()), Err)
        })
        .await;
    }

    async fn until_replicated(&self) {
        eventually_ok(PATIENCE, || async {
            let told = self.glance(&["INFO", "replication"]);
            let is_behind = |told: &String| told.contains("role:slave") && !told.contains("master_link_status:up");
            told.into_iter().find(is_behind).map_or(Ok(()), Err)
        })
        .await;
    }

    /// The index of the node that most others call the primary of a slot.
    fn owner(&self, slot: u16) -> Result<usize, &'static str> {
        let views = self.glance(&["CLUSTER", "NODES"]);
        let owners: Vec<_> = views.iter().filter_map(|view| owner_in(view, slot)).collect();
        let votes = |id: &String| 2 * owners.iter().filter(|owner| **owner == id).count() > views.len();
        self.ids.iter().position(votes).ok_or("the nodes do not agree")
    }

    /// What all nodes answer that do so at once.
    fn glance(&self, command: &[&str]) -> Vec<String> {
        self.nodes.iter().filter_map(|node| glance(node, command).ok()).collect()
    }
}

fn node() -> RedisOptions {
    RedisOptions::cluster_node().config("cluster-node-timeout", "1000")
}

fn glance(server: &RedisServer, command: &[&str]) -> Result<String, String> {
    let reply = server.client_within(GLANCE).and_then(|mut client| client.call(command));
    reply.map_err(|error| error.to_string())?.ok().map(|reply| reply.to_string())
}

/// The id of the primary of a slot in the text of `CLUSTER NODES`: a line is `<id> <address> <flags> <primary> <ping> <pong>
/// <epoch> <link> <slots>..`.
fn owner_in(view: &str, slot: u16) -> Option<&str> {
    let serves = |line: &&str| line.split(' ').skip(8).any(|range| has(range, slot));
    view.lines().find(serves)?.split(' ').next()
}

/// Whether a slot is in `7`, or in `5-9`. Slots that move (`[7->-..]`) are listed with who still has them.
fn has(range: &str, slot: u16) -> bool {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    matches!((first.parse(), last.parse()), (Ok(first), Ok(last)) if (first..=last).contains(&slot))
}
