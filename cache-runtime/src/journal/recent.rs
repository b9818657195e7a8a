//! The latest invalidations that succeeded: a server that takes over may lack them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::instant::Instant;
use crate::journal::item::Item;

/// How far back a failover may lose writes that were acknowledged.
pub(crate) const KEPT: Duration = Duration::from_secs(10);

/// The most bytes that are remembered one by one.
const MOST_BYTES: usize = 16 << 20;

/// The invalidations of the last ten seconds, each once.
#[derive(Debug)]
pub(super) struct Recent {
    most: usize,
    next: u64,
    items: BTreeMap<u64, (Instant, Arc<Item>)>,
    numbers: HashMap<Arc<Item>, u64>,
    /// What the keys of functions begin with of which too many were invalidated to remember each.
    widened: BTreeMap<String, Instant>,
    bytes: usize,
}

impl Recent {
    pub(super) fn new(most: usize) -> Self {
        let (items, numbers, widened) = (BTreeMap::new(), HashMap::new(), BTreeMap::new());
        Self { most, next: 0, items, numbers, widened, bytes: 0 }
    }

    pub(super) fn add(&mut self, item: impl Into<Arc<Item>>, now: Instant) {
        let item = item.into();
        if let Some(number) = self.numbers.get(&item) {
            self.remove(*number);
        }
        self.next += 1;
        self.bytes += item.bytes();
        self.numbers.insert(Arc::clone(&item), self.next);
        self.items.insert(self.next, (now, item));
        self.trim(now);
    }

    /// One that others need to hear of again.
    pub(super) fn add_again(&mut self, item: Arc<Item>, now: Instant) {
        if item.is_told() {
            self.add(item, now);
        }
    }

    /// All keys that begin like this: what was widened in the queue may be lost by a server as well.
    pub(super) fn add_widened(&mut self, prefix: String, now: Instant) {
        self.widened.insert(prefix, now);
    }

    /// Those that are not too old, oldest first, and what the keys of widened functions begin with.
    pub(super) fn take(&mut self, now: Instant) -> (Vec<Arc<Item>>, Vec<String>) {
        self.trim(now);
        let items = std::mem::take(&mut self.items).into_values().map(|(_, item)| item).collect();
        let widened = std::mem::take(&mut self.widened).into_keys().collect();
        self.numbers.clear();
        self.bytes = 0;
        (items, widened)
    }

    fn trim(&mut self, now: Instant) {
        self.widened.retain(|_, at| now.saturating_duration_since(*at) <= KEPT);
        while let Some((number, (at, item))) = self.items.first_key_value() {
            let is_old = now.saturating_duration_since(*at) > KEPT;
            if !is_old && self.items.len() <= self.most && self.bytes <= MOST_BYTES {
                return;
            }
            if !is_old {
                self.widened.extend(item.named.iter().map(|named| (named.prefix.clone(), *at)));
            }
            self.remove(*number);
        }
    }

    fn remove(&mut self, number: u64) {
        if let Some((_, item)) = self.items.remove(&number) {
            self.bytes -= item.bytes();
            self.numbers.remove(&item);
        }
    }
}
