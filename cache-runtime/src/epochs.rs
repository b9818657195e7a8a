//! The fence: a fixed array of epochs, indexed by the hash of a key's or a group's text.
//!
//! An invalidation bumps one epoch. A load notes the sum of its epochs before it begins; its value is kept under that
//! sum and served only while the sum is unchanged. So a load that an invalidation overtook can neither be kept nor
//! joined, whoever finishes first, and dropping a group needs no scan. Two texts that share a slot cost a miss, never a
//! wrong value. Epochs only grow, so equal sums mean equal epochs.

use crate::sync::{AtomicU64, Ordering};

/// The array of epochs of one cache.
pub(crate) struct Epochs {
    epochs: Box<[AtomicU64]>,
}

/// The place of a key's or a group's epoch.
pub(crate) type Slot = u16;

impl Epochs {
    /// As many epochs as there are slots: half a megabyte, and one stray miss per invalidation when as many keys live.
    pub(crate) const COUNT: usize = 1 << Slot::BITS;

    /// `count` epochs; a power of two.
    pub(crate) fn new(count: usize) -> Self {
        assert!(
            count.is_power_of_two() && count <= Self::COUNT,
            "a mask picks the slot"
        );
        Self {
            epochs: (0..count).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// The slot of a hash.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the mask is at most a slot wide"
    )]
    pub(crate) fn slot(&self, hash: u64) -> Slot {
        (hash & (self.epochs.len() as u64 - 1)) as Slot
    }

    /// The epoch of one slot now.
    #[inline(always)]
    pub(crate) fn epoch(&self, slot: Slot) -> u64 {
        // SeqCst, with the bump: a call that begins after an invalidation returned, in whichever thread, sees its bump.
        self.epochs[usize::from(slot) & (self.epochs.len() - 1)].load(Ordering::SeqCst)
    }

    /// The fence of a key and its groups now.
    #[inline(always)]
    pub(crate) fn fence(&self, key: Slot, groups: &[Slot]) -> u64 {
        groups.iter().fold(self.epoch(key), |sum, group| {
            sum.wrapping_add(self.epoch(*group))
        })
    }

    /// Fences off every load and entry of this slot that began before. Returns the new epoch.
    pub(crate) fn bump(&self, slot: Slot) -> u64 {
        self.epochs[usize::from(slot) & (self.epochs.len() - 1)].fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Bumps the key's own slot and returns the fence under which a value that was put by this very call may stand:
    /// the other epochs as they were *before*, so that whatever else is invalidated meanwhile invalidates it too.
    pub(crate) fn bump_for_put(&self, key: Slot, groups: &[Slot]) -> u64 {
        let others = groups
            .iter()
            .fold(0, |sum: u64, group| sum.wrapping_add(self.epoch(*group)));
        self.bump(key).wrapping_add(others)
    }
}
