//! The in-process tier: entries by key, bounded in bytes, checked on every read.
//!
//! A hit is memory-bound, so an entry is as small as it can be: 32 bytes beside its key of 24. What only functions with
//! groups need lies behind their values.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};

use crate::clock::{Moment, Time};
use crate::epochs::{Epochs, SLOT_BITS, Slot};
use crate::hasher::RandomState;
use crate::key::{Key, Probe};
use crate::shape::Kept;

/// One kept value and what must hold for it to be served.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    value: Kept,
    /// The fence when the load began, 40 bits (a trillion invalidations), and the key's slot, 24.
    fenced: u64,
    /// The end of its life in milliseconds of the cache's clock, 40 bits; the share of the jitter that was taken from
    /// it, 8 bits; its weight, 16.
    lifetime: u64,
}

/// What stands behind the value of a function with groups.
struct Grouped {
    value: Kept,
    groups: Box<[Slot]>,
}

/// What an entry is worth now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    Fresh,
    /// Past its lifetime.
    Expired,
    /// Invalidated: its load began before.
    Fenced,
}

/// How long an entry lives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    pub(crate) deadline: Moment,
    /// The share of the jitter that was taken from the full lifetime, of 255.
    pub(crate) jitter_share: u8,
}

/// The slots that an entry depends on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slots {
    pub(crate) key: Slot,
    pub(crate) groups: Vec<Slot>,
}

const FENCE_MASK: u64 = u64::MAX >> SLOT_BITS;
const SLOT_MASK: u64 = (1 << SLOT_BITS) - 1;
const DEADLINE_BITS: u32 = 40;
const LAST_DEADLINE: u64 = (1 << DEADLINE_BITS) - 1;

impl Entry {
    pub(crate) fn new(value: Kept, slots: &Slots, fence: u64, life: Life, weight: usize) -> Self {
        let value: Kept = if slots.groups.is_empty() {
            value
        } else {
            Arc::new(Grouped { value, groups: slots.groups.clone().into() })
        };
        let deadline = life.deadline.millis().min(LAST_DEADLINE);
        Self {
            value,
            fenced: fence << SLOT_BITS | u64::from(slots.key),
            lifetime: deadline << 24 | u64::from(life.jitter_share) << 16 | u64::from(Weight::round_up(weight).0),
        }
    }

    /// The one place that decides whether an entry may be served. `right` is the end of this process's right to serve,
    /// in milliseconds of its clock, read *before* `fence`, which is the current one of its slots, as wide as the one it
    /// was made with.
    #[inline(always)]
    pub(crate) fn freshness(&self, right: u64, fence: u64, time: &Time) -> Freshness {
        if fence & FENCE_MASK != self.fenced >> SLOT_BITS {
            Freshness::Fenced
        } else if time.is_before_millis(self.deadline_millis().min(right)) {
            Freshness::Fresh
        } else {
            Freshness::Expired
        }
    }

    /// Whether it may be served although its lifetime is over, for `staleness` longer. What is invalid is not stale.
    pub(crate) fn is_stale(&self, right: u64, fence: u64, time: &Time, staleness: Duration) -> bool {
        let staleness = u64::try_from(staleness.as_millis()).unwrap_or(u64::MAX);
        let last = self.deadline_millis().saturating_add(staleness);
        fence & FENCE_MASK == self.fenced >> SLOT_BITS && time.is_before_millis(last.min(right))
    }

    /// The fence of its slots now.
    #[inline(always)]
    pub(crate) fn fence(&self, epochs: &Epochs, grouped: bool) -> u64 {
        let groups = self.behind(grouped).map(|behind| &*behind.groups);
        epochs.fence(self.key_slot(), groups.unwrap_or_default())
    }

    /// The coarse fence of its slots now.
    #[inline(always)]
    pub(crate) fn coarse_fence(&self, epochs: &Epochs, grouped: bool) -> u64 {
        let groups = self.behind(grouped).map(|behind| &*behind.groups);
        epochs.coarse_fence(self.key_slot(), groups.unwrap_or_default())
    }

    /// A copy under a coarse fence.
    pub(crate) fn near(&self, coarse_fence: u64) -> Self {
        Self { fenced: coarse_fence << SLOT_BITS | (self.fenced & SLOT_MASK), ..self.clone() }
    }

    #[inline(always)]
    fn key_slot(&self) -> Slot {
        (self.fenced & SLOT_MASK) as Slot
    }

    #[inline(always)]
    fn behind(&self, grouped: bool) -> Option<&Grouped> {
        if grouped { self.value.downcast_ref() } else { None }
    }

    /// The value, as its function kept it.
    #[inline(always)]
    pub(crate) fn value(&self, grouped: bool) -> Kept {
        Arc::clone(self.behind(grouped).map_or(&self.value, |behind| &behind.value))
    }

    /// The value, as its function kept it.
    #[inline(always)]
    pub(crate) fn into_value(self, grouped: bool) -> Kept {
        match self.behind(grouped) {
            Some(behind) => Arc::clone(&behind.value),
            None => self.value,
        }
    }

    #[inline(always)]
    fn deadline_millis(&self) -> u64 {
        self.lifetime >> 24
    }

    /// Age and remaining life at `now`, for a full lifetime of which jitter may take `jitter` percent. Past its life it goes
    /// on growing older.
    pub(crate) fn ages(&self, now: Moment, full: Duration, jitter: u8) -> (Duration, Duration) {
        #[expect(clippy::cast_possible_truncation, reason = "the share is these 8 bits")]
        let share = (self.lifetime >> 16) as u8;
        let (now, end) = (now.since_origin(), Duration::from_millis(self.deadline_millis()));
        let (remaining, past) = (end.saturating_sub(now), now.saturating_sub(end));
        (shortened(full, jitter, share).saturating_sub(remaining).saturating_add(past), remaining)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the weight is the lower bits")]
    pub(crate) fn weight(&self) -> u64 {
        Weight(self.lifetime as u16).bytes()
    }
}

/// `full x (1 - percent x share / 255)`: what is left of a lifetime when `share` of the jitter is taken.
pub(crate) fn shortened(full: Duration, percent: u8, share: u8) -> Duration {
    full.mul_f64(1.0 - f64::from(percent) / 100.0 * f64::from(share) / 255.0).min(full)
}

/// Bytes in 16 bits: 11 of mantissa and 5 of exponent, so an error of a thousandth at most, upwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Weight(u16);

impl Weight {
    const MANTISSA: u32 = 11;

    fn round_up(bytes: usize) -> Self {
        let bytes = bytes as u64;
        let exponent = (u64::BITS - bytes.leading_zeros()).saturating_sub(Self::MANTISSA);
        // A carry out of the mantissa raises the exponent, as it should.
        let mantissa = bytes.div_ceil(1 << exponent);
        let (mantissa, exponent) =
            if mantissa >> Self::MANTISSA == 0 { (mantissa, exponent) } else { (mantissa >> 1, exponent + 1) };
        let largest = Self(u16::MAX);
        match (u16::try_from(mantissa), u16::try_from(exponent)) {
            (Ok(mantissa), Ok(exponent)) if exponent < 32 => Self(exponent << Self::MANTISSA | mantissa),
            _ => largest,
        }
    }

    #[inline(always)]
    fn bytes(self) -> u64 {
        u64::from(self.0 & ((1 << Self::MANTISSA) - 1)) << (self.0 >> Self::MANTISSA)
    }
}

/// What an entry costs besides its value: the key, the entry itself, the map's own book-keeping.
const OVERHEAD: usize = size_of::<Key>() + size_of::<Entry>() + 48;

/// The tier.
#[derive(Debug)]
pub(crate) struct L1 {
    entries: Cache<Key, Entry, ByBytes, RandomState, DropOutside>,
}

impl L1 {
    /// A tier of at most `capacity` bytes.
    pub(crate) fn new(capacity: u64) -> Self {
        // Sizes the first tables, which grow as needed: sparse ones would cost a cache miss on every hit.
        let estimate = usize::try_from(capacity / 4_096).unwrap_or(usize::MAX).clamp(16, 1 << 20);
        let options = OptionsBuilder::new()
            .estimated_items_capacity(estimate)
            .weight_capacity(capacity)
            .build()
            .expect("both capacities are given");
        let entries = Cache::with_options(options, ByBytes, RandomState::default(), DropOutside);
        Self { entries }
    }

    #[inline(always)]
    pub(crate) fn get(&self, key: &Probe<'_>) -> Option<Entry> {
        self.entries.get(key)
    }

    pub(crate) fn insert(&self, key: Key, entry: Entry) {
        self.entries.insert(key, entry);
    }

    pub(crate) fn remove(&self, key: &Key) {
        self.entries.remove(&key.probe());
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.entries.weight()
    }
}

/// The weight of an entry whose value holds this many bytes.
pub(crate) fn weight(value: usize, key: &Key) -> usize {
    value.saturating_add(OVERHEAD).saturating_add(key.heap_bytes())
}

#[derive(Clone, Debug)]
struct ByBytes;

impl Weighter<Key, Entry> for ByBytes {
    fn weight(&self, _key: &Key, entry: &Entry) -> u64 {
        entry.weight()
    }
}

/// Evicted entries are dropped after the shard's lock was released: a user's `Drop` never runs under it.
#[derive(Clone, Debug)]
struct DropOutside;

impl Lifecycle<Key, Entry> for DropOutside {
    type RequestState = Vec<(Key, Entry)>;

    fn on_evict(&self, evicted: &mut Self::RequestState, key: Key, entry: Entry) {
        evicted.push((key, entry));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_small() {
        assert_eq!((size_of::<Key>(), size_of::<Entry>()), (24, 32));
    }

    #[test]
    fn weights_round_up_by_a_thousandth_at_most() {
        for bytes in (0..5_000).chain([1 << 20, (1 << 20) + 1, 123_456_789, 1 << 35]) {
            let weight = Weight::round_up(bytes).bytes();
            assert!((bytes as u64..=bytes as u64 + bytes as u64 / 1_000).contains(&weight), "{bytes}: {weight}");
        }
        assert_eq!(Weight::round_up(usize::MAX), Weight(u16::MAX));
    }

    #[test]
    fn the_age_is_known_although_only_the_end_is_kept() {
        let (full, jitter, share) = (Duration::from_secs(100), 20, 128);
        let stored = Time::system().now().after(Duration::from_secs(7));
        let deadline = stored.after(shortened(full, jitter, share));
        let life = Life { deadline, jitter_share: share };
        let entry = Entry::new(Arc::new(1_u8), &Slots::default(), 3, life, 100);
        let (age, remaining) = entry.ages(stored.after(Duration::from_secs(10)), full, jitter);
        assert_eq!(age.as_millis() / 10, 1_000, "{age:?}");
        assert_eq!(remaining.as_millis() / 1_000, 79, "{remaining:?}");
    }

    #[test]
    fn a_fence_is_compared_whole() {
        let (epochs, time) = (Epochs::new(4), Time::system());
        let freshness = |entry: &Entry| entry.freshness(u64::MAX, entry.fence(&epochs, true), &time);
        let slots = Slots { key: 1, groups: vec![2, 3] };
        let life = Life { deadline: time.now().after(Duration::from_mins(1)), jitter_share: 0 };
        let fence = epochs.fence(slots.key, &slots.groups);
        let entry = Entry::new(Arc::new(7_u8), &slots, fence, life, 100);
        assert_eq!(freshness(&entry), Freshness::Fresh);
        assert_eq!(entry.clone().into_value(true).downcast_ref(), Some(&7_u8));
        epochs.bump(3);
        assert_eq!(freshness(&entry), Freshness::Fenced);
    }
}
