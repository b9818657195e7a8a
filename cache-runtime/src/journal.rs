//! Invalidations that the second tier has not confirmed, and those that it may forget.
//!
//! An invalidation that failed, or whose outcome is unknown, waits here until it is acknowledged: bounded, each once,
//! oldest first. What a cluster's server that is away hinders is passed by, and what needs others goes on. While one waits
//! this process does not read what it names from the second tier; where a single server has all keys it reads nothing
//! there, so that the journal is replayed before the first read after reconnecting. What goes beyond the bounds is widened
//! to whole functions, by what their keys begin with: nothing is dropped. What the journal keeps of an event then is its
//! name, and which functions listen to it is looked up when the second tier is there: this process may not have known.
//!
//! Those that succeeded in the last ten seconds before all servers were last known to be well, and since, are kept too: a
//! server that takes over may lack them.

mod drain;
mod item;
mod pace;
mod queue;
mod recent;
mod replay;
mod rounds;

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::fault::Fault;
use crate::instant::Instant;
pub(crate) use crate::journal::drain::Drained;
use crate::journal::item::Item;
use crate::journal::pace::Pace;
use crate::journal::queue::{Numbered, Queue, Sweep, Tried, Waiting};
pub(crate) use crate::journal::recent::KEPT;
use crate::journal::recent::Recent;
use crate::routes::Plan;
use crate::store::Invalidation;

/// What may not be read from the second tier while invalidations wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fencing {
    /// Nothing may: one server has all keys, and its first read comes after the replay.
    Everything,
    /// Only what they name: one server of many may be away for long.
    Named,
}

/// The journal of one cache.
#[derive(Debug)]
pub(crate) struct Journal {
    state: Mutex<State>,
    /// How much waits: what every read asks.
    waiting: AtomicUsize,
    fencing: Fencing,
    added: Notify,
}

#[derive(Debug)]
struct State {
    queue: Queue,
    recent: Recent,
    pace: Pace,
    /// Whether something was widened since all that waits did so one by one.
    is_full: bool,
    /// How often the latest were repeated.
    repeats: Repeats,
}

impl State {
    /// Adds what is to wait.
    fn add(&mut self, item: impl Into<Arc<Item>>) {
        self.is_full |= !self.queue.add(item);
    }

    /// Adds what succeeded lately, to be repeated.
    fn add_recent(&mut self) {
        let (items, widened, events) = self.recent.take();
        self.is_full |= !widened.is_empty() || !events.is_empty();
        for item in items {
            self.add(item);
        }
        for prefix in widened {
            self.queue.widen(prefix, Tried::Never);
        }
        for event in events {
            self.queue.widen_event(event, Tried::Never);
        }
    }
}

/// How often the latest invalidations were repeated: what began before one of these times may have happened on a server
/// that is not the one any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repeats(u64);

impl Journal {
    /// A journal that keeps so many invalidations one by one.
    pub(crate) fn new(most: usize) -> Self {
        let (queue, recent) = (Queue::new(most), Recent::new(most));
        let state = State { queue, recent, pace: Pace::default(), is_full: false, repeats: Repeats::default() };
        let fencing = Fencing::Everything;
        Self { state: Mutex::new(state), waiting: AtomicUsize::new(0), fencing, added: Notify::new() }
    }

    pub(crate) fn with_fencing(self, fencing: Fencing) -> Self {
        Self { fencing, ..self }
    }

    /// Adds an invalidation that failed, or may have. From here on its keys are fenced.
    pub(crate) fn add(&self, plan: &Plan, invalidation: Invalidation) {
        let item = Item::of(plan, invalidation);
        self.with(|state| state.add(item));
        self.added.notify_one();
    }

    /// To be asked before an invalidation is sent.
    pub(crate) fn repeats(&self) -> Repeats {
        self.lock().repeats
    }

    /// Remembers an invalidation that succeeded. False if the latest were repeated since it was sent: the reply may be that
    /// of the server before, and it waits to be repeated as well.
    pub(crate) fn succeeded(&self, since: Repeats, plan: &Plan, invalidation: Invalidation) -> bool {
        let item = Item::of(plan, invalidation);
        let mut is_new = true;
        self.with(|state| {
            is_new = state.repeats == since;
            if is_new {
                state.recent.add(item, Instant::now());
            } else {
                state.add(item);
            }
        });
        if !is_new {
            self.added.notify_one();
        }
        is_new
    }

    /// Whether an entry with these texts (its key and its groups) may not be read from the second tier now.
    pub(crate) fn blocks<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> bool {
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return false;
        }
        match self.fencing {
            Fencing::Everything => true,
            Fencing::Named => {
                let state = self.lock();
                texts.into_iter().any(|text| state.queue.fences(text))
            }
        }
    }

    /// All servers were the ones they were at this moment, and answered.
    pub(crate) fn well(&self, at: Instant) {
        self.lock().recent.well(at);
    }

    /// Another server may lack the latest invalidations: they wait again, and so do those that are under way.
    pub(crate) fn repeat_recent(&self) {
        self.with(|state| {
            state.repeats.0 += 1;
            state.queue.forget_tries();
        });
        self.repeat_first();
    }

    /// The server may lack those that succeeded before it was looked at. What is under way goes to this one.
    pub(crate) fn repeat_first(&self) {
        self.with(State::add_recent);
        self.added.notify_one();
    }

    /// Nothing that the second tier holds is to be read again: all of it waits to be swept away.
    pub(crate) fn widen_to_everything(&self) {
        self.with(|state| state.queue.widen(String::new(), Tried::Never));
        self.added.notify_one();
    }

    /// How much waits.
    pub(crate) fn len(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Ends when something is added.
    pub(crate) async fn added(&self) {
        self.added.notified().await;
    }

    /// All that waits: what was not sent yet first.
    fn waiting(&self) -> ([Waiting; 3], Repeats) {
        let state = self.lock();
        ([Tried::Never, Tried::Failed, Tried::InVain].map(|tried| state.queue.waiting(tried)), state.repeats)
    }

    /// The whole functions that wait.
    fn sweeps(&self, tried: Tried) -> Vec<Sweep> {
        self.lock().queue.sweeps(tried)
    }

    /// Takes the first of these: as many as are sent at once.
    fn cut(&self, items: &mut VecDeque<Numbered>, tried: Tried) -> Vec<Numbered> {
        // What was never sent is not held up by what was.
        if tried == Tried::Never { Pace::default().cut(items) } else { self.lock().pace.cut(items) }
    }

    /// So many were done in time, or not. Of one alone there is no less.
    fn paced(&self, count: usize, fault: Option<&Fault>) {
        match fault {
            None => self.lock().pace.was_in_time(),
            Some(Fault::Timeout) if count > 1 => self.lock().pace.was_late(),
            Some(_) => {}
        }
    }

    /// They were sent and wait all the same, unless there are other servers since.
    fn were_tried(&self, items: &[Numbered], how: Tried, since: Repeats) {
        self.with_since(since, |state| state.queue.were_tried(items, how));
    }

    fn were_swept_in_vain(&self, sweeps: &[Sweep], how: Tried, since: Repeats) {
        self.with_since(since, |state| sweeps.iter().for_each(|sweep| state.queue.was_swept_in_vain(sweep, how)));
    }

    /// They are done, unless another server may have taken over since.
    fn acknowledge_items(&self, items: Vec<Numbered>, since: Repeats) {
        self.with_since(since, |state| {
            let now = Instant::now();
            for (number, item) in items {
                state.queue.acknowledge(number);
                state.recent.add(item, now);
            }
        });
    }

    fn acknowledge_sweeps(&self, sweeps: Vec<Sweep>, since: Repeats) {
        self.with_since(since, |state| {
            let now = Instant::now();
            for sweep in sweeps {
                state.queue.acknowledge_sweep(&sweep);
                state.recent.add_widened(&sweep.prefix, now);
            }
        });
    }

    /// Nothing, where the latest were repeated since.
    fn with_since(&self, since: Repeats, change: impl FnOnce(&mut State)) {
        self.with(|state| {
            if state.repeats == since {
                change(state);
                // What waits the next time is another outage's.
                if state.queue.len() == 0 {
                    state.pace = Pace::default();
                }
            }
        });
    }

    /// The events of what did not fit, whose functions are to be looked up.
    fn events(&self) -> Vec<(String, u64)> {
        self.lock().queue.events()
    }

    /// What the keys begin with of the functions that listen to each of them.
    fn looked_up(&self, events: Vec<((String, u64), BTreeSet<String>)>) {
        self.with(|state| events.into_iter().for_each(|(event, prefixes)| state.queue.looked_up(&event, prefixes)));
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let was_full = state.is_full;
        let done = change(&mut state);
        state.is_full &= !state.queue.is_one_by_one();
        let is_full = state.is_full;
        self.waiting.store(state.queue.len(), Ordering::SeqCst);
        drop(state);
        if is_full && !was_full {
            tracing::warn!(
                "the journal is full: what is invalidated now is widened to whole functions, and other processes' subscribers miss the events"
            );
        }
        done
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
