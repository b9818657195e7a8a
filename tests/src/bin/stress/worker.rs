//! One process of the run: tasks that read and write at random until they are asked to come to rest.

use std::future::Future;
use std::io::BufRead as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cache_runtime::{Cache, Delivery, Error, Lookup, Receipt, Token, explain};
use cache_tests::history::{How, Reach, Source, Version, now};
use cache_tests::stress::{ChildSettings, Counter, Function, GROUPS, IDS, Log, Place, RECORDS, REST, Truth};
use futures::FutureExt as _;
use tokio::sync::{Mutex, Notify};
use tokio::time::{sleep, timeout};

use crate::answer::Answer;
use crate::functions::{GroupChanged, Origin, RecordChanged, Seen, UNLUCKY, call, invalidate, put};

/// Tasks that work at a time.
const TASKS: u64 = 24;

/// How long the rest may take: longer than any lease, load and retry.
const PATIENCE: Duration = Duration::from_secs(20);

/// One process.
struct World {
    settings: ChildSettings,
    cache: Cache,
    truth: Truth,
    log: Arc<Log>,
    origin: Origin,
    /// One writer at a time of each value that is put.
    writers: Vec<Mutex<()>>,
    is_resting: AtomicBool,
}

/// Runs the process until its parent asks it to come to rest.
///
/// # Panics
///
/// If there is no cache or no source of truth to be had.
pub(crate) fn run(settings: ChildSettings) {
    silence_expected_panics();
    let rest = Arc::new(Notify::new());
    let asked = Arc::clone(&rest);
    std::thread::spawn(move || {
        let lines = std::io::stdin().lock().lines().map_while(Result::ok);
        lines.filter(|line| line == REST).for_each(|_| asked.notify_one());
        // The parent is dead.
        std::process::exit(1);
    });
    let log = Arc::new(Log::default());
    let sending = log.send(std::io::stdout());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a process may have threads").block_on(async {
        let world = Arc::new(World::open(settings, Arc::clone(&log)).await);
        world.work(&rest).await;
    });
    sending.finish();
}

impl World {
    async fn open(settings: ChildSettings, log: Arc<Log>) -> Self {
        let truth = Truth::connect(settings.truth).await.expect("the source of truth is there");
        let builder = Cache::builder(settings.app())
            .redis(&settings.url)
            .max_staleness(settings.max_staleness())
            .lease(settings.lease())
            .journal(settings.journal())
            .load_limit(settings.load_limit())
            .min_replicas(settings.min_replicas)
            .load_timeout(Duration::from_secs(3));
        let builder = settings.without.iter().fold(builder, |builder, rule| builder.without_rule(*rule));
        let cache = builder.build().await.expect("functions and settings are right");
        cache.install().expect("it is the only one");
        let origin = Origin { truth: truth.clone(), log: Arc::clone(&log), process: settings.process };
        let writers = (0..2 * RECORDS).map(|_| Mutex::default()).collect();
        Self { settings, cache, truth, log, origin, writers, is_resting: AtomicBool::new(false) }
    }

    /// Works until it is asked to rest, comes to rest, and reads everything once more.
    async fn work(self: Arc<Self>, rest: &Notify) {
        let tasks = (0..TASKS).map(|number| {
            let world = Arc::clone(&self);
            let seed = self.settings.seed.wrapping_mul(0x9e37_79b9).wrapping_add(number);
            tokio::spawn(async move { Worker { world, random: fastrand::Rng::with_seed(seed) }.run().await })
        });
        let tasks: Vec<_> = tasks.collect();
        rest.notified().await;
        self.is_resting.store(true, Ordering::SeqCst);
        let end = Instant::now() + PATIENCE;
        for task in tasks {
            match timeout(end.saturating_duration_since(Instant::now()), task).await {
                Ok(ended) => ended.expect("panics of loads are caught"),
                Err(_) => self.log.count(Counter::Stuck),
            }
        }
        self.settle().await;
    }

    /// When nobody writes any more, everything that is read is new; and nothing is left over.
    async fn settle(&self) {
        let is_quiet = || self.cache.health().queued() == 0 && self.cache.health().serves_near();
        self.wait_until(is_quiet).await;
        // What others have invalidated last binds what is read after this.
        // tidy: sleep because the promise is about this much time
        sleep(2 * self.settings.max_staleness()).await;
        for function in Function::ALL {
            for record in 0..RECORDS {
                self.read(Place { function, record }, Reading::Watched).await;
            }
        }
        let left = || self.cache.health().queued() + self.cache.health().leases() + self.cache.loads_in_flight();
        self.wait_until(|| left() == 0).await;
        self.log.add(Counter::LeftOver, left() as u64);
    }

    async fn wait_until(&self, condition: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !condition() && Instant::now() < end {
            // tidy: sleep because nothing wakes for a condition of another process
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Reads and writes it down. Some callers leave before they are answered.
    async fn read(&self, place: Place, how: Reading) {
        let token = match how {
            Reading::After => self.token(place).await,
            Reading::Plain | Reading::Watched => None,
        };
        let began = now();
        let (called, lookups) = match token {
            Some((token, _)) => self.cache.after(&token).scope(self.watched(place)).await,
            None if how == Reading::Plain => (self.caught(place).await, Vec::new()),
            None => self.watched(place).await,
        };
        let Some(seen) = called else { return self.log.count(Counter::CallsFailed) };
        let answer = Answer { place, began, ended: now(), seen, source: Source::of(&lookups) };
        answer.check(&lookups, &self.log);
        let token = token.map_or(0, |(_, version)| version);
        // What is committed only now makes the check of a missing value milder, never harder.
        let newest = if answer.seen.is_none() { self.truth.version(place.counter()).await } else { 0 };
        self.log.read(answer.read(self.settings.process, token, newest));
    }

    async fn watched(&self, place: Place) -> (Option<Option<Seen>>, Vec<Lookup>) {
        explain(self.caught(place)).await
    }

    /// Nothing if the load failed or panicked.
    async fn caught(&self, place: Place) -> Option<Option<Seen>> {
        AssertUnwindSafe(call(place, &self.origin)).catch_unwind().await.ok()?.ok()
    }

    /// The word that some writer has left for readers of this place.
    async fn token(&self, place: Place) -> Option<(Token, Version)> {
        let word = self.truth.word(&word_for(place)).await?;
        let (token, version) = word.split_once(' ')?;
        Some((token.parse().expect("a token was left"), version.parse().expect("a version was left")))
    }

    /// Commits to these records, one version each, and makes invalid by `act` what these functions keep of them.
    async fn write<F>(&self, how: How, functions: &[Function], records: std::ops::Range<u64>, act: impl FnOnce() -> F)
    where
        F: Future<Output = (Reach, Option<Token>)>,
    {
        let mut written = Vec::new();
        for record in records {
            // Functions of one event share their counter.
            let version = self.truth.commit(Place { function: functions[0], record }.counter()).await;
            self.log.count(Counter::Writes);
            written.extend(functions.iter().map(|function| (Place { function: *function, record }, version)));
        }
        let began = now();
        let (reach, token) = act().await;
        if self.cache.health().queued() > self.settings.journal() {
            self.log.count(Counter::Overflows);
        }
        self.log.invalidated(began, how, reach, written.iter().map(|(place, version)| (place.number(), *version)));
        if let Some(token) = token {
            let (place, version) = written[fastrand::usize(0..written.len())];
            self.truth.leave(&word_for(place), &format!("{token} {version}")).await;
        }
    }

    /// One commit, and the new value itself.
    async fn put(&self, place: Place) {
        let _writer = self.writers[writer(place)].lock().await;
        let version = self.truth.commit(place.counter()).await;
        self.log.count(Counter::Writes);
        let (began, by) = (now(), self.settings.process);
        let receipt = put(place, Seen { version, by, at: began, kept: began }).await;
        let (reach, _) = reach(&receipt);
        self.log.invalidated(began, How::Put, reach, [(place.number(), version)]);
    }
}

/// The number of those who write this place.
fn writer(place: Place) -> usize {
    usize::try_from(place.counter() - RECORDS).expect("there are few records")
}

/// How something is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// As services read.
    Plain,
    /// By one who wants to know where the answer comes from.
    Watched,
    /// After what some writer has written.
    After,
}

fn word_for(place: Place) -> String {
    format!("t:{}", place.number())
}

fn reach(receipt: &Result<Receipt, Error>) -> (Reach, Option<Token>) {
    match receipt {
        Ok(receipt) if receipt.delivery() == Delivery::Applied => (Reach::Applied, receipt.token()),
        // Not everywhere in time: how far it came is not known.
        Ok(_) | Err(_) => (Reach::Queued, None),
    }
}

/// One task.
struct Worker {
    world: Arc<World>,
    random: fastrand::Rng,
}

impl Worker {
    async fn run(mut self) {
        while !self.world.is_resting.load(Ordering::Relaxed) {
            match self.random.u32(0..100) {
                0..4 => self.write().await,
                _ => self.read().await,
            }
            match self.random.u32(0..64) {
                // tidy: sleep because chance decides how long a worker thinks
                0 => sleep(Duration::from_millis(self.random.u64(0..4))).await,
                1..16 => tokio::task::yield_now().await,
                _ => {}
            }
            while self.world.log.is_full() && !self.world.is_resting.load(Ordering::Relaxed) {
                // tidy: sleep because the log is read by another process
                sleep(Duration::from_millis(5)).await;
            }
        }
    }

    async fn read(&mut self) {
        let place = Place { function: Function::draw(&mut self.random), record: self.record() };
        let how = match self.random.u32(0..8) {
            0..3 => Reading::Plain,
            3..7 => Reading::Watched,
            _ => Reading::After,
        };
        let read = self.world.read(place, how);
        if self.random.u32(0..20) > 0 {
            return read.await;
        }
        // This caller leaves soon.
        if timeout(Duration::from_millis(self.random.u64(0..6)), read).await.is_err() {
            self.world.log.count(Counter::CallsLeft);
        }
    }

    async fn write(&mut self) {
        let world = Arc::clone(&self.world);
        let place = match self.random.u32(0..20) {
            0..9 => self.publish_record().await,
            9..11 => self.publish_group().await,
            11..16 => self.invalidate().await,
            _ => {
                let place = self.own_place();
                if self.random.bool() {
                    world.put(place).await;
                } else {
                    self.invalidate_put(place).await;
                }
                place
            }
        };
        if self.random.bool() {
            self.world.read(place, Reading::Watched).await;
        }
    }

    async fn publish_record(&mut self) -> Place {
        let (world, place) = (Arc::clone(&self.world), self.place(&Function::SHARED));
        let (event, is_everywhere) = (RecordChanged { group: place.group(), id: place.id() }, self.everywhere());
        let act = || async {
            let publish = world.cache.publish(&event);
            if is_everywhere {
                everywhere(&publish.everywhere(Duration::from_secs(2)).await)
            } else {
                reach(&publish.await)
            }
        };
        world.write(How::Event, &Function::SHARED, place.record..place.record + 1, act).await;
        place
    }

    async fn publish_group(&mut self) -> Place {
        let (world, group) = (Arc::clone(&self.world), self.random.u64(0..GROUPS));
        let (event, is_everywhere) = (GroupChanged { group }, self.everywhere());
        let act = || async {
            let publish = world.cache.publish(&event);
            if is_everywhere {
                everywhere(&publish.everywhere(Duration::from_secs(2)).await)
            } else {
                reach(&publish.await)
            }
        };
        world.write(How::Group, &Function::GROUPED, group * IDS..(group + 1) * IDS, act).await;
        Place { record: group * IDS + self.random.u64(0..IDS), ..self.place(&Function::GROUPED) }
    }

    async fn invalidate(&mut self) -> Place {
        let (world, place) = (Arc::clone(&self.world), self.place(&Function::ALONE));
        let act = || async { reach(&invalidate(place).await) };
        world.write(How::Entry, &[place.function], place.record..place.record + 1, act).await;
        place
    }

    /// By the one writer of what is also put.
    async fn invalidate_put(&mut self, place: Place) {
        let world = Arc::clone(&self.world);
        let _writer = world.writers[writer(place)].lock().await;
        let act = || async { reach(&invalidate(place).await) };
        world.write(How::Entry, &[place.function], place.record..place.record + 1, act).await;
    }

    /// Some records are read and written more than others.
    fn place(&mut self, functions: &[Function]) -> Place {
        Place { function: *self.random.choice(functions).expect("there are functions"), record: self.record() }
    }

    fn record(&mut self) -> u64 {
        self.random.u64(0..RECORDS).min(self.random.u64(0..RECORDS))
    }

    /// One of the places that only this process puts.
    fn own_place(&mut self) -> Place {
        let place = self.place(&Function::PUT);
        let (slot, slots) = self.world.settings.slot;
        let record = place.record / slots * slots + slot;
        Place { record: if record < RECORDS { record } else { slot }, ..place }
    }

    /// A writer that waits until everybody has heard of it.
    fn everywhere(&mut self) -> bool {
        self.random.u32(0..16) == 0
    }
}

fn everywhere(receipt: &Result<Receipt, Error>) -> (Reach, Option<Token>) {
    match reach(receipt) {
        (Reach::Applied, token) => (Reach::Everywhere, token),
        other => other,
    }
}

fn silence_expected_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.payload_as_str().unwrap_or_default().contains(UNLUCKY) {
            usual(panic);
        }
    }));
}
