//! Which servers were found to have too few replicas: whoever waits for these all the same waits in everybody's way.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::instant::Instant;
use crate::store::Needed;
use crate::sync::lock;

/// How often one caller waits for them as long as it may.
const AGAIN: Duration = Duration::from_secs(1);

/// The others give those that are well the time of an answer, no more.
const AT_ONCE: Duration = Duration::from_millis(5);

/// A connection that waits does nothing else, and reads go over it too.
#[derive(Debug, Default)]
pub(super) struct Short(Mutex<BTreeMap<Needed, Instant>>);

impl Short {
    /// How long to wait for the replicas of this server: `most`, or hardly at all.
    pub(super) fn patience(&self, of: Needed, most: Duration) -> Duration {
        self.patience_at(Instant::now(), of, most)
    }

    fn patience_at(&self, now: Instant, of: Needed, most: Duration) -> Duration {
        match lock(&self.0).get_mut(&of) {
            Some(since) if now.saturating_duration_since(*since) < AGAIN => AT_ONCE.min(most),
            Some(since) => {
                *since = now;
                most
            }
            None => most,
        }
    }

    /// Whether there were enough.
    pub(super) fn heard(&self, of: Needed, enough: bool) {
        let mut short = lock(&self.0);
        if enough {
            short.remove(&of);
        } else {
            short.entry(of).or_insert_with(Instant::now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_those_who_wait_in_vain_one_waits_for_long() {
        let (short, most, later) = (Short::default(), Duration::from_millis(50), Instant::now() + 2 * AGAIN);
        let [bus, other] = [Needed::Bus, Needed::Server(None)];
        let patience = |of| short.patience(of, most);
        assert_eq!([patience(bus), patience(bus)], [most, most]);
        short.heard(bus, false);
        assert_eq!([patience(bus), patience(other)], [AT_ONCE, most]);
        let patiences = [(); 2].map(|()| short.patience_at(later, bus, most));
        assert_eq!(patiences, [most, AT_ONCE], "one of them");
        short.heard(bus, false);
        assert_eq!(patience(bus), AT_ONCE);
        short.heard(bus, true);
        assert_eq!([patience(bus), patience(bus)], [most, most]);
    }
}
