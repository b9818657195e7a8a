//! A list that grows without moving: readers take no lock.

use std::sync::OnceLock;

/// 64 elements in the first bucket, twice as many in each that follows.
const FIRST_BITS: u32 = 6;
const BUCKETS: usize = 20;

/// Elements by index, each made on first use; up to 64 million.
#[derive(Debug)]
pub(crate) struct Buckets<T> {
    buckets: [OnceLock<Box<[T]>>; BUCKETS],
}

impl<T: Default> Buckets<T> {
    pub(crate) fn new() -> Self {
        Self { buckets: [const { OnceLock::new() }; BUCKETS] }
    }

    /// The element at `index`; the whole bucket is made when it is the first of it.
    #[inline(always)]
    pub(crate) fn get(&self, index: u32) -> &T {
        let (bucket, offset, size) = place(index);
        let bucket = self.buckets[bucket].get_or_init(|| (0..size).map(|_| T::default()).collect());
        &bucket[offset]
    }

    /// The element at `index`, unless nobody used its bucket.
    pub(crate) fn peek(&self, index: u32) -> Option<&T> {
        let (bucket, offset, _) = place(index);
        self.buckets.get(bucket)?.get()?.get(offset)
    }
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a bucket has at most 2^25 places")]
fn place(index: u32) -> (usize, usize, usize) {
    let position = u64::from(index) + (1 << FIRST_BITS);
    let bucket = position.ilog2() - FIRST_BITS;
    let start = 1_u64 << (bucket + FIRST_BITS);
    (bucket as usize, (position - start) as usize, start as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_has_a_place_of_its_own() {
        let places: Vec<_> = (0..10_000).map(|index| (place(index).0, place(index).1)).collect();
        let mut distinct = places.clone();
        distinct.dedup();
        assert_eq!(places.len(), distinct.len());
        assert!((0..10_000).all(|index| place(index).1 < place(index).2));
    }

    #[test]
    fn an_element_stays_where_it_is() {
        let list: Buckets<std::sync::atomic::AtomicU64> = Buckets::new();
        let first = std::ptr::from_ref(list.get(3));
        list.get(100_000);
        assert_eq!(first, std::ptr::from_ref(list.get(3)));
        assert!(list.peek(50_000_000).is_none());
    }
}
