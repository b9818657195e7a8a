//! A search for reads that are older than promised: a service's cached function and its writer, run at random, with pauses
//! where races live and, over a server, with faults.
//!
//! The search knows nothing of the service but two closures: one reads a key by way of the cached function and tells which
//! version it saw, the other commits a version of a key and announces it as the service does. From that and from the
//! [promises](super::history) follows what each read must return at least. The first that returns less is explained by what
//! happened at the steps of the cache: who wrote, announced, loaded, kept and read what, and when.
//!
//! What it finds most: events that are published before the commit, events that are forgotten, and keys or events that
//! leave out an argument. What it cannot find: a process that dies between commit and event, and what happens where two
//! writes of one key overlap, since it never lets them.

mod disturb;
mod explain;
mod incoherence;
mod log;
mod pace;
mod run;
mod summary;
mod turns;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::builder::Builder;
use crate::cache::Cache;
use crate::testing::ManualClock;

use run::{Run, World};

pub use incoherence::{Incoherence, Mistake};
pub use summary::Summary;

/// `max_staleness` of a fleet, unless it is told another.
const MAX_STALENESS: Duration = Duration::from_millis(250);

/// Reads and writes of one run, unless it is told how many.
const OPERATIONS: usize = 50_000;

/// The same over a server.
const OPERATIONS_OF_A_FLEET: usize = 10_000;

/// How a service is searched for broken promises; [`assert_coherent`] is the shortest way.
///
/// # Examples
///
/// ```standalone_crate
/// # tokio_test(async {
/// use cache_runtime::testing::Coherence;
/// use cache_runtime::{Event, cached, emits};
/// use serde::{Deserialize, Serialize};
/// use std::collections::BTreeMap;
/// use std::sync::Mutex;
///
/// #[derive(Event, Serialize, Deserialize)]
/// struct PriceChanged {
///     item: u64,
/// }
///
/// static PRICES: Mutex<BTreeMap<u64, u64>> = Mutex::new(BTreeMap::new());
///
/// #[cached(ttl = "5m", key = "price:<item>", invalidate_on = "PriceChanged")]
/// async fn price(item: u64) -> u64 {
///     PRICES.lock().expect("nobody panics with it").get(&item).copied().unwrap_or_default()
/// }
///
/// #[emits(PriceChanged { item })]
/// async fn set_price(item: u64, cents: u64) -> Result<(), String> {
///     PRICES.lock().expect("nobody panics with it").insert(item, cents);
///     Ok(())
/// }
///
/// let search = Coherence::new().operations(500);
/// let summary = search.check(price, async |item, version| set_price(item, version).await.expect("it is set")).await?;
/// println!("{summary}");
/// # Ok::<(), cache_runtime::testing::Incoherence>(())
/// # });
/// # fn tokio_test<E: std::fmt::Debug>(future: impl Future<Output = Result<(), E>>) {
/// #     let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
/// #     runtime.block_on(future).expect("it is coherent");
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is searched until `.check(..).await`"]
pub struct Coherence {
    seed: u64,
    keys: u64,
    operations: Option<usize>,
    processes: Processes,
    max_staleness: Duration,
    strict: bool,
    set: Set,
}

/// Which processes there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Processes {
    /// One, without a second tier.
    Embedded,
    #[cfg(unix)]
    Fleet(usize),
}

/// What a test sets besides.
#[derive(Clone)]
struct Set(Arc<dyn Fn(Builder) -> Builder + Send + Sync>);

impl fmt::Debug for Set {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Set")
    }
}

impl Default for Coherence {
    fn default() -> Self {
        Self::new()
    }
}

impl Coherence {
    /// A search in one process without a second tier: 50,000 reads and writes of 4 keys, about two seconds.
    pub fn new() -> Self {
        Self {
            seed: fastrand::u64(..),
            keys: 4,
            operations: None,
            processes: Processes::Embedded,
            max_staleness: MAX_STALENESS,
            strict: false,
            set: Set(Arc::new(|builder| builder)),
        }
    }

    /// As many processes over a `redis-server` that is started for them: about ten seconds, in which connections are cut,
    /// held and delayed, entries evicted, scripts forgotten and the server restarted without its data.
    #[cfg(unix)]
    pub fn fleet(self, processes: usize) -> Self {
        Self { processes: Processes::Fleet(processes), ..self }
    }

    /// What is left to chance, chosen: keys, pauses and faults of the run that an [`Incoherence`] names. Without a second
    /// tier, on a runtime with one thread, that is nearly the same run; over a server the network has a say too.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// How many reads and writes there are.
    pub fn operations(self, operations: usize) -> Self {
        Self { operations: Some(operations), ..self }
    }

    /// How many keys are read and written, from 0; at least one. The fewer, the more happens at one.
    pub fn keys(self, keys: u64) -> Self {
        Self { keys: keys.max(1), ..self }
    }

    /// How long a process of a fleet may go on serving what another has made invalid, a quarter of a second unless set:
    /// both what the caches are told ([`Builder::max_staleness`]) and what they are held to.
    pub fn max_staleness(self, most: Duration) -> Self {
        Self { max_staleness: most, ..self }
    }

    /// The function promises more: that its reads leave the in-process tier aside (`l1 = off`), and see at once what any
    /// process has written.
    pub fn strict(self) -> Self {
        Self { strict: true, ..self }
    }

    /// Sets up the caches as the service does. Some settings are the search's own, whatever is set here:
    ///
    /// * in one process the clock, which moves by itself; a second tier is refused there (see [`Coherence::fleet`]);
    /// * in a fleet the server ([`Builder::redis`]) and [`Builder::max_staleness`] (see [`Coherence::max_staleness`]).
    pub fn builder(self, set: impl Fn(Builder) -> Builder + Send + Sync + 'static) -> Self {
        Self { set: Set(Arc::new(set)), ..self }
    }

    /// Runs the search. The current cache of `read` and `write` is set for them; what they do must go by way of
    /// [`Cache::current`], as all annotated functions do.
    ///
    /// * `read(key)` calls the cached function and returns the version that its answer shows.
    /// * `write(key, version)` commits this version of the key to the source and announces it, as the service does.
    ///   Versions grow, and each is written once. Every key is written before it is read. Two writes of one key never
    ///   overlap.
    ///
    /// # Errors
    ///
    /// The first read that was older than promised, explained.
    ///
    /// # Panics
    ///
    /// If a fleet cannot be started, most likely because there is no `redis-server`; if [`Coherence::builder`] gives the
    /// only process a second tier; and if `read` or `write` panics.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends what was started.
    pub async fn check<R, W>(&self, read: R, write: W) -> Result<Summary, Incoherence>
    where
        R: AsyncFn(u64) -> u64,
        W: AsyncFn(u64, u64),
    {
        let world = match self.processes {
            Processes::Embedded => self.embedded().await,
            #[cfg(unix)]
            Processes::Fleet(processes) => self.over_a_server(processes).await,
        };
        Run::new(self, world, read, write).all().await
    }

    async fn embedded(&self) -> World {
        let clock = ManualClock::new();
        let builder = (self.set.0)(Cache::builder("test").seed(self.seed)).clock(clock.clone());
        let cache = builder.build().await.unwrap_or_else(|error| panic!("a cache for the search: {error}"));
        assert!(
            !cache.health().has_second_tier(),
            "a search in one process has no second tier: leave out `.redis(..)`, or search a `.fleet(..)`"
        );
        World::embedded(cache, clock, self.seed)
    }

    #[cfg(unix)]
    async fn over_a_server(&self, processes: usize) -> World {
        let set = |builder: Builder| (self.set.0)(builder).max_staleness(self.max_staleness);
        let fleet = crate::testing::Fleet::start_with(processes, set).await;
        World::fleet(fleet.unwrap_or_else(|error| panic!("a fleet for the search: {error}")), self.seed)
    }

    fn most_operations(&self) -> usize {
        self.operations.unwrap_or(match self.processes {
            Processes::Embedded => OPERATIONS,
            #[cfg(unix)]
            Processes::Fleet(_) => OPERATIONS_OF_A_FLEET,
        })
    }
}

/// Searches a service for reads that are older than promised, in one process and for about two seconds; see
/// [`Coherence::check`] for what the two closures do.
///
/// # Panics
///
/// With the explanation of the first read that was older than promised.
///
/// # Cancel safety
///
/// Dropping the future ends what was started.
pub async fn assert_coherent<R, W>(read: R, write: W)
where
    R: AsyncFn(u64) -> u64,
    W: AsyncFn(u64, u64),
{
    Coherence::new().check(read, write).await.map_or_else(|found| panic!("{found}"), drop);
}
