//! What a search has done.

use std::fmt;

/// What a search that found nothing has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    pub(super) seed: u64,
    pub(super) reads: u64,
    pub(super) writes: u64,
    pub(super) loads: u64,
    pub(super) invalidations: u64,
    pub(super) faults: u64,
    pub(super) close: u64,
}

impl Summary {
    /// What was left to chance: see [`Coherence::seed`](super::Coherence::seed).
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Reads that returned and were checked.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.reads
    }

    /// Writes that returned.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.writes
    }

    /// Runs of cached functions' bodies.
    #[must_use]
    pub fn loads(&self) -> u64 {
        self.loads
    }

    /// Events, invalidations and puts that the caches were told.
    #[must_use]
    pub fn invalidations(&self) -> u64 {
        self.invalidations
    }

    /// What went wrong by intent between the processes of a fleet.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.faults
    }

    /// Reads that began within ten milliseconds after a promise had begun to bind them: where a fault would show.
    #[must_use]
    pub fn close_reads(&self) -> u64 {
        self.close
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, reads, writes, loads, invalidations, faults, close } = self;
        write!(
            out,
            "coherent: {reads} reads ({close} of them within 10 ms of a write that bound them), {writes} writes, \
             {invalidations} invalidations, {loads} loads, {faults} faults; seed {seed}"
        )
    }
}
