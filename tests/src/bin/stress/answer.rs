//! What one call was answered, and what its function may not answer whatever is written meanwhile.

use std::time::Duration;

use cache_runtime::{Lookup, Outcome};
use cache_tests::history::{Nanos, ProcessNumber, Read, Source, Version, nanos};
use cache_tests::stress::{Counter, Function, Log, Place, is_special};

use crate::functions::Seen;

/// How much older than written a value may look: its process may be stopped for up to 1.4 s between the end of a load and
/// the beginning of its life, and two processors are shared by all.
const MARGIN: Duration = Duration::from_secs(2);

/// What a call was answered.
pub(crate) struct Answer {
    pub(crate) place: Place,
    pub(crate) began: Nanos,
    pub(crate) ended: Nanos,
    /// Nothing if there is nothing.
    pub(crate) seen: Option<Seen>,
    pub(crate) source: Source,
}

impl Answer {
    /// Counts what is special about it, and what is wrong.
    pub(crate) fn check(&self, lookups: &[Lookup], log: &Log) {
        let is_kept = matches!(self.source, Source::Near | Source::Second);
        if lookups.last().is_some_and(|lookup| lookup.outcome() == Outcome::Stale) {
            log.count(Counter::Stale);
        }
        if let [below @ .., last] = lookups
            && last.outcome() == Outcome::Loaded
            && below.iter().any(|lookup| matches!(lookup.outcome(), Outcome::HitL1 | Outcome::HitL2))
        {
            log.count(Counter::MadeOfKept);
        }
        let Some(seen) = &self.seen else {
            if is_kept {
                log.count(Counter::Absent);
            }
            return;
        };
        let age = self.began.saturating_sub(seen.kept);
        if age > nanos(self.place.function.longest_life() + MARGIN) {
            self.tell(&format!("is {:.1?} old", Duration::from_nanos(age)));
            log.count(Counter::TooOld);
        }
        if self.place.function == Function::Picky && is_kept && is_special(seen.version) {
            self.tell("was not to be kept");
            log.count(Counter::KeptAmiss);
        }
    }

    /// As it is written down; `newest` is the newest version there is, where there was nothing.
    pub(crate) fn read(&self, process: ProcessNumber, token: Version, newest: Version) -> Read {
        let (version, by, at) = match &self.seen {
            Some(seen) => (seen.version, seen.by, seen.at),
            // The newest version that says so: the answer is not older than it had to be, if this is not.
            None => ((0..=newest).rev().find(|version| is_special(*version)).unwrap_or_default(), process, 0),
        };
        Read {
            key: self.place.number(),
            version,
            began: self.began,
            ended: self.ended,
            strict: self.place.function.is_strict(),
            token,
            source: self.source,
            loaded_by: by,
            loaded_at: at,
        }
    }

    fn tell(&self, what: &str) {
        eprintln!("{} {what}: version {:?} from {:?}", self.place.key(), self.seen, self.source);
    }
}
