//! What the tasks of a run share: the source of truth, the log, and what chance says of loads.

use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use cache_runtime::Token;
use cache_tests::history::{Invalidation, Nanos, ProcessNumber, Read, Record, Version, nanos};

use crate::clock::Changes;
use crate::functions::{COUNTERS, Fate, Place};
use crate::plan::Settings;
use crate::world::{now, world};

/// What the tasks of this thread's run share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    /// Whether it is written down for people too.
    talks: bool,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    /// When each version was committed.
    commits: [Vec<Nanos>; COUNTERS],
    random: fastrand::Rng,
    pub(crate) records: Vec<(ProcessNumber, Record)>,
    /// Of each place: the last token, and the invalidation it stands for.
    pub(crate) tokens: BTreeMap<u32, (Token, ProcessNumber, Invalidation)>,
    /// The invalidation that a read's token stands for, by the read's place in the records.
    pub(crate) causes: BTreeMap<usize, (ProcessNumber, Invalidation)>,
    /// Who writes a value that is put.
    writers: [Option<ProcessNumber>; COUNTERS],
    /// How many operations each process has begun and not ended.
    pub(crate) under_way: BTreeMap<ProcessNumber, usize>,
    /// What was done to the server's clock.
    pub(crate) clock: Changes,
    /// Every load there was.
    pub(crate) loads: Vec<Load>,
    pub(crate) problems: Vec<String>,
    pub(crate) lines: Vec<(Nanos, String)>,
    /// Loads that ended, calls that were answered or failed.
    pub(crate) counts: Counts,
    /// All is healed, and loads are well.
    is_quiet: bool,
}

/// A load, from when its function's body began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) place: Place,
    pub(crate) process: ProcessNumber,
    pub(crate) began: Nanos,
    /// When it had an output, or was dropped.
    pub(crate) ended: Nanos,
}

/// One that is under way in the run of this thread.
pub(crate) struct Loading {
    number: usize,
}

impl Drop for Loading {
    fn drop(&mut self) {
        if let Some(load) = shared().state().loads.get_mut(self.number) {
            load.ended = now();
        }
    }
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Reads that were answered.
    pub reads: u64,
    /// Reads that failed, or whose caller left.
    pub unanswered: u64,
    /// Invalidations that returned.
    pub invalidations: u64,
    /// Of them, those that were queued.
    pub queued: u64,
    /// Loads that were begun.
    pub loads: u64,
    /// Of them, those that had to be the only one of their key.
    pub alone: u64,
    /// Everything that happened: pieces that arrived, sleeps that ended.
    pub events: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.reads += more.reads;
        self.unanswered += more.unanswered;
        self.invalidations += more.invalidations;
        self.queued += more.queued;
        self.loads += more.loads;
        self.alone += more.alone;
        self.events += more.events;
    }
}

thread_local! {
    static SHARED: RefCell<Option<Rc<Shared>>> = const { RefCell::new(None) };
}

/// What the tasks of this thread's run share.
pub(crate) fn shared() -> Rc<Shared> {
    SHARED.with_borrow(|shared| Rc::clone(shared.as_ref().expect("a run has begun")))
}

impl Shared {
    pub(crate) fn begin(settings: &Settings, seed: u64, talks: bool) -> Rc<Self> {
        let random = fastrand::Rng::with_seed(seed ^ 0x5EED);
        let state = State { random, ..State::default() };
        let shared = Rc::new(Self { settings: settings.clone(), talks, state: RefCell::new(state) });
        SHARED.with_borrow_mut(|current| *current = Some(Rc::clone(&shared)));
        shared
    }

    pub(crate) fn state(&self) -> RefMut<'_, State> {
        self.state.borrow_mut()
    }

    /// For people.
    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.talks {
            self.state().lines.push((now(), what()));
        }
    }

    /// The version that a load reads: what was committed before, and has come to where it reads.
    pub(crate) fn version(&self, counter: usize) -> Version {
        let seen = now().saturating_sub(nanos(self.settings.lag));
        let state = self.state();
        let commits = &state.commits[counter];
        version(commits.partition_point(|at| *at <= seen || self.settings.lag.is_zero()))
    }

    /// The newest version.
    pub(crate) fn truth(&self, counter: usize) -> Version {
        version(self.state().commits[counter].len())
    }

    /// Commits the next version.
    pub(crate) fn commit(&self, counter: usize) -> Version {
        let mut state = self.state();
        state.commits[counter].push(now());
        version(state.commits[counter].len())
    }

    /// The right to write a value that is put, if nobody has it.
    pub(crate) fn begin_to_write(&self, place: Place, process: ProcessNumber) -> bool {
        let writer = &mut self.state().writers[place.counter()];
        let is_free = writer.is_none();
        writer.get_or_insert(process);
        is_free
    }

    pub(crate) fn end_to_write(&self, place: Place) {
        self.state().writers[place.counter()] = None;
    }

    /// A dead process does nothing any more.
    pub(crate) fn died(&self, process: ProcessNumber) {
        let mut state = self.state();
        state.under_way.remove(&process);
        for writer in state.writers.iter_mut().filter(|writer| **writer == Some(process)) {
            *writer = None;
        }
    }

    pub(crate) fn be_quiet(&self) {
        self.state().is_quiet = true;
    }

    /// A load begins, and lasts until this is dropped.
    pub(crate) fn begin_load(&self, place: Place, process: ProcessNumber) -> Loading {
        let loads = &mut self.state().loads;
        loads.push(Load { place, process, began: now(), ended: Nanos::MAX });
        Loading { number: loads.len() - 1 }
    }

    /// How long a load takes before and after it reads, and how it ends.
    pub(crate) fn draw_load(&self) -> (Duration, Duration, Fate) {
        let Settings { failing, panicking, slow, load_timeout, .. } = self.settings;
        let mut state = self.state();
        state.counts.loads += 1;
        let is_quiet = state.is_quiet;
        let random = &mut state.random;
        let mut one_of = |many: u32| many > 0 && !is_quiet && random.u32(0..many) == 0;
        let (fails, panics, is_slow) = (one_of(failing), one_of(panicking), one_of(slow));
        let fate = match (fails, panics) {
            (true, _) => Fate::Fails,
            (_, true) => Fate::Panics,
            _ => Fate::Ends,
        };
        let longest = if is_slow { nanos(load_timeout) * 2 } else { 4_000_000 };
        let mut pause = || if random.bool() { Duration::ZERO } else { Duration::from_nanos(random.u64(0..longest)) };
        (pause(), pause(), fate)
    }

    /// How long a load that is over another one takes by itself.
    pub(crate) fn draw_pause(&self) -> Duration {
        let random = &mut self.state().random;
        if random.bool() { Duration::ZERO } else { Duration::from_nanos(random.u64(0..4_000_000)) }
    }

    /// Writes down a read; `cause` is what its token stands for.
    pub(crate) fn read(&self, process: ProcessNumber, read: Read, cause: Option<(ProcessNumber, Invalidation)>) {
        world().note(read.ended, (process, read.key, read.version));
        let mut state = self.state();
        state.counts.reads += 1;
        let number = state.records.len();
        state.records.push((process, Record::Read(read)));
        if let Some(cause) = cause {
            state.causes.insert(number, cause);
        }
    }

    /// Writes down an invalidation.
    pub(crate) fn invalidated(&self, process: ProcessNumber, invalidation: Invalidation, token: Option<Token>) {
        let mut state = self.state();
        state.records.push((process, Record::Invalidation(invalidation)));
        if let Some(token) = token {
            state.tokens.insert(invalidation.key, (token, process, invalidation));
        }
    }
}

fn version(commits: usize) -> Version {
    Version::try_from(commits).expect("a run is short")
}
