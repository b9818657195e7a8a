//! Whether a read that was older than promised is excused by what a failover lost.
//!
//! Excused is a read only if every invalidation that it should have seen was lost and not yet repeated: lost are those
//! whose call was under way in the time that the new primary knows nothing of (what was queued may have been sent in any
//! of these times); until the loss is repaired they bind nobody, and then again everybody. What their process cannot
//! repeat, because it is dead or because more than ten seconds were lost, is never repaired.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::losses::{Loss, Losses, Repair};
use super::settings::MAX_STALENESS;
use crate::history::{Invalidation, KeyNumber, Nanos, ProcessNumber, Promise, Reach, Read, Source, Violation, nanos};

/// How long after a read it is known whether another server had taken over before. With a failover on demand the old primary
/// goes on for some seconds, and nobody who talks to it knows.
const KNOWN_AFTER: Duration = Duration::from_secs(12);

/// Invalidations of a key are kept for so long.
const KEPT: Duration = Duration::from_secs(150);

/// So far back processes repeat.
const REPEATED: Duration = Duration::from_secs(10);

/// Judges what the checker finds.
#[derive(Debug)]
pub(crate) struct Judge {
    losses: Losses,
    /// Whether anything can be lost; without it nothing is kept.
    may_lose: bool,
    history: HashMap<KeyNumber, VecDeque<(ProcessNumber, Invalidation)>>,
    ended: HashMap<ProcessNumber, Nanos>,
    pending: Vec<Violation>,
    pub(crate) excused: Excused,
    /// What was not excused, by the promise that is broken.
    pub(crate) broken: [u64; Promise::ALL.len()],
    /// For each loss, in their order, how many acknowledged invalidations it took.
    lost: Vec<u64>,
}

/// What was excused.
#[derive(Clone, Debug, Default)]
pub(crate) struct Excused {
    /// By the promise that would be broken.
    pub(crate) reads: [u64; Promise::ALL.len()],
    /// The longest time from when the new primary was seen to answer to an excused read that was repaired afterwards.
    pub(crate) until_repaired: Nanos,
    /// The same, of what nobody could repeat.
    pub(crate) never_repaired: Nanos,
    /// How many of the reads that was.
    pub(crate) never: u64,
}

/// Why an invalidation does not bind a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Excuse {
    /// Since when the new primary answers.
    up: Nanos,
    is_repaired: bool,
}

impl Judge {
    /// For a run in which nothing is lost.
    pub(crate) fn strict() -> Self {
        Self { may_lose: false, ..Self::new(Losses::default()) }
    }

    pub(crate) fn new(losses: Losses) -> Self {
        Self {
            losses,
            may_lose: true,
            history: HashMap::new(),
            ended: HashMap::new(),
            pending: Vec::new(),
            excused: Excused::default(),
            broken: Default::default(),
            lost: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, process: ProcessNumber, invalidation: &Invalidation) {
        if !self.may_lose {
            return;
        }
        let of_key = self.history.entry(invalidation.key).or_default();
        of_key.push_back((process, *invalidation));
        let oldest = invalidation.returned.saturating_sub(nanos(KEPT));
        while of_key.front().is_some_and(|(_, first)| first.returned < oldest) {
            of_key.pop_front();
        }
    }

    pub(crate) fn ended(&mut self, process: ProcessNumber, at: Nanos) {
        self.ended.insert(process, at);
    }

    pub(crate) fn pend(&mut self, found: impl IntoIterator<Item = Violation>) {
        self.pending.extend(found);
    }

    /// What was lost around this time, for reports.
    pub(crate) fn about(&self, (from, to): (Nanos, Nanos)) -> Vec<(Nanos, String)> {
        let losses = self.losses.all();
        let then = losses.iter().filter(|loss| loss.from <= to && loss.repaired() >= from);
        then.flat_map(Loss::describe).collect()
    }

    /// What is no excuse, of what can be judged by now.
    pub(crate) fn judge(&mut self, now: Nanos) -> Vec<Violation> {
        if !self.may_lose {
            return self.judge_rest();
        }
        self.count_lost(now);
        if self.losses.are_open() {
            return Vec::new();
        }
        let known = now.saturating_sub(nanos(KNOWN_AFTER));
        let ready: Vec<_> = self.pending.extract_if(.., |violation| violation.read.ended < known).collect();
        self.decide(ready)
    }

    /// What is no excuse, of all that is left.
    pub(crate) fn judge_rest(&mut self) -> Vec<Violation> {
        self.count_lost(Nanos::MAX);
        let rest = std::mem::take(&mut self.pending);
        self.decide(rest)
    }

    /// For each loss, in their order, how many acknowledged invalidations it took.
    pub(crate) fn lost(&self) -> &[u64] {
        &self.lost
    }

    fn decide(&mut self, violations: Vec<Violation>) -> Vec<Violation> {
        let mut losses = self.losses.all();
        losses.sort_by_key(|loss| loss.from);
        let (mut broken, mut excused) = (Vec::new(), std::mem::take(&mut self.excused));
        for violation in violations {
            if let Some(excuse) = self.excuse(&violation, &losses) {
                excused.add(&violation, excuse);
            } else {
                self.broken[violation.promise as usize] += 1;
                broken.push(violation);
            }
        }
        self.excused = excused;
        broken
    }

    /// Why the read may be so old: for each invalidation that it should have seen there is an excuse.
    fn excuse(&self, violation: &Violation, losses: &[Loss]) -> Option<Excuse> {
        let read = &violation.read;
        let of_key = self.history.get(&read.key)?;
        let newer = || of_key.iter().filter(|(_, one)| one.version > read.version);
        let mut excuses = Vec::new();
        if read.token > read.version {
            match newer().find(|(_, one)| one.version == read.token) {
                Some((by, one)) => excuses.push(self.excuse_one(*by, one, read, losses)?),
                // Its process was killed before it could tell: when it was sent is not known.
                None => excuses.push(untold(read, losses)?),
            }
        }
        for (by, one) in newer().filter(|(by, one)| binds(*by, one, violation.process, read)) {
            excuses.push(self.excuse_one(*by, one, read, losses)?);
        }
        excuses.into_iter().min_by_key(|excuse| excuse.is_repaired)
    }

    fn excuse_one(&self, by: ProcessNumber, one: &Invalidation, read: &Read, losses: &[Loss]) -> Option<Excuse> {
        // When it may have been done at the server: by its own call, or repeated later.
        let last = if one.reach == Reach::Queued { Nanos::MAX } else { one.returned };
        let mut done = vec![(one.began, last)];
        for loss in losses.iter().filter(|loss| loss.concerns(read.key)) {
            let to = loss.to.unwrap_or(Nanos::MAX);
            if !done.iter().any(|(began, returned)| *began <= to && *returned >= loss.from) {
                continue;
            }
            let is_repaired = self.is_repaired(by, one, loss);
            if read.began >= loss.from && (read.began <= loss.repaired() || !is_repaired) {
                return Some(Excuse { up: loss.up, is_repaired });
            }
            done.push((to, loss.repaired()));
        }
        None
    }

    fn is_repaired(&self, by: ProcessNumber, one: &Invalidation, loss: &Loss) -> bool {
        match loss.repair {
            Repair::Emptied => true,
            Repair::Replay => {
                let lives = self.ended.get(&by).is_none_or(|ended| *ended > loss.repaired());
                let is_recent = loss.repaired().saturating_sub(one.returned) < nanos(REPEATED);
                lives && (is_recent || one.reach == Reach::Queued)
            }
        }
    }

    /// When all processes have told what returned before the loss.
    fn count_lost(&mut self, now: Nanos) {
        let known = now.saturating_sub(nanos(KNOWN_AFTER));
        for loss in self.losses.all().iter().skip(self.lost.len()) {
            if loss.to.is_none_or(|to| to > known) {
                return;
            }
            let is_lost = |one: &Invalidation| {
                one.reach != Reach::Queued && loss.concerns(one.key) && (loss.from..=loss.cut).contains(&one.returned)
            };
            self.lost.push(self.history.values().flatten().filter(|(_, one)| is_lost(one)).count() as u64);
        }
    }
}

impl Excused {
    fn add(&mut self, violation: &Violation, excuse: Excuse) {
        self.reads[violation.promise as usize] += 1;
        let after = violation.read.began.saturating_sub(excuse.up);
        if excuse.is_repaired {
            self.until_repaired = self.until_repaired.max(after);
        } else {
            self.never += 1;
            self.never_repaired = self.never_repaired.max(after);
        }
    }
}

/// Whether the read should have seen this invalidation: the promises, word by word.
fn binds(by: ProcessNumber, one: &Invalidation, process: ProcessNumber, read: &Read) -> bool {
    let returned = one.returned < read.began;
    let is_applied = one.reach != Reach::Queued;
    let may_have_joined = matches!(read.source, Source::Joined | Source::Unknown);
    let own = by == process && returned;
    let strict = read.strict && is_applied && returned;
    let bounded = is_applied && one.returned.saturating_add(nanos(MAX_STALENESS)) < read.began;
    let everywhere = one.reach == Reach::Everywhere && !may_have_joined && returned;
    own || strict || bounded || everywhere
}

fn untold(read: &Read, losses: &[Loss]) -> Option<Excuse> {
    let concern = |loss: &&Loss| loss.concerns(read.key) && (loss.from..=loss.repaired()).contains(&read.began);
    losses.iter().find(concern).map(|loss| Excuse { up: loss.up, is_repaired: true })
}

#[cfg(test)]
mod tests;
