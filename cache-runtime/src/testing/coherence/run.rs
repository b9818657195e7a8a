//! One run of a search: workers that read and write at random, until one read is too old or all is done.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::Cache;
use crate::explain::explain;
use crate::testing::history::{Nanos, Promise, now};
use crate::testing::{History, ManualClock};

use super::Coherence;
use super::explain::{Claim, Suspicion};
use super::incoherence::Incoherence;
use super::log::{Answered, Log, Operation, What, Within};
use super::pace::{Pace, unless};
use super::summary::Summary;
use super::turns::{Turns, Worker};
use super::watch::Watch;

/// Workers in one process.
const WORKERS: usize = 6;

/// The same for each process of a fleet.
const WORKERS_EACH: usize = 3;

/// The caches of a run, and what is between them.
pub(super) struct World {
    caches: Vec<Cache>,
    /// Lifetimes pass on it, where they are not real.
    clock: Option<ManualClock>,
    log: Arc<Log>,
    pace: Arc<Pace>,
    #[cfg(unix)]
    pub(super) fleet: Option<crate::testing::Fleet>,
}

impl World {
    pub(super) fn embedded(cache: Cache, clock: ManualClock, seed: u64) -> Self {
        Self {
            caches: vec![cache],
            clock: Some(clock),
            log: Arc::default(),
            pace: Arc::new(Pace::in_turns(seed)),
            #[cfg(unix)]
            fleet: None,
        }
    }

    #[cfg(unix)]
    pub(super) fn fleet(fleet: crate::testing::Fleet, seed: u64) -> Self {
        Self {
            caches: (0..fleet.processes()).map(|process| fleet.cache(process).clone()).collect(),
            clock: None,
            log: Arc::default(),
            pace: Arc::new(Pace::in_time(seed)),
            fleet: Some(fleet),
        }
    }

    /// From here on the steps of all caches are noted.
    fn watch(&self) {
        for (process, cache) in self.caches.iter().enumerate() {
            let watch = Watch { process, log: Arc::clone(&self.log), pace: Arc::clone(&self.pace) };
            cache.node().steps.watch(Arc::new(watch));
        }
    }
}

/// A run under way. All workers are polled by one task: what is shared needs no locks.
pub(super) struct Run<R, W> {
    world: World,
    history: History,
    read: R,
    write: W,
    seed: u64,
    keys: u64,
    strict: bool,
    remaining: Cell<usize>,
    operations: Cell<Operation>,
    reads: Cell<u64>,
    /// The key and the operation of each version, from 1.
    versions: RefCell<Vec<Written>>,
    /// Keys that are being written.
    busy: RefCell<HashSet<u64>>,
    found: RefCell<Option<Incoherence>>,
}

/// A version that somebody wrote, or writes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) key: u64,
    pub(super) process: usize,
    pub(super) operation: Operation,
    pub(super) began: Nanos,
    pub(super) returned: Option<Nanos>,
}

impl<R, W> Run<R, W>
where
    R: AsyncFn(u64) -> u64,
    W: AsyncFn(u64, u64),
{
    pub(super) fn new(search: &Coherence, world: World, read: R, write: W) -> Self {
        Self {
            history: History::new(search.max_staleness),
            world,
            read,
            write,
            seed: search.seed,
            keys: search.keys,
            strict: search.strict,
            remaining: Cell::new(search.most_operations()),
            operations: Cell::new(0),
            reads: Cell::new(0),
            versions: RefCell::default(),
            busy: RefCell::default(),
            found: RefCell::default(),
        }
    }

    pub(super) async fn all(self) -> Result<Summary, Incoherence> {
        for key in 0..self.keys {
            self.write_once(0, key).await;
        }
        self.world.watch();
        let mut random = fastrand::Rng::with_seed(self.seed);
        let count = if self.world.caches.len() == 1 { WORKERS } else { WORKERS_EACH * self.world.caches.len() };
        let mut workers: Vec<Worker<'_>> = Vec::new();
        for number in 0..count {
            workers.push(Box::pin(self.work(number % self.world.caches.len(), random.fork())));
        }
        #[cfg(unix)]
        if let Some(fleet) = &self.world.fleet {
            workers.push(Box::pin(super::disturb::disturb(fleet, &self.world.log, random.fork(), || self.is_over())));
        }
        Turns::new(workers, &self.world.log, &self.world.pace).await;
        match self.found.take() {
            Some(found) => Err(found),
            None => Ok(self.summary()),
        }
    }

    fn is_over(&self) -> bool {
        self.remaining.get() == 0 || self.found.borrow().is_some()
    }

    /// One of those who read and write.
    async fn work(&self, process: usize, mut random: fastrand::Rng) {
        while !self.is_over() {
            self.remaining.set(self.remaining.get() - 1);
            let key = random.u64(0..self.keys);
            if random.u8(0..5) == 0 && self.busy.borrow_mut().insert(key) {
                self.write_once(process, key).await;
                self.busy.borrow_mut().remove(&key);
            } else {
                self.read_once(process, key, random.u8(0..10) == 0).await;
            }
            self.let_time_pass(&mut random);
            self.world.pace.rest().await;
        }
    }

    /// Sometimes so much that values are over.
    fn let_time_pass(&self, random: &mut fastrand::Rng) {
        if let Some(clock) = &self.world.clock {
            let spans = [1, 1_000, 10_000, 100_000, 1_000_000].map(Duration::from_millis);
            if random.u8(..) < 8 {
                clock.advance(spans[random.usize(0..spans.len())]);
            }
        }
    }

    async fn write_once(&self, process: usize, key: u64) {
        let operation = self.next_operation();
        let written = Written { key, process, operation, began: now(), returned: None };
        let version = {
            let mut versions = self.versions.borrow_mut();
            versions.push(written);
            versions.len() as u64
        };
        let writing = self.history.write(number(process), number(key), version);
        let within = Within::new(operation, async {
            self.world.log.add(Some(process), What::WriteBegins { key, version });
            self.world.caches[process].scope((self.write)(key, version)).await;
            self.world.log.add(Some(process), What::WriteReturns { key, version });
        });
        within.await;
        if self.world.log.is_queued(&written) {
            writing.queued();
        } else {
            writing.committed();
        }
        let place = usize::try_from(version - 1).expect("it is the place of a version in memory");
        self.versions.borrow_mut()[place].returned = Some(now());
    }

    /// An impatient caller leaves before it is answered.
    async fn read_once(&self, process: usize, key: u64, is_impatient: bool) {
        let operation = self.next_operation();
        let reading = self.history.read(number(process), number(key));
        let reading = if self.strict { reading.strictly() } else { reading };
        let read = Within::new(operation, async {
            self.world.log.add(Some(process), What::ReadBegins { key });
            let (version, lookups) = self.world.caches[process].scope(explain((self.read)(key))).await;
            // The outermost call is the last to end: it gave the answer.
            let answered = lookups.last();
            let answered = answered.map(|last| Answered { text: last.key().to_owned(), outcome: last.outcome() });
            self.world.log.add(Some(process), What::ReadReturns { key, version, answered: answered.clone() });
            (version, answered)
        });
        let read = if is_impatient { unless(read, self.world.pace.patience()).await } else { Some(read.await) };
        let Some((version, answered)) = read else { return };
        self.reads.set(self.reads.get() + 1);
        let (began, ended) = (reading.began(), now());
        let claim = match self.owner(version) {
            Some(owner) if owner == key => {
                let Some(violation) = reading.saw(version) else { return };
                Claim::Older { required: violation.required, promise: violation.promise }
            }
            owner => Claim::Foreign { owner },
        };
        let is_embedded = self.world.clock.is_some();
        self.find(&Suspicion {
            seed: self.seed,
            is_embedded,
            process,
            operation,
            key,
            version,
            began,
            ended,
            answered,
            claim,
        });
    }

    /// Only the first is told: what follows may follow from it.
    fn find(&self, suspicion: &Suspicion) {
        let mut found = self.found.borrow_mut();
        if found.is_none() {
            *found = Some(suspicion.explain(&self.world.log.entries(), &self.versions.borrow()));
        }
    }

    /// The key that this version was written to.
    fn owner(&self, version: u64) -> Option<u64> {
        let place = usize::try_from(version.checked_sub(1)?).ok()?;
        self.versions.borrow().get(place).map(|written| written.key)
    }

    fn next_operation(&self) -> Operation {
        self.operations.set(self.operations.get() + 1);
        self.operations.get()
    }

    fn summary(&self) -> Summary {
        let entries = self.world.log.entries();
        let close = Promise::ALL.map(|promise| self.history.checked(promise).close);
        Summary {
            seed: self.seed,
            reads: self.reads.get(),
            writes: self.versions.borrow().len() as u64,
            loads: entries.loads,
            invalidations: entries.invalidations,
            faults: entries.faults,
            close: close.into_iter().max().unwrap_or_default(),
        }
    }
}

/// As a history counts them. Nobody searches four billion keys.
fn number<T>(number: T) -> u32
where
    u32: TryFrom<T>,
{
    u32::try_from(number).unwrap_or(u32::MAX)
}
