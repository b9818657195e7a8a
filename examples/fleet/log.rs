//! What every process was served, and when prices changed: enough to say whether anybody was served an older price than
//! promised.

use std::time::Duration;

use cache_runtime::Outcome;

use crate::MAX_STALENESS;

/// All of it, of all processes.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) reads: Vec<Read>,
    pub(crate) changes: Vec<Change>,
}

/// One call of a cached function.
#[derive(Clone, Copy)]
pub(crate) struct Read {
    /// The name of the process.
    pub(crate) by: char,
    pub(crate) function: Function,
    pub(crate) item: u32,
    /// Which price it was served.
    pub(crate) number: u64,
    pub(crate) from: Source,
    pub(crate) began: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Price,
    Total,
}

/// Where an answer came from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Memory,
    Redis,
    /// The database, asked by this call.
    Loaded,
    /// A load that another call of the same process had begun.
    Joined,
    /// Something else: see `cache_runtime::Outcome`.
    Other,
}

/// A price that was changed and announced.
#[derive(Clone, Copy)]
pub(crate) struct Change {
    pub(crate) item: u32,
    pub(crate) number: u64,
    /// When `publish` had returned.
    pub(crate) announced: Duration,
    /// Whether it had waited for all processes.
    pub(crate) everywhere: bool,
}

impl Function {
    pub(crate) const ALL: [Self; 2] = [Self::Price, Self::Total];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Price => "price",
            Self::Total => "total",
        }
    }

    /// How long a call may still be served what an announced change has outdated.
    pub(crate) fn promise(self) -> Duration {
        match self {
            Self::Price => MAX_STALENESS,
            Self::Total => Duration::ZERO,
        }
    }
}

impl Source {
    pub(crate) const NAMES: [(&'static str, Self); 5] = [
        ("memory", Self::Memory),
        ("redis", Self::Redis),
        ("loaded", Self::Loaded),
        ("joined", Self::Joined),
        ("other", Self::Other),
    ];

    pub(crate) fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::HitL1 => Self::Memory,
            Outcome::HitL2 => Self::Redis,
            Outcome::Loaded => Self::Loaded,
            Outcome::Joined => Self::Joined,
            _ => Self::Other,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.into_iter().find(|(_, source)| *source == self).map_or("", |(name, _)| name)
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, source)| source)
    }
}

impl Read {
    /// How long before this call a change that it does not show had been announced; nothing where there is none.
    fn behind(&self, change: &Change) -> Option<Duration> {
        let outdated = change.item == self.item && change.number > self.number;
        self.began.checked_sub(change.announced).filter(|behind| outdated && !behind.is_zero())
    }

    fn is_older_than_promised(&self, change: &Change) -> bool {
        let most = if change.everywhere { Duration::ZERO } else { self.function.promise() };
        self.behind(change).is_some_and(|behind| behind > most)
    }
}

impl Log {
    pub(crate) fn reads_of(&self, by: char, function: Function) -> impl Iterator<Item = &Read> {
        self.reads.iter().filter(move |read| read.by == by && read.function == function)
    }

    /// How long after its change was announced an old price was seen last, among the changes from this one on; nothing
    /// where none was seen.
    pub(crate) fn last_seen(&self, by: char, function: Function, from: usize) -> Option<Duration> {
        let changes = || self.changes[from..].iter().filter(|change| !change.everywhere);
        let behind = |read: &Read| changes().filter_map(|change| read.behind(change)).max();
        self.reads_of(by, function).filter_map(behind).max()
    }

    /// The reads that break a promise.
    pub(crate) fn older_than_promised(&self) -> impl Iterator<Item = &Read> {
        let breaks = |read: &&Read| self.changes.iter().any(|change| read.is_older_than_promised(change));
        self.reads.iter().filter(breaks)
    }
}
