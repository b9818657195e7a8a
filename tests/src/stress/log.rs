//! What a child writes down, and how it gets to the parent.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::wire::Frame;
use crate::history::{How, KeyNumber, Nanos, Reach, Read, Record, Version, now};

/// How often the log is sent.
const PAUSE: Duration = Duration::from_millis(10);

/// So many records wait at most: a parent that falls behind slows its children down.
const MOST_WAITING: usize = 200_000;

/// What a child counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Loads that began.
    LoadsBegun,
    /// Loads that came to an end.
    LoadsEnded,
    /// Loads that were dropped on the way.
    LoadsDropped,
    /// Calls whose caller left.
    CallsLeft,
    /// Calls whose load failed or panicked.
    CallsFailed,
    /// Commits.
    Writes,
    /// Milliseconds that the slowest call took.
    Slowest,
    /// Tasks that did not come to an end.
    Stuck,
    /// Leases, flights and queued invalidations that were left when all was quiet.
    LeftOver,
    /// Answers past their ttl, as it is allowed.
    Stale,
    /// Answers from a tier that there is nothing.
    Absent,
    /// Answers that were made of another function's kept value.
    MadeOfKept,
    /// Invalidations that were queued as whole functions: the journal was full.
    Overflows,
    /// Answers older than their function allows.
    TooOld,
    /// Answers from a tier that were not to be kept.
    KeptAmiss,
}

const COUNTERS: usize = 15;

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u64; COUNTERS]);

impl Counts {
    /// One of them.
    #[must_use]
    pub fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize]
    }

    /// Loads that neither ended nor were dropped.
    #[must_use]
    pub fn loading(&self) -> u64 {
        let over = self.get(Counter::LoadsEnded) + self.get(Counter::LoadsDropped);
        self.get(Counter::LoadsBegun).saturating_sub(over)
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let slowest = self.get(Counter::Slowest).max(other.get(Counter::Slowest));
        self.0.iter_mut().zip(other.0).for_each(|(mine, others)| *mine += others);
        self.0[Counter::Slowest as usize] = slowest;
    }

    pub(crate) fn words(&self) -> [u64; COUNTERS] {
        self.0
    }

    pub(crate) fn read(mut word: impl FnMut() -> io::Result<u64>) -> io::Result<Self> {
        let mut counts = Self::default();
        for count in &mut counts.0 {
            *count = word()?;
        }
        Ok(counts)
    }
}

/// The log of one process.
#[derive(Debug, Default)]
pub struct Log {
    records: Mutex<Vec<Record>>,
    counters: [AtomicU64; COUNTERS],
    is_full: AtomicBool,
}

impl Log {
    /// Writes down a read.
    pub fn read(&self, read: Read) {
        self.raise(Counter::Slowest, (read.ended - read.began) / 1_000_000);
        let mut records = self.records();
        records.push(Record::Read(read));
        self.is_full.store(records.len() > MOST_WAITING, Ordering::Relaxed);
    }

    /// Writes down that invalidations returned. Their time is taken here, under the lock: what is written down later has
    /// returned later, so that a piece of the log can say up to when it tells all.
    pub fn invalidated(
        &self,
        began: Nanos,
        how: How,
        reach: Reach,
        keys: impl IntoIterator<Item = (KeyNumber, Version)>,
    ) {
        let mut records = self.records();
        let returned = now();
        records.extend(keys.into_iter().map(|(key, version)| {
            Record::Invalidation(crate::history::Invalidation { key, version, began, returned, reach, how })
        }));
    }

    /// Counts one more.
    pub fn count(&self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Counts some more.
    pub fn add(&self, counter: Counter, more: u64) {
        self.counters[counter as usize].fetch_add(more, Ordering::Relaxed);
    }

    /// Raises to at least this.
    pub fn raise(&self, counter: Counter, least: u64) {
        self.counters[counter as usize].fetch_max(least, Ordering::Relaxed);
    }

    /// Whether the parent is behind.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    fn records(&self) -> MutexGuard<'_, Vec<Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn frame(&self) -> Frame {
        let (records, told) = {
            let mut records = self.records();
            (std::mem::take(&mut *records), now())
        };
        let counts = Counts(std::array::from_fn(|counter| self.counters[counter].load(Ordering::Relaxed)));
        Frame { told, counts, records }
    }

    /// Sends the log to the parent until the last handle but this one is gone.
    ///
    /// # Panics
    ///
    /// If no thread can be started.
    #[must_use]
    pub fn send(self: &Arc<Self>, mut out: impl Write + Send + 'static) -> Sending {
        let (log, is_over) = (Arc::clone(self), Arc::new(AtomicBool::new(false)));
        let sending = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            loop {
                // Asked first, so that what was written before the end is sent.
                let is_last = sending.load(Ordering::SeqCst);
                let sent = log.frame().write(&mut out);
                if is_last || sent.is_err() {
                    return;
                }
                // tidy: sleep because the log is sent in pieces of some size
                thread::sleep(PAUSE);
            }
        });
        Sending { is_over, thread }
    }
}

/// The log on its way.
#[derive(Debug)]
pub struct Sending {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Sending {
    /// Sends the rest.
    pub fn finish(self) {
        self.is_over.store(true, Ordering::SeqCst);
        // A thread that panicked has said so.
        let _ = self.thread.join();
    }
}
