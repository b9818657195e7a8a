//! The server's clock, as this process knows it: lifetimes are measured on it, so that no process's own clock matters.
//!
//! A probe was sent at `sent`, answered with the server's time, and came back at `received`, on this process's monotonic
//! clock. The server's time at a moment `t` is then at least `answer + t - received` and at most `answer + t - sent`
//! (Cristian's algorithm, 1989). A writer stamps the earliest, a reader compares with the latest: the error shortens a
//! life, it never lengthens one.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::clock::Moment;

/// Bounds of the difference between the server's clock and this process's, in milliseconds.
#[derive(Debug)]
pub(crate) struct ServerClock {
    earliest: AtomicI64,
    latest: AtomicI64,
}

const UNKNOWN: i64 = i64::MIN;

impl ServerClock {
    pub(crate) fn new() -> Self {
        Self { earliest: AtomicI64::new(UNKNOWN), latest: AtomicI64::new(UNKNOWN) }
    }

    /// What a probe has told.
    pub(crate) fn learn(&self, sent: Moment, received: Moment, server_millis: u64) {
        let server = signed(server_millis);
        // A millisecond each for what the whole milliseconds hide.
        self.earliest.store(server - signed(received.millis()) - 1, Ordering::Relaxed);
        self.latest.store(server - signed(sent.millis()) + 1, Ordering::Relaxed);
    }

    /// The server's time at `now`, at the earliest, in milliseconds since 1970; nothing before the first probe.
    pub(crate) fn earliest(&self, now: Moment) -> Option<u64> {
        at(&self.earliest, now)
    }

    /// The server's time at `now`, at the latest.
    pub(crate) fn latest(&self, now: Moment) -> Option<u64> {
        at(&self.latest, now)
    }
}

fn at(offset: &AtomicI64, now: Moment) -> Option<u64> {
    match offset.load(Ordering::Relaxed) {
        UNKNOWN => None,
        offset => u64::try_from(offset.saturating_add(signed(now.millis()))).ok(),
    }
}

fn signed(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Time;

    #[test]
    fn the_servers_time_lies_between_the_bounds() {
        let (clock, start) = (ServerClock::new(), Time::system().now());
        let at = |millis| start.after(Duration::from_millis(millis));
        assert_eq!(clock.latest(start), None);
        // Sent at 0, answered at 30 with 1,000,000, received at 40.
        clock.learn(at(0), at(40), 1_000_000);
        let truth = 1_000_000 + 100 - 30;
        let (earliest, latest) = (clock.earliest(at(100)).expect("known"), clock.latest(at(100)).expect("known"));
        assert!(earliest <= truth && truth <= latest, "{earliest} <= {truth} <= {latest}");
        assert!(latest - earliest <= 42);
    }
}
