//! What a whole cache counts, besides its functions: the bus and the server.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::bus::Heard;

/// Counters of the bus.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    messages: AtomicU64,
    flawed: AtomicU64,
    unlinked: AtomicU64,
    gaps: AtomicU64,
    faults: AtomicU64,
}

impl Tally {
    pub(crate) fn count(&self, heard: Heard) {
        let (counter, many) = match heard {
            Heard::Message => (&self.messages, 1),
            Heard::Flawed => (&self.flawed, 1),
            Heard::Unlinked(names) => (&self.unlinked, names as u64),
            Heard::Gap(_) => (&self.gaps, 1),
            Heard::Fault => (&self.faults, 1),
        };
        counter.fetch_add(many, Ordering::Relaxed);
    }

    /// Messages of other processes.
    pub(crate) fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// Messages that were not understood.
    pub(crate) fn flawed(&self) -> u64 {
        self.flawed.load(Ordering::Relaxed)
    }

    /// Times that something may have been missed.
    pub(crate) fn gaps(&self) -> u64 {
        self.gaps.load(Ordering::Relaxed)
    }

    /// Names that publishers had not unlinked.
    pub(crate) fn unlinked(&self) -> u64 {
        self.unlinked.load(Ordering::Relaxed)
    }

    /// Times that the bus could not be read.
    pub(crate) fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }
}
