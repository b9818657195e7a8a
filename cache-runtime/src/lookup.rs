//! What the cache did for one call, for those who ask.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the cache did for one call.
#[derive(Clone, Debug)]
pub struct Lookup {
    pub(crate) function: &'static str,
    pub(crate) key: String,
    pub(crate) outcome: Outcome,
    pub(crate) age: Option<Duration>,
    pub(crate) took: Duration,
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The in-process tier.
    HitL1,
    /// The second tier: some process had loaded it.
    HitL2,
    /// A value past its ttl, as `stale_while_revalidate` allows, while it is refreshed or after that has failed.
    Stale,
    /// The function's body, run by this call; kept, if the attribute and the fence allow it.
    Loaded,
    /// A load that another call had begun.
    Joined,
    /// The function's body, run without the cache.
    Bypassed(Bypass),
}

/// Why a call ran the body without the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bypass {
    /// The call is inside the load of its own key, directly or through other loads.
    Reentrant,
    /// Three loads in a row that this call waited for were overtaken by invalidations.
    WriteHot,
    /// Two loads in a row that this call waited for failed, and their errors cannot be copied.
    SourceFailing,
    /// The kept value was of another type: two versions of one crate share a function's number. Should not happen.
    ForeignType,
    /// The function was first called with another `Self`, and its key does not tell the two apart. Or a closure is part of
    /// its `Self`, which nothing tells from another.
    OtherSelf,
}

impl Lookup {
    /// The function's name.
    #[must_use]
    pub fn function(&self) -> &'static str {
        self.function
    }

    /// The key, its values percent-encoded, without application and version.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Where the answer came from.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// How long ago the value was kept, for hits. Of a function with `l1 = ".."`, a hit of the in-process tier tells
    /// about how long it has been there, which is less where it came from the second tier.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.age
    }

    /// How long the call took.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.took
    }
}

impl fmt::Display for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?} in {:?}", self.function, self.key, self.outcome, self.took)?;
        self.age.map_or(Ok(()), |age| write!(f, ", {age:?} old"))
    }
}

/// Collects lookups, for itself and for whoever watches around it.
#[derive(Clone, Debug)]
pub(crate) struct Watcher(Arc<Watching>);

#[derive(Debug)]
struct Watching {
    /// Nothing once they were taken: what ends later is of no interest any more.
    listed: Mutex<Option<Vec<Lookup>>>,
    outer: Option<Watcher>,
}

impl Watcher {
    pub(crate) fn inside(outer: Option<Self>) -> Self {
        Self(Arc::new(Watching { listed: Mutex::new(Some(Vec::new())), outer }))
    }

    pub(crate) fn note(&self, lookup: Lookup) {
        for outer in std::iter::successors(self.0.outer.as_ref(), |watcher| watcher.0.outer.as_ref()) {
            outer.list(lookup.clone());
        }
        self.list(lookup);
    }

    fn list(&self, lookup: Lookup) {
        if let Some(listed) = &mut *self.listed() {
            listed.push(lookup);
        }
    }

    pub(crate) fn take(&self) -> Vec<Lookup> {
        self.listed().take().unwrap_or_default()
    }

    fn listed(&self) -> MutexGuard<'_, Option<Vec<Lookup>>> {
        self.0.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
