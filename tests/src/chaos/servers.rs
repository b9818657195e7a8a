//! What goes wrong with the servers themselves: they are killed, stopped, and fail over; slots move.

use std::time::Duration;

use tokio::runtime::Runtime;

use super::plan::{Kind, Plan};
use super::world::{Servers as Stand, World, slot_of};
use crate::cluster::Cluster;
use crate::fault_proxy::{Connection, Fault};
use crate::redis_server::RedisServer;
use crate::sentinels::Sentinels;
use crate::stress::{APP, Diary, Function, Place, RECORDS};

/// After a failover nothing of the kind happens for so long: what it lost is repeated by then.
const CALM: Duration = Duration::from_secs(4);

/// The lane of the servers.
pub(super) struct Servers<'a> {
    pub(super) world: &'a World,
    pub(super) diary: Diary,
    pub(super) random: fastrand::Rng,
    pub(super) runtime: Runtime,
}

impl Servers<'_> {
    /// Lets things go wrong until it is over. What was begun is brought to an end.
    pub(super) fn run(mut self, mut plan: Plan) {
        self.random = plan.random();
        loop {
            let step = plan.step();
            self.world.wait(step.pause);
            if self.world.is_over() {
                return;
            }
            self.diary.count(step.number);
            match &self.world.servers {
                Stand::Standalone { server, .. } => self.happen_to_one(server, step.kind),
                Stand::Sentinel(sentinels) => self.happen_to_sentinels(sentinels, step.kind),
                Stand::Cluster(cluster) => self.happen_to_cluster(cluster, step.kind),
            }
        }
    }

    fn happen_to_one(&mut self, server: &RedisServer, kind: Kind) {
        if kind == Kind::RestartPrimary { self.restart(server, 0) } else { self.pause(server, 20..900) }
    }

    fn happen_to_sentinels(&mut self, sentinels: &Sentinels, kind: Kind) {
        let Some(index) = sentinels.find_primary() else { return };
        let primary = &sentinels.stores()[index];
        match kind {
            Kind::RestartPrimary => self.restart(primary, 0),
            Kind::KillPrimary | Kind::KillAhead => {
                self.fall_behind(index, kind);
                self.note(format!("the primary, server {index}, is killed"));
                primary.kill();
                self.forget_replicas(index, kind);
                self.runtime.block_on(sentinels.until_promoted(primary.port()));
                self.come_back(primary);
            }
            Kind::StopPrimary => {
                self.note(format!("the primary, server {index}, is stopped"));
                primary.stop();
                self.runtime.block_on(sentinels.until_promoted(primary.port()));
                self.go_on(primary);
            }
            Kind::Failover => {
                self.note(format!("SENTINEL FAILOVER of server {index}"));
                self.runtime.block_on(sentinels.failover());
            }
            Kind::StopReplica => {
                let replicas: Vec<_> = sentinels.stores().iter().filter(|one| one.port() != primary.port()).collect();
                let replica = *self.random.choice(&replicas).expect("there are two");
                return self.pause(replica, 100..3_000);
            }
            Kind::KillSentinel => {
                let sentinel = self.random.choice(sentinels.sentinels()).expect("there are three");
                self.note("a sentinel is killed".to_owned());
                sentinel.kill();
                let span = self.span(500, 3_000);
                self.world.wait(span);
                sentinel.restart();
            }
            _ => return self.pause(primary, 20..700),
        }
        self.runtime.block_on(sentinels.until_calm());
        self.world.wait(CALM);
    }

    fn happen_to_cluster(&mut self, cluster: &Cluster, kind: Kind) {
        let shard = match kind {
            Kind::KillBusPrimary => self.world.bus_shard(),
            _ => self.random.usize(0..self.world.shards()),
        };
        let slot = self.world.slot(shard);
        let Some(index) = cluster.find_primary_of(slot) else { return };
        let primary = &cluster.nodes()[index];
        match kind {
            Kind::RestartPrimary => self.restart(primary, shard),
            Kind::KillPrimary | Kind::KillAhead | Kind::KillBusPrimary => {
                self.fall_behind(index, kind);
                self.note(format!("the primary of shard {shard}, server {index}, is killed"));
                primary.kill();
                self.forget_replicas(index, kind);
                self.runtime.block_on(cluster.until_promoted(slot, primary.port()));
                self.come_back(primary);
            }
            Kind::StopPrimary => {
                self.note(format!("the primary of shard {shard}, server {index}, is stopped"));
                primary.stop();
                self.runtime.block_on(cluster.until_promoted(slot, primary.port()));
                self.go_on(primary);
            }
            Kind::Failover => {
                self.note(format!("CLUSTER FAILOVER of shard {shard}, server {index}"));
                self.world.set_orderly(Some(shard));
                self.runtime.block_on(cluster.failover(slot));
                self.world.wait(Duration::from_secs(2));
                self.world.set_orderly(None);
            }
            Kind::StopReplica => return self.pause(cluster.replica_of(slot), 100..3_000),
            Kind::MoveSlot | Kind::MoveBusSlot => return self.migrate(cluster, kind),
            _ => return self.pause(primary, 20..700),
        }
        self.runtime.block_on(cluster.until_calm());
        self.world.wait(CALM);
    }

    /// To another primary, and back.
    fn migrate(&mut self, cluster: &Cluster, kind: Kind) {
        let function = Function::draw(&mut self.random);
        let names = Place { function, record: self.random.u64(0..RECORDS) }.names(APP);
        let slot = match kind {
            Kind::MoveBusSlot => slot_of(&format!("{APP}:bus")),
            _ => slot_of(self.random.choice(&names).expect("there are two")),
        };
        let Some(home) = cluster.find_primary_of(slot) else { return };
        let others: Vec<_> = (0..self.world.shards()).map(|shard| self.world.primary(shard)).collect();
        let others: Vec<_> = others.into_iter().filter(|other| *other != home).collect();
        let away = *self.random.choice(&others).expect("there are two");
        for to in [away, home] {
            self.note(format!("slot {slot} moves to server {to}"));
            let migration = cluster.begin_migration(slot, &cluster.nodes()[to]);
            let span = self.span(0, 300);
            self.world.wait(span);
            self.runtime.block_on(migration.complete());
            let span = self.span(100, 1_500);
            self.world.wait(span);
        }
        self.note(format!("slot {slot} has moved back"));
    }

    /// From here on the replicas of a server hear nothing of it.
    fn fall_behind(&mut self, index: usize, kind: Kind) {
        if kind == Kind::KillAhead {
            let span = self.span(100, 900);
            self.world.reserve(Some(index));
            let replicas = self.world.proxies()[index].matching(is_replica);
            let count = replicas.connections().len();
            self.note(format!("what server {index} tells its replicas ({count}) is held back for {span:.0?}"));
            replicas.replies(Fault::Hold);
            self.world.wait(span);
        }
    }

    /// What is on its way to them never arrives.
    fn forget_replicas(&self, index: usize, kind: Kind) {
        if kind == Kind::KillAhead {
            self.world.proxies()[index].matching(is_replica).cut();
            self.world.proxies()[index].heal();
            self.world.reserve(None);
        }
    }

    /// Stopped for a shorter time than makes others take over, if it is the primary.
    fn pause(&mut self, server: &RedisServer, span: std::ops::Range<u64>) {
        let span = self.span(span.start, span.end);
        self.note(format!("{} is stopped for {span:.0?}", self.name(server)));
        server.stop();
        self.world.wait(span);
        server.resume();
    }

    /// Back before anybody can take over, and with nothing.
    fn restart(&self, server: &RedisServer, shard: usize) {
        self.world.set_emptied(shard);
        self.note(format!("{} is killed and restarted empty", self.name(server)));
        server.restart_empty();
    }

    fn come_back(&mut self, old: &RedisServer) {
        let span = self.span(500, 2_000);
        self.world.wait(span);
        old.restart_empty();
        self.note(format!("{} is back", self.name(old)));
    }

    /// Still a primary in its own eyes, for a moment.
    fn go_on(&mut self, old: &RedisServer) {
        let span = self.span(0, 2_000);
        self.world.wait(span);
        old.resume();
        self.note(format!("{} goes on", self.name(old)));
    }

    fn name(&self, server: &RedisServer) -> String {
        let index = self.world.stores().iter().position(|store| store.port() == server.port());
        index.map_or_else(|| "a server".to_owned(), |index| format!("server {index}"))
    }

    fn note(&self, what: String) {
        self.diary.note(what, None);
    }

    fn span(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.random.u64(least..most))
    }
}

fn is_replica(connection: &Connection) -> bool {
    connection.first_bytes.windows(5).any(|word| word == b"PSYNC")
}
