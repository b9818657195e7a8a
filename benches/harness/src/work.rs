//! What every contender reads, loads and stores.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::workload::{LoadError, USERS, User, key, load, load_slowly};

/// The first user whom nobody has read.
const COLD: u64 = 1_000_000;

pub type Output = Result<User, LoadError>;

static SLOW: AtomicBool = AtomicBool::new(false);
static NEXT_COLD: AtomicU64 = AtomicU64::new(COLD);

/// Whether loads of this process take 50 ms from here on, or no time.
pub fn load_slowly_from_now_on(slowly: bool) {
    SLOW.store(slowly, Relaxed);
}

/// Whether they take 50 ms now.
pub fn loads_slowly() -> bool {
    SLOW.load(Relaxed)
}

/// The body of every annotated function.
pub async fn body(tenant: u64, id: u64) -> Output {
    if loads_slowly() {
        return Ok(load_slowly(tenant, id).await);
    }
    Ok(load(tenant, id))
}

/// Whom calls are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Users {
    /// Those that are stored, each as often as any other: two calls at once are seldom for the same one, so that
    /// nobody gains by answering them together.
    Warm,
    /// One whom nobody has read, for each call.
    Cold,
}

impl Users {
    /// The tenant and id of the next call.
    pub fn next(self, random: &mut fastrand::Rng) -> (u64, u64) {
        match self {
            Self::Warm => key(random.u64(..USERS)),
            Self::Cold => cold(),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Warm => "warm",
            Self::Cold => "cold",
        }
    }

    pub(crate) fn called(name: &str) -> Option<Self> {
        [Self::Warm, Self::Cold].into_iter().find(|users| users.name() == name)
    }
}

/// A user whom nobody has read.
pub fn cold() -> (u64, u64) {
    key(NEXT_COLD.fetch_add(1, Relaxed))
}

/// Who is cold next.
pub(crate) fn next_cold() -> u64 {
    NEXT_COLD.load(Relaxed)
}

/// Those before this one have been read, by another process.
pub(crate) fn cold_from(user: u64) {
    NEXT_COLD.fetch_max(user, Relaxed);
}
