//! What was done to the servers' clocks, and which promises cannot be asked about then: those that are measured on it.

use std::time::Duration;

use cache_tests::history::{Invalidation, Nanos, nanos};

/// What the processes may need to see that the clock has changed.
const SLACK: Nanos = 1_000_000_000;

/// Every change, in the order of time.
#[derive(Debug, Default)]
pub(crate) struct Changes(Vec<Change>);

#[derive(Clone, Copy, Debug)]
struct Change {
    at: Nanos,
    /// Whose clock.
    shard: usize,
    /// How far the clock has jumped, in milliseconds.
    jump: i64,
    /// How much faster it goes from now on, in millionths.
    drift: i64,
}

impl Changes {
    pub(crate) fn add(&mut self, at: Nanos, shard: usize, jump: i64, drift: i64) {
        self.0.push(Change { at, shard, jump, drift });
    }

    /// Whether anything was done to it.
    pub(crate) fn was_changed(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether the rights of other processes may have seemed over before they were: they end by the server's clock, which
    /// has jumped ahead since they were told, or goes too fast.
    pub(crate) fn hurry(&self, invalidation: &Invalidation, max_staleness: Duration) -> bool {
        let told = nanos(max_staleness) + SLACK;
        self.with_ends(told).any(|(change, end)| {
            let is_fast = change.drift > 0 && overlaps(invalidation, change.at, end);
            is_fast || change.jump > 0 && overlaps(invalidation, change.at, change.at + told)
        })
    }

    /// Whether the age of what was stored at the first time may seem another at the second.
    pub(crate) fn age(&self, stored: Nanos, now: Nanos) -> bool {
        self.with_ends(SLACK).any(|(change, end)| {
            let is_off = change.drift != 0 && change.at <= now && stored <= end;
            is_off || (stored.saturating_sub(SLACK)..=now).contains(&change.at)
        })
    }

    /// Whether a bus that has begun anew may give places again that an older one had given: the clock is not yet where it
    /// was.
    pub(crate) fn repeat(&self, invalidation: &Invalidation) -> bool {
        self.0.iter().filter(|change| change.jump < 0).any(|change| {
            // No drift makes a second longer than a tenth more.
            let behind = Duration::from_millis(change.jump.unsigned_abs());
            overlaps(invalidation, change.at, change.at + nanos(behind) * 11 / 10 + SLACK)
        })
    }

    /// Each with the time until which its drift shows: for so long after the next one.
    fn with_ends(&self, shows: Nanos) -> impl Iterator<Item = (Change, Nanos)> {
        self.0.iter().enumerate().map(move |(number, change)| {
            let next = self.0[number + 1..].iter().find(|next| next.shard == change.shard);
            (*change, next.map_or(Nanos::MAX, |next| next.at + shows))
        })
    }
}

fn overlaps(invalidation: &Invalidation, from: Nanos, to: Nanos) -> bool {
    invalidation.began <= to && invalidation.returned >= from
}

#[cfg(test)]
mod tests {
    use cache_tests::history::{How, Reach};

    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    fn invalidation(began: Nanos) -> Invalidation {
        let (began, returned) = (began * SECOND, began * SECOND + SECOND / 10);
        Invalidation { key: 0, version: 1, began, returned, reach: Reach::Everywhere, how: How::Event }
    }

    fn changes(jump: i64, drift: i64) -> Changes {
        let mut changes = Changes::default();
        changes.add(10 * SECOND, 0, jump, drift);
        changes
    }

    #[test]
    fn a_jump_ahead_hurries_for_as_long_as_rights_last() {
        let hurries = |changes: &Changes, at| changes.hurry(&invalidation(at), Duration::from_secs(2));
        assert_eq!([9, 10, 13, 14].map(|at| hurries(&changes(500, 0), at)), [false, true, true, false]);
        assert!(!hurries(&changes(-500, 0), 10));
        assert_eq!([9, 100].map(|at| hurries(&changes(0, 1), at)), [false, true]);
    }

    #[test]
    fn ages_are_wrong_over_a_change_and_while_there_is_drift() {
        let wrong = |changes: &Changes, stored, now| changes.age(stored * SECOND, now * SECOND);
        assert!(wrong(&changes(-1, 0), 9, 11) && wrong(&changes(1, 0), 11, 12));
        assert!(!wrong(&changes(-1, 0), 5, 9) && !wrong(&changes(-1, 0), 12, 20));
        assert!(wrong(&changes(0, -1), 12, 20) && !wrong(&changes(0, -1), 5, 9));
    }

    #[test]
    fn places_are_given_again_until_the_clock_is_where_it_was() {
        let repeats = |changes: &Changes, at| changes.repeat(&invalidation(at));
        assert_eq!([9, 10, 16, 17].map(|at| repeats(&changes(-5_000, 0), at)), [false, true, true, false]);
        assert!(!repeats(&changes(5_000, 0), 10));
    }
}
