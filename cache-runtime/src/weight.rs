//! How many bytes a value holds, so that the in-process tier can be bounded in bytes.
//!
//! Added up on the way through a value by [`walk`]: text and byte strings by their length, numbers by their width, plus
//! what a container spends on each element. An estimate, and on the safe side for nested values: what lies inline in
//! the value is counted with the value's own size too. What lies deeper than [`walk`] goes is not counted.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;

use crate::schema::walk;

/// What text or a container costs beyond its bytes: pointer, length and capacity, and the allocator's rounding.
const CONTAINER: usize = 40;

/// What a map spends on each entry beyond key and value.
const MAP_ENTRY: usize = 8;

/// The estimated bytes of `value`, itself and all that it owns; nothing if its own `Serialize` panics.
pub(crate) fn weigh<T: Serialize>(value: &T) -> Option<usize> {
    catch_unwind(AssertUnwindSafe(|| walk(value).bytes)).ok()
}

/// The bytes counted so far.
#[derive(Debug, Default)]
pub(crate) struct Scale {
    bytes: usize,
}

impl Scale {
    #[inline]
    fn add(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    #[inline]
    pub(crate) fn number(&mut self, width: usize) {
        self.add(width);
    }

    #[inline]
    pub(crate) fn text(&mut self, length: usize) {
        self.add(length.saturating_add(CONTAINER));
    }

    /// A sequence or map, without what is in it.
    pub(crate) fn container(&mut self) {
        self.add(CONTAINER);
    }

    /// An entry of a map, without its key and value.
    pub(crate) fn entry(&mut self) {
        self.add(MAP_ENTRY);
    }

    /// Which variant an enum is.
    pub(crate) fn variant(&mut self) {
        self.add(size_of::<usize>());
    }

    /// All of a value that takes `inline` bytes itself. A `Serialize` that fails part-way was counted up to there.
    pub(crate) fn of_value(self, inline: usize, is_whole: bool) -> usize {
        let partial = if is_whole { 0 } else { CONTAINER };
        inline.saturating_add(self.bytes).saturating_add(partial)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[track_caller]
    fn check<T: Serialize>(value: &T, range: std::ops::RangeInclusive<usize>) {
        let weight = weigh(value).expect("nothing panics");
        assert!(range.contains(&weight), "{weight} is not in {range:?}");
    }

    #[test]
    fn weights_are_near_the_bytes_that_are_held() {
        check(&7_u64, 8..=16);
        check(&"x".repeat(1_000), 1_024..=1_100);
        check(&vec![0_u64; 1_000], 8_000..=8_100);
        check(&vec!["x".repeat(10); 1_000], 50_000..=60_000);
        check(&vec![[0_u64; 32]; 10], 2_560..=2_900);
        check(&(0..1_000_u64).map(|i| (i, i)).collect::<HashMap<_, _>>(), 24_000..=64_000);
        check(&None::<String>, 24..=40);
    }

    #[test]
    fn a_value_that_cannot_be_serialised_still_weighs_something() {
        struct Broken;
        impl Serialize for Broken {
            fn serialize<S: serde::Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("broken"))
            }
        }
        check(&Broken, CONTAINER..=CONTAINER);
    }
}
