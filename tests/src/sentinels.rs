//! One primary, two replicas, and three sentinels that watch over them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;

use crate::certificates::Certificates;
use crate::eventually::eventually_ok;
use crate::fault_proxy::FaultProxy;
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
    /// One before each store, or none at all.
    proxies: Vec<FaultProxy>,
    watchers: Vec<RedisServer>,
}

impl Sentinels {
    /// Starts all six, and waits until the replicas replicate and the sentinels know each other.
    ///
    /// # Panics
    ///
    /// If they do not get there within 30 seconds.
    pub async fn start() -> Self {
        Self::watch((0..3).map(|_| RedisServer::start()).collect(), Vec::new(), RedisOptions::sentinel()).await
    }

    /// The same, with a proxy before each store: everybody, replicas and sentinels too, knows a store by its proxy alone.
    ///
    /// # Panics
    ///
    /// As [`Sentinels::start`] does.
    pub async fn start_behind_proxies() -> Self {
        let stores: Vec<_> = (0..3).map(|_| RedisServer::start()).collect();
        let proxies: Vec<_> = stores.iter().map(proxy_of).collect();
        for (store, proxy) in stores.iter().zip(&proxies) {
            store.cli(&["CONFIG", "SET", "replica-announce-ip", "127.0.0.1"]);
            store.cli(&["CONFIG", "SET", "replica-announce-port", &proxy.port().to_string()]);
            // It is to be announced after a restart too.
            store.cli(&["CONFIG", "REWRITE"]);
        }
        Self::watch(stores, proxies, RedisOptions::sentinel()).await
    }

    /// The same, over TLS: clients, replicas and the sentinels among themselves, all under one authority.
    ///
    /// # Panics
    ///
    /// As [`Sentinels::start`] does.
    pub async fn start_encrypted() -> Self {
        let certificates = Arc::new(Certificates::create());
        let stores = (0..3).map(|_| RedisServer::options().tls_under(&certificates).start()).collect();
        Self::watch(stores, Vec::new(), RedisOptions::sentinel().tls_under(&certificates)).await
    }

    async fn watch(stores: Vec<RedisServer>, proxies: Vec<FaultProxy>, sentinel: RedisOptions) -> Self {
        let mut this = Self { stores, proxies, watchers: Vec::new() };
        let primary = this.known_port(0);
        for replica in &this.stores[1..] {
            replica.cli(&["REPLICAOF", "127.0.0.1", &primary.to_string()]);
        }
        this.watchers = (0..3).map(|_| watching(sentinel.clone(), primary).start()).collect();
        this.set_periods(&[("info-period", "100"), ("publish-period", "100"), ("ping-period", "300")]);
        this.until_calm().await;
        // In a failover its leader looks at replicas once in a second. One that was last seen three of these periods ago
        // (or five of `ping-period`) is not promoted; and one that was, is made a replica again after four, if the others
        // have not heard why. `ping-period` is also the pause before a lost connection is made again: as long as that of
        // `down-after-milliseconds`, and one failover follows the other.
        this.set_periods(&[("info-period", "1000"), ("publish-period", "1000")]);
        this
    }

    /// `redis-sentinel://127.0.0.1:a,127.0.0.1:b,127.0.0.1:c/cache`, or `rediss-sentinel://..?ca=..`.
    #[must_use]
    pub fn url(&self) -> String {
        let addresses: Vec<_> = self.watchers.iter().map(|sentinel| sentinel.address().to_string()).collect();
        match self.watchers[0].authority() {
            Some(authority) => {
                format!("rediss-sentinel://{}/{SERVICE}?ca={}", addresses.join(","), authority.display())
            }
            None => format!("redis-sentinel://{}/{SERVICE}", addresses.join(",")),
        }
    }

    /// All stores; the first one was the first primary.
    #[must_use]
    pub fn stores(&self) -> &[RedisServer] {
        &self.stores
    }

    /// The proxies before the stores, in the same order; none unless they were asked for.
    #[must_use]
    pub fn proxies(&self) -> &[FaultProxy] {
        &self.proxies
    }

    /// All sentinels.
    #[must_use]
    pub fn sentinels(&self) -> &[RedisServer] {
        &self.watchers
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

    /// The index of the primary among [`Sentinels::stores`], if two sentinels agree on one.
    #[must_use]
    pub fn find_primary(&self) -> Option<usize> {
        self.elected().ok()
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
                self.watchers[0].call(&["SENTINEL", "FAILOVER", SERVICE]).ok()?;
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
        eventually_ok(PATIENCE, || async { self.promoted(old_port) }).await;
        &self.stores[self.until_calm().await]
    }

    /// Waits until all that live agree on the primary and replicate from it; returns its index among [`Sentinels::stores`].
    ///
    /// # Panics
    ///
    /// If they do not within 30 seconds.
    pub async fn until_calm(&self) -> usize {
        // Asked anew each time: one failover may follow the other.
        let calm = async || {
            let primary = self.elected().map_err(str::to_owned)?;
            self.check_stores(primary).map(|()| primary)
        };
        let primary = eventually_ok(PATIENCE, calm).await;
        self.until_acquainted().await;
        primary
    }

    fn promoted(&self, old_port: u16) -> Result<usize, &'static str> {
        let elected = self.elected()?;
        if self.stores[elected].port() == old_port { Err("still the old primary") } else { Ok(elected) }
    }

    /// How often sentinels look at the stores, and tell each other what they saw.
    fn set_periods(&self, periods: &[(&str, &str)]) {
        for sentinel in &self.watchers {
            for (period, milliseconds) in periods {
                sentinel.cli(&["SENTINEL", "DEBUG", period, milliseconds]);
            }
        }
    }

    /// The port by which the others know a store.
    fn known_port(&self, store: usize) -> u16 {
        self.proxies.get(store).map_or_else(|| self.stores[store].address().port(), FaultProxy::port)
    }

    async fn until_acquainted(&self) {
        join_all(self.watchers.iter().map(|sentinel| eventually_ok(PATIENCE, || async { check(sentinel) }))).await;
    }

    /// The primary is one, and all others that live replicate from it.
    fn check_stores(&self, primary: usize) -> Result<(), String> {
        let port = self.stores[primary].port();
        let known = self.known_port(primary);
        let primary = "role:master\r\n".to_owned();
        let replica = format!("role:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:{known}\r\nmaster_link_status:up");
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
        let answers: Vec<_> = self.watchers.iter().filter_map(ask).collect();
        let votes = |store: usize| {
            let name = format!("127.0.0.1\n{}", self.known_port(store));
            answers.iter().filter(|answer| **answer == name).count()
        };
        (0..self.stores.len()).find(|store| votes(*store) >= 2).ok_or("no two sentinels agree on the primary")
    }
}

fn proxy_of(store: &RedisServer) -> FaultProxy {
    FaultProxy::start(store.address()).expect("a port is free")
}

fn watching(sentinel: RedisOptions, primary: u16) -> RedisOptions {
    sentinel
        .config("sentinel", &format!("monitor {SERVICE} 127.0.0.1 {primary} 2"))
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
