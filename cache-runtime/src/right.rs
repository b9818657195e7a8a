//! The right to serve from the in-process tier, which ends by itself: who reads the bus extends it.
//!
//! It is read *before* a fence. The bus is applied to the fences first and extends the right second, so who reads in the
//! other order might pair an old fence with a new right.

use crate::sync::{AtomicU64, Ordering};

/// Until when the tier may serve, in milliseconds of the clock.
#[derive(Debug)]
pub(crate) struct Right(AtomicU64);

impl Right {
    /// None yet.
    pub(crate) const fn none() -> Self {
        Self(AtomicU64::new(0))
    }

    /// For ever: nobody else changes anything.
    pub(crate) const fn for_ever() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }

    #[inline(always)]
    pub(crate) fn end(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// It never becomes shorter: whoever asked later knows as much.
    pub(crate) fn extend(&self, end: u64) {
        self.0.fetch_max(end, Ordering::SeqCst);
    }
}
