//! What every contender reads, loads and stores.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::workload::{LoadError, USERS, User, key, load, load_slowly};

/// The first user whom nobody has read.
const COLD: u64 = 1_000_000;

pub(super) type Output = Result<User, LoadError>;

static SLOW: AtomicBool = AtomicBool::new(false);
static NEXT_COLD: AtomicU64 = AtomicU64::new(COLD);

/// Whether loads of this process take 50 ms from here on, or no time.
pub(super) fn load_slowly_from_now_on(slowly: bool) {
    SLOW.store(slowly, Relaxed);
}

/// The body of every annotated function.
pub(super) async fn body(tenant: u64, id: u64) -> Output {
    if SLOW.load(Relaxed) {
        return Ok(load_slowly(tenant, id).await);
    }
    Ok(load(tenant, id))
}

/// Whom calls are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Users {
    /// Those that are stored, each as often as any other: two calls at once are seldom for the same one, so that
    /// nobody gains by answering them together.
    Warm,
    /// One whom nobody has read, for each call.
    Cold,
}

impl Users {
    /// The tenant and id of the next call.
    pub(super) fn next(self, random: &mut fastrand::Rng) -> (u64, u64) {
        match self {
            Self::Warm => key(random.u64(..USERS)),
            Self::Cold => cold(),
        }
    }
}

/// A user whom nobody has read.
pub(super) fn cold() -> (u64, u64) {
    key(NEXT_COLD.fetch_add(1, Relaxed))
}
