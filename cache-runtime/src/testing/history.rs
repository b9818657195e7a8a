//! Whether reads were older than what they were promised: exact, in one pass, over what several processes log.
//!
//! Every process logs, with the times of one clock, which version each of its reads returned and when an invalidation for
//! which version returned. The versions of a key count its commits. A read is right if its version is at least the newest
//! one whose invalidation had returned before the read began:
//!
//! | promise | of which invalidations |
//! |---|---|
//! | strict | all that were applied |
//! | own process | all of the same process, applied or queued |
//! | bounded | those that returned longer than `max_staleness` before it |
//! | everywhere | those that have waited for everybody; of reads that are known not to have joined another call's load |
//! | causal | the one that the read's token stands for |
//!
//! Joined loads are an exception of `everywhere` alone: a process that hears nothing of the bus serves nothing it has kept,
//! but a load that it began without a lease may be joined for `max_staleness`, lest it overrun its source. So a read that
//! does not tell its [`Source`] is bound by what waited for everybody as by any other invalidation, `max_staleness` after it.
//!
//! Times are taken so that they can only make the check milder: that of a read before the call, that of an invalidation
//! after its return. A process that is stopped in between moves its own times apart and accuses nobody.
//!
//! [`History`] is such a log for a test whose processes are caches of one program. [`Checker`] is the same for processes
//! that are processes: it takes their logs in pieces, in any order between processes. A
//! process says with each piece up to when it has told all of its invalidations; a read is checked when all processes have
//! told theirs up to its beginning. What nobody can ask for any more is forgotten, so that memory does not grow with the run.

mod floor;
mod log;
mod report;
mod source;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use floor::Floor;

pub use floor::Point;
pub use log::{Commit, History, Reading};
pub use report::Violation;
pub use source::Source;

/// Nanoseconds of the kernel's monotonic clock: on Linux one clock for all processes of the machine, that nobody sets.
pub type Nanos = u64;

/// The time now. `std::time::Instant` reads the same clock, but its value cannot be handed to another process.
#[must_use]
#[cfg(target_os = "linux")]
pub fn now() -> Nanos {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let part = |number: i64| u64::try_from(number).unwrap_or_default();
    part(time.tv_sec) * 1_000_000_000 + part(time.tv_nsec)
}

/// The time now; outside of Linux, since the first call in this process.
#[must_use]
#[cfg(not(target_os = "linux"))]
pub fn now() -> Nanos {
    static ORIGIN: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    nanos(ORIGIN.elapsed())
}

/// The span as [`Nanos`].
#[must_use]
pub fn nanos(span: Duration) -> Nanos {
    u64::try_from(span.as_nanos()).unwrap_or(Nanos::MAX)
}

/// A process among all that ever took part; one that takes the place of a killed one has another number.
pub type ProcessNumber = u32;

/// A cached value's key: a function and its arguments.
pub type KeyNumber = u32;

/// How many commits the key has seen.
pub type Version = u64;

/// What a read was promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Promise {
    /// Everything that was applied anywhere before it began.
    Strict,
    /// The same, except for what was applied less than `max_staleness` ago.
    Bounded,
    /// What had been waited for until everybody had heard of it.
    Everywhere,
    /// Everything that its own process made invalid before it began.
    OwnProcess,
    /// The invalidation that its token stands for.
    Causal,
}

impl Promise {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Strict, Self::Bounded, Self::Everywhere, Self::OwnProcess, Self::Causal];
}

/// One read that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// What was read.
    pub key: KeyNumber,
    /// What was answered.
    pub version: Version,
    /// Before the call.
    pub began: Nanos,
    /// After the answer.
    pub ended: Nanos,
    /// Whether it leaves the in-process tier aside.
    pub strict: bool,
    /// The version that its token stands for; 0 without one.
    pub token: Version,
    /// Where the answer came from.
    pub source: Source,
    /// Who loaded (or put) the value.
    pub loaded_by: ProcessNumber,
    /// When that load began; 0 where nobody knows.
    pub loaded_at: Nanos,
}

impl Read {
    /// Whether it may have been answered with the load of another call.
    fn may_have_joined(&self) -> bool {
        matches!(self.source, Source::Joined | Source::Unknown)
    }

    /// Who loaded the value, and when, where that is known.
    fn load(&self) -> Option<(ProcessNumber, Nanos)> {
        (self.loaded_at > 0).then_some((self.loaded_by, self.loaded_at))
    }
}

/// How far an invalidation had come when it returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It took effect in its own process.
    Queued,
    /// It took effect in the second tier.
    Applied,
    /// No process serves an older value from its in-process tier.
    Everywhere,
}

/// How something was made invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// By an event that names the key.
    Event,
    /// By an event that names a group of keys.
    Group,
    /// By the entry.
    Entry,
    /// By a new value.
    Put,
}

/// One invalidation of one key that returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalidation {
    /// What was made invalid.
    pub key: KeyNumber,
    /// The commit before it.
    pub version: Version,
    /// Before the call.
    pub began: Nanos,
    /// After its return.
    pub returned: Nanos,
    /// How far it had come.
    pub reach: Reach,
    /// How it was asked for.
    pub how: How,
}

/// One line of a process's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// A read.
    Read(Read),
    /// An invalidation.
    Invalidation(Invalidation),
}

/// What was checked of one promise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Reads for which it asked for some version.
    pub reads: u64,
    /// Reads that began within ten milliseconds after the invalidation that they had to see.
    pub close: u64,
    /// Reads that were older.
    pub violations: u64,
}

/// "Within ten milliseconds" of [`Checked::close`].
const CLOSE: Nanos = 10_000_000;

/// How long an unchecked read may have lasted: what is older is forgotten.
const LONGEST_READ: Nanos = 60_000_000_000;

/// Reads and invalidations of one key that are kept for a report.
const REMEMBERED: usize = 48;

/// Checks what processes log.
#[derive(Debug)]
pub struct Checker {
    max_staleness: Nanos,
    /// Up to when each living process has told its invalidations.
    told: HashMap<ProcessNumber, Nanos>,
    keys: HashMap<KeyNumber, Key>,
    own: HashMap<(ProcessNumber, KeyNumber), Floor>,
    /// Pieces with reads that wait for other processes, and the beginning of the last of their reads.
    waiting: VecDeque<(Nanos, ProcessNumber, Vec<Read>)>,
    waiting_reads: usize,
    most_waiting: usize,
    reads: u64,
    checked: [Checked; Promise::ALL.len()],
    forgotten: Nanos,
}

/// What is known of one key.
#[derive(Debug, Default)]
struct Key {
    strict: Floor,
    bounded: Floor,
    everywhere: Floor,
    reads: VecDeque<(ProcessNumber, Read)>,
    invalidations: VecDeque<(ProcessNumber, Invalidation)>,
}

impl Checker {
    /// A checker for processes with this `max_staleness`.
    #[must_use]
    pub fn new(max_staleness: Duration) -> Self {
        Self {
            max_staleness: nanos(max_staleness),
            told: HashMap::new(),
            keys: HashMap::new(),
            own: HashMap::new(),
            waiting: VecDeque::new(),
            waiting_reads: 0,
            most_waiting: 0,
            reads: 0,
            checked: Default::default(),
            forgotten: 0,
        }
    }

    /// A process is about to start.
    pub fn started(&mut self, process: ProcessNumber, at: Nanos) {
        self.told.insert(process, at);
    }

    /// A process has ended, or was killed: nothing more comes from it.
    pub fn ended(&mut self, process: ProcessNumber) -> Vec<Violation> {
        self.told.remove(&process);
        self.check()
    }

    /// A piece of a process's log, and up to when it has told all of its invalidations now.
    pub fn add(&mut self, process: ProcessNumber, told: Nanos, records: &[Record]) -> Vec<Violation> {
        let mut reads = Vec::new();
        for record in records {
            match record {
                Record::Invalidation(invalidation) => self.add_invalidation(process, *invalidation),
                Record::Read(read) => reads.push(*read),
            }
        }
        if let Some(last) = reads.iter().map(|read| read.began).max() {
            self.waiting_reads += reads.len();
            self.most_waiting = self.most_waiting.max(self.waiting_reads);
            self.waiting.push_back((last, process, reads));
        }
        self.told.insert(process, told);
        self.check()
    }

    /// How many reads were checked.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.reads
    }

    /// The most reads that waited at a time for what other processes tell.
    #[must_use]
    pub fn most_waiting(&self) -> usize {
        self.most_waiting
    }

    /// What was checked of this promise.
    #[must_use]
    pub fn checked(&self, promise: Promise) -> Checked {
        self.checked[promise as usize]
    }

    fn add_invalidation(&mut self, process: ProcessNumber, invalidation: Invalidation) {
        let Invalidation { key, version, returned, reach, .. } = invalidation;
        let point = |due| Point { due, version, returned, process };
        self.own.entry((process, key)).or_default().add(point(returned));
        let of_key = self.keys.entry(key).or_default();
        remember(&mut of_key.invalidations, (process, invalidation));
        if reach != Reach::Queued {
            of_key.strict.add(point(returned));
            of_key.bounded.add(point(returned.saturating_add(self.max_staleness)));
        }
        if reach == Reach::Everywhere {
            of_key.everywhere.add(point(returned));
        }
    }

    /// Checks the reads of which everything is known.
    fn check(&mut self) -> Vec<Violation> {
        let told = self.told.values().copied().min().unwrap_or(Nanos::MAX);
        let mut violations = Vec::new();
        let mut still_waiting = VecDeque::new();
        while let Some((last, process, reads)) = self.waiting.pop_front() {
            if last > told {
                still_waiting.push_back((last, process, reads));
                continue;
            }
            self.waiting_reads -= reads.len();
            violations.extend(reads.into_iter().filter_map(|read| self.check_read(process, read)));
        }
        self.waiting = still_waiting;
        self.forget(told);
        violations
    }

    fn check_read(&mut self, process: ProcessNumber, read: Read) -> Option<Violation> {
        self.reads += 1;
        let own = self.own.get(&(process, read.key)).and_then(|floor| floor.before(read.began));
        let key = self.keys.entry(read.key).or_default();
        remember(&mut key.reads, (process, read));
        let strict = key.strict.before(read.began).filter(|_| read.strict);
        let causal = key.strict.at_least(read.token).filter(|_| read.token > 0);
        let everywhere = key.everywhere.before(read.began).filter(|_| !read.may_have_joined());
        let required = [strict, key.bounded.before(read.began), everywhere, own, causal];
        let mut broken = None;
        for (promise, point) in Promise::ALL.into_iter().zip(required) {
            // A token is known without its invalidation, whose process may have died before it told.
            let version = if promise == Promise::Causal { read.token } else { point.map_or(0, |point| point.version) };
            if version == 0 {
                continue;
            }
            let checked = &mut self.checked[promise as usize];
            checked.reads += 1;
            checked.close += u64::from(point.is_some_and(|point| read.began.saturating_sub(point.due) < CLOSE));
            if read.version < version {
                checked.violations += 1;
                broken = broken.or(Some((promise, version, point)));
            }
        }
        let (promise, required, point) = broken?;
        Some(Violation::new(process, read, promise, required, point, key))
    }

    /// Once a second, what no read can need any more.
    fn forget(&mut self, told: Nanos) {
        let oldest = told.saturating_sub(LONGEST_READ);
        if told == Nanos::MAX || oldest < self.forgotten + 1_000_000_000 {
            return;
        }
        self.forgotten = oldest;
        for key in self.keys.values_mut() {
            key.strict.forget(oldest);
            key.bounded.forget(oldest);
            key.everywhere.forget(oldest);
        }
        self.own.values_mut().for_each(|floor| floor.forget(oldest));
    }
}

fn remember<T>(last: &mut VecDeque<T>, one: T) {
    if last.len() >= REMEMBERED {
        last.pop_front();
    }
    last.push_back(one);
}

#[cfg(test)]
mod tests;
