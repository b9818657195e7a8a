//! The replay.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::bus::{Notice, Remote};
use crate::fault::{Fault, Refusal};
use crate::journal::Journal;
use crate::journal::item::Item;
use crate::journal::queue::{Batch, Numbered, Tried, Waiting, pack};
use crate::routes::{Happened, Plan, Table};
use crate::store::{Invalidated, Invalidation, Needed};

/// Batches that are replayed before the bus is looked at again.
const MOST_BATCHES: usize = 16;

/// Plans after which it is left to the next time.
const MOST_PLANS: usize = 8;

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
    /// Whole functions are swept one server after the other, as far as the first that does not do it.
    pub(crate) async fn drain<R: Remote>(&self, remote: &R, table: &Table, by: &str) -> Result<Drained, Fault> {
        // Before anything is swept: a function that waits already is not widened to again.
        let fault = self.look_up(remote, table).await.err();
        let ([never, failed, in_vain], since) = self.waiting();
        let mut replay = Replay { remote, table, by, lacking: BTreeMap::new(), refusing: Vec::new(), fault };
        let mut again = [failed, in_vain].into_iter();
        let mut batches: VecDeque<_> = never.batches().map(|batch| (batch, Tried::Never, false)).collect();
        let mut sent = 0;
        loop {
            let Some((batch, tried, is_piece)) = batches.pop_front() else {
                let Some(waiting) = again.next() else { break };
                let tried = waiting.tried;
                batches.extend(replay.ready(waiting).await.into_iter().map(|batch| (batch, tried, false)));
                continue;
            };
            // What was tried with the servers of before says nothing of these.
            if self.repeats() != since {
                return Ok(Drained::More);
            }
            if sent == MOST_BATCHES {
                break;
            }
            if tried != Tried::Never && !is_piece && replay.is_refused(&batch) {
                continue;
            }
            sent += 1;
            match replay.send(&batch).await {
                Ok(()) => self.acknowledge(batch, since),
                Err(fault) => {
                    self.was_tried(&batch, how(&fault), since);
                    replay.note_refusal(&batch);
                    // Behind what was not sent yet: what is refused again and again leaves the others their turn.
                    if sent < MOST_BATCHES / 2 {
                        let pieces = replay.pieces(batch, tried, &fault).await;
                        let is_piece = tried != Tried::Never;
                        batches.extend(pieces.into_iter().map(|piece| (piece, how(&fault), is_piece)));
                    }
                    replay.fault.get_or_insert(fault);
                }
            }
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
}

/// What became of something for which there was this fault.
fn how(fault: &Fault) -> Tried {
    if matches!(fault, Fault::Refused(Refusal::TooFewReplicas, _)) { Tried::InVain } else { Tried::Failed }
}

/// Whether less at once may pass, or another part of it.
fn may_pass_in_part(fault: &Fault) -> bool {
    match fault {
        Fault::Timeout => true,
        Fault::Refused(refusal, _) => matches!(refusal, Refusal::NotReady | Refusal::WrongType | Refusal::Other),
        Fault::Away | Fault::Broken(_) | Fault::Nonsense(_) => false,
    }
}

/// One replay of what waits.
struct Replay<'a, R> {
    remote: &'a R,
    table: &'a Table,
    by: &'a str,
    /// Of what was asked for, what is not there.
    lacking: BTreeMap<Needed, Fault>,
    /// Servers for which together something has failed: what else needs all of these is left to the next time.
    refusing: Vec<BTreeSet<Needed>>,
    /// The first.
    fault: Option<Fault>,
}

impl<R: Remote> Replay<'_, R> {
    /// Those of them that can be done, as far as that is known without sending them: what needs the same servers at once.
    async fn ready(&mut self, waiting: Waiting) -> Vec<Batch> {
        let Waiting { tried, mut items, mut sweeps } = waiting;
        self.take_ready(&mut items, tried).await;
        if !sweeps.is_empty() {
            let everywhere = self.find_lacking(self.remote.servers(), Tried::Failed).await;
            // The servers are swept without waiting for replicas.
            let told = self.find_lacking(BTreeSet::from([Needed::Bus]), tried).await;
            if let Some(fault) = everywhere.or(told) {
                self.fault.get_or_insert(fault);
                sweeps.clear();
            }
        }
        let mut batches = self.apart(items);
        batches.extend(sweeps);
        batches
    }

    fn apart(&self, items: Vec<Numbered>) -> Vec<Batch> {
        let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for item in items {
            let servers = self.servers(&item.1);
            // What needs one server first: that tells which of them refuse.
            groups.entry((servers.len(), servers)).or_default().push(item);
        }
        groups.into_values().flat_map(pack).collect()
    }

    /// Those that an item needs but for the bus, which is there for all of them or for none.
    fn servers(&self, item: &Item) -> Vec<Needed> {
        self.needs(item).into_iter().filter(|needed| *needed != Needed::Bus).collect()
    }

    /// What its items need, where that is the same for all of them.
    fn servers_of(&self, batch: &Batch) -> Option<BTreeSet<Needed>> {
        let Batch::Items(items) = batch else { return None };
        let mut sets = items.iter().map(|(_, item)| self.servers(item));
        let first = sets.next()?;
        sets.all(|servers| servers == first).then(|| first.into_iter().collect())
    }

    fn is_refused(&self, batch: &Batch) -> bool {
        let is_refused = |servers: BTreeSet<_>| self.refusing.iter().any(|refusing| refusing.is_subset(&servers));
        !self.refusing.is_empty() && self.servers_of(batch).is_some_and(is_refused)
    }

    fn note_refusal(&mut self, batch: &Batch) {
        let servers = self.servers_of(batch).filter(|servers| !servers.is_empty() && !self.remote.is_single());
        self.refusing.extend(servers);
    }

    async fn take_ready(&mut self, items: &mut Vec<Numbered>, tried: Tried) {
        let needs: Vec<_> = items.iter().map(|(_, item)| self.needs(item)).collect();
        if let Some(fault) = self.find_lacking(needs.iter().flatten().copied().collect(), tried).await {
            self.fault.get_or_insert(fault);
            let mut needs = needs.iter();
            let is_there = |needed: &BTreeSet<Needed>| needed.iter().all(|needed| self.lack(*needed, tried).is_none());
            items.retain(|_| needs.next().is_some_and(is_there));
        }
    }

    /// Of these, the first fault of one that is not there; where something was told in vain, replicas included.
    async fn find_lacking(&mut self, needed: BTreeSet<Needed>, tried: Tried) -> Option<Fault> {
        let unknown: BTreeSet<_> = needed.iter().copied().filter(|one| self.lack(*one, tried).is_none()).collect();
        if !unknown.is_empty() {
            self.lacking.extend(self.remote.lacking(&unknown, tried == Tried::InVain).await);
        }
        needed.iter().find_map(|needed| self.lack(*needed, tried)).cloned()
    }

    /// Why it is not there. That it has too few replicas is no matter where nothing was told in vain.
    fn lack(&self, needed: Needed, tried: Tried) -> Option<&Fault> {
        self.lacking.get(&needed).filter(|fault| tried == Tried::InVain || how(fault) != Tried::InVain)
    }

    fn needs(&self, item: &Item) -> BTreeSet<Needed> {
        // One server has all of them, or each its own. What newer routes add is found out by sending it.
        let most = if self.remote.is_single() { 1 } else { usize::MAX };
        let names: Vec<_> = item.named.iter().flat_map(|named| &named.names).take(most).cloned().collect();
        self.remote.needs(&names, item.is_told())
    }

    /// What of a batch that has failed is tried at once: of one that was never sent, what needs other servers than the one
    /// that the fault is about, each apart; later the halves, of which one may be what it is about.
    async fn pieces(&mut self, batch: Batch, before: Tried, fault: &Fault) -> Vec<Batch> {
        let Batch::Items(mut items) = batch else { return Vec::new() };
        let count = items.len();
        if count == 1 {
            return Vec::new();
        }
        if before == Tried::Never {
            if self.remote.is_single() {
                return Vec::new();
            }
            self.take_ready(&mut items, how(fault)).await;
            let is_rest = items.len() < count;
            let apart = self.apart(items);
            return if is_rest || apart.len() > 1 { apart } else { Vec::new() };
        }
        if !may_pass_in_part(fault) {
            return Vec::new();
        }
        let rest = items.split_off(count / 2);
        vec![Batch::Items(items), Batch::Items(rest)]
    }

    async fn send(&self, batch: &Batch) -> Result<(), Fault> {
        match batch {
            Batch::Items(items) => self.replay(&items.iter().map(|(_, item)| item.as_ref()).collect::<Vec<_>>()).await,
            Batch::Sweep { prefix, .. } => self.sweep(prefix).await,
        }
    }

    async fn replay(&self, items: &[&Item]) -> Result<(), Fault> {
        if items.iter().all(|item| !item.is_told()) {
            let names = items.iter().flat_map(|item| &item.named).flat_map(|named| &named.names);
            return self.remote.unlink(names.cloned().collect()).await;
        }
        let mut notice = Notice { by: Some(self.by.to_owned()), ..Notice::default() };
        for item in items {
            notice.events.extend(item.events.iter().cloned());
            notice.keys.extend(item.keys.iter().cloned());
        }
        for _ in 0..MOST_PLANS {
            let plan = planned(self.table, items);
            let unlink = names(&plan);
            notice.covered = unlink.iter().cloned().collect();
            let invalidation = Invalidation { unlink, put: None, fields: notice.fields() };
            match self.remote.invalidate(&invalidation, plan.version.as_deref()).await? {
                Invalidated::At(_) => return Ok(()),
                Invalidated::RoutesChanged => reload(self.remote, self.table).await?,
            }
        }
        Err(unstable())
    }

    async fn sweep(&self, prefix: &str) -> Result<(), Fault> {
        let notice = Notice { by: Some(self.by.to_owned()), all: true, ..Notice::default() };
        let invalidation = Invalidation { fields: notice.fields(), ..Invalidation::default() };
        for _ in 0..MOST_PLANS {
            let version = self.table.version();
            for beginning in self.table.sweeps(prefix) {
                self.remote.sweep(&beginning).await?;
            }
            match self.remote.invalidate(&invalidation, version.as_deref()).await? {
                Invalidated::At(_) => return Ok(()),
                Invalidated::RoutesChanged => reload(self.remote, self.table).await?,
            }
        }
        Err(unstable())
    }
}

fn names(plan: &Plan) -> Vec<String> {
    plan.named.iter().flat_map(|named| &named.names).cloned().collect()
}

/// What they name, with what is known of routes by now.
fn planned(table: &Table, items: &[&Item]) -> Plan {
    let mut plan = table.plan_texts(items.iter().flat_map(|item| item.keys.iter().cloned()));
    for item in items {
        item.named.iter().for_each(|named| plan.add(named.clone()));
        for (name, json) in &item.events {
            let newer = table.plan(&Happened { name, json, value: None });
            newer.named.into_iter().for_each(|named| plan.add(named));
        }
    }
    plan
}

async fn reload(remote: &impl Remote, table: &Table) -> Result<(), Fault> {
    let (version, fields) = remote.routes().await?;
    table.absorb(version, &fields);
    Ok(())
}

fn unstable() -> Fault {
    Fault::Nonsense("the routes change all the time".to_owned())
}
