//! One replay: what is there of what it needs, and how it is sent.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::bus::{Notice, Remote};
use crate::fault::{Fault, Refusal};
use crate::journal::item::Item;
use crate::journal::queue::{Numbered, Tried};
use crate::routes::{Happened, Plan, Table};
use crate::store::{Invalidated, Invalidation, Needed};

/// Plans after which it is left to the next time.
pub(super) const MOST_PLANS: usize = 8;

/// What is sent alike, oldest first.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) items: VecDeque<Numbered>,
    pub(super) tried: Tried,
    /// Of something that has just failed.
    pub(super) is_piece: bool,
}

/// What became of something for which there was this fault.
pub(super) fn how(fault: &Fault) -> Tried {
    if matches!(fault, Fault::Refused(Refusal::TooFewReplicas, _)) { Tried::InVain } else { Tried::Failed }
}

/// Whether less at once may pass, or another part of it.
fn may_pass_in_part(fault: &Fault) -> bool {
    match fault {
        Fault::Timeout => true,
        // Some keys may be others' alone.
        Fault::Refused(Refusal::Credentials, answer) => answer.starts_with("NOPERM"),
        Fault::Refused(refusal, _) => matches!(refusal, Refusal::NotReady | Refusal::WrongType | Refusal::Other),
        Fault::Away | Fault::Broken(_) | Fault::Nonsense(_) => false,
    }
}

/// One replay of what waits.
pub(super) struct Replay<'a, R> {
    pub(super) remote: &'a R,
    pub(super) table: &'a Table,
    pub(super) by: &'a str,
    /// What each needs, by the routes of this version.
    needs: HashMap<u64, BTreeSet<Needed>>,
    version: Option<String>,
    /// Of what was asked for, what is not there.
    lacking: BTreeMap<Needed, Fault>,
    /// What something has failed with that needs all of it: what else needs all of it is left to the next time.
    refusing: Vec<BTreeSet<Needed>>,
    /// The first.
    pub(super) fault: Option<Fault>,
}

impl<'a, R: Remote> Replay<'a, R> {
    pub(super) fn new(remote: &'a R, table: &'a Table, by: &'a str, fault: Option<Fault>) -> Self {
        let (needs, version, lacking, refusing) = (HashMap::new(), table.version(), BTreeMap::new(), Vec::new());
        Self { remote, table, by, needs, version, lacking, refusing, fault }
    }

    /// Those of them that can be done, as far as that is known without sending them: what needs the same at once.
    pub(super) async fn ready(&mut self, mut items: VecDeque<Numbered>, tried: Tried) -> Vec<Group> {
        if tried == Tried::Never {
            return if items.is_empty() { Vec::new() } else { vec![Group { items, tried, is_piece: false }] };
        }
        self.take_ready(&mut items, tried).await;
        self.alike(items, tried, false)
    }

    /// Whether whole functions can be swept. Those that were never sent go to the servers that are there, like all else; those
    /// that too few replicas have wait for those of all servers.
    pub(super) async fn may_sweep(&mut self, tried: Tried) -> bool {
        if tried == Tried::Never {
            return true;
        }
        let needed = self.remote.servers().into_iter().chain([Needed::Bus]).collect();
        let lacking = self.find_lacking(needed, tried).await;
        let may = lacking.is_none();
        self.fault = self.fault.take().or(lacking);
        may
    }

    /// What only one server has to do first: that tells which of them refuse.
    fn alike(&mut self, items: VecDeque<Numbered>, tried: Tried, is_piece: bool) -> Vec<Group> {
        let mut groups: BTreeMap<_, VecDeque<_>> = BTreeMap::new();
        for item in items {
            let needs = self.needs(&item);
            groups.entry((needs.len(), needs)).or_default().push_back(item);
        }
        groups.into_values().map(|items| Group { items, tried, is_piece }).collect()
    }

    /// What they need, where that is the same for all of them.
    fn needs_of(&mut self, items: &[Numbered]) -> Option<BTreeSet<Needed>> {
        let (first, rest) = items.split_first()?;
        let first = self.needs(first);
        rest.iter().all(|item| self.needs(item) == first).then_some(first)
    }

    pub(super) fn is_refused(&mut self, items: &[Numbered]) -> bool {
        if self.refusing.is_empty() {
            return false;
        }
        let needs = self.needs_of(items);
        needs.is_some_and(|needs| self.refusing.iter().any(|refusing| refusing.is_subset(&needs)))
    }

    pub(super) fn note_refusal(&mut self, items: &[Numbered]) {
        if self.remote.is_single() {
            return;
        }
        // Of what the bus alone was to hear, nobody else's turn depends.
        let is_of_servers = |needs: &BTreeSet<Needed>| needs.iter().any(|needed| *needed != Needed::Bus);
        let needs = self.needs_of(items).filter(is_of_servers);
        self.refusing.extend(needs);
    }

    async fn take_ready(&mut self, items: &mut VecDeque<Numbered>, tried: Tried) {
        let needs: Vec<_> = items.iter().map(|item| self.needs(item)).collect();
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

    /// What it takes to do all that it names by now. What newer routes add is found out by sending it.
    fn needs(&mut self, (number, item): &Numbered) -> BTreeSet<Needed> {
        let version = self.table.version();
        if self.version != version {
            self.version = version;
            self.needs.clear();
        }
        let (remote, table) = (self.remote, self.table);
        let needs = self.needs.entry(*number).or_insert_with(|| {
            let names = if remote.is_single() {
                // One server has all of them.
                own_names(&[item]).take(1).collect()
            } else if item.is_told() {
                names(&planned(table, &[item]))
            } else {
                own_names(&[item]).collect()
            };
            remote.needs(&names, item.is_told())
        });
        needs.clone()
    }

    /// What of a batch that has failed is tried at once: of one that was never sent, what needs other servers than the one
    /// that the fault is about, each apart; later the halves, of which one may be what it is about.
    pub(super) async fn pieces(&mut self, items: Vec<Numbered>, before: Tried, fault: &Fault) -> Vec<Group> {
        let (count, tried, mut items) = (items.len(), how(fault), VecDeque::from(items));
        if count == 1 {
            return Vec::new();
        }
        if before == Tried::Never {
            if self.remote.is_single() {
                return Vec::new();
            }
            self.take_ready(&mut items, tried).await;
            let is_rest = items.len() < count;
            let alike = self.alike(items, tried, false);
            return if is_rest || alike.len() > 1 { alike } else { Vec::new() };
        }
        if !may_pass_in_part(fault) {
            return Vec::new();
        }
        let rest = items.split_off(count / 2);
        [items, rest].map(|items| Group { items, tried, is_piece: true }).into()
    }

    pub(super) async fn send(&self, items: &[Numbered]) -> Result<(), Fault> {
        self.replay(&items.iter().map(|(_, item)| item.as_ref()).collect::<Vec<_>>()).await
    }

    async fn replay(&self, items: &[&Item]) -> Result<(), Fault> {
        if items.iter().all(|item| !item.is_told()) {
            return self.remote.unlink(own_names(items).collect()).await;
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
}

/// As they were named when they were added.
fn own_names(items: &[&Item]) -> impl Iterator<Item = String> {
    items.iter().flat_map(|item| &item.named).flat_map(|named| &named.names).cloned()
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

pub(super) async fn reload(remote: &impl Remote, table: &Table) -> Result<(), Fault> {
    let (version, fields) = remote.routes().await?;
    table.absorb(version, &fields);
    Ok(())
}

pub(super) fn unstable() -> Fault {
    Fault::Nonsense("the routes change all the time".to_owned())
}
