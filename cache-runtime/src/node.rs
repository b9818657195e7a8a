//! One cache: its parts, and what they do together that needs no waiting.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use foldhash::quality::RandomState;

use crate::clock::Time;
use crate::dice::Dice;
use crate::epochs::{Epochs, Slot};
use crate::flight::Flights;
use crate::function::{Drafts, Function};
use crate::functions::{Functions, State};
use crate::key::{HashKey, Key, Parts, Probe};
use crate::l1::{Entry, Freshness, L1, Life, Slots, shortened, weight};
use crate::metric::Metric;
use crate::near::NodeId;
use crate::rules::{Rule, Rules};
use crate::shape::Kept;
use crate::subscribers::Subscribers;
use crate::threads::{self, Own};
use crate::waits::Waits;

/// One epoch for so many bytes of the tier: an entry is seldom smaller.
const BYTES_PER_SLOT: u64 = 512;

static NODES: AtomicU32 = AtomicU32::new(1);

/// One cache of one process.
pub(crate) struct Node {
    id: NodeId,
    pub(crate) app: String,
    pub(crate) hash_key: HashKey,
    pub(crate) l1: L1,
    pub(crate) epochs: Epochs,
    pub(crate) flights: Arc<Flights<Key, Kept>>,
    pub(crate) waits: Waits,
    pub(crate) functions: Functions,
    pub(crate) subscribers: Subscribers,
    pub(crate) time: Time,
    pub(crate) dice: Dice,
    pub(crate) rules: Rules,
    /// How long a load may hold its key, unless its function says otherwise.
    pub(crate) load_timeout: Duration,
    text_hasher: RandomState,
}

/// What a node is made of.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) app: String,
    pub(crate) hash_key: HashKey,
    pub(crate) l1_capacity: u64,
    pub(crate) time: Time,
    pub(crate) seed: Option<u64>,
    pub(crate) load_timeout: Duration,
    pub(crate) rules: Rules,
}

/// Where one value is kept: its key in both forms, and what invalidates it.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) function: &'static Function,
    pub(crate) key: Key,
    pub(crate) text: String,
    pub(crate) slots: Slots,
}

/// A value on its way into the in-process tier.
pub(crate) struct Filling {
    pub(crate) kept: Kept,
    /// Estimated bytes of the value.
    pub(crate) bytes: usize,
    /// Before jitter.
    pub(crate) lifetime: Duration,
    pub(crate) fence: u64,
}

impl Node {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            id: NodeId(NODES.fetch_add(1, Ordering::Relaxed)),
            app: settings.app,
            hash_key: settings.hash_key,
            l1: L1::new(settings.l1_capacity),
            epochs: Epochs::new(usize::try_from(settings.l1_capacity / BYTES_PER_SLOT).unwrap_or(usize::MAX)),
            flights: Arc::new(Flights::new(settings.rules)),
            waits: Waits::default(),
            functions: Functions::new(),
            subscribers: Subscribers::default(),
            time: settings.time,
            dice: Dice::new(settings.seed),
            rules: settings.rules,
            load_timeout: settings.load_timeout,
            text_hasher: RandomState::default(),
        }
    }

    pub(crate) fn state(&self, function: &Function) -> &State {
        self.functions.state(function)
    }

    /// The address of the call with these parts.
    pub(crate) fn address(&self, function: &'static Function, parts: &dyn Parts) -> Address {
        self.address_of(function, Key::of(function.number(), parts), &function.drafts(parts))
    }

    /// The address of this key in this node: its texts depend on the node's secret, its slots on the node's seed.
    pub(crate) fn address_of(&self, function: &'static Function, key: Key, drafts: &Drafts) -> Address {
        let text = drafts.key.text(&self.hash_key);
        let groups = drafts.groups.iter().map(|draft| self.slot(&draft.text(&self.hash_key))).collect();
        let slots = Slots { key: self.slot(&text), groups };
        Address { function, key, text, slots }
    }

    /// The slot of a key's or a group's text.
    fn slot(&self, text: &str) -> Slot {
        self.epochs.slot(self.text_hasher.hash_one(text))
    }

    /// Invalidates the key or group with this text: whatever was kept of it, and every load of it that runs.
    pub(crate) fn invalidate(&self, text: &str) {
        self.epochs.bump(self.slot(text));
    }

    /// The value of this key, if there is one that may be served: the hit path.
    #[inline(always)]
    pub(crate) fn hit(&self, function: &Function, key: &Probe<'_>) -> Option<Kept> {
        let found = threads::with_own(|own| {
            let value = match self.hit_near(own, function, key) {
                Some(value) => value,
                None => self.hit_shared(own, function, key)?,
            };
            own.hit(self.id, function.number(), || self.state(function).new_hits());
            Some(value)
        });
        found.unwrap_or_else(|| self.hit_alone(function, key))
    }

    #[cold]
    fn hit_alone(&self, function: &Function, key: &Probe<'_>) -> Option<Kept> {
        let value = self.fresh(key, function.is_grouped())?.into_value(function.is_grouped());
        self.count(function, Metric::HitL1);
        Some(value)
    }

    #[inline(always)]
    fn hit_near(&self, own: &mut Own, function: &Function, key: &Probe<'_>) -> Option<Kept> {
        let entry = own.near.look(self.id, key)?;
        let grouped = function.is_grouped();
        let fence = entry.coarse_fence(&self.epochs, grouped);
        self.may_serve(entry, fence).then(|| entry.value(grouped))
    }

    fn hit_shared(&self, own: &mut Own, function: &Function, key: &Probe<'_>) -> Option<Kept> {
        let grouped = function.is_grouped();
        let entry = self.l1.get(key)?;
        // Before the fine fence is checked: a bump after this look makes a difference to the copy.
        let coarse_fence = entry.coarse_fence(&self.epochs, grouped);
        if !self.may_serve(&entry, entry.fence(&self.epochs, grouped)) {
            return None;
        }
        own.near.keep(self.id, key, &entry, coarse_fence);
        Some(entry.into_value(grouped))
    }

    /// The entry of this key in the tier, if it may be served.
    pub(crate) fn fresh(&self, key: &Probe<'_>, grouped: bool) -> Option<Entry> {
        self.l1.get(key).filter(|entry| self.may_serve(entry, entry.fence(&self.epochs, grouped)))
    }

    #[inline(always)]
    fn may_serve(&self, entry: &Entry, fence: u64) -> bool {
        match entry.freshness(fence, &self.time) {
            Freshness::Fresh => true,
            Freshness::Fenced => !self.rules.holds(Rule::Fence),
            Freshness::Expired => false,
        }
    }

    /// Keeps a value under the fence that its load began under.
    pub(crate) fn fill(&self, address: &Address, filling: Filling) {
        let jitter_share = self.dice.share();
        let lifetime = shortened(filling.lifetime, address.function.spec().jitter, jitter_share);
        let life = Life { deadline: self.time.now().after(lifetime), jitter_share };
        let weight = weight(filling.bytes, &address.key);
        let entry = Entry::new(filling.kept, &address.slots, filling.fence, life, weight);
        self.l1.insert(address.key.clone(), entry);
    }

    /// The fence of this address now.
    pub(crate) fn fence(&self, address: &Address) -> u64 {
        self.epochs.fence(address.slots.key, &address.slots.groups)
    }

    /// Age and remaining life of an entry of this function.
    pub(crate) fn ages(&self, entry: &Entry, function: &Function, absent: bool) -> (Duration, Duration) {
        let full = function.lifetime(absent).unwrap_or_default();
        entry.ages(self.time.now(), full, function.spec().jitter)
    }

    /// The key as other processes know it: `<app>:v<version>:<text>`.
    pub(crate) fn full_key(&self, address: &Address) -> String {
        format!("{}:v{}:{}", self.app, address.function.spec().version, address.text)
    }

    pub(crate) fn count(&self, function: &Function, metric: Metric) {
        self.state(function).count(metric);
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("app", &self.app).finish_non_exhaustive()
    }
}
