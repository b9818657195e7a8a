//! Single flight: at most one load per key at a time in this process.
//!
//! A caller [joins](Flights::join) and is told to lead or to follow. The leader holds a [`Lead`], a duty: it ends with an
//! [`Outcome`], or by being dropped, and then those who wait take over. Every rule is a line of code here:
//!
//! * **F1 seal**: a [sealed](Lead::seal) flight takes no more joiners.
//! * **F2 no shared hits**: joiners that came after the last read of the second tier was [sent](Lead::reading) do not get
//!   [its hit](Lead::hit); they read again, and the hit of that read is for [all of them](Follow::came_before).
//! * **F3 verdict**: [`Lead::finish`] gives joiners the value only with an accepted fill.
//! * **F4 detach**: a caller joins only a flight whose fence is no older than its own; else it starts its own, and the
//!   older flight has lost the key.
//! * **F5** is the caller's: it counts how often it lost.
//! * **F6 hand-over**: a dropped leader wakes everybody who waits, and they join again; nobody inherits a cancellation.
//!
//! A [refresh](Lead::refresh) runs beside the flight of its key: nobody joins it.
//!
//! Decisions are made under a lock, by functions that do not wait; wakers are called outside.

// Where the file lies: tests compile it as a module of theirs, against threads that they explore.
#[path = "flight/follow.rs"]
mod follow;
#[path = "flight/refresh.rs"]
mod refresh;

use std::fmt;
use std::hash::{BuildHasher, Hash};
// The count of reads is no step of its own to those who explore schedules: it would double their number.
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use hashbrown::HashTable;
use hashbrown::hash_table::OccupiedEntry;

use crate::hasher::RandomState;
use crate::rules::{Rule, Rules};
use crate::sync::{Arc, Mutex, lock};

pub(crate) use self::follow::Follow;

/// How many caches there were in this process, for names of flights.
static CACHES: AtomicU64 = AtomicU64::new(0);

const SHARDS: usize = 16;

/// The flights of one cache.
pub(crate) struct Flights<K, V> {
    /// Each with a count of references of its own: one for all would be what every miss of every thread writes to.
    shards: Box<[Arc<Shard<K, V>>]>,
    hasher: RandomState,
}

/// The flights of a part of all keys.
struct Shard<K, V> {
    flights: Mutex<HashTable<Arc<Flight<K, V>>>>,
    rules: Rules,
    /// How many reads of the second tier were sent by its flights.
    reads: AtomicU64,
    /// The name of its next flight.
    names: AtomicU64,
}

/// One load, and who waits for it.
struct Flight<K, V> {
    id: FlightId,
    key: K,
    /// The hash of the key: it is asked for several times on each flight's way.
    hash: u64,
    /// The epochs of the key and its groups, read before anything was sent.
    fence: u64,
    /// How many loads failed one after another before this one, as seen by its leader.
    failures: u32,
    /// Its key is served meanwhile: it takes it from nobody, and nobody joins.
    is_refresh: bool,
    state: Mutex<State<V>>,
}

struct State<V> {
    phase: Phase,
    /// When its leader last did anything before it loads, on the system's clock; then when the load began, on the cache's.
    moved: Duration,
    /// The number of the last read of the second tier that it sent, counted over all flights of its shard; 0 before the first.
    last_read: u64,
    /// From when on nobody may join a load that no lease protects.
    closes: Option<Duration>,
    outcome: Option<Outcome<V>>,
    wakers: Vec<Option<Waker>>,
    /// Somebody follows who joins no load that began without a lease.
    is_strict: bool,
    /// Another one has the key only because nobody could join this one any more: what it loads is as good as before.
    is_succeeded: bool,
}

/// How far a flight is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing was sent.
    Open,
    /// The read of the second tier was sent.
    Reading,
    /// The load waits for its turn among all loads.
    Queued,
    /// The load runs.
    Loading,
    /// The fill was sent: nobody may join.
    Sealed,
}

/// What those who followed are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome<V> {
    /// The value of a load that began after every invalidation that returned before they came.
    Value(V),
    /// A value that the second tier has past its lifetime, and its age.
    Stale(V, Option<Duration>),
    /// An invalidation overtook the flight, or its hit was read before they came: read again.
    Lost,
    /// The load failed or panicked, with its error where errors can be shared.
    Failed(Option<V>),
    /// The leader left without a result: somebody else must lead.
    Abandoned,
}

/// A caller's part in the flight of its key.
#[derive(Debug)]
pub(crate) enum Turn<K: Eq, V: Clone> {
    Lead(Lead<K, V>),
    Follow(Follow<K, V>),
}

impl<K: Hash + Eq + Clone, V: Clone> Flights<K, V> {
    pub(crate) fn new(rules: Rules) -> Self {
        let cache = CACHES.fetch_add(1, Ordering::Relaxed);
        let shard = |shard| Shard {
            flights: Mutex::new(HashTable::new()),
            rules,
            reads: AtomicU64::new(0),
            names: AtomicU64::new(FlightId::first(cache, shard)),
        };
        Self { shards: (0..SHARDS).map(|place| Arc::new(shard(place))).collect(), hasher: RandomState::default() }
    }

    /// Joins the flight of this key, or starts one. `fence` is the current one of the key, read by this caller;
    /// `failures` is how many flights failed on it; `now` is on a clock of the caller's. A `strict` caller joins no load
    /// that began without a lease.
    pub(crate) fn join(&self, key: &K, fence: u64, failures: u32, now: Duration, strict: bool) -> Turn<K, V> {
        let hash = self.hasher.hash_one(key);
        let shard = self.shard(hash);
        let mut flights = lock(&shard.flights);
        let known = flights.find_mut(hash, |flight| !flight.is_refresh && flight.key == *key);
        if let Some(flight) = &known
            && let Some(follow) = shard.follow(flight, fence, now, strict)
        {
            return Turn::Follow(follow);
        }
        // Whoever was here before has read its fence before now.
        let fence = known.as_ref().map_or(fence, |known| known.fence.max(fence));
        let flight = Arc::new(Flight { failures, ..Flight::new(shard.name(), (key.clone(), hash), fence) });
        match known {
            Some(known) => {
                known.succeeded_by(&flight);
                *known = Arc::clone(&flight);
            }
            None => {
                flights.insert_unique(hash, Arc::clone(&flight), |flight| flight.hash);
            }
        }
        Turn::Lead(Lead { shard: Arc::clone(shard), flight, ended: false })
    }

    /// Takes the key from a flight whose leader is hung: its result will be refused, and the next to join leads. Whether it
    /// still had it: of all who follow, one takes it.
    pub(crate) fn detach(&self, follow: &Follow<K, V>) -> bool {
        lock(&follow.flight.state).is_succeeded = false;
        self.shard(follow.flight.hash).remove(&follow.flight)
    }

    /// How many flights there are that hold their key, and refreshes.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(&shard.flights).len()).sum()
    }

    /// The tables look at the lowest and the highest bits.
    fn shard(&self, hash: u64) -> &Arc<Shard<K, V>> {
        &self.shards[(hash >> 32) as usize % SHARDS]
    }
}

impl<K: Eq, V: Clone> Shard<K, V> {
    fn name(&self) -> FlightId {
        FlightId(self.names.fetch_add(SHARDS as u64, Ordering::Relaxed))
    }

    fn follow(&self, flight: &Arc<Flight<K, V>>, fence: u64, now: Duration, strict: bool) -> Option<Follow<K, V>> {
        // Fences only grow: one that began under a later one than this caller's has overtaken nothing that this caller knows.
        if flight.fence < fence && self.rules.holds(Rule::Detach) {
            return None;
        }
        let mut state = lock(&flight.state);
        let sealed = state.phase == Phase::Sealed && self.rules.holds(Rule::Seal);
        let closed = state.closes.is_some_and(|closes| strict || now >= closes);
        if sealed || closed || state.outcome.is_some() {
            return None;
        }
        let came = if self.rules.holds(Rule::NoSharedHits) { self.reads.load(Ordering::SeqCst) } else { 0 };
        state.wakers.push(None);
        state.is_strict |= strict;
        let place = state.wakers.len() - 1;
        drop(state);
        Some(Follow { flight: Arc::clone(flight), place, came })
    }

    /// Removes the flight if the key is still its own, and tells whether it was.
    fn remove(&self, flight: &Arc<Flight<K, V>>) -> bool {
        let mut flights = lock(&self.flights);
        let found = flights.find_entry(flight.hash, |other| Arc::ptr_eq(other, flight));
        found.map(OccupiedEntry::remove).is_ok()
    }

    fn holds_key(&self, flight: &Arc<Flight<K, V>>) -> bool {
        lock(&self.flights).find(flight.hash, |other| Arc::ptr_eq(other, flight)).is_some()
    }
}

impl<K, V: Clone> Flight<K, V> {
    fn new(id: FlightId, (key, hash): (K, u64), fence: u64) -> Self {
        let state = State {
            phase: Phase::Open,
            // It goes on to one of the other phases at once.
            moved: Duration::MAX,
            last_read: 0,
            closes: None,
            outcome: None,
            wakers: Vec::new(),
            is_strict: false,
            is_succeeded: false,
        };
        Self { id, key, hash, fence, failures: 0, is_refresh: false, state: Mutex::new(state) }
    }

    /// One that only took no more joiners, under the same fence, may keep what it has loaded all the same, and give it to
    /// those who came before: or what takes long to load, or long to store, would never be kept while there are calls.
    fn succeeded_by(&self, other: &Self) {
        let mut state = lock(&self.state);
        let is_closed = state.closes.is_some() && state.phase == Phase::Loading;
        state.is_succeeded = (is_closed || state.phase == Phase::Sealed) && self.fence == other.fence;
    }

    fn enter(&self, phase: Phase) {
        lock(&self.state).phase = phase;
    }

    fn end(&self, outcome: Outcome<V>) {
        let wakers = {
            let mut state = lock(&self.state);
            state.outcome = Some(outcome);
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

/// The duty to load one key. Dropping it without an end hands over to those who wait.
#[must_use = "those who follow wait for its end"]
pub(crate) struct Lead<K: Eq, V: Clone> {
    shard: Arc<Shard<K, V>>,
    flight: Arc<Flight<K, V>>,
    ended: bool,
}

impl<K: Eq, V: Clone> Lead<K, V> {
    /// A read of the second tier is about to be sent: those who come from here on do not get its hit, only that of a
    /// later read.
    pub(crate) fn reading(&self, now: Duration) {
        let mut state = lock(&self.flight.state);
        state.phase = Phase::Reading;
        state.moved = now;
        state.last_read = self.shard.reads.fetch_add(1, Ordering::SeqCst) + 1;
    }

    /// The load waits for its turn: who may have to go first can [tell](Follow::is_queued), and looks at once.
    pub(crate) fn queueing(&self, now: Duration) {
        let mut state = lock(&self.flight.state);
        state.phase = Phase::Queued;
        state.moved = now;
        let wakers: Vec<_> = state.wakers.iter_mut().filter_map(Option::take).collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The load begins: whoever comes now may have its value.
    pub(crate) fn loading(&self, now: Duration) {
        let mut state = lock(&self.flight.state);
        state.phase = Phase::Loading;
        state.moved = now;
    }

    /// Whether somebody follows who joins no load that began without a lease.
    pub(crate) fn is_strict(&self) -> bool {
        lock(&self.flight.state).is_strict
    }

    /// The load begins without a lease, so that no verdict will tell whether somebody else's invalidation overtook it:
    /// nobody may join from `closes` on.
    pub(crate) fn loading_without_lease(&self, now: Duration, closes: Duration) {
        self.loading(now);
        lock(&self.flight.state).closes = Some(closes);
    }

    /// The fill is about to be sent: nobody joins from here on.
    pub(crate) fn seal(&self) {
        self.flight.enter(Phase::Sealed);
    }

    /// It took longer than a load may: if another one has the key by now, it keeps nothing.
    pub(crate) fn too_late(&self) {
        lock(&self.flight.state).is_succeeded = false;
    }

    /// The fence this flight began under.
    pub(crate) fn fence(&self) -> u64 {
        self.flight.fence
    }

    /// Names the flight for as long as it lives.
    pub(crate) fn id(&self) -> FlightId {
        self.flight.id
    }

    /// Whether this flight may still keep a value: the fence is unchanged, and nobody took the key from it.
    pub(crate) fn may_keep(&self, fence: u64) -> bool {
        let detached = fence != self.flight.fence && self.shard.rules.holds(Rule::Detach);
        !detached && self.has_key()
    }

    /// Whether nobody took the key from this flight.
    pub(crate) fn has_key(&self) -> bool {
        self.shard.holds_key(&self.flight) || lock(&self.flight.state).is_succeeded
    }

    /// Ends with a hit of the second tier: callers that came before the read was sent get it, later ones read again.
    pub(crate) fn hit(self, value: V) {
        self.end(Outcome::Value(value));
    }

    /// Ends with a loaded value and the verdict on its fill.
    pub(crate) fn finish(self, value: V, accepted: bool) {
        lock(&self.flight.state).phase = Phase::Sealed;
        if accepted || !self.shard.rules.holds(Rule::Verdict) {
            self.end(Outcome::Value(value));
        } else {
            self.end(Outcome::Lost);
        }
    }

    /// Ends with the load's failure, and its error where errors can be shared.
    pub(crate) fn fail(self, error: Option<V>) {
        self.end(Outcome::Failed(error));
    }

    fn end(mut self, outcome: Outcome<V>) {
        self.ended = true;
        self.shard.remove(&self.flight);
        self.flight.end(outcome);
    }
}

impl<K: Eq, V: Clone> Drop for Lead<K, V> {
    fn drop(&mut self) {
        if self.ended || !self.shard.rules.holds(Rule::HandOver) {
            return;
        }
        self.shard.remove(&self.flight);
        self.flight.end(if std::thread::panicking() { Outcome::Failed(None) } else { Outcome::Abandoned });
    }
}

impl<K: Eq, V: Clone> fmt::Debug for Lead<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lead").field("fence", &self.flight.fence).finish_non_exhaustive()
    }
}

/// The name of a flight; no other one of this process has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FlightId(u64);

impl FlightId {
    /// The name of the first flight in a shard of a cache: each has 2^44 of its own.
    fn first(cache: u64, shard: usize) -> u64 {
        (cache << 48) | shard as u64
    }

    pub(crate) fn number(self) -> u64 {
        self.0
    }
}
