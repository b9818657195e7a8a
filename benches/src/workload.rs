//! The work that every contender does: users of many tenants, read with a skew.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use hitbox_fn::CacheableResponse;
use serde::{Deserialize, Serialize};

/// Users that are read, all of them in the cache before a time is taken.
pub(crate) const USERS: u64 = 10_000;
/// Entries that a bounded contender may hold: no hit is lost to an eviction.
pub(crate) const CAPACITY: usize = 20_000;
/// The lifetime of an entry, where a contender has lifetimes: longer than the run.
pub(crate) const TTL: Duration = Duration::from_secs(TTL_SECONDS);
pub(crate) const TTL_SECONDS: u64 = 1_800;
/// Entries in the measurement of memory.
pub(crate) const LARGE: u64 = 100_000;
/// Room for them: a fifth more, so that a contender with shards has no full one.
pub(crate) const LARGE_CAPACITY: usize = 120_000;

const SKEW: f64 = 0.99;
const TENANTS: u64 = 100;
const READS: usize = 1 << 17;

/// What a call gives: 64 bytes and 58 bytes of text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, CacheableResponse)]
pub(crate) struct User {
    pub(crate) tenant: u64,
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) email: String,
}

/// What a load may fail with; it never does.
#[derive(Clone, Debug, thiserror::Error, Serialize, Deserialize)]
#[error("the load failed")]
pub(crate) struct LoadError;

static LOADS: AtomicU64 = AtomicU64::new(0);

/// How many loads ran so far, of all contenders.
pub(crate) fn loads() -> u64 {
    LOADS.load(Relaxed)
}

/// The body of every annotated function.
pub(crate) fn load(tenant: u64, id: u64) -> User {
    LOADS.fetch_add(1, Relaxed);
    User { tenant, id, name: exact(format!("user {id:0>13}")), email: exact(format!("{id:0>21}@tenant.example.com")) }
}

/// A text without spare room, so that the payload's bytes are what they seem.
fn exact(text: String) -> String {
    text.into_boxed_str().into_string()
}

/// The body for a stampede: long enough that every call arrives before the first load ended.
pub(crate) async fn load_slowly(tenant: u64, id: u64) -> User {
    let user = load(tenant, id);
    tokio::time::sleep(Duration::from_millis(50)).await;
    user
}

/// What a body with a state of its own keeps across its `.await`, in bytes.
pub(crate) const PADDING: usize = 1_096;

/// The bytes that a padded body keeps.
pub(crate) fn padding() -> [u8; PADDING] {
    black_box([0; PADDING])
}

/// The tenant and id of a user.
pub(crate) fn key(user: u64) -> (u64, u64) {
    (user % TENANTS, user)
}

/// The users in the order of their reads: zipf with exponent 0.99, the same in every run.
pub(crate) struct Reads {
    users: Vec<u16>,
}

impl Reads {
    pub(crate) fn new() -> Self {
        let shares = cumulative_shares();
        let mut random = fastrand::Rng::with_seed(0x5EED);
        let users = (0..READS).map(|_| {
            let at = random.f64();
            let rank = shares.partition_point(|share| *share < at).min(shares.len() - 1);
            u16::try_from(rank).expect("there are fewer than 65,536 users")
        });
        Self { users: users.collect() }
    }

    /// The key of the n-th read; the reads repeat after 131,072.
    #[inline]
    pub(crate) fn key(&self, read: usize) -> (u64, u64) {
        key(u64::from(self.users[read % READS]))
    }
}

/// For each rank, the share of the reads that go to it or to a more popular one.
fn cumulative_shares() -> Vec<f64> {
    let mut sum = 0.0;
    let mut shares = Vec::new();
    for rank in 1..=u32::try_from(USERS).expect("a small number") {
        sum += f64::from(rank).powf(-SKEW);
        shares.push(sum);
    }
    shares.into_iter().map(|share| share / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::{READS, Reads, load};

    #[test]
    fn a_user_has_122_bytes() {
        let user = load(7, 42);
        assert_eq!(size_of_val(&user) + user.name.capacity() + user.email.capacity(), 122);
    }

    #[test]
    fn a_fifth_of_the_users_takes_four_fifths_of_the_reads() {
        let reads = Reads::new();
        let popular = (0..READS).filter(|read| reads.key(*read).1 < 2_000).count();
        let share = popular * 100 / READS;
        assert!((78..88).contains(&share), "{share} %");
    }
}
