//! When a server that does not answer is left alone: after a few timeouts in a row.
//!
//! The breaker only counts. That it is open is the same as that there is no connection: callers find none and fail at
//! once, and whoever reconnects tries the server out.

use crate::sync::{AtomicU32, Ordering};

/// Counts timeouts without an answer in between.
#[derive(Debug)]
pub(crate) struct Breaker {
    timeouts: AtomicU32,
    limit: u32,
}

/// Whether a timeout was one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Closed,
    Opens,
}

impl Breaker {
    /// Opens with the `limit`th timeout in a row.
    pub(crate) fn new(limit: u32) -> Self {
        Self { timeouts: AtomicU32::new(0), limit }
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    /// The server answered, whatever it said.
    pub(crate) fn answered(&self) {
        // Read first: one that nobody writes stays in every processor's cache.
        if self.timeouts.load(Ordering::Relaxed) != 0 {
            self.timeouts.store(0, Ordering::Relaxed);
        }
    }

    pub(crate) fn timed_out(&self) -> Verdict {
        if self.timeouts.fetch_add(1, Ordering::Relaxed) + 1 < self.limit {
            return Verdict::Closed;
        }
        self.answered();
        Verdict::Opens
    }
}
