//! What waits: a pure state machine.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::journal::item::Item;

/// The most bytes that wait one by one.
const MOST_BYTES: usize = 16 << 20;

/// The most functions that wait as a whole; beyond it, everything does.
const MOST_WIDENED: usize = 1 << 10;

/// Names or events, whichever are more, and bytes that are sent at once. The script that tells the bus takes four
/// arguments of each event, and a server's Lua hands on no more than 8,000.
const BATCH: (usize, usize) = (512, 256 << 10);

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
    bytes: usize,
}

/// What is to be replayed at once.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Batch {
    Items(Vec<(u64, Arc<Item>)>),
    Sweep { prefix: String, number: u64 },
}

impl Batch {
    /// Of what is in it, the first and the last.
    pub(super) fn numbers(&self) -> RangeInclusive<u64> {
        match self {
            Self::Items(items) => items.first().map_or(0, |one| one.0)..=items.last().map_or(0, |one| one.0),
            Self::Sweep { number, .. } => *number..=*number,
        }
    }
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
            bytes: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len() + self.widened.len()
    }

    /// Adds at the end. An equal one that waits already moves there: its replay may be under way, and what it unlinks was
    /// perhaps read again since.
    pub(super) fn add(&mut self, item: impl Into<Arc<Item>>) -> Added {
        let item = item.into();
        if let Some(number) = self.numbers.get(&item) {
            self.acknowledge(*number);
        }
        if self.items.len() >= self.most || self.bytes + item.bytes() > MOST_BYTES {
            let added = if self.widened.is_empty() { Added::Widened } else { Added::WidenedToo };
            item.named.iter().for_each(|named| self.widen(named.prefix.clone()));
            return added;
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
        self.widened.insert(prefix, number);
        if self.widened.len() > MOST_WIDENED {
            self.widened = BTreeMap::from([(String::new(), number)]);
        }
    }

    pub(super) fn fences(&self, text: &str) -> bool {
        self.fenced.contains_key(text) || self.widened.keys().any(|prefix| text.starts_with(prefix))
    }

    /// The oldest that wait. They go on waiting until they are acknowledged.
    pub(super) fn next(&self) -> Option<Batch> {
        let (mut parts, mut bytes) = (0, 0);
        let fits = |(_, item): &(&u64, &Arc<Item>)| {
            let is_first = parts == 0;
            parts += item.parts();
            bytes += item.bytes();
            is_first || (parts <= BATCH.0 && bytes <= BATCH.1)
        };
        let items: Vec<_> =
            self.items.iter().take_while(fits).map(|(number, item)| (*number, Arc::clone(item))).collect();
        if !items.is_empty() {
            return Some(Batch::Items(items));
        }
        self.widened.iter().next().map(|(prefix, number)| Batch::Sweep { prefix: prefix.clone(), number: *number })
    }

    /// It is done. One that was added again meanwhile has another number, and waits.
    pub(super) fn acknowledge(&mut self, number: u64) {
        let Some(item) = self.items.remove(&number) else { return };
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

    pub(super) fn acknowledge_sweep(&mut self, prefix: &str, number: u64) {
        if self.widened.get(prefix) == Some(&number) {
            self.widened.remove(prefix);
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}
