//! How long a look at the bus is waited for, and when the bus is to blame: a pure state machine.
//!
//! A server that is slow may be so for others' reasons, and what is not read of the bus is lost. So each look that was late
//! is followed by one that has more time. What the bus has is given up only where looking at its end alone did not take
//! half that time, before and after; the bus itself only where even that takes too long. Whoever looks again has made sure
//! first that the server does at once what has nothing to do with the bus.

use std::time::Duration;

use crate::fault::Fault;

/// A connection that is silent for so long is made anew, though a look over it has more time.
const SILENCE: Duration = Duration::from_secs(5);

/// The first time that is more than that of an operation; then twice that.
const LONG: Duration = Duration::from_secs(2);

/// How late looks were, since one that read was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Patience {
    /// Looks that read, late in a row.
    reads: Step,
    /// Looks at the end alone, late in a row.
    ends: Step,
    /// The time that the end took before the look that reads.
    end: Option<Step>,
    /// The time in which the last look that read was not answered, although the end was told in less.
    given: Option<Step>,
}

/// How much time a look has: that of an operation, then more and more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Step(u32);

impl Step {
    /// A look that reads has had time enough; one at the end alone gets no more than this.
    const ENOUGH: Self = Self(2);

    fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// On top of the time of an operation.
    fn time(self) -> Duration {
        self.0.checked_sub(1).map_or(Duration::ZERO, |doubled| LONG * (1 << doubled))
    }
}

impl Patience {
    /// Whether the last look was answered, so that the next one is as usual.
    pub(super) fn is_fresh(self) -> bool {
        self == Self::default()
    }

    /// On top of the time of an operation, for a look that reads.
    pub(super) fn time_to_read(self) -> Duration {
        self.read_step().time()
    }

    pub(super) fn read_was_late(&mut self) {
        self.given = self.end.map(|_| self.read_step());
        self.reads = self.reads.next().min(Step::ENOUGH);
        self.end = None;
    }

    /// On top of the time of an operation, for a look at the end alone.
    pub(super) fn time_to_end(self) -> Duration {
        self.ends.time()
    }

    pub(super) fn end_was_late(&mut self) {
        self.ends = self.ends.next();
    }

    /// Whether what is before it cannot be read: then it is skipped.
    pub(super) fn end_was_told(&mut self) -> bool {
        let end = std::mem::take(&mut self.ends);
        self.end = Some(end);
        self.given.is_some_and(|given| given >= Step::ENOUGH && given > end)
    }

    /// Not even the end can be told.
    pub(super) fn is_hopeless(self) -> bool {
        self.ends > Step::ENOUGH
    }

    fn read_step(self) -> Step {
        self.end.map_or(self.reads, |end| self.reads.max(end.next()))
    }
}

/// Whether a look that had `more` time than an operation, and took this long, was late: not where its connection was cut
/// before, which says nothing about the bus.
pub(super) fn is_late(fault: &Fault, more: Duration, took: Duration) -> bool {
    match fault {
        Fault::Timeout => true,
        Fault::Broken(_) => !more.is_zero() && took >= more.min(SILENCE),
        Fault::Away | Fault::Refused(..) | Fault::Nonsense(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: [u64; 4] = [0, 2, 4, 8];

    /// A server that takes so many seconds for a look that reads, and for one at the end alone. What becomes of the bus,
    /// after how many looks that were late.
    #[track_caller]
    fn check(reads: u64, ends: u64, expected: (&str, u32)) {
        let (mut patience, mut late) = (Patience::default(), 0);
        let is_late = |takes, time: Duration| {
            assert!(TIMES.contains(&time.as_secs()));
            Duration::from_secs(takes) > time
        };
        let outcome = loop {
            if !patience.is_fresh() {
                if patience.is_hopeless() {
                    break "deleted";
                }
                if is_late(ends, patience.time_to_end()) {
                    patience.end_was_late();
                    late += 1;
                    continue;
                }
                if patience.end_was_told() {
                    break "skipped";
                }
            }
            if !is_late(reads, patience.time_to_read()) {
                break "read";
            }
            patience.read_was_late();
            late += 1;
        };
        assert_eq!((outcome, late), expected);
    }

    #[test]
    fn what_can_be_read_is_read() {
        check(0, 0, ("read", 0));
        check(2, 0, ("read", 1));
        check(4, 0, ("read", 2));
        check(4, 4, ("read", 3));
        check(8, 4, ("read", 3));
    }

    #[test]
    fn what_takes_far_longer_than_to_tell_the_end_is_skipped() {
        check(5, 0, ("skipped", 3));
        check(99, 0, ("skipped", 3));
        check(99, 1, ("skipped", 4));
        check(99, 4, ("skipped", 6));
    }

    #[test]
    fn where_even_the_end_cannot_be_told_the_bus_is_deleted() {
        check(5, 5, ("deleted", 4));
    }

    #[test]
    fn a_connection_that_breaks_is_late_once_the_look_has_had_its_time() {
        let seconds = Duration::from_secs;
        let broken = || Fault::Broken(String::new());
        for (fault, more, took, expected) in [
            (Fault::Timeout, 0, 0, true),
            (broken(), 0, 9, false),
            (broken(), 2, 1, false),
            (broken(), 2, 2, true),
            (broken(), 8, 4, false),
            (broken(), 8, 6, true),
            (Fault::Away, 2, 9, false),
        ] {
            assert_eq!(is_late(&fault, seconds(more), seconds(took)), expected, "{fault} {more} {took}");
        }
    }

    /// The server was slow when the bus was read, and when only its end was asked for, it was not.
    #[test]
    fn nothing_is_skipped_unless_the_end_was_told_before_and_after() {
        let mut patience = Patience::default();
        for _ in 0..9 {
            patience.read_was_late();
        }
        assert!(!patience.end_was_told(), "not before");
        patience.read_was_late();
        patience.end_was_late();
        patience.end_was_late();
        assert!(!patience.is_hopeless());
        assert!(!patience.end_was_told(), "after it took no less time than what was read had");
        assert_eq!(patience.time_to_read(), Duration::from_secs(8));
        patience.read_was_late();
        assert!(patience.end_was_told());
    }
}
