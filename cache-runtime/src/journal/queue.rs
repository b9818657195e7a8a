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
    widened: BTreeMap<String, u64>,
    /// Names of events that did not fit: functions may listen to them that this process does not know yet.
    events: BTreeMap<String, u64>,
    /// Of those that were sent: what became of them, and a number like theirs of when that was.
    tried: HashMap<u64, (Tried, u64)>,
    bytes: usize,
}

/// What the keys of a whole function begin with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sweep {
    pub(super) prefix: String,
    pub(super) number: u64,
}

/// An invalidation and its number.
pub(super) type Numbered = (u64, Arc<Item>);

/// What became of something when it was sent to the servers of now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tried {
    /// It was not sent yet.
    #[default]
    Never,
    /// Nobody knows how much of it happened.
    Failed,
    /// It happened, and too few replicas have it.
    InVain,
}

/// All that waits and was tried alike, oldest first.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) tried: Tried,
    pub(super) items: VecDeque<Numbered>,
    /// The one that was tried longest ago first.
    pub(super) sweeps: Vec<Sweep>,
}

/// How something was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    OneByOne,
    /// The first that did not fit.
    Widened,
    /// One more.
    WidenedToo,
}

impl Added {
    /// Whether it is the first since all of them fitted.
    pub(super) fn is_first_widened(self) -> bool {
        self == Self::Widened
    }
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
            tried: HashMap::new(),
            bytes: 0,
        }
    }

    /// What did not fit counts by its functions or by its events, whichever are more: they are of the same.
    pub(super) fn len(&self) -> usize {
        self.items.len() + self.widened.len().max(self.events.len())
    }

    /// Adds at the end. An equal one that waits already moves there: its replay may be under way, and what it unlinks was
    /// perhaps read again since.
    pub(super) fn add(&mut self, item: impl Into<Arc<Item>>) -> Added {
        let item = item.into();
        if let Some(number) = self.numbers.get(&item) {
            self.acknowledge(*number);
        }
        if self.items.len() >= self.most || self.bytes + item.bytes() > MOST_BYTES {
            let is_first = self.widened.is_empty() && self.events.is_empty();
            item.named.iter().for_each(|named| self.widen(named.prefix.clone()));
            item.events.iter().for_each(|(name, _)| self.widen_event(name.clone()));
            return if is_first { Added::Widened } else { Added::WidenedToo };
        }
        let number = self.number();
        self.bytes += item.bytes();
        for named in &item.named {
            *self.fenced.entry(named.text.clone()).or_default() += 1;
        }
        self.numbers.insert(Arc::clone(&item), number);
        self.items.insert(number, item);
        Added::OneByOne
    }

    /// Adds all keys that begin like this.
    pub(super) fn widen(&mut self, prefix: String) {
        let number = self.number();
        if let Some(before) = self.widened.insert(prefix, number)
            && let Some(tried) = self.tried.remove(&before)
        {
            // What one server hinders is not swept on the others with each that does not fit.
            self.tried.insert(number, tried);
        }
        if self.widened.len() > MOST_WIDENED {
            let before = std::mem::replace(&mut self.widened, BTreeMap::from([(String::new(), number)]));
            for number in before.values() {
                self.tried.remove(number);
            }
        }
    }

    /// Adds all keys of the functions that listen to events of this name, whichever these are when its turn comes.
    pub(super) fn widen_event(&mut self, name: String) {
        let number = self.number();
        self.events.insert(name, number);
        if self.events.len() > MOST_WIDENED {
            self.events.clear();
            self.widen(String::new());
        }
    }

    /// The events whose functions are to be looked up.
    pub(super) fn events(&self) -> Vec<(String, u64)> {
        self.events.iter().map(|(name, number)| (name.clone(), *number)).collect()
    }

    /// What the keys begin with of the functions that listen to it. One that came again meanwhile has another number, and is
    /// looked up again.
    pub(super) fn looked_up(&mut self, (name, number): &(String, u64), prefixes: BTreeSet<String>) {
        if self.events.get(name) != Some(number) {
            return;
        }
        self.events.remove(name);
        // What waits is yet to be swept.
        for prefix in prefixes.into_iter().filter(|prefix| !self.widened.contains_key(prefix)).collect::<Vec<_>>() {
            self.widen(prefix);
        }
    }

    pub(super) fn fences(&self, text: &str) -> bool {
        self.fenced.contains_key(text) || self.widened.keys().any(|prefix| text.starts_with(prefix))
    }

    /// What waits and was tried like this. It goes on waiting until it is acknowledged.
    pub(super) fn waiting(&self, tried: Tried) -> Waiting {
        let last_try = |number: &u64| self.tried.get(number).copied().unwrap_or((Tried::Never, *number));
        let items = self.items.iter().filter(|(number, _)| last_try(number).0 == tried);
        let mut sweeps: Vec<_> = self.widened.iter().filter(|(_, number)| last_try(number).0 == tried).collect();
        sweeps.sort_by_key(|(_, number)| last_try(number).1);
        Waiting {
            tried,
            items: items.map(|(number, item)| (*number, Arc::clone(item))).collect(),
            sweeps: sweeps
                .into_iter()
                .map(|(prefix, number)| Sweep { prefix: prefix.clone(), number: *number })
                .collect(),
        }
    }

    /// They were sent, and wait all the same. What was added again meanwhile has another number.
    pub(super) fn were_tried(&mut self, items: &[Numbered], how: Tried) {
        let at = self.number();
        let waiting = items.iter().filter(|(number, _)| self.items.contains_key(number));
        self.tried.extend(waiting.map(|(number, _)| (*number, (how, at))));
    }

    pub(super) fn was_swept_in_vain(&mut self, Sweep { prefix, number }: &Sweep, how: Tried) {
        let at = self.number();
        if self.widened.get(prefix) == Some(number) {
            self.tried.insert(*number, (how, at));
        }
    }

    /// There are other servers: nothing was sent to them.
    pub(super) fn forget_tries(&mut self) {
        self.tried.clear();
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

    pub(super) fn acknowledge_sweep(&mut self, Sweep { prefix, number }: &Sweep) {
        if self.widened.get(prefix) == Some(number) {
            self.widened.remove(prefix);
            self.tried.remove(number);
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}
