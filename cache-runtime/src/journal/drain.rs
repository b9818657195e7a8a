//! What is replayed, and in which order.

use std::collections::{BTreeSet, VecDeque};

use crate::bus::Remote;
use crate::fault::Fault;
use crate::journal::queue::{Sweep, Tried, Waiting};
use crate::journal::replay::{Group, Replay, how, reload};
use crate::journal::rounds::Rounds;
use crate::journal::{Journal, Repeats};
use crate::routes::Table;

/// Batches that are replayed before the bus is looked at again.
const MOST_BATCHES: usize = 16;

/// What a replay has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drained {
    /// Nothing waits.
    Empty,
    /// There is more.
    More,
}

impl Journal {
    /// Replays what waits, oldest first. Each stays here until it is acknowledged: after a fault it waits as before, and
    /// what is behind it goes on. The first fault is returned at the end.
    ///
    /// What was never sent goes out as it is, to the servers that are there. What has failed is sent again when all servers
    /// that it needs can be reached, and apart from what needs others: else these would lose with each try what was read
    /// there since. What a server was told in vain, since it had too few replicas, is told again when it has them.
    /// Behind these whole functions are swept.
    pub(crate) async fn drain<R: Remote>(&self, remote: &R, table: &Table, by: &str) -> Result<Drained, Fault> {
        // Before anything is swept: a function that waits already is not widened to again.
        let fault = self.look_up(remote, table).await.err();
        let (mut waiting, since) = self.waiting();
        let mut replay = Replay::new(remote, table, by, fault);
        self.replay_items(&mut replay, &mut waiting, since).await;
        if self.repeats() == since {
            self.replay_sweeps(&mut replay, since).await;
        }
        // What was tried with the servers of before says nothing of these.
        if self.repeats() != since {
            return Ok(Drained::More);
        }
        match replay.fault {
            Some(fault) => Err(fault),
            None if self.len() == 0 => Ok(Drained::Empty),
            None => Ok(Drained::More),
        }
    }

    /// Widens what did not fit to the functions that listen to it by now. Whoever is to be new after this has registered
    /// before it loads.
    async fn look_up<R: Remote>(&self, remote: &R, table: &Table) -> Result<(), Fault> {
        let events = self.events();
        if events.is_empty() {
            return Ok(());
        }
        reload(remote, table).await?;
        self.looked_up(events.into_iter().map(|event| (event.clone(), table.prefixes(&event.0))).collect());
        Ok(())
    }

    async fn replay_items<R: Remote>(&self, replay: &mut Replay<'_, R>, waiting: &mut [Waiting], since: Repeats) {
        let mut waiting = waiting.iter_mut();
        let (mut groups, mut sent) = (VecDeque::<Group>::new(), 0);
        while sent < MOST_BATCHES && self.repeats() == since {
            let Some(group) = groups.front_mut() else {
                let Some(Waiting { tried, items }) = waiting.next() else { return };
                groups.extend(replay.ready(std::mem::take(items), *tried).await);
                continue;
            };
            let (tried, is_piece, items) = (group.tried, group.is_piece, self.cut(&mut group.items, group.tried));
            if group.items.is_empty() {
                groups.pop_front();
            }
            if tried != Tried::Never && !is_piece && replay.is_refused(&items) {
                continue;
            }
            sent += 1;
            let done = replay.send(&items).await;
            if tried != Tried::Never {
                self.paced(items.len(), done.as_ref().err());
            }
            let Err(fault) = done else {
                self.acknowledge_items(items, since);
                continue;
            };
            self.were_tried(&items, how(&fault), since);
            replay.note_refusal(&items);
            // Behind what was not sent yet: what is refused again and again leaves the others their turn.
            if sent < MOST_BATCHES / 2 {
                groups.extend(replay.pieces(items, tried, &fault).await);
            }
            replay.fault.get_or_insert(fault);
        }
    }

    /// Whole functions, those that wait for the same together.
    async fn replay_sweeps<R: Remote>(&self, replay: &mut Replay<'_, R>, since: Repeats) {
        // Before any of them is: what fails now has had its turn.
        let waiting = [Tried::Never, Tried::Failed, Tried::InVain].map(|tried| (tried, self.sweeps(tried)));
        let mut swept = BTreeSet::new();
        for (tried, sweeps) in waiting {
            // They were swept with others just now, together; if they are any.
            if sweeps.iter().all(|sweep| swept.contains(&sweep.prefix)) {
                self.acknowledge_sweeps(sweeps, since);
                continue;
            }
            if self.repeats() != since || !replay.may_sweep(tried).await {
                continue;
            }
            match self.sweep(replay, &sweeps, tried, since).await {
                Ok(()) => {
                    swept.extend(sweeps.iter().map(|sweep| sweep.prefix.clone()));
                    self.acknowledge_sweeps(sweeps, since);
                }
                Err(fault) => {
                    self.were_swept_in_vain(&sweeps, how(&fault), since);
                    replay.fault.get_or_insert(fault);
                }
            }
        }
    }

    async fn sweep<R: Remote>(
        &self,
        replay: &mut Replay<'_, R>,
        sweeps: &[Sweep],
        tried: Tried,
        since: Repeats,
    ) -> Result<(), Fault> {
        let mut rounds = Rounds::new(sweeps, tried);
        while !replay.sweep(&mut rounds).await? && self.repeats() == since {
            // What came meanwhile does not wait for all of them.
            let ([new, ..], _) = self.waiting();
            self.replay_items(replay, &mut [new], since).await;
        }
        rounds.done()
    }
}
