//! The replay.

use std::sync::Arc;

use crate::bus::{Notice, Remote};
use crate::fault::{Fault, Refusal};
use crate::journal::Journal;
use crate::journal::item::Item;
use crate::journal::queue::Batch;
use crate::routes::{Happened, Plan, Table};
use crate::store::{Invalidated, Invalidation};

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
    /// Replays what waits, oldest first. Each stays here until it is acknowledged: after a fault it waits as before. What a
    /// server was told in vain, since it had too few replicas, is told again when it has them.
    pub(crate) async fn drain(&self, remote: &impl Remote, table: &Table, by: &str) -> Result<Drained, Fault> {
        for _ in 0..MOST_BATCHES {
            let Some((batch, since)) = self.next() else { return Ok(Drained::Empty) };
            let is_again = self.was_told_in_vain(&batch);
            let replayed = match &batch {
                Batch::Items(items) => replay(remote, table, by, items, is_again).await,
                Batch::Sweep { prefix, .. } => sweep(remote, table, by, prefix, is_again).await,
            };
            if matches!(replayed, Err(Fault::Refused(Refusal::WritesStopped, _))) {
                self.told_in_vain(&batch, since);
            }
            replayed?;
            self.acknowledge(batch, since);
        }
        Ok(if self.len() == 0 { Drained::Empty } else { Drained::More })
    }
}

async fn replay(
    remote: &impl Remote,
    table: &Table,
    by: &str,
    items: &[(u64, Arc<Item>)],
    is_again: bool,
) -> Result<(), Fault> {
    let items: Vec<_> = items.iter().map(|(_, item)| item.as_ref()).collect();
    if items.iter().all(|item| !item.is_told()) {
        let names = items.iter().flat_map(|item| &item.named).flat_map(|named| &named.names);
        let names: Vec<_> = names.cloned().collect();
        if is_again {
            remote.has_replicas(&names, false).await?;
        }
        return remote.unlink(names).await;
    }
    let mut notice = Notice { by: Some(by.to_owned()), ..Notice::default() };
    for item in &items {
        notice.events.extend(item.events.iter().cloned());
        notice.keys.extend(item.keys.iter().cloned());
    }
    for _ in 0..MOST_PLANS {
        let plan = planned(table, &items);
        let unlink: Vec<_> = plan.named.iter().flat_map(|named| &named.names).cloned().collect();
        if is_again {
            remote.has_replicas(&unlink, true).await?;
        }
        notice.covered = unlink.iter().cloned().collect();
        let invalidation = Invalidation { unlink, put: None, fields: notice.fields() };
        match remote.invalidate(&invalidation, plan.version.as_deref()).await? {
            Invalidated::At(_) => return Ok(()),
            Invalidated::RoutesChanged => reload(remote, table).await?,
        }
    }
    Err(unstable())
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

async fn sweep(remote: &impl Remote, table: &Table, by: &str, prefix: &str, is_again: bool) -> Result<(), Fault> {
    let notice = Notice { by: Some(by.to_owned()), all: true, ..Notice::default() };
    let invalidation = Invalidation { fields: notice.fields(), ..Invalidation::default() };
    if is_again {
        remote.has_replicas(&[], true).await?;
    }
    for _ in 0..MOST_PLANS {
        let version = table.version();
        for beginning in table.sweeps(prefix) {
            remote.sweep(&beginning).await?;
        }
        match remote.invalidate(&invalidation, version.as_deref()).await? {
            Invalidated::At(_) => return Ok(()),
            Invalidated::RoutesChanged => reload(remote, table).await?,
        }
    }
    Err(unstable())
}

async fn reload(remote: &impl Remote, table: &Table) -> Result<(), Fault> {
    let (version, fields) = remote.routes().await?;
    table.absorb(version, &fields);
    Ok(())
}

fn unstable() -> Fault {
    Fault::Nonsense("the routes change all the time".to_owned())
}
