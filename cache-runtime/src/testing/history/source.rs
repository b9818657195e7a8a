//! Where an answer came from, as far as anybody told.

use crate::lookup::{Lookup, Outcome};

/// Where the answer came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// Nobody asked.
    #[default]
    Unknown,
    /// The in-process tier, or either one past the ttl.
    Near,
    /// The second tier.
    Second,
    /// A load of its own.
    Load,
    /// The load of another call.
    Joined,
    /// A load without the cache.
    Bypass,
}

impl Source {
    /// Of a read with these lookups: that of its last one, which is the outermost, unless one of them joined the load of
    /// another call. That load may be older than the read, and so may what was made of it.
    #[must_use]
    pub fn of(lookups: &[Lookup]) -> Self {
        match lookups.last() {
            Some(_) if lookups.iter().any(|lookup| lookup.outcome() == Outcome::Joined) => Self::Joined,
            Some(last) => last.outcome().into(),
            None => Self::Unknown,
        }
    }
}

impl From<Outcome> for Source {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::HitL1 | Outcome::Stale => Self::Near,
            Outcome::HitL2 => Self::Second,
            Outcome::Loaded => Self::Load,
            Outcome::Joined => Self::Joined,
            Outcome::Bypassed(_) => Self::Bypass,
        }
    }
}
