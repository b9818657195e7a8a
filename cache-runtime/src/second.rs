//! The second tier of one cache: its store, and what this process knows and owes there.

mod announced;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cache_spec::duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::AbortHandle;

use crate::codec::Codec;
use crate::error::Error;
use crate::instant::Instant;
use crate::journal::{Fencing, Journal};
use crate::key::HashKey;
use crate::l1::Slots;
use crate::lease::Keeper;
use crate::node::Address;
use crate::redis::{ServerSettings, Store, StoreSettings};
use crate::routes::Table;
use crate::rules::{Rule, Rules};
use crate::second::announced::Announced;
pub(crate) use crate::second::announced::Announcing;
use crate::server_clock::ServerClock;
use crate::store::Position;
use crate::tally::Tally;
use crate::timer::in_time;
use crate::token::Token;

/// What happens when another server takes over, or the same one comes back with another memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFailover {
    /// Every process repeats its invalidations of the last 10 s in which all servers were well, and those since.
    #[default]
    Replay,
    /// Nothing that was stored before is used again.
    Cold,
}

/// How the second tier is used.
#[derive(Clone)]
pub(crate) struct SecondSettings {
    /// Without one, the cache is embedded.
    pub(crate) url: Option<String>,
    pub(crate) pool_size: usize,
    pub(crate) op_timeout: Duration,
    pub(crate) max_staleness: Duration,
    pub(crate) lease: Duration,
    pub(crate) require: bool,
    pub(crate) min_replicas: usize,
    pub(crate) on_failover: OnFailover,
    pub(crate) codec: Codec,
    pub(crate) compress_over: Option<usize>,
    pub(crate) max_value: usize,
    pub(crate) journal: usize,
    pub(crate) load_limit: usize,
}

impl Default for SecondSettings {
    fn default() -> Self {
        Self {
            url: None,
            pool_size: 2,
            op_timeout: Duration::from_millis(100),
            max_staleness: Duration::from_secs(2),
            lease: Duration::from_secs(2),
            require: false,
            min_replicas: 0,
            on_failover: OnFailover::default(),
            codec: Codec::DEFAULT,
            compress_over: None,
            max_value: 1 << 20,
            journal: 4_096,
            load_limit: 1_024,
        }
    }
}

impl SecondSettings {
    fn servers(&self, url: String, app: &str) -> ServerSettings {
        ServerSettings {
            url,
            pool_size: self.pool_size,
            op_timeout: self.op_timeout,
            max_staleness: self.max_staleness,
            client_name: app.to_owned(),
            bus: format!("{app}:bus"),
            require: self.require,
        }
    }
}

impl std::fmt::Debug for SecondSettings {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecondSettings")
            .field("is_set", &self.url.is_some())
            .field("max_staleness", &self.max_staleness)
            .field("op_timeout", &self.op_timeout)
            .field("require", &self.require)
            .finish_non_exhaustive()
    }
}

/// More replicas than any primary has.
const MOST_REPLICAS: usize = 1_000;

/// Settings that mean nothing, by name.
fn check(settings: &SecondSettings) -> Result<(), Error> {
    check_time("max_staleness", settings.max_staleness, Duration::from_millis(50))?;
    check_time("op_timeout", settings.op_timeout, Duration::from_millis(1))?;
    check_time("lease", settings.lease, Duration::from_millis(100))?;
    let numbers = [
        ("pool_size", settings.pool_size, 1..=64, "connections"),
        ("min_replicas", settings.min_replicas, 0..=MOST_REPLICAS, "replicas"),
    ];
    for (name, value, allowed, of) in numbers {
        if !allowed.contains(&value) {
            let problem = format!("{value} {of}; {} to {} are allowed", allowed.start(), allowed.end());
            return Err(Error::Setting { name, problem });
        }
    }
    match settings.load_limit {
        0 => Err(Error::Setting { name: "load_limit", problem: "0 loads; at least 1 is needed".to_owned() }),
        1.. => Ok(()),
    }
}

/// A time that is set here is no longer than one in an attribute: sums of a few of them and a moment do not overflow.
pub(crate) fn check_time(name: &'static str, value: Duration, least: Duration) -> Result<(), Error> {
    let problem = if value < least {
        format!("{value:?} is too short; at least {least:?}")
    } else if value > duration::MAX {
        format!("{value:?} is too long; at most {}", duration::print(duration::MAX))
    } else {
        return Ok(());
    };
    Err(Error::Setting { name, problem })
}

/// Without a server, what is asked of one would be left undone and nobody told.
fn check_embedded(settings: &SecondSettings) -> Result<(), Error> {
    let name = match (settings.require, settings.min_replicas) {
        (true, _) => "require_redis",
        (false, 1..) => "min_replicas",
        (false, 0) => return Ok(()),
    };
    let problem = "no server is named; name one with `.redis(url)` or `CACHE_URL`".to_owned();
    Err(Error::Setting { name, problem })
}

/// The second tier of one cache.
pub(crate) struct Second {
    pub(crate) store: Arc<Store>,
    pub(crate) keeper: Keeper,
    pub(crate) journal: Arc<Journal>,
    pub(crate) table: Arc<Table>,
    pub(crate) clock: ServerClock,
    pub(crate) tally: Tally,
    pub(crate) settings: SecondSettings,
    /// This process, or this cache of it, among all that share the server.
    pub(crate) id: String,
    pub(crate) runtime: Handle,
    /// Permits for loads while the server does not answer.
    pub(crate) loads: Arc<Semaphore>,
    /// Whether the server knows which events name this process's keys: before that nothing may be stored there.
    registered: AtomicBool,
    /// When the server was last found to have lost something, or to be another one. At first, when this process looked for
    /// the first time: what happened shortly before, it cannot know. Nothing before that look, however long it takes to
    /// reach a server.
    lost: Mutex<Option<Instant>>,
    /// The task that reads the bus.
    reading: Mutex<Option<AbortHandle>>,
    /// How often the bus was asked for what is new, and which was the last time after which all of it was applied.
    asked: AtomicU64,
    answered: watch::Sender<u64>,
    /// Wakes who reads the bus.
    pub(crate) look: Arc<Notify>,
    /// Invalidations of this process between their first and their second fence.
    announced: Arc<Announced>,
    /// How far the bus was applied, and the generation of the connections over which it was read.
    applied: Mutex<(Position, u64)>,
}

impl Second {
    /// Connects, if there is anything to connect to.
    pub(crate) async fn open(
        app: &str,
        hash_key: HashKey,
        settings: SecondSettings,
        rules: Rules,
    ) -> Result<Option<Self>, Error> {
        let Some(url) = settings.url.clone() else { return check_embedded(&settings).map(|()| None) };
        check(&settings)?;
        let runtime = Handle::try_current().map_err(|_| Error::Setting {
            name: "redis",
            problem: "a second tier needs a tokio runtime: build the cache inside one".to_owned(),
        })?;
        let id = format!("{:016x}", fastrand::u64(1..));
        let store = Store::open(StoreSettings {
            servers: settings.servers(url, app),
            app: app.to_owned(),
            node: id.clone(),
            lease: settings.lease,
            min_replicas: settings.min_replicas,
            most_rounds: rules.most_rounds(),
            ..StoreSettings::default()
        });
        let store = Arc::new(store.await?);
        let fencing = if store.servers().is_single() { Fencing::Everything } else { Fencing::Named };
        Ok(Some(Self {
            keeper: Keeper::start(&store, settings.lease, &runtime),
            journal: Arc::new(Journal::new(settings.journal).with_fencing(fencing)),
            table: Arc::new(Table::new(app, hash_key)),
            tally: Tally::default(),
            clock: ServerClock::new(),
            loads: Arc::new(Semaphore::new(settings.load_limit.min(Semaphore::MAX_PERMITS))),
            registered: AtomicBool::new(false),
            lost: Mutex::default(),
            reading: Mutex::default(),
            asked: AtomicU64::new(0),
            answered: watch::Sender::new(0),
            look: Arc::default(),
            announced: Arc::default(),
            applied: Mutex::default(),
            store,
            settings,
            id,
            runtime,
        }))
    }

    /// Whether the server knows this process's routes.
    pub(crate) fn is_registered(&self) -> bool {
        self.registered.load(Ordering::SeqCst)
    }

    pub(crate) fn set_registered(&self, registered: bool) {
        self.registered.store(registered, Ordering::SeqCst);
    }

    /// Whether this entry may be read and filled now: not before the server knows the process's routes, and not while
    /// invalidations of this process wait for the server.
    pub(crate) fn may_read(&self, address: &Address, rules: Rules) -> bool {
        self.is_registered() && !(self.journal.blocks(address.texts()) && rules.holds(Rule::Journal))
    }

    /// This task reads the bus for it; it ends with it.
    pub(crate) fn reads_bus(&self, task: AbortHandle) {
        *self.reading.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    /// The bus was applied up to here, as the server tells it behind connections of this generation.
    pub(crate) fn set_applied(&self, position: Position, generation: u64) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
        *self.applied.lock().unwrap_or_else(PoisonError::into_inner) = (position, generation);
    }

    /// Whether this process has read the bus up to here.
    pub(crate) fn has_read(&self, position: Position) -> bool {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner).0 >= position
    }

    /// Whether it has, and knows whose bus that was: since then, no connection was made to what may be another server.
    pub(crate) fn has_read_here(&self, position: Position) -> bool {
        let (applied, generation) = *self.applied.lock().unwrap_or_else(PoisonError::into_inner);
        applied >= position && generation == *self.store.servers().generation().borrow()
    }

    /// How often the bus was asked so far.
    pub(crate) fn looks(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    /// The bus is about to be asked: the number of this look.
    pub(crate) fn asks(&self) -> u64 {
        self.asked.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// All that was on the bus at this look is applied.
    pub(crate) fn answered(&self, look: u64) {
        self.answered.send_replace(look);
    }

    /// Whether the in-process tier is as new as a lease that was taken when the bus had been asked so often. In a cluster
    /// nobody knows: what others invalidate leaves the second tier some time before the bus tells of it.
    pub(crate) fn has_caught_up(&self, since: u64) -> bool {
        // What this process invalidates itself is no news on its bus: it is between its fences meanwhile.
        self.can_catch_up() && self.announced.is_quiet() && self.is_answered(since)
    }

    fn is_answered(&self, since: u64) -> bool {
        *self.answered.borrow() > since
    }

    /// Whether the bus can tell how new the in-process tier is.
    pub(crate) fn can_catch_up(&self) -> bool {
        self.store.servers().is_single()
    }

    /// Asks the bus, and waits until what it has told is applied; as long as an operation may take. Then whether what
    /// depends on these slots is as new: whatever else this process makes invalid meanwhile is no matter.
    pub(crate) async fn catch_up(&self, since: u64, slots: &Slots) -> bool {
        if !self.can_catch_up() {
            return false;
        }
        if !self.is_answered(since) {
            self.look.notify_one();
            let mut answered = self.answered.subscribe();
            _ = in_time(self.settings.op_timeout, answered.wait_for(|look| *look > since)).await;
        }
        self.announced.is_quiet_about(slots) && self.is_answered(since)
    }

    /// An invalidation of this process has begun; it ends when this is dropped.
    pub(crate) fn announcing(&self) -> Announcing {
        self.announced.begin()
    }

    pub(crate) fn set_lost(&self) {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether rights may be in force that the server which granted them has lost, or never knew.
    pub(crate) fn has_lost_lately(&self) -> bool {
        let lost = *self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.is_none_or(|lost| lost.elapsed() <= self.settings.max_staleness)
    }

    /// Whether this process has applied what the token stands for.
    pub(crate) fn has_applied(&self, token: &Token) -> bool {
        token.is_of(&self.id) || self.has_read(token.position())
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        if let Some(reading) = self.reading.lock().unwrap_or_else(PoisonError::into_inner).take() {
            reading.abort();
        }
        // Nobody waits for this process any more.
        let store = Arc::clone(&self.store);
        self.runtime.spawn(async move { store.leave().await });
    }
}

impl std::fmt::Debug for Second {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Second").field("id", &self.id).finish_non_exhaustive()
    }
}
