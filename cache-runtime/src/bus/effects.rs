//! What messages make invalid: decided at once for all that were read together.

use std::collections::HashSet;

use crate::bus::message::{Flaw, Notice};
use crate::routes::{Happened, Named, Plan, Table};
use crate::store::Message;

/// What is to be done about some messages: first unlink, then fence off, then deliver.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// What their publishers have not unlinked.
    pub(super) uncovered: Plan,
    pub(super) texts: Vec<String>,
    pub(super) everything: bool,
    /// Names and JSON.
    pub(super) events: Vec<(String, Vec<u8>)>,
    /// Messages of others.
    pub(super) heard: usize,
    pub(super) flaws: Vec<Flaw>,
    seen: HashSet<String>,
}

impl Effects {
    /// Of these messages in the process with this id. Its own are applied when they are published.
    pub(super) fn of(messages: &[Message], table: &Table, id: &str) -> Self {
        let mut effects = Self::default();
        for message in messages {
            let notice = Notice::read(&message.fields);
            if notice.by.as_deref() != Some(id) {
                effects.heard += 1;
                effects.add(notice, table);
            }
        }
        effects
    }

    /// Names that are to be unlinked.
    pub(super) fn names(&self) -> Vec<String> {
        self.uncovered.named.iter().flat_map(|named| &named.names).cloned().collect()
    }

    fn add(&mut self, notice: Notice, table: &Table) {
        self.flaws.extend(notice.flaw);
        self.everything |= notice.all || means_everything(&notice, table);
        if notice.flaw == Some(Flaw::Long) {
            return;
        }
        for (name, json) in &notice.events {
            let plan = table.plan(&Happened { name, json, value: None });
            // Who publishes from one of these processes spells out what JSON does not show.
            self.everything |= !plan.unusable.is_empty() && notice.keys.is_empty();
            self.add_plan(plan, &notice);
        }
        self.add_plan(table.plan_texts(notice.keys.iter().cloned()), &notice);
        self.events.extend(notice.events);
    }

    fn add_plan(&mut self, plan: Plan, notice: &Notice) {
        for named in plan.named {
            let names: Vec<_> = named.names.iter().filter(|name| !notice.covered.contains(*name)).cloned().collect();
            if self.seen.insert(named.text.clone()) {
                self.texts.push(named.text.clone());
            }
            let names: Vec<_> = names.into_iter().filter(|name| self.seen.insert(format!("\0{name}"))).collect();
            if !names.is_empty() {
                self.uncovered.named.push(Named { names, ..named });
            }
        }
    }
}

/// Whether what is not understood of it may have been about anything.
fn means_everything(notice: &Notice, table: &Table) -> bool {
    match notice.flaw {
        None | Some(Flaw::Empty) => false,
        Some(Flaw::Keys) => true,
        Some(Flaw::Long | Flaw::Data) => {
            !notice.keys.is_empty() || notice.events.iter().any(|(event, _)| table.listens_to(event))
        }
    }
}

#[cfg(test)]
mod tests;
