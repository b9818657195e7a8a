//! What waits: a pure state machine.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::journal::item::Item;

/// The most bytes that wait one by one.
const MOST_BYTES: usize = 16 << 20;

/// The most functions that wait as a whole, and the most events whose functions do; beyond it, everything does.
pub(super) const MOST_WIDENED: usize = 1 << 10;

/// Invalidations in the order in which they are to be replayed.
#[derive(Debug)]
pub(super) struct Queue {
    most: usize,
    next: u64,
    items: BTreeMap<u64, Arc<Item>>,
    /// Each once: what comes again is as new as its last time.
    numbers: HashMap<Arc<Item>, u64>,
    /// How many items name each text.
    fenced: HashMap<String, usize>,
    /// What the keys of whole functions begin with.
    widened: BTreeMap<String, Widened>,
    /// Names of events that did not fit: functions may listen to them that this process does not know yet.
    events: BTreeMap<String, (u64, Tried)>,
    /// Of items that were sent: what became of them, and a number like theirs of when that was.
    tried: BTreeMap<u64, (Tried, u64)>,
    bytes: usize,
}

/// A whole function that waits.
#[derive(Debug, Default)]
struct Widened {
    /// Of what was widened to it, the last number of those of which the same became.
    parts: BTreeMap<Tried, u64>,
}

impl Widened {
    fn add(&mut self, number: u64, how: Tried) {
        let last = self.parts.entry(how).or_insert(number);
        *last = number.max(*last);
    }

    /// What was swept is no part of it any more, unless more of the same came meanwhile.
    fn was_swept(&mut self, sweep: &Sweep) {
        self.parts.retain(|tried, number| *tried != sweep.tried || *number > sweep.number);
    }
}

/// A whole function that is to be swept: as much of it as became this so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sweep {
    pub(super) prefix: String,
    pub(super) number: u64,
    pub(super) tried: Tried,
}

/// An invalidation and its number.
pub(super) type Numbered = (u64, Arc<Item>);

/// What became of something when it was sent to the servers of now; of two, what has happened less is less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tried {
    /// It was not sent yet.
    #[default]
    Never,
    /// Nobody knows how much of it happened.
    Failed,
    /// It happened, and too few replicas have it.
    InVain,
}

/// All that waits one by one and was tried alike: what was tried longest ago first, so that what fails again and again is
/// in nobody's way.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) tried: Tried,
    pub(super) items: VecDeque<Numbered>,
}

impl Queue {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            next: 0,
            items: BTreeMap::new(),
            numbers: HashMap::new(),
            fenced: HashMap::new(),
            widened: BTreeMap::new(),
            events: BTreeMap::new(),
            tried: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// What did not fit counts by its functions or by its events, whichever are more: they are of the same.
    pub(super) fn len(&self) -> usize {
        self.items.len() + self.widened.len().max(self.events.len())
    }

    /// Whether all that waits does so one by one.
    pub(super) fn is_one_by_one(&self) -> bool {
        self.widened.is_empty() && self.events.is_empty()
    }

    /// Adds at the end. An equal one that waits already moves there: its replay may be under way, and what it unlinks was
    /// perhaps read again since.
    ///
    /// Where there is no room, what was sent already is widened, oldest first, and what was never sent is sent before it
    /// waits for anything. Whether there was room.
    pub(super) fn add(&mut self, item: impl Into<Arc<Item>>) -> bool {
        let item = item.into();
        if let Some(number) = self.numbers.get(&item) {
            self.acknowledge(*number);
        }
        let (mut is_room, may_fit) = (true, self.most > 0 && item.bytes() <= MOST_BYTES);
        while self.items.len() >= self.most || self.bytes + item.bytes() > MOST_BYTES {
            is_room = false;
            let Some((number, how)) = self.oldest_tried().filter(|_| may_fit) else {
                self.widen_item(&item, Tried::Never);
                return is_room;
            };
            let oldest = Arc::clone(&self.items[&number]);
            self.acknowledge(number);
            self.widen_item(&oldest, how);
        }
        let number = self.number();
        self.bytes += item.bytes();
        for named in &item.named {
            *self.fenced.entry(named.text.clone()).or_default() += 1;
        }
        self.numbers.insert(Arc::clone(&item), number);
        self.items.insert(number, item);
        is_room
    }

    fn oldest_tried(&self) -> Option<(u64, Tried)> {
        self.tried.first_key_value().map(|(number, (how, _))| (*number, *how))
    }

    fn widen_item(&mut self, item: &Item, how: Tried) {
        item.named.iter().for_each(|named| self.widen(named.prefix.clone(), how));
        item.events.iter().for_each(|(name, _)| self.widen_event(name.clone(), how));
    }

    /// Adds all keys that begin like this, of which this became so far.
    pub(super) fn widen(&mut self, prefix: String, how: Tried) {
        let number = self.number();
        self.widened.entry(prefix).or_default().add(number, how);
        if self.widened.len() > MOST_WIDENED {
            self.widened.clear();
            self.widened.entry(String::new()).or_default().add(number, Tried::Never);
        }
    }

    /// Adds all keys of the functions that listen to events of this name, whichever these are when its turn comes.
    pub(super) fn widen_event(&mut self, name: String, how: Tried) {
        let number = self.number();
        let event = self.events.entry(name).or_insert((number, how));
        *event = (number, event.1.min(how));
        if self.events.len() > MOST_WIDENED {
            self.events.clear();
            self.widen(String::new(), Tried::Never);
        }
    }

    /// The events whose functions are to be looked up.
    pub(super) fn events(&self) -> Vec<(String, u64)> {
        self.events.iter().map(|(name, (number, _))| (name.clone(), *number)).collect()
    }

    /// What the keys begin with of the functions that listen to it. One that came again meanwhile has another number, and is
    /// looked up again.
    pub(super) fn looked_up(&mut self, (name, number): &(String, u64), prefixes: BTreeSet<String>) {
        let Some(how) = self.events.get(name).filter(|event| event.0 == *number).map(|event| event.1) else { return };
        self.events.remove(name);
        for prefix in prefixes {
            // With all others of this event, for they may be made of each other; what waits with them is yet to be swept.
            if self.widened.get(&prefix).is_none_or(|widened| !widened.parts.contains_key(&how)) {
                self.widen(prefix, how);
            }
        }
    }

    pub(super) fn fences(&self, text: &str) -> bool {
        self.fenced.contains_key(text) || self.widened.keys().any(|prefix| text.starts_with(prefix))
    }

    /// What waits one by one and was tried like this. It goes on waiting until it is acknowledged.
    pub(super) fn waiting(&self, tried: Tried) -> Waiting {
        let last_try = |number: &u64| self.tried.get(number).copied().unwrap_or_default();
        let items = self.items.iter().filter(|(number, _)| last_try(number).0 == tried);
        let mut items: Vec<_> = items.map(|(number, item)| (*number, Arc::clone(item))).collect();
        items.sort_by_key(|(number, _)| (last_try(number).1, *number));
        Waiting { tried, items: items.into() }
    }

    /// The whole functions of which something waits that became this so far. They are swept together: what one item names
    /// may be made of each other.
    pub(super) fn sweeps(&self, tried: Tried) -> Vec<Sweep> {
        let sweep = |(prefix, widened): (&String, &Widened)| {
            let number = *widened.parts.get(&tried)?;
            Some(Sweep { prefix: prefix.clone(), number, tried })
        };
        self.widened.iter().filter_map(sweep).collect()
    }

    /// They were sent, and wait all the same. What was added again meanwhile has another number.
    pub(super) fn were_tried(&mut self, items: &[Numbered], how: Tried) {
        let at = self.number();
        let waiting = items.iter().filter(|(number, _)| self.items.contains_key(number));
        self.tried.extend(waiting.map(|(number, _)| (*number, (how, at))));
    }

    pub(super) fn was_swept_in_vain(&mut self, sweep: &Sweep, how: Tried) {
        if let Some(widened) = self.widened.get_mut(&sweep.prefix) {
            widened.was_swept(sweep);
            widened.add(sweep.number, how);
        }
    }

    /// There are other servers: nothing was sent to them.
    pub(super) fn forget_tries(&mut self) {
        self.tried.clear();
        for widened in self.widened.values_mut() {
            let number = widened.parts.values().copied().max();
            widened.parts = number.map(|number| (Tried::Never, number)).into_iter().collect();
        }
        for event in self.events.values_mut() {
            event.1 = Tried::Never;
        }
    }

    /// It is done. One that was added again meanwhile has another number, and waits.
    pub(super) fn acknowledge(&mut self, number: u64) {
        let Some(item) = self.items.remove(&number) else { return };
        self.tried.remove(&number);
        self.bytes -= item.bytes();
        for named in &item.named {
            if let Some(count) = self.fenced.get_mut(&named.text) {
                *count -= 1;
                if *count == 0 {
                    self.fenced.remove(&named.text);
                }
            }
        }
        self.numbers.remove(&item);
    }

    pub(super) fn acknowledge_sweep(&mut self, sweep: &Sweep) {
        let Some(widened) = self.widened.get_mut(&sweep.prefix) else { return };
        widened.was_swept(sweep);
        if widened.parts.is_empty() {
            self.widened.remove(&sweep.prefix);
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}
