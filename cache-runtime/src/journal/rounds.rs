//! Sweeps: whole functions, which do not go at one moment, in rounds.

use std::collections::BTreeSet;

use crate::bus::{Notice, Remote};
use crate::fault::Fault;
use crate::journal::queue::{Sweep, Tried};
use crate::journal::replay::{MOST_PLANS, Replay, how, reload, unstable};
use crate::store::{Invalidated, Invalidation};

/// A sweep under way.
///
/// A value that is made of another one may be loaded again before that one goes: of what the second tier has still, or of
/// what the loading process has in memory, which may take the bus for as new as its lease. So the bus is told behind each
/// round: who loads what the last one does not take away any more has heard of those before it.
#[derive(Debug)]
pub(super) struct Rounds<'a> {
    sweeps: &'a [Sweep],
    tried: Tried,
    /// How many are over in which all was swept that is known by now.
    over: usize,
    /// What the swept keys begin with: in any round, and in this one.
    known: BTreeSet<String>,
    swept: BTreeSet<String>,
    /// That too few replicas have some of it.
    in_vain: Option<Fault>,
}

impl<'a> Rounds<'a> {
    pub(super) fn new(sweeps: &'a [Sweep], tried: Tried) -> Self {
        let (known, swept) = (BTreeSet::new(), BTreeSet::new());
        Self { sweeps, tried, over: 0, known, swept, in_vain: None }
    }

    /// What became of it.
    pub(super) fn done(self) -> Result<(), Fault> {
        self.in_vain.map_or(Ok(()), Err)
    }

    /// Of all these, what this round has not swept yet. What no round before has swept is to have as many as the others.
    fn rest(&mut self, mut beginnings: Vec<String>) -> Vec<String> {
        for beginning in &beginnings {
            if self.known.insert(beginning.clone()) {
                self.over = 0;
            }
        }
        beginnings.retain(|beginning| self.swept.insert(beginning.clone()));
        beginnings
    }

    /// Whether it was the last of so many.
    fn end(&mut self, most: usize) -> bool {
        self.swept.clear();
        self.over += 1;
        self.over >= most
    }

    /// Where too few replicas have it, it has happened all the same.
    fn happened(&mut self, done: Result<(), Fault>) -> Result<(), Fault> {
        match done {
            Err(fault) if how(&fault) == Tried::InVain => {
                self.in_vain.get_or_insert(fault);
                Ok(())
            }
            done => done,
        }
    }
}

impl<R: Remote> Replay<'_, R> {
    /// One round: all keys that begin like these, on all servers; for the first time on those that are there, whatever
    /// others do. Whether it was the last.
    pub(super) async fn sweep(&self, rounds: &mut Rounds<'_>) -> Result<bool, Fault> {
        let notice = Notice { by: Some(self.by.to_owned()), all: true, ..Notice::default() };
        let all = Invalidation { fields: notice.fields(), ..Invalidation::default() };
        for _ in 0..MOST_PLANS {
            let version = self.table.version();
            let prefixes = rounds.sweeps.iter().map(|sweep| sweep.prefix.as_str());
            let rest = rounds.rest(prefixes.flat_map(|prefix| self.table.sweeps(prefix)).collect());
            rounds.happened(self.remote.sweep(&rest, rounds.tried == Tried::Never).await.map(drop))?;
            let told = self.remote.invalidate(&all, version.as_deref()).await;
            if told == Ok(Invalidated::RoutesChanged) {
                reload(self.remote, self.table).await?;
                continue;
            }
            rounds.happened(told.map(drop))?;
            return Ok(rounds.end(self.remote.rounds()));
        }
        Err(unstable())
    }
}
