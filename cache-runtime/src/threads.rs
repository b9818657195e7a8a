//! What belongs to one thread: its [near](crate::near) table and its counters of hits.
//!
//! A counter that only its owner writes needs no atomic read-modify-write (8 ns here, a fifth of a hit). One
//! thread-local holds all, since a hit needs all and each look at one costs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::near::{Near, NodeId};
use crate::recorder::HitHandle;

/// So many counters of other nodes are kept without a look at which of these are gone.
const MOST_OTHERS: usize = 256;

/// One thread's own.
pub(crate) struct Own {
    pub(crate) near: Near,
    /// By the function's number: the node that was used last.
    hits: Vec<Hits>,
    /// The same for nodes that were used before.
    others: BTreeMap<(NodeId, usize), HitCounter>,
    /// Beyond as many, those of nodes that are gone are dropped. Twice as many as were there after the last time: else each
    /// hit in another node than the last would look at all of them, while that many are in use.
    most_others: usize,
    #[cfg(test)]
    scans: usize,
}

/// This thread's hits of one function in one node.
struct Hits {
    node: NodeId,
    counter: Option<HitCounter>,
}

/// What one thread counts its hits of one function with. The node holds the count too.
pub(crate) struct HitCounter {
    pub(crate) count: Arc<AtomicU64>,
    pub(crate) exported: HitHandle,
}

impl HitCounter {
    /// Counts one hit: only this thread writes.
    #[inline(always)]
    fn hit(&self) {
        self.count.store(self.count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.exported.hit();
    }
}

thread_local! {
    static OWN: RefCell<Own> = const { RefCell::new(Own::new()) };
}

/// Drops all that this thread owns.
#[cfg(feature = "simulation")]
pub(crate) fn forget() {
    // What it held may use it when it is dropped.
    drop(OWN.replace(Own::new()));
}

/// Runs `with` with what this thread owns; does not when the thread is about to end, or is in the middle of it.
#[inline(always)]
pub(crate) fn with_own<R>(with: impl FnOnce(&mut Own) -> R) -> Option<R> {
    OWN.try_with(|own| own.try_borrow_mut().ok().map(|mut own| with(&mut own))).ok().flatten()
}

impl Own {
    const fn new() -> Self {
        Self {
            near: Near::new(),
            hits: Vec::new(),
            others: BTreeMap::new(),
            most_others: MOST_OTHERS,
            #[cfg(test)]
            scans: 0,
        }
    }

    /// Counts a hit. `counter` makes the counter that the node sums up, on this thread's first hit of the function.
    #[inline(always)]
    pub(crate) fn hit(&mut self, node: NodeId, function: u32, counter: impl FnOnce() -> HitCounter) {
        let number = function as usize;
        match self.hits.get(number) {
            Some(Hits { node: last, counter: Some(counter) }) if *last == node => counter.hit(),
            _ => self.begin(node, number, counter),
        }
    }

    #[cold]
    fn begin(&mut self, node: NodeId, number: usize, counter: impl FnOnce() -> HitCounter) {
        while self.hits.len() <= number {
            self.hits.push(Hits { node: NodeId::NONE, counter: None });
        }
        let counter = self.others.remove(&(node, number)).unwrap_or_else(counter);
        counter.hit();
        let before = std::mem::replace(&mut self.hits[number], Hits { node, counter: Some(counter) });
        if let Some(counter) = before.counter {
            self.others.insert((before.node, number), counter);
        }
        if self.others.len() > self.most_others {
            self.drop_gone();
        }
    }

    fn drop_gone(&mut self) {
        // A counter that nobody else holds is of a node that is gone.
        self.others.retain(|_, counter| Arc::strong_count(&counter.count) > 1);
        self.most_others = MOST_OTHERS.max(self.others.len() * 2);
        #[cfg(test)]
        {
            self.scans += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::Handles;
    use crate::routes::sample;

    /// A node's own handle on this thread's counter, once there is one.
    type Count = Option<Arc<AtomicU64>>;

    /// A hit of one function in each of these nodes.
    fn hit_each<'a>(own: &mut Own, nodes: impl IntoIterator<Item = (u32, &'a mut Count)>) {
        for (node, count) in nodes {
            own.hit(NodeId(node), 1, || {
                let exported = Handles::new(&sample::USER).hits();
                HitCounter { count: Arc::clone(count.insert(Arc::default())), exported }
            });
        }
    }

    #[test]
    fn a_hit_in_another_node_does_not_look_at_all_others() {
        let (mut own, mut counts) = (Own::new(), vec![None; 2_000]);
        for _ in 0..10 {
            hit_each(&mut own, (1..).zip(&mut counts));
        }
        assert!(own.scans < 5, "{} looks at all of them in 20,000 hits", own.scans);
        let counted = counts.iter().flatten().map(|count| count.load(Ordering::Relaxed));
        assert!(counted.eq([10; 2_000]), "each hit counts");
    }

    #[test]
    fn counters_of_nodes_that_are_gone_are_dropped() {
        let (mut own, mut counts) = (Own::new(), vec![None; 2_000]);
        hit_each(&mut own, (1..).zip(&mut counts));
        drop(counts);
        for node in 3_000..8_000 {
            let mut count = None;
            hit_each(&mut own, [(node, &mut count)]);
        }
        assert!(own.others.len() <= MOST_OTHERS, "{} are kept", own.others.len());
        assert_eq!(own.most_others, MOST_OTHERS, "the bound follows what is in use");
    }
}
