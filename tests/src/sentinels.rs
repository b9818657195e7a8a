//! One primary, two replicas, and three sentinels that watch over them.

use std::time::{Duration, Instant};

use futures::future::join_all;

use crate::eventually::eventually_ok;
use crate::redis_server::{RedisOptions, RedisServer};

/// What the sentinels call the primary; the last part of [`Sentinels::url`].
pub const SERVICE: &str = "cache";

/// How long a failover may take; on an idle machine two to five seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// A failover on demand that has not succeeded after this time has been given up.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// How long one server may take to say how it is: a stopped one is not waited for.
const GLANCE: Duration = Duration::from_millis(250);

/// Three stores and three sentinels with a quorum of two. A primary that does not answer for a second is down.
#[derive(Debug)]
pub struct Sentinels {
    stores: Vec<RedisServer>,
    sentinels: Vec<RedisServer>,
}

impl Sentinels {
    /// Starts all six, and waits until the replicas replicate and the sentinels know each other.
    ///
    /// # Panics
    ///
    /// If they do not get there within 30 seconds.
    pub async fn start() -> Self {
        let primary = RedisServer::start();
        let replica = || RedisServer::options().config("replicaof", &format!("127.0.0.1 {}", primary.port())).start();
        let replicas = [replica(), replica()];
        let sentinels = (0..3).map(|_| sentinel_of(&primary).start()).collect();
        let this = Self { stores: [primary].into_iter().chain(replicas).collect(), sentinels };
        this.set_periods(&[("info-period", "100"), ("publish-period", "100"), ("ping-period", "300")]);
        this.until_settled(0).await;
        // In a failover its leader looks at replicas once in a second. One that was last seen three of these periods ago
        // (or five of `ping-period`) is not promoted; and one that was, is made a replica again after four, if the others
        // have not heard why. `ping-period` is also the pause before a lost connection is made again: as long as that of
        // `down-after-milliseconds`, and one failover follows the other.
        this.set_periods(&[("info-period", "1000"), ("publish-period", "1000")]);
        this
    }

    /// `redis-sentinel://127.0.0.1:a,127.0.0.1:b,127.0.0.1:c/cache`.
    #[must_use]
    pub fn url(&self) -> String {
        let addresses: Vec<_> = self.sentinels.iter().map(|sentinel| sentinel.address().to_string()).collect();
        format!("redis-sentinel://{}/{SERVICE}", addresses.join(","))
    }

    /// All stores; the first one was the first primary.
    #[must_use]
    pub fn stores(&self) -> &[RedisServer] {
        &self.stores
    }

    /// All sentinels.
    #[must_use]
    pub fn sentinels(&self) -> &[RedisServer] {
        &self.sentinels
    }

    /// The primary by the word of most sentinels that answer.
    ///
    /// # Panics
    ///
    /// If no two sentinels agree.
    #[must_use]
    pub fn primary(&self) -> &RedisServer {
        &self.stores[self.elected().expect("two sentinels agree, unless a failover is under way")]
    }

    /// The stores that are not the primary, dead ones included.
    ///
    /// # Panics
    ///
    /// If no two sentinels agree on the primary.
    pub fn replicas(&self) -> impl Iterator<Item = &RedisServer> {
        let primary = self.primary().port();
        self.stores.iter().filter(move |store| store.port() != primary)
    }

    /// A failover on demand (`SENTINEL FAILOVER`), which loses writes that were not replicated yet. Returns the new primary
    /// when it is one and the rest replicates from it.
    ///
    /// # Panics
    ///
    /// If this does not happen within 30 seconds.
    pub async fn failover(&self) -> &RedisServer {
        let old = self.primary().port();
        let mut asked: Option<Instant> = None;
        eventually_ok(PATIENCE, async || {
            // One that is refused or given up is not tried again by itself.
            if asked.is_none_or(|asked| asked.elapsed() > ASK_AGAIN) {
                self.sentinels[0].call(&["SENTINEL", "FAILOVER", SERVICE]).ok()?;
                asked = Some(Instant::now());
            }
            self.promoted(old).map_err(str::to_owned)
        })
        .await;
        self.until_promoted(old).await
    }

    /// Kills the primary. Returns the new one when it is one and the other replica replicates from it; the dead one comes
    /// back as a replica if it is restarted.
    ///
    /// # Panics
    ///
    /// If this does not happen within 30 seconds.
    pub async fn kill_primary(&self) -> &RedisServer {
        let old = self.primary();
        old.kill();
        self.until_promoted(old.port()).await
    }

    /// Waits until two sentinels name another primary than the one with this port, and it is in office. For a failover that
    /// the test began itself, say by [`RedisServer::stop`].
    ///
    /// # Panics
    ///
    /// If this does not happen within 30 seconds.
    pub async fn until_promoted(&self, old_port: u16) -> &RedisServer {
        let promoted = eventually_ok(PATIENCE, || async { self.promoted(old_port) }).await;
        self.until_settled(promoted).await;
        &self.stores[promoted]
    }

    fn promoted(&self, old_port: u16) -> Result<usize, &'static str> {
        let elected = self.elected()?;
        if self.stores[elected].port() == old_port { Err("still the old primary") } else { Ok(elected) }
    }

    /// How often sentinels look at the stores, and tell each other what they saw.
    fn set_periods(&self, periods: &[(&str, &str)]) {
        for sentinel in &self.sentinels {
            for (period, milliseconds) in periods {
                sentinel.cli(&["SENTINEL", "DEBUG", period, milliseconds]);
            }
        }
    }

    async fn until_settled(&self, primary: usize) {
        eventually_ok(PATIENCE, || async { self.check_stores(primary) }).await;
        join_all(self.sentinels.iter().map(|sentinel| eventually_ok(PATIENCE, || async { check(sentinel) }))).await;
    }

    /// The primary is one, and all others that live replicate from it.
    fn check_stores(&self, primary: usize) -> Result<(), String> {
        let port = self.stores[primary].port();
        let primary = "role:master\r\n".to_owned();
        let replica = format!("role:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:{port}\r\nmaster_link_status:up");
        for store in &self.stores {
            let expected = if store.port() == port { &primary } else { &replica };
            match glance(store, &["INFO", "replication"]) {
                Ok(state) if !state.contains(expected) => return Err(format!("port {}: {state}", store.port())),
                // The dead and the stopped are not asked to agree.
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// The index of the store that two sentinels call the primary.
    fn elected(&self) -> Result<usize, &'static str> {
        let ask = |sentinel| glance(sentinel, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE]).ok();
        let answers: Vec<_> = self.sentinels.iter().filter_map(ask).collect();
        let votes = |store: &RedisServer| {
            let name = format!("127.0.0.1\n{}", store.port());
            answers.iter().filter(|answer| **answer == name).count()
        };
        self.stores.iter().position(|store| votes(store) >= 2).ok_or("no two sentinels agree on the primary")
    }
}

fn sentinel_of(primary: &RedisServer) -> RedisOptions {
    RedisOptions::sentinel()
        .config("sentinel", &format!("monitor {SERVICE} 127.0.0.1 {} 2", primary.port()))
        .config("sentinel", &format!("down-after-milliseconds {SERVICE} 1000"))
        .config("sentinel", &format!("failover-timeout {SERVICE} 2000"))
}

/// Whether a sentinel knows the two others and can reach a quorum with them.
fn check(sentinel: &RedisServer) -> Result<(), String> {
    // Both replicas too: a sentinel that does not know one cannot promote it.
    let known = glance(sentinel, &["INFO", "sentinel"])?;
    if !known.contains("slaves=2,sentinels=3") {
        return Err(known);
    }
    glance(sentinel, &["SENTINEL", "CKQUORUM", SERVICE]).map(drop)
}

/// What a server answers, if it does so at once.
fn glance(server: &RedisServer, command: &[&str]) -> Result<String, String> {
    let reply = server.client_within(GLANCE).and_then(|mut client| client.call(command));
    reply.map_err(|error| error.to_string())?.ok().map(|reply| reply.to_string())
}
