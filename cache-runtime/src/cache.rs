//! The handle that programs hold.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use crate::after::After;
use crate::builder::Builder;
use crate::context::Context;
use crate::current::{self, current_node};
use crate::error::Error;
use crate::event::Event;
use crate::health::Health;
use crate::node::{Node, Settings};
use crate::publish::Publish;
use crate::registry;
use crate::stats::FunctionStats;
use crate::subscribers::Subscription;
use crate::token::Token;

/// A cache: a cheap handle, cloned freely; all clones are the same cache.
///
/// # Examples
///
/// ```
/// # async fn example() -> Result<(), cache_runtime::Error> {
/// use cache_runtime::Cache;
///
/// let cache = Cache::builder("shop").l1_capacity(64 << 20).build().await?;
/// cache.install()?; // what cached functions use from here on
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Cache {
    node: Arc<Node>,
}

impl Cache {
    /// Starts to build a cache for the application of this name: the first part of every key, `[A-Za-z0-9_.-]`, at most
    /// 64 characters.
    pub fn builder(app: impl Into<String>) -> Builder {
        Builder::new(app.into())
    }

    /// A cache as the environment describes it.
    ///
    /// | variable | meaning | default |
    /// |---|---|---|
    /// | `CACHE_APP` | the application's name | `app` |
    /// | `CACHE_L1_BYTES` | bytes of the in-process tier | 67108864 |
    /// | `CACHE_LOAD_TIMEOUT` | how long a load may hold its key, e.g. `10s` | `30s` |
    /// | `CACHE_HASH_KEY` | the secret under which `<arg:hash>` parts are hashed | made of the application's name |
    /// | `CACHE_URL` | the second tier, as [`Builder::redis`] takes it | none: embedded |
    /// | `CACHE_MAX_STALENESS` | [`Builder::max_staleness`] | `2s` |
    /// | `CACHE_OP_TIMEOUT` | [`Builder::op_timeout`] | `100ms` |
    /// | `CACHE_POOL_SIZE` | [`Builder::pool_size`] | 2 |
    /// | `CACHE_REQUIRE_REDIS` | [`Builder::require_redis`] | `false` |
    /// | `CACHE_MIN_REPLICAS` | [`Builder::min_replicas`] | 0 |
    /// | `CACHE_CODEC` | [`Builder::codec`]: `bincode`, `postcard`, `msgpack`, `json` | `bincode` |
    ///
    /// Empty variables are like missing ones, and so are those of white space; white space around a value is left out. Only
    /// the secret counts as it stands, to its last line break: one of white space alone is an error.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] names the variable, one that is not UTF-8 included; else as [`Builder::build`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn from_env() -> Result<Self, Error> {
        Builder::from_env(|name| std::env::var(name))?.build().await
    }

    /// Makes this the cache that cached functions use, in the whole process and for good.
    ///
    /// # Errors
    ///
    /// [`Error::Installed`] if there is one already.
    pub fn install(&self) -> Result<(), Error> {
        if current::install(Arc::clone(&self.node)) { Ok(()) } else { Err(Error::Installed) }
    }

    /// The cache that a cached call sees here: of the innermost [`Cache::scope`], else the installed one, else an
    /// embedded default, which warns once that nobody chose it.
    #[must_use]
    pub fn current() -> Self {
        Self { node: Arc::clone(current_node(Context::if_any().as_ref())) }
    }

    pub(crate) fn new(settings: Settings) -> Self {
        Self { node: Arc::new(Node::new(settings)) }
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Runs `future` with this cache in place of the installed one: a test, or several nodes in one process. Loads that
    /// run in a task of their own see it too; tasks that `future` spawns itself do not.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops `future`.
    pub async fn scope<F: Future>(&self, future: F) -> F::Output {
        let context = Context { node: Some(Arc::clone(&self.node)), ..Context::current() };
        context.scope(future).await
    }

    /// This cache, for reads that come after the invalidation that `token` stands for: read-your-writes across processes.
    /// The token of a [`Receipt`](crate::Receipt) fits into a header; the process that gets it reads what was written.
    /// Who has several reads inside all of them: `cache.after(&one).scope(cache.after(&other).scope(reading))`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use cache_runtime::{Cache, Token};
    /// # async fn load_user(tenant: u64, id: u64) {}
    /// # async fn example(cache: Cache, header: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// let token: Token = header.parse()?;
    /// let user = cache.after(&token).scope(load_user(42, 7)).await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn after(&self, token: &Token) -> After {
        After::new(Arc::clone(&self.node), *token)
    }

    /// Publishes an event: what it invalidates is invalid when this returns, in both tiers, for keys and groups, and for
    /// every load that is still running.
    ///
    /// Publish after the commit: a load that begins in between would keep the old value rightly.
    ///
    /// While the second tier is away the invalidation waits for it: see [`Delivery::Queued`](crate::Delivery::Queued).
    ///
    /// # Errors
    ///
    /// [`Error::Event`] if the event cannot be serialised for subscribers or for other processes; it has invalidated in
    /// this process all the same.
    ///
    /// # Cancel safety
    ///
    /// See [`Publish`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use cache_runtime::{Cache, Event};
    /// # #[derive(Event, serde::Serialize, serde::Deserialize)]
    /// # struct UserUpdated { tenant: u64, id: u64 }
    /// # async fn example(cache: Cache) -> Result<(), cache_runtime::Error> {
    /// let receipt = cache.publish(&UserUpdated { tenant: 42, id: 7 }).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish<'a, E: Event>(&self, event: &'a E) -> Publish<'a, E> {
        Publish::new(Arc::clone(&self.node), event)
    }

    /// Every event of this type from here on: what this cache publishes and, with a second tier, what the bus tells of
    /// other processes of the application and of whoever else publishes there. Those come once this process has read them;
    /// where the server or the network fails, one can come twice. It comes not at all only where the bus was lost or trimmed
    /// before it was read, which counts as a [gap](crate::Health::gaps); where its publisher had more waiting for the server
    /// than its journal holds, or ended before; and to a subscriber that falls 1,024 events behind, or 16 MiB of their JSON,
    /// which loses the oldest ([`Subscription::missed`]). Whoever derives something from events derives it anew when one of
    /// the two has grown.
    #[must_use]
    pub fn subscribe<E: Event>(&self) -> Subscription<E> {
        self.node.subscribers.subscribe()
    }

    /// What was counted for every cached function of the program.
    #[must_use]
    pub fn stats(&self) -> Vec<FunctionStats> {
        registry::all().into_iter().map(|function| FunctionStats::of(&self.node, function)).collect()
    }

    /// How this cache stands with its second tier now.
    #[must_use]
    pub fn health(&self) -> Health {
        Health::of(&self.node)
    }

    /// How many entries the in-process tier holds, those included that will not be served again but were not dropped yet.
    #[must_use]
    pub fn l1_entries(&self) -> usize {
        self.node.l1.len()
    }

    /// The estimated bytes that the in-process tier holds.
    #[must_use]
    pub fn l1_bytes(&self) -> u64 {
        self.node.l1.bytes()
    }

    /// How many loads are under way.
    #[must_use]
    pub fn loads_in_flight(&self) -> usize {
        self.node.flights.len()
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("app", &self.node.app).finish_non_exhaustive()
    }
}
