//! One cache: its parts, and what they do together that needs no waiting.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use smallvec::SmallVec;

use crate::clock::{Moment, Time};
use crate::context::Context;
use crate::dice::Dice;
use crate::epochs::{Epochs, Slot};
use crate::flight::Flights;
use crate::function::{Drafts, Function};
use crate::functions::{Functions, State};
use crate::hasher::RandomState;
use crate::key::{HashKey, Key, Parts, Probe};
use crate::l1::{Entry, Freshness, L1, Life, Slots, shortened, weight};
use crate::metric::Metric;
use crate::names::{self, EntryName};
use crate::near::NodeId;
use crate::right::Right;
use crate::rules::{Rule, Rules};
use crate::second::Second;
use crate::shape::Kept;
use crate::steps::Steps;
use crate::subscribers::Subscribers;
use crate::threads::{self, Own};

/// One epoch for so many bytes of the tier: an entry is seldom smaller.
const BYTES_PER_SLOT: u64 = 512;

static NODES: AtomicU32 = AtomicU32::new(1);

/// One cache of one process.
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) app: String,
    pub(crate) hash_key: HashKey,
    pub(crate) l1: L1,
    pub(crate) epochs: Epochs,
    /// For ever without a bus.
    right: Right,
    pub(crate) flights: Flights<Key, Kept>,
    pub(crate) functions: Functions,
    pub(crate) subscribers: Subscribers,
    /// On which values grow old and loads take too long.
    pub(crate) time: Time,
    /// The system's, where that is another one: what lies between this process and others is not moved by hand.
    system_time: Option<Time>,
    pub(crate) dice: Dice,
    pub(crate) rules: Rules,
    /// How long a load may hold its key, unless its function says otherwise.
    pub(crate) load_timeout: Duration,
    pub(crate) second: Option<Second>,
    pub(crate) steps: Steps,
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
    pub(crate) second: Option<Second>,
}

/// Where one value is kept: its key in both forms, and what invalidates it.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) function: &'static Function,
    pub(crate) key: Key,
    name: EntryName,
    /// The texts of the groups it belongs to.
    pub(crate) groups: Vec<String>,
    /// What the stamps of these groups are called in the second tier, if the function uses it.
    pub(crate) stamps: Vec<String>,
    pub(crate) slots: Slots,
}

impl Address {
    /// The text of the key.
    pub(crate) fn text(&self) -> &str {
        self.name.text()
    }

    /// The key as other processes know it: `<app>:v<version>:<text>`.
    pub(crate) fn entry(&self) -> &str {
        self.name.as_str()
    }

    /// The texts of the key and its groups.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.text()).chain(self.groups.iter().map(String::as_str))
    }
}

/// A value on its way into the in-process tier.
pub(crate) struct Filling {
    pub(crate) kept: Kept,
    /// Estimated bytes of the value.
    pub(crate) bytes: usize,
    pub(crate) life: Life,
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
            flights: Flights::new(settings.rules),
            functions: Functions::new(),
            subscribers: Subscribers::default(),
            system_time: matches!(settings.time, Time::Given(_)).then(Time::system),
            time: settings.time,
            dice: Dice::new(settings.seed),
            rules: settings.rules,
            load_timeout: settings.load_timeout,
            // With a bus, nothing is served before its first reading.
            right: if settings.second.is_some() { Right::none() } else { Right::for_ever() },
            second: settings.second,
            steps: Steps::default(),
            text_hasher: RandomState::default(),
        }
    }

    pub(crate) fn state(&self, function: &Function) -> &State {
        self.functions.state(function)
    }

    /// The address of the call with these parts.
    pub(crate) fn address(&self, function: &'static Function, parts: &dyn Parts) -> Address {
        self.address_of(function, Key::of(function.number(), parts), self.drafts(function, parts))
    }

    /// The texts of the call with these parts, still without this node's secret.
    pub(crate) fn drafts(&self, function: &Function, parts: &dyn Parts) -> Drafts {
        function.drafts(self.beginning(function), parts)
    }

    /// What the names of this function's entries begin with.
    pub(crate) fn beginning(&self, function: &Function) -> String {
        names::beginning(&self.app, function.spec().version)
    }

    /// The address of this key in this node: its texts depend on the node's secret, its slots on the node's seed.
    pub(crate) fn address_of(&self, function: &'static Function, key: Key, drafts: Drafts) -> Address {
        let name = EntryName::new(drafts.name.into_text(&self.hash_key), drafts.text);
        let groups: Vec<_> = drafts.groups.into_iter().map(|draft| draft.into_text(&self.hash_key)).collect();
        let slots = Slots { key: self.slot(name.text()), groups: groups.iter().map(|text| self.slot(text)).collect() };
        let stamps = match self.second_for(function) {
            Some(_) => groups.iter().map(|text| names::stamp(&self.app, text)).collect(),
            None => Vec::new(),
        };
        Address { function, key, name, groups, stamps, slots }
    }

    /// The slot of a key's or a group's text.
    fn slot(&self, text: &str) -> Slot {
        self.epochs.slot(self.text_hasher.hash_one(text))
    }

    /// The slots of these texts.
    pub(crate) fn slots<'a>(&self, texts: impl Iterator<Item = &'a str>) -> impl Iterator<Item = Slot> {
        texts.map(|text| self.slot(text))
    }

    /// Whatever was kept under these texts is invalid, also what a load makes meanwhile of that which is not yet.
    pub(crate) fn invalidate_all<'a>(&self, texts: impl Iterator<Item = &'a str>) {
        let slots: SmallVec<[Slot; 8]> = self.slots(texts).collect();
        self.epochs.bump_together(&slots, slots.len().min(self.rules.most_rounds()));
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
        let (right, grouped) = (self.right(), function.is_grouped());
        let fence = entry.coarse_fence(&self.epochs, grouped);
        self.may_serve(entry, right, fence).then(|| entry.value(grouped))
    }

    fn hit_shared(&self, own: &mut Own, function: &Function, key: &Probe<'_>) -> Option<Kept> {
        let (right, grouped) = (self.right(), function.is_grouped());
        let entry = self.l1.get(key)?;
        // Before the fine fence is checked: a bump after this look makes a difference to the copy.
        let coarse_fence = entry.coarse_fence(&self.epochs, grouped);
        if !self.may_serve(&entry, right, entry.fence(&self.epochs, grouped)) {
            return None;
        }
        own.near.keep(self.id, key, &entry, coarse_fence);
        Some(entry.into_value(grouped))
    }

    /// The entry of this key in the tier, if it may be served.
    pub(crate) fn fresh(&self, key: &Probe<'_>, grouped: bool) -> Option<Entry> {
        let right = self.right();
        self.l1.get(key).filter(|entry| self.may_serve(entry, right, entry.fence(&self.epochs, grouped)))
    }

    /// Inside a load whose value others may be given: how often the bus had been asked when it began. Of another cache's
    /// load it is not known; it began before now.
    pub(crate) fn since(&self, context: &Context) -> Option<u64> {
        let (node, looks) = context.since().filter(|_| self.rules.holds(Rule::Nested))?;
        let second = self.second.as_ref()?;
        Some(if node == self.id { looks } else { second.looks() })
    }

    /// Until when this process may serve from its in-process tier, on the clock of its entries. Read it *before* a fence.
    #[inline(always)]
    fn right(&self) -> u64 {
        match self.time {
            _ if !self.rules.holds(Rule::Right) => u64::MAX,
            Time::System { .. } => self.right.end(),
            Time::Given(_) => self.right_now(),
        }
    }

    /// The same where its end is on another clock: for ever or not at all, as it is now.
    #[cold]
    fn right_now(&self) -> u64 {
        if self.may_serve_now() { u64::MAX } else { 0 }
    }

    /// The system's clock: on it the right to serve ends, and the server's clock is known.
    pub(crate) fn system_time(&self) -> &Time {
        self.system_time.as_ref().unwrap_or(&self.time)
    }

    /// When something was asked that was asked at `sent`, on the system's clock; where that is another one, not earlier.
    pub(crate) fn on_system_time(&self, sent: Moment) -> Moment {
        self.system_time.as_ref().map_or(sent, Time::now)
    }

    /// Whether it may serve from there now.
    pub(crate) fn may_serve_now(&self) -> bool {
        self.system_time().is_before_millis(self.right.end())
    }

    /// The process has read the bus to its end: until then, on the system's clock, it may serve.
    pub(crate) fn extend_right(&self, until: Moment) {
        self.right.extend(until.millis());
    }

    /// The process may have missed something: everything kept so far, and every load under way, is fenced off.
    pub(crate) fn drop_all(&self) {
        self.epochs.bump_all();
    }

    /// The entry of this key in the tier, if its function lets it be served past its lifetime and it is not yet past that.
    pub(crate) fn stale(&self, key: &Probe<'_>, function: &Function) -> Option<Entry> {
        let (staleness, right) = (function.staleness(), self.right());
        let grouped = function.is_grouped();
        let entry = self.l1.get(key).filter(|_| !staleness.is_zero())?;
        let fence = entry.fence(&self.epochs, grouped);
        entry.is_stale(right, fence, &self.time, staleness).then_some(entry)
    }

    #[inline(always)]
    fn may_serve(&self, entry: &Entry, right: u64, fence: u64) -> bool {
        match entry.freshness(right, fence, &self.time) {
            Freshness::Fresh => true,
            Freshness::Fenced => !self.rules.holds(Rule::Fence),
            Freshness::Expired => false,
        }
    }

    /// What was to be refreshed is served no longer: there is nothing newer to be kept.
    pub(crate) fn forget_stale(&self, address: &Address) {
        let is_stale = || self.fresh(&address.key.probe(), address.function.is_grouped()).is_none();
        if !address.function.staleness().is_zero() && is_stale() {
            self.l1.remove(&address.key);
        }
    }

    /// Keeps a value under the fence that its load began under.
    pub(crate) fn fill(&self, address: &Address, filling: Filling) {
        let weight = weight(filling.bytes, &address.key);
        let entry = Entry::new(filling.kept, &address.slots, filling.fence, filling.life, weight);
        self.l1.insert(address.key.clone(), entry);
    }

    /// A life that begins now, with this share of the function's jitter taken from it.
    pub(crate) fn life(&self, function: &Function, full: Duration, jitter_share: u8) -> Life {
        let lifetime = shortened(full, function.spec().jitter, jitter_share);
        Life { deadline: self.time.now().after(lifetime), jitter_share }
    }

    /// The second tier, if this function uses it and it may be used: the server knows this process's routes.
    pub(crate) fn second_for(&self, function: &Function) -> Option<&Second> {
        self.second.as_ref().filter(|_| function.spec().l2)
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

    pub(crate) fn count(&self, function: &Function, metric: Metric) {
        self.state(function).count(metric);
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("app", &self.app).finish_non_exhaustive()
    }
}
