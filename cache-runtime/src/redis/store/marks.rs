//! Marks: writes that mean nothing.
//!
//! A server that is told to `WAIT` waits until replicas have what the connection wrote: in Redis 8 and Valkey nothing but
//! that, while what was unlinked may have been gone already, by way of another connection, and is not told to replicas
//! again. Behind a mark it waits for all that any connection wrote before.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use redis::Cmd;

use crate::redis::store::millis;
use crate::redis::{HashSlot, scripts};
use crate::sync::lock;

/// How long one stays.
const LIFE: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(super) struct Marks {
    /// What their names begin with.
    beginning: String,
    names: Mutex<BTreeMap<HashSlot, String>>,
}

impl Marks {
    pub(super) fn new(beginning: &str) -> Self {
        Self { beginning: beginning.to_owned(), names: Mutex::default() }
    }

    /// Writes one in this slot: with its text, for there is nobody to load the script again between two commands.
    pub(super) fn write(&self, slot: HashSlot, slot_of: impl Fn(&str) -> HashSlot) -> Cmd {
        let mut names = lock(&self.names);
        let name = names.entry(slot).or_insert_with(|| self.name_in(slot, slot_of)).as_str();
        let mut mark = Cmd::with_capacity(5, scripts::MARK.code.len() + name.len() + 32);
        mark.arg("EVAL").arg(scripts::MARK.code).arg(1).arg(name).arg(millis(LIFE));
        mark
    }

    /// The first whose slot this is.
    fn name_in(&self, slot: HashSlot, slot_of: impl Fn(&str) -> HashSlot) -> String {
        let mut names = (0_u64..).map(|number| format!("{}{{{number}}}", self.beginning));
        names.find(|name| slot_of(name) == slot).expect("numbers come to every slot")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_one() {
        let marks = Marks::new("shop:mark:");
        for slot in [0, 1, 8_191, 16_383].map(HashSlot) {
            assert_eq!(HashSlot::of(&marks.name_in(slot, HashSlot::of)), slot);
        }
    }
}
