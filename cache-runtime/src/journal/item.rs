//! One invalidation that waits.

use crate::bus::Notice;
use crate::routes::{Named, Plan};
use crate::store::Invalidation;

/// What is to become invalid, and what others are to be told of it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Item {
    pub(super) named: Vec<Named>,
    /// Names and JSON.
    pub(super) events: Vec<(String, Vec<u8>)>,
    /// Texts that the message spells out.
    pub(super) keys: Vec<String>,
}

impl Item {
    /// A value that was put is not put again: its entry is unlinked like all others.
    pub(super) fn of(plan: &Plan, invalidation: Invalidation) -> Self {
        let Invalidation { fields, .. } = invalidation;
        let Notice { events, keys, .. } = Notice::read(&fields);
        Self { named: plan.named.clone(), events, keys }
    }

    /// Whether others hear of it.
    pub(super) fn is_told(&self) -> bool {
        !self.events.is_empty() || !self.keys.is_empty()
    }

    /// What it is of a batch: names that it unlinks or events that it tells of, whichever are more. An event that no
    /// function listens to has a part as well.
    pub(super) fn parts(&self) -> usize {
        let names: usize = self.named.iter().map(|named| named.names.len()).sum();
        names.max(self.events.len()).max(1)
    }

    /// Bytes of its texts, about.
    pub(super) fn bytes(&self) -> usize {
        let named =
            |named: &Named| named.text.len() + named.prefix.len() + named.names.iter().map(String::len).sum::<usize>();
        let named: usize = self.named.iter().map(named).sum();
        let events: usize = self.events.iter().map(|(name, json)| name.len() + json.len()).sum();
        named + events + self.keys.iter().map(String::len).sum::<usize>()
    }
}
