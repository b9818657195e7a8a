//! Which servers a run has: older ones, newer ones, or one after the other.

use std::fmt;

use fastrand::Rng;

use crate::server::Swaps;

/// What runs in a server's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Programs {
    /// The same program everywhere, and after each start.
    One(Swaps),
    /// Any, and another one after a start or a failover, as this number decides.
    Any(u64),
}

impl Programs {
    /// A third of the runs has servers without swaps, a third servers with them, and in a third nobody can rely on any.
    pub(crate) fn draw(random: &mut Rng) -> Self {
        match random.u32(0..6) {
            0 | 1 => Self::One(Swaps::None),
            2 | 3 => Self::One(Swaps::Some),
            4 => Self::Any(random.u64(..)),
            _ => Self::One(Swaps::Told),
        }
    }

    /// What runs in the place of this shard's server after so many starts.
    pub(crate) fn of(self, shard: usize, runs: u32) -> Swaps {
        match self {
            Self::One(swaps) => swaps,
            Self::Any(seed) => {
                let start = (shard as u64) << 32 | u64::from(runs);
                [Swaps::None, Swaps::Told, Swaps::Some][Rng::with_seed(seed ^ start).usize(0..3)]
            }
        }
    }
}

/// For people.
impl fmt::Display for Programs {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::One(Swaps::None) => "servers without `SET .. IFEQ`",
            Self::One(Swaps::Told) => "servers that tell of `SET .. IFEQ` and do not have it",
            Self::One(Swaps::Some) => "servers with `SET .. IFEQ`",
            Self::Any(_) => "servers with and without `SET .. IFEQ`",
        })
    }
}
