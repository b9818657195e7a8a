//! How long to wait before the next try to connect: 50 ms, doubling to 1 s, each shortened by a random half at most, so
//! that a fleet does not come back all at once.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);

/// The pauses between tries.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { next: FIRST }
    }

    /// The next pause.
    pub(crate) fn pause(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(LONGEST);
        whole.mul_f64(1.0 - fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_second_and_are_spread() {
        for _ in 0..100 {
            let mut backoff = Backoff::new();
            for whole in [50, 100, 200, 400, 800, 1_000, 1_000].map(Duration::from_millis) {
                let pause = backoff.pause();
                assert!(pause >= whole / 2 && pause <= whole, "{pause:?} of {whole:?}");
            }
        }
        let mut first: Vec<_> = (0..100).map(|_| Backoff::new().pause()).collect();
        first.dedup();
        assert!(first.len() > 50);
    }
}
