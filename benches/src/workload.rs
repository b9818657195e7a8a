//! The work of the in-process tier: the users of every contender, read with a skew.

use std::hint::black_box;

pub(crate) use harness::workload::{LoadError, TTL, USERS, User, key, load, load_slowly, loads};

/// Entries that a bounded contender may hold: no hit is lost to an eviction.
pub(crate) const CAPACITY: usize = 20_000;
/// Entries in the measurement of memory.
pub(crate) const LARGE: u64 = 100_000;
/// Room for them: a fifth more, so that a contender with shards has no full one.
pub(crate) const LARGE_CAPACITY: usize = 120_000;

const SKEW: f64 = 0.99;
const READS: usize = 1 << 17;

/// What a body with a state of its own keeps across its `.await`, in bytes.
pub(crate) const PADDING: usize = 1_096;

/// The bytes that a padded body keeps.
pub(crate) fn padding() -> [u8; PADDING] {
    black_box([0; PADDING])
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
    use super::{READS, Reads};

    #[test]
    fn a_fifth_of_the_users_takes_four_fifths_of_the_reads() {
        let reads = Reads::new();
        let popular = (0..READS).filter(|read| reads.key(*read).1 < 2_000).count();
        let share = popular * 100 / READS;
        assert!((78..88).contains(&share), "{share} %");
    }
}
