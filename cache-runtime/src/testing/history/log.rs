//! The log of a test whose processes are caches of one program: it is checked while it is written.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::lookup::Lookup;

use super::{
    Checked, Checker, How, Invalidation, KeyNumber, Nanos, ProcessNumber, Promise, Reach, Read, Record, Source,
    Version, Violation, now,
};

/// What a test reads and writes through several caches of one program, checked read by read.
///
/// The test says when a read begins and what it returned, and when a write (commit and invalidation) has returned.
/// Versions of one key grow with its commits, and its writes must not overlap.
///
/// # Examples
///
/// ```standalone_crate
/// # tokio_test(async {
/// use cache_runtime::testing::History;
/// use cache_runtime::{Cache, cached};
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use std::time::Duration;
///
/// static SOURCE: AtomicU64 = AtomicU64::new(0);
///
/// #[cached(ttl = "1m", key = "version:<of>")]
/// async fn version(of: u64) -> u64 {
///     SOURCE.load(Ordering::SeqCst)
/// }
///
/// let history = History::new(Duration::from_secs(2));
/// let reading = history.read(0, 7);
/// reading.saw(version(7).await);
///
/// let writing = history.write(0, 7, 1);
/// SOURCE.store(1, Ordering::SeqCst);
/// writing.committed(); // and nobody tells the cache
///
/// let reading = history.read(0, 7);
/// reading.saw(version(7).await);
/// let violation = history.check().expect_err("the read is too old");
/// assert_eq!((violation.read.version, violation.required), (0, 1));
/// # });
/// # fn tokio_test(future: impl Future<Output = ()>) {
/// #     tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
/// # }
/// ```
#[derive(Debug)]
pub struct History(Mutex<Log>);

#[derive(Debug)]
struct Log {
    checker: Checker,
    /// The first violation.
    found: Option<Violation>,
}

impl History {
    /// An empty log for caches with this `max_staleness`.
    #[must_use]
    pub fn new(max_staleness: Duration) -> Self {
        Self(Mutex::new(Log { checker: Checker::new(max_staleness), found: None }))
    }

    /// A read of this key begins, in the process with this number.
    pub fn read(&self, process: ProcessNumber, key: KeyNumber) -> Reading<'_> {
        Reading { history: self, process, key, began: now(), strict: false, source: Source::Unknown }
    }

    /// A write of this version begins, in the process with this number.
    pub fn write(&self, process: ProcessNumber, key: KeyNumber, version: Version) -> Commit<'_> {
        Commit { history: self, process, key, version, began: now() }
    }

    /// What was checked of this promise.
    #[must_use]
    pub fn checked(&self, promise: Promise) -> Checked {
        self.log().checker.checked(promise)
    }

    /// Whether every read so far was as new as promised.
    ///
    /// # Errors
    ///
    /// The first read that was not.
    pub fn check(&self) -> Result<(), Box<Violation>> {
        self.log().found.clone().map_or(Ok(()), |found| Err(Box::new(found)))
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// All that returned before now is in the log, so that nobody has to be waited for.
    fn add(&mut self, process: ProcessNumber, record: Record) -> Option<Violation> {
        self.checker.told.clear();
        let violation = self.checker.add(process, now(), &[record]).pop();
        if let (None, Some(violation)) = (&self.found, &violation) {
            self.found = Some(violation.clone());
        }
        violation
    }
}

/// A read that has begun. Dropped, it was none.
#[derive(Debug)]
#[must_use = "a read is checked when it says what it saw"]
pub struct Reading<'a> {
    history: &'a History,
    process: ProcessNumber,
    key: KeyNumber,
    began: Nanos,
    strict: bool,
    source: Source,
}

impl Reading<'_> {
    /// It leaves the in-process tier aside (`l1 = off`): it has to see what other processes wrote at once.
    pub fn strictly(self) -> Self {
        Self { strict: true, ..self }
    }

    /// What [`explain`](crate::explain()) tells of it: [`Commit::everywhere`] asks more of a read that is known not to have
    /// joined another call's load. Calls in tasks that a load spawns are not seen: where they call cached functions, leave
    /// this out.
    pub fn explained(self, lookups: &[Lookup]) -> Self {
        Self { source: Source::of(lookups), ..self }
    }

    /// When it began.
    #[must_use]
    pub fn began(&self) -> Nanos {
        self.began
    }

    /// It has returned this version. Tells what it breaks, if it does.
    #[expect(clippy::must_use_candidate, reason = "`History::check` tells it too")]
    pub fn saw(self, version: Version) -> Option<Violation> {
        let Self { history, process, key, began, strict, source } = self;
        let mut log = history.log();
        log.add(
            process,
            Record::Read(Read {
                key,
                version,
                began,
                ended: now(),
                strict,
                token: 0,
                source,
                loaded_by: process,
                loaded_at: 0,
            }),
        )
    }
}

/// A write that has begun. Dropped, it asks for nothing.
#[derive(Debug)]
#[must_use = "a write asks for something when it has returned"]
pub struct Commit<'a> {
    history: &'a History,
    process: ProcessNumber,
    key: KeyNumber,
    version: Version,
    began: Nanos,
}

impl Commit<'_> {
    /// The write has returned: its own process must see it from here on, the others after `max_staleness`.
    pub fn committed(self) {
        self.returned(Reach::Applied);
    }

    /// The write has returned, its invalidation waits for the server ([`Delivery::Queued`](crate::Delivery::Queued)): only
    /// its own process must see it.
    pub fn queued(self) {
        self.returned(Reach::Queued);
    }

    /// The write has returned, and every process has heard of it, or serves nothing it has kept
    /// ([`Publish::everywhere`](crate::Publish::everywhere)).
    ///
    /// From here on it binds its own process, and of the others the reads that begin later and
    ///
    /// * leave the in-process tier aside ([`Reading::strictly`]), or
    /// * tell that they have joined no other call's load ([`Reading::explained`]).
    ///
    /// All other reads may have joined a load of a process that hears nothing, which is allowed for `max_staleness`: they are
    /// bound after that, as by [`Commit::committed`].
    pub fn everywhere(self) {
        self.returned(Reach::Everywhere);
    }

    fn returned(self, reach: Reach) {
        let Self { history, process, key, version, began } = self;
        let mut log = history.log();
        let returned = now();
        let invalidation = Invalidation { key, version, began, returned, reach, how: How::Event };
        log.add(process, Record::Invalidation(invalidation));
    }
}
