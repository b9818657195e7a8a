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

/// Beyond as many counters of other nodes, those of nodes that are gone are dropped.
const MOST_OTHERS: usize = 256;

/// One thread's own.
pub(crate) struct Own {
    pub(crate) near: Near,
    /// By the function's number: the node that was used last.
    hits: Vec<Hits>,
    /// The same for nodes that were used before.
    others: BTreeMap<(NodeId, usize), HitCounter>,
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
    static OWN: RefCell<Own> = const { RefCell::new(Own { near: Near::new(), hits: Vec::new(), others: BTreeMap::new() }) };
}

/// Drops all that this thread owns.
#[cfg(feature = "simulation")]
pub(crate) fn forget() {
    let new = Own { near: Near::new(), hits: Vec::new(), others: BTreeMap::new() };
    // What it held may use it when it is dropped.
    drop(OWN.replace(new));
}

/// Runs `with` with what this thread owns; does not when the thread is about to end, or is in the middle of it.
#[inline(always)]
pub(crate) fn with_own<R>(with: impl FnOnce(&mut Own) -> R) -> Option<R> {
    OWN.try_with(|own| own.try_borrow_mut().ok().map(|mut own| with(&mut own))).ok().flatten()
}

impl Own {
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
        if self.others.len() > MOST_OTHERS {
            // A counter that nobody else holds is of a node that is gone.
            self.others.retain(|_, counter| Arc::strong_count(&counter.count) > 1);
        }
    }
}
