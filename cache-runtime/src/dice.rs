//! The dice port: where jitter comes from.

use std::sync::{Mutex, PoisonError};

/// Uniform random numbers of one cache; a seed makes them repeatable.
#[derive(Debug)]
pub(crate) struct Dice(Mutex<fastrand::Rng>);

impl Dice {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self(Mutex::new(seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed)))
    }

    /// The share of the jitter that an entry loses, of 255.
    pub(crate) fn share(&self) -> u8 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).u8(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_spread_and_a_seed_repeats_them() {
        let shares = |dice: &Dice| (0..1_000).map(|_| dice.share()).collect::<Vec<_>>();
        let seeded = shares(&Dice::new(Some(7)));
        assert_eq!(seeded, shares(&Dice::new(Some(7))));
        assert!(seeded.iter().any(|share| *share < 5) && seeded.iter().any(|share| *share > 250));
        assert_ne!(seeded, shares(&Dice::new(None)));
    }
}
