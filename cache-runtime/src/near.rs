//! What this thread used last: a small table in front of the in-process tier, without locks.
//!
//! A hit of the shared map takes and releases a lock, two atomic read-modify-writes that cost more than all the rest. An
//! entry carries what must hold for it to be served, and that is checked on every use; so a copy of it is as coherent
//! as the original, wherever it lies. Each thread keeps copies of a few entries it uses often.
//!
//! What it must not do: hold much (small entries only, 256 KiB of table and at most 4 MiB of values a thread, beyond
//! the tier's capacity only when the tier has evicted them), and hide from the tier's eviction what is hot (every 64th
//! use of a copy goes to the tier).

use crate::key::Probe;
use crate::l1::Entry;

/// Copies a thread keeps: 64 bytes each, and values of at most [`MOST_BYTES`].
const PLACES: usize = 4_096;

/// Larger entries are not copied.
const MOST_BYTES: u64 = 1_024;

/// After as many uses in a row the tier is asked again.
const USES: u8 = 64;

/// Names a node among all that ever lived in this process; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeId(pub(crate) u32);

impl NodeId {
    /// No node's.
    pub(crate) const NONE: Self = Self(0);
}

struct Place {
    node: u32,
    function: u32,
    length: u8,
    /// Uses since the tier was asked; other keys of this place wear it down.
    uses: u8,
    words: [u64; 2],
    entry: Option<Entry>,
}

impl Place {
    const EMPTY: Self = Self { node: 0, function: 0, length: 0, uses: 0, words: [0; 2], entry: None };

    #[inline(always)]
    fn is(&self, node: NodeId, function: u32, length: u8, words: [u64; 2]) -> bool {
        self.words == words && self.function == function && self.node == node.0 && self.length == length
    }
}

/// One thread's copies.
pub(crate) struct Near {
    /// Empty until the first copy is kept.
    places: Vec<Place>,
}

impl Near {
    pub(crate) const fn new() -> Self {
        Self { places: Vec::new() }
    }

    /// The copy of an entry, if there is one that need not be checked against the tier yet.
    #[inline(always)]
    pub(crate) fn look(&mut self, node: NodeId, key: &Probe<'_>) -> Option<&Entry> {
        let Probe::Short { function, length, words } = *key else {
            return None;
        };
        let place = self.places.get_mut(number(function, words))?;
        if !place.is(node, function, length, words) || place.uses >= USES {
            return None;
        }
        place.uses += 1;
        place.entry.as_ref()
    }

    /// Keeps a copy of an entry that the tier has just served, if it is small and its place is not used more. A user's
    /// `Drop` of what is replaced may use a cache itself: it finds this table in use and goes to the tier.
    pub(crate) fn keep(&mut self, node: NodeId, key: &Probe<'_>, entry: &Entry, coarse_fence: u64) {
        let Probe::Short { function, length, words } = *key else {
            return;
        };
        if entry.weight() > MOST_BYTES {
            return;
        }
        if self.places.is_empty() {
            self.places.resize_with(PLACES, || Place::EMPTY);
        }
        let place = &mut self.places[number(function, words)];
        let same = place.is(node, function, length, words);
        if !same && place.uses > 0 {
            place.uses -= 1;
            return;
        }
        // Half of its uses: what was hot a moment ago need not win its place anew.
        let uses = if same { place.uses / 2 } else { 1 };
        *place = Place { node: node.0, function, length, uses, words, entry: Some(entry.near(coarse_fence)) };
    }
}

/// A multiplicative hash (Knuth, TAOCP 6.4): the table is a thread's own, nobody can be harmed by collisions in it.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "as few bits as there are places")]
fn number(function: u32, words: [u64; 2]) -> usize {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let mixed = (words[0].rotate_left(32) ^ words[1]).wrapping_add(u64::from(function)).wrapping_mul(GOLDEN);
    (mixed >> (u64::BITS - PLACES.ilog2())) as usize
}
