//! What servers have lost of what they had acknowledged: from when to when, and for which keys.
//!
//! A replica that takes over has a prefix of what its primary did. Whoever lets servers fail over finds out where it ends
//! ([`Loss::from`]); the [`Judge`](super::judge::Judge) excuses what follows from that, and nothing else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::history::{KeyNumber, Nanos, nanos};

/// So long after the new primary answers, and nobody believes the old one, everything that is repeated has taken effect
/// everywhere: a process finds the new primary and repeats, and the others hear of it within `max_staleness` (0.4 s here).
/// Processes are stopped for up to 1.4 s meanwhile.
const REPAIRED_WITHIN: Duration = Duration::from_secs(3);

/// What happened to data that the processes believe in.
#[derive(Clone, Debug)]
pub(crate) struct Loss {
    /// What returned before is still there.
    pub(crate) from: Nanos,
    /// The last moment at which the old server is known to have answered.
    pub(crate) cut: Nanos,
    /// When the server that has taken over was first seen to answer.
    pub(crate) up: Nanos,
    /// What begins after it is not lost. Nothing as long as the old server may still be believed.
    pub(crate) to: Option<Nanos>,
    /// Whose entries or stamps were there, by their numbers.
    pub(crate) keys: Arc<[bool]>,
    /// How it is made good.
    pub(crate) repair: Repair,
}

/// How a loss is made good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repair {
    /// The processes repeat what they have invalidated in the last ten seconds.
    Replay,
    /// Nothing was left that could be old.
    Emptied,
}

impl Loss {
    /// From then on all promises hold again.
    pub(crate) fn repaired(&self) -> Nanos {
        self.to.unwrap_or(Nanos::MAX).max(self.up).saturating_add(nanos(REPAIRED_WITHIN))
    }

    /// Its story, for reports.
    pub(super) fn describe(&self) -> Vec<(Nanos, String)> {
        let mut lines = vec![
            (self.from, "** what returns from here on is lost ..".to_owned()),
            (self.cut, "** .. the old primary falls silent ..".to_owned()),
            (self.up, "** .. the new primary answers ..".to_owned()),
        ];
        lines.extend(self.to.map(|to| (to, "** .. and to here: the old one is dead, or a replica".to_owned())));
        lines
    }

    /// Whether this key was there.
    pub(crate) fn concerns(&self, key: KeyNumber) -> bool {
        usize::try_from(key).is_ok_and(|key| self.keys.get(key).copied().unwrap_or_default())
    }
}

/// All losses of a run, in the order in which they were found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Losses(Arc<Mutex<Found>>);

#[derive(Debug, Default)]
struct Found {
    losses: Vec<Loss>,
    /// How many servers have fallen silent, and nobody knows yet whether something is lost.
    suspected: usize,
}

impl Losses {
    /// A server has fallen silent.
    pub(crate) fn suspect(&self) {
        self.found().suspected += 1;
    }

    /// It is known what came of it: it has been [added](Losses::add), or nothing is lost.
    pub(crate) fn clear(&self) {
        self.found().suspected -= 1;
    }

    /// Returns the number for [`Losses::close`].
    pub(crate) fn add(&self, loss: Loss) -> usize {
        let mut found = self.found();
        found.losses.push(loss);
        found.losses.len() - 1
    }

    /// The old server is not believed any more.
    pub(crate) fn close(&self, number: usize, to: Nanos) {
        self.found().losses[number].to = Some(to);
    }

    /// Whether more may be lost than is known.
    pub(crate) fn are_open(&self) -> bool {
        let found = self.found();
        found.suspected > 0 || found.losses.iter().any(|loss| loss.to.is_none())
    }

    pub(crate) fn all(&self) -> Vec<Loss> {
        self.found().losses.clone()
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
