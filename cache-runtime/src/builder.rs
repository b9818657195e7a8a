//! How a cache is set up.

mod environment;

use std::env::VarError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cache_spec::name;

use crate::cache::Cache;
use crate::clock::{Clock, Time};
use crate::codec::Codec;
use crate::current::{DEFAULT_L1_BYTES, DEFAULT_LOAD_TIMEOUT, HASH_CONTEXT};
use crate::error::Error;
use crate::node::Settings;
use crate::receive;
use crate::registry;
use crate::rules::Rules;
use crate::second::{OnFailover, Second, SecondSettings, check_time};

/// Settings of a cache to be; made by [`Cache::builder`].
#[derive(Debug)]
#[must_use = "a builder builds nothing until `.build().await`"]
pub struct Builder {
    app: String,
    l1_capacity: u64,
    load_timeout: Duration,
    hash_key: Option<Secret>,
    clock: Option<Arc<dyn Clock>>,
    seed: Option<u64>,
    rules: Rules,
    second: SecondSettings,
}

/// Bytes that nobody is shown.
struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hidden")
    }
}

impl Builder {
    pub(crate) fn new(app: String) -> Self {
        Self {
            app,
            l1_capacity: DEFAULT_L1_BYTES,
            load_timeout: DEFAULT_LOAD_TIMEOUT,
            hash_key: None,
            clock: None,
            seed: None,
            rules: Rules::ALL,
            second: SecondSettings::default(),
        }
    }

    /// Settings from variables; `read` is the environment.
    pub(crate) fn from_env(read: impl Fn(&str) -> Result<String, VarError>) -> Result<Self, Error> {
        environment::builder(read)
    }

    /// The second tier: a Redis (7.0 or newer) or Valkey that several processes share. Without it the cache is embedded.
    ///
    /// | url | server |
    /// |---|---|
    /// | `redis://[user:password@]host[:port][/db]` | one server |
    /// | `unix://[user:password@]/path/to/socket[?db=n]` | one server on this machine |
    /// | `redis-cluster://[user:password@]host1[:port],host2[:port]` | a cluster, of which some nodes are named |
    /// | `redis-sentinel://[user:password@]host1[:port],host2[:port]/service[/db]` | the primary that these sentinels name; `?sentinel_user=..&sentinel_password=..` if they want credentials of their own |
    ///
    /// `rediss`, `rediss-cluster` and `rediss-sentinel` are the same over TLS, with `?ca=/path/to/ca.pem` for a certificate
    /// authority of your own. User, password and the values of options are percent-encoded.
    pub fn redis(mut self, url: impl Into<String>) -> Self {
        self.second.url = Some(url.into());
        self
    }

    /// How long another process may go on serving a value from its in-process tier after it was invalidated, whatever the
    /// network does: a process that cannot confirm for so long that it has read every invalidation stops serving from
    /// there. 2 s unless set; while all is well it is milliseconds. From 50 ms to 36,500 days.
    pub fn max_staleness(mut self, most: Duration) -> Self {
        self.second.max_staleness = most;
        self
    }

    /// The most that the second tier may add to a call: after it the call goes on without. 100 ms unless set; from 1 ms to
    /// 36,500 days.
    pub fn op_timeout(mut self, most: Duration) -> Self {
        self.second.op_timeout = most;
        self
    }

    /// How long the lease of a load lives without being renewed: a process that dies is replaced after it. 2 s unless set;
    /// from 100 ms to 36,500 days.
    pub fn lease(mut self, length: Duration) -> Self {
        self.second.lease = length;
        self
    }

    /// How many connections carry reads and writes, to each server: 1 to 64, 2 unless set.
    pub fn pool_size(mut self, connections: usize) -> Self {
        self.second.pool_size = connections;
        self
    }

    /// Whether [`Builder::build`] fails while the server cannot be reached. Else it warns, and the cache works without
    /// its second tier until the server is there. False unless set. Required without a [URL](Self::redis), it is an error.
    pub fn require_redis(mut self, required: bool) -> Self {
        self.second.require = required;
        self
    }

    /// How many replicas must have an invalidation before it counts as applied (Redis' `WAIT`); 0 unless set, 1,000 at
    /// most. It narrows what a failover can lose, it does not close it. More than 0 without a [URL](Self::redis) is an
    /// error.
    pub fn min_replicas(mut self, replicas: usize) -> Self {
        self.second.min_replicas = replicas;
        self
    }

    /// What happens when another server takes over, or the same one comes back.
    pub fn on_failover(mut self, then: OnFailover) -> Self {
        self.second.on_failover = then;
        self
    }

    /// How values are written into the second tier. Values that another codec wrote are still read.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.second.codec = codec;
        self
    }

    /// Values that take more bytes than this are compressed (LZ4); none unless set.
    pub fn compress_over(mut self, bytes: usize) -> Self {
        self.second.compress_over = Some(bytes);
        self
    }

    /// Values that take more bytes than this are not stored in the second tier, and counted. 1 MiB unless set.
    pub fn max_value(mut self, bytes: usize) -> Self {
        self.second.max_value = bytes;
        self
    }

    /// How many invalidations are remembered one by one while the server is away; beyond it, and beyond 16 MiB, they are
    /// widened to whole functions: with 0, all of them. 4,096 unless set.
    pub fn journal(mut self, invalidations: usize) -> Self {
        self.second.journal = invalidations;
        self
    }

    /// How many loads may run at the same time in this process while the second tier does not answer: at least 1, 1,024
    /// unless set. A call that has waited for its turn for [`load_timeout`](Self::load_timeout) loads all the same.
    pub fn load_limit(mut self, loads: usize) -> Self {
        self.second.load_limit = loads;
        self
    }

    /// The most bytes that the in-process tier may hold, by estimate. 64 MiB unless set; with 0 it holds nothing.
    pub fn l1_capacity(mut self, bytes: u64) -> Self {
        self.l1_capacity = bytes;
        self
    }

    /// How long a load may hold its key, where the function's attribute has no `load_timeout`: then the next caller
    /// loads again and the late result is not kept. 30 s unless set; from 1 ms to 36,500 days.
    pub fn load_timeout(mut self, timeout: Duration) -> Self {
        self.load_timeout = timeout;
        self
    }

    /// The secret under which `<arg:hash>` parts are hashed: the same in all processes of one application. Without it,
    /// whoever knows the application's name can check guesses of such a value against its key. An empty one is an error.
    pub fn hash_key(mut self, secret: &[u8]) -> Self {
        self.hash_key = Some(Secret(secret.to_vec()));
        self
    }

    /// Another clock: lifetimes and load timeouts are measured on it.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// A seed for jitter, so that lifetimes repeat.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Takes one rule of the coherence protocol away, to see that a test notices. Never for production.
    #[cfg(feature = "mutants")]
    pub fn without_rule(mut self, rule: crate::rules::Rule) -> Self {
        self.rules = self.rules.without(rule);
        self
    }

    /// Builds the cache. Embedded, nothing is waited for; with a second tier it connects, on the current tokio runtime,
    /// which then runs the cache's own tasks.
    ///
    /// Somebody has to drive that runtime for as long as the cache is used (threads of its own do, `block_on` does until it
    /// returns). While nobody does, a call that asks the second tier waits; what is published, put or made invalid takes
    /// effect in this process, and is [`Queued`](crate::Delivery::Queued) after 16 times the `op_timeout` and a second. A
    /// runtime that was shut down is not waited for.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] for a name that cannot stand in keys, [`Error::Overlap`] and [`Error::EventName`] for cached
    /// functions and events of the program that contradict each other, [`Error::Setting`] for a URL, a time or a number
    /// that means nothing, and for what is asked of a server where none is named, [`Error::Redis`] for refused
    /// credentials, and for a server that is not there where it is required.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind but keys that end by themselves.
    pub async fn build(self) -> Result<Cache, Error> {
        self.check()?;
        registry::check()?;
        let secret = self.hash_key.as_ref().map_or(self.app.as_bytes(), |Secret(secret)| secret);
        let hash_key = blake3::derive_key(HASH_CONTEXT, secret);
        let second = Second::open(&self.app, hash_key, self.second, self.rules).await?;
        if second.is_some() {
            registry::warn_of_shared_keys();
        }
        let cache = Cache::new(Settings {
            hash_key,
            app: self.app,
            l1_capacity: self.l1_capacity,
            time: self.clock.map_or_else(Time::system, Time::Given),
            seed: self.seed,
            load_timeout: self.load_timeout,
            rules: self.rules,
            second,
        });
        receive::start(cache.node()).await;
        Ok(cache)
    }

    /// What needs no server to be found wrong.
    fn check(&self) -> Result<(), Error> {
        name::check_app(&self.app).map_err(Error::Name)?;
        check_time("load_timeout", self.load_timeout, Duration::from_millis(1))?;
        if self.hash_key.as_ref().is_some_and(|Secret(secret)| secret.is_empty()) {
            let problem = "the secret is empty, anybody knows it; without any, the application's name is hashed with";
            return Err(Error::Setting { name: "hash_key", problem: problem.to_owned() });
        }
        Ok(())
    }
}
