//! The latest invalidations that succeeded: a server that takes over may lack them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::instant::Instant;
use crate::journal::item::Item;
use crate::journal::queue::MOST_WIDENED;

/// How far back a failover may lose writes that were acknowledged, from when the servers were last well.
pub(crate) const KEPT: Duration = Duration::from_secs(10);

/// The most bytes that are remembered one by one.
const MOST_BYTES: usize = 16 << 20;

/// The invalidations of the last ten seconds in which the servers were well, and all since, each once.
///
/// How long it takes until a server is missed, and another one takes its place, says nothing about what that one has:
/// so their age is not counted from now.
#[derive(Debug)]
pub(super) struct Recent {
    most: usize,
    /// When all servers were last known to be the ones they were.
    well: Option<Instant>,
    next: u64,
    items: BTreeMap<u64, (Instant, Arc<Item>)>,
    numbers: HashMap<Arc<Item>, u64>,
    /// What the keys of functions begin with of which too many were invalidated to remember each.
    widened: BTreeMap<String, Instant>,
    /// The names of events that were among these: what was invalidated of functions that this process got to know later.
    events: BTreeMap<String, Instant>,
    bytes: usize,
}

impl Recent {
    pub(super) fn new(most: usize) -> Self {
        let (items, numbers, widened, events) = (BTreeMap::new(), HashMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { most, well: None, next: 0, items, numbers, widened, events, bytes: 0 }
    }

    /// All servers were the ones they were at this moment. What succeeded long before, a server that takes over has.
    pub(super) fn well(&mut self, at: Instant) {
        self.well = self.well.max(Some(at));
        self.trim();
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
        self.trim();
    }

    /// All keys that begin like this: what was widened in the queue may be lost by a server as well.
    pub(super) fn add_widened(&mut self, prefix: &str, now: Instant) {
        later(&mut self.widened, prefix, now);
        self.bound();
    }

    /// Those that are not too old, oldest first, what the keys of widened functions begin with, and the events of more.
    pub(super) fn take(&mut self) -> (Vec<Arc<Item>>, Vec<String>, Vec<String>) {
        let items = std::mem::take(&mut self.items).into_values().map(|(_, item)| item).collect();
        let widened = std::mem::take(&mut self.widened).into_keys().collect();
        let events = std::mem::take(&mut self.events).into_keys().collect();
        self.numbers.clear();
        self.bytes = 0;
        (items, widened, events)
    }

    fn trim(&mut self) {
        let well = self.well;
        let is_old = |at: Instant| well.is_some_and(|well| well.saturating_duration_since(at) > KEPT);
        self.widened.retain(|_, at| !is_old(*at));
        self.events.retain(|_, at| !is_old(*at));
        while let Some((number, (at, item))) = self.items.first_key_value() {
            if !is_old(*at) && self.items.len() <= self.most && self.bytes <= MOST_BYTES {
                return;
            }
            let (number, at, item) = (*number, *at, Arc::clone(item));
            if !is_old(at) {
                self.widen(&item, at);
            }
            self.remove(number);
        }
    }

    fn widen(&mut self, item: &Item, at: Instant) {
        item.named.iter().for_each(|named| later(&mut self.widened, &named.prefix, at));
        item.events.iter().for_each(|(name, _)| later(&mut self.events, name, at));
        self.bound();
    }

    /// Where there are too many, it is everything.
    fn bound(&mut self) {
        if self.events.len() > MOST_WIDENED || self.widened.len() > MOST_WIDENED {
            let all =
                std::mem::take(&mut self.events).into_values().chain(std::mem::take(&mut self.widened).into_values());
            self.widened = all.max().map(|at| (String::new(), at)).into_iter().collect();
        }
    }

    fn remove(&mut self, number: u64) {
        if let Some((_, item)) = self.items.remove(&number) {
            self.bytes -= item.bytes();
            self.numbers.remove(&item);
        }
    }
}

/// The later of two times counts.
fn later(latest: &mut BTreeMap<String, Instant>, name: &str, at: Instant) {
    if let Some(latest) = latest.get_mut(name) {
        *latest = at.max(*latest);
    } else {
        latest.insert(name.to_owned(), at);
    }
}
