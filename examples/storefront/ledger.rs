//! What has been announced: the newest version of each row whose writer has returned.
//!
//! A writer enters its version after it returned: its transaction is committed and its event
//! published. A reader looks the version up *before* it reads. What it then reads may be newer,
//! for a later writer may have committed; if it is older, it is stale, without exception.

use std::sync::atomic::{AtomicU32, Ordering};

/// The announced versions of all rows that the traffic changes.
pub(crate) struct Ledger {
    pub(crate) prices: Versions,
    pub(crate) stocks: Versions,
    pub(crate) orders: Versions,
}

impl Ledger {
    pub(crate) fn new(products: u32, users: u32) -> Self {
        Self { prices: Versions::new(products), stocks: Versions::new(products), orders: Versions::new(users) }
    }
}

/// The announced versions of the rows of one table, by their ids from 1 on.
pub(crate) struct Versions(Vec<AtomicU32>);

impl Versions {
    fn new(rows: u32) -> Self {
        Self((0..rows).map(|_| AtomicU32::new(0)).collect())
    }

    /// The writer that made `version` of `row` has returned.
    pub(crate) fn announce(&self, row: u32, version: u32) {
        self.0[row as usize - 1].fetch_max(version, Ordering::SeqCst);
    }

    /// The version that a read which begins now must show at least.
    pub(crate) fn announced(&self, row: u32) -> Floor {
        Floor(self.0[row as usize - 1].load(Ordering::SeqCst))
    }
}

/// The oldest version that a read may show.
#[derive(Clone, Copy)]
pub(crate) struct Floor(u32);

impl Floor {
    pub(crate) fn is_above(self, version: u32) -> bool {
        version < self.0
    }
}
