//! Which invalidations of this process are between their first and their second fence: how many, and of what.
//!
//! A text is known by the slot of its epoch, as in [`crate::epochs`]. Two texts that share a counter cost a load.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::epochs::Slot;
use crate::l1::Slots;

/// More than texts are on their way at a time.
const COUNTERS: usize = 1 << 10;

/// What one cache is about to make invalid.
#[derive(Debug)]
pub(crate) struct Announced {
    all: AtomicUsize,
    slots: Box<[AtomicUsize]>,
}

impl Default for Announced {
    fn default() -> Self {
        Self { all: AtomicUsize::new(0), slots: (0..COUNTERS).map(|_| AtomicUsize::new(0)).collect() }
    }
}

impl Announced {
    /// An invalidation has begun; it ends when this is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Announcing {
        self.all.fetch_add(1, Ordering::SeqCst);
        Announcing { announced: Arc::clone(self), slots: Vec::new() }
    }

    /// Whether nothing is on its way.
    pub(crate) fn is_quiet(&self) -> bool {
        self.all.load(Ordering::SeqCst) == 0
    }

    /// Whether nothing is that concerns what depends on these slots.
    pub(crate) fn is_quiet_about(&self, slots: &Slots) -> bool {
        self.is_quiet()
            || slots.groups.iter().chain([&slots.key]).all(|slot| self.at(*slot).load(Ordering::SeqCst) == 0)
    }

    fn at(&self, slot: Slot) -> &AtomicUsize {
        &self.slots[slot as usize & (COUNTERS - 1)]
    }
}

/// An invalidation of this process that is under way.
#[derive(Debug)]
pub(crate) struct Announcing {
    announced: Arc<Announced>,
    slots: Vec<Slot>,
}

impl Announcing {
    /// It is about these slots, too. To be told before they are fenced for the first time.
    pub(crate) fn add(&mut self, slots: impl IntoIterator<Item = Slot>) {
        for slot in slots {
            self.announced.at(slot).fetch_add(1, Ordering::SeqCst);
            self.slots.push(slot);
        }
    }
}

impl Drop for Announcing {
    fn drop(&mut self) {
        for slot in &self.slots {
            self.announced.at(*slot).fetch_sub(1, Ordering::SeqCst);
        }
        self.announced.all.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalidation_concerns_what_it_names_until_it_ends() {
        let announced = Arc::new(Announced::default());
        let (key, group) = (Slots { key: 1, groups: vec![2] }, Slots { key: 3, groups: vec![4, 5] });
        let quiet = || (announced.is_quiet(), announced.is_quiet_about(&key), announced.is_quiet_about(&group));
        assert_eq!(quiet(), (true, true, true));
        let mut first = announced.begin();
        assert_eq!(quiet(), (false, true, true), "it names nothing");
        first.add([1]);
        let mut second = announced.begin();
        second.add([5, 1]);
        assert_eq!(quiet(), (false, false, false));
        second.add([1]);
        drop(second);
        assert_eq!(quiet(), (false, false, true));
        drop(first);
        assert_eq!(quiet(), (true, true, true));
    }
}
