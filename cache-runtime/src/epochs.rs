//! The fence: a fixed array of epochs, indexed by the hash of a key's or a group's text.
//!
//! An invalidation bumps one epoch. A load notes the sum of its epochs before it begins; its value is kept under that
//! sum and served only while the sum is unchanged. So a load that an invalidation overtook can neither be kept nor
//! joined, whoever finishes first, and dropping a group needs no scan. Two texts that share a slot cost a miss, never a
//! wrong value. Epochs only grow, so equal sums mean equal epochs.
//!
//! A second, coarse array of 1,024 epochs stays in the processor's first cache: copies that threads keep near are
//! checked against it, and there a shared slot costs a look into the tier, no load.

use std::sync::atomic::{AtomicU64 as StdAtomicU64, Ordering as StdOrdering};

use crate::sync::{AtomicU64, Ordering};

/// The arrays of epochs of one cache.
pub(crate) struct Epochs {
    fine: Box<[AtomicU64]>,
    coarse: Box<[AtomicU64]>,
    /// Part of every fence: dropping everything scans nothing either. No step of its own to those who explore schedules.
    all: StdAtomicU64,
}

/// The place of a key's or a group's epoch; at most [`SLOT_BITS`] wide.
pub(crate) type Slot = u32;

/// The widest slot.
pub(crate) const SLOT_BITS: u32 = 24;

const COARSE: usize = 1 << 10;

impl Epochs {
    /// `count` epochs, rounded up to a power of two: as many as entries live at a time, so that an invalidation ends
    /// about one stray entry.
    pub(crate) fn new(count: usize) -> Self {
        let count = count.clamp(1, 1 << SLOT_BITS).next_power_of_two();
        let array = |count| (0..count).map(|_| AtomicU64::new(0)).collect();
        Self { fine: array(count), coarse: array(count.min(COARSE)), all: StdAtomicU64::new(0) }
    }

    /// The slot of a hash.
    #[expect(clippy::cast_possible_truncation, reason = "the mask is at most a slot wide")]
    pub(crate) fn slot(&self, hash: u64) -> Slot {
        (hash & (self.fine.len() as u64 - 1)) as Slot
    }

    /// The fence of a key and its groups now.
    #[inline(always)]
    pub(crate) fn fence(&self, key: Slot, groups: &[Slot]) -> u64 {
        self.sum(&self.fine, key, groups)
    }

    /// The coarse fence of a key and its groups now. Read it *before* the fence that it is to stand for.
    #[inline(always)]
    pub(crate) fn coarse_fence(&self, key: Slot, groups: &[Slot]) -> u64 {
        self.sum(&self.coarse, key, groups)
    }

    /// Fences off every load and entry of this slot that began before. Returns the new epoch.
    pub(crate) fn bump(&self, slot: Slot) -> u64 {
        let epoch = at(&self.fine, slot).fetch_add(1, Ordering::SeqCst) + 1;
        // After the fine one: who read the coarse epoch of after this and then an unchanged fine one cannot exist.
        at(&self.coarse, slot).fetch_add(1, Ordering::SeqCst);
        epoch
    }

    /// The same for all that one invalidation names, so many times over: what a load that began behind its own slot's bump
    /// has made of another slot's value goes with the next round.
    pub(crate) fn bump_together(&self, slots: &[Slot], rounds: usize) {
        for _ in 0..rounds {
            for slot in slots {
                self.bump(*slot);
            }
        }
    }

    /// Fences off every load and entry that began before.
    pub(crate) fn bump_all(&self) {
        self.all.fetch_add(1, StdOrdering::SeqCst);
    }

    #[inline(always)]
    fn sum(&self, epochs: &[AtomicU64], key: Slot, groups: &[Slot]) -> u64 {
        let own = self.all.load(StdOrdering::SeqCst).wrapping_add(epoch(epochs, key));
        groups.iter().fold(own, |sum, group| sum.wrapping_add(epoch(epochs, *group)))
    }

    /// Bumps the key's own slot and returns the fence under which a value that was put by this very call may stand:
    /// the other epochs as they were *before*, so that whatever else is invalidated meanwhile invalidates it too.
    pub(crate) fn bump_for_put(&self, key: Slot, groups: &[Slot]) -> u64 {
        let all = self.all.load(StdOrdering::SeqCst);
        let others = groups.iter().fold(all, |sum: u64, group| sum.wrapping_add(epoch(&self.fine, *group)));
        self.bump(key).wrapping_add(others)
    }
}

#[inline(always)]
fn epoch(epochs: &[AtomicU64], slot: Slot) -> u64 {
    // SeqCst, with the bump: a call that begins after an invalidation returned, in whichever thread, sees its bump.
    at(epochs, slot).load(Ordering::SeqCst)
}

#[inline(always)]
fn at(epochs: &[AtomicU64], slot: Slot) -> &AtomicU64 {
    &epochs[slot as usize & (epochs.len() - 1)]
}
