//! Which servers were found to have too few replicas: whoever waits for these all the same waits in everybody's way.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::instant::Instant;
use crate::store::Needed;
use crate::sync::lock;

/// How often one caller waits for them as long as it may.
const AGAIN: Duration = Duration::from_secs(1);

/// In between, how often one gives those that are well again the time of an answer, and how long that is.
const ANSWERS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(5));

/// The others only ask how many there are: 0 would be for ever.
const AT_ONCE: Duration = Duration::from_millis(1);

/// Since when all but a few have hardly waited.
#[derive(Clone, Copy, Debug)]
struct Since {
    long: Instant,
    answer: Instant,
}

/// A connection that waits does nothing else, and reads go over it too.
#[derive(Debug, Default)]
pub(super) struct Short(Mutex<BTreeMap<Needed, Since>>);

impl Short {
    /// How long to wait for the replicas of this server: `most`, or hardly at all.
    pub(super) fn patience(&self, of: Needed, most: Duration) -> Duration {
        self.patience_at(Instant::now(), of, most)
    }

    fn patience_at(&self, now: Instant, of: Needed, most: Duration) -> Duration {
        match lock(&self.0).get_mut(&of) {
            None => most,
            Some(since) if now.saturating_duration_since(since.long) >= AGAIN => {
                *since = Since { long: now, answer: now };
                most
            }
            Some(since) if now.saturating_duration_since(since.answer) >= ANSWERS.0 => {
                since.answer = now;
                ANSWERS.1.min(most)
            }
            Some(_) => AT_ONCE.min(most),
        }
    }

    /// Whether there were enough after so long. Who has hardly waited knows only of those that are quick.
    pub(super) fn heard(&self, of: Needed, patience: Duration, enough: bool) {
        let mut short = lock(&self.0);
        if enough {
            short.remove(&of);
        } else if patience > AT_ONCE {
            let now = Instant::now();
            short.entry(of).or_insert(Since { long: now, answer: now });
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
        short.heard(bus, most, false);
        assert_eq!([patience(bus), patience(other)], [AT_ONCE, most]);
        let patiences =
            [0, 0, 60, 60].map(|millis| short.patience_at(later + Duration::from_millis(millis), bus, most));
        assert_eq!(patiences, [most, AT_ONCE, ANSWERS.1, AT_ONCE], "one of them");
        short.heard(bus, most, false);
        assert_eq!(patience(bus), AT_ONCE);
        short.heard(bus, AT_ONCE, true);
        short.heard(bus, AT_ONCE, false);
        assert_eq!([patience(bus), patience(bus)], [most, most], "what comes late from one who has hardly waited");
    }
}
