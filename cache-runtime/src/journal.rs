//! Invalidations that the second tier has not confirmed, and those that it may forget.
//!
//! An invalidation that failed, or whose outcome is unknown, waits here until it is acknowledged: bounded, each once,
//! oldest first. While one waits this process does not read what it names from the second tier; where a single server
//! has all keys it reads nothing there, so that the journal is replayed before the first read after reconnecting. What
//! goes beyond the bounds is widened to whole functions, by what their keys begin with: nothing is dropped.
//!
//! The invalidations of the last ten seconds that succeeded are kept too: a server that takes over may lack them.

mod drain;
mod item;
mod queue;
mod recent;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

pub(crate) use crate::journal::drain::Drained;
use crate::journal::item::Item;
use crate::journal::queue::{Batch, Queue};
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
}

impl Journal {
    /// A journal that keeps so many invalidations one by one.
    pub(crate) fn new(most: usize) -> Self {
        let state = State { queue: Queue::new(most), recent: Recent::new(most) };
        let fencing = Fencing::Everything;
        Self { state: Mutex::new(state), waiting: AtomicUsize::new(0), fencing, added: Notify::new() }
    }

    pub(crate) fn with_fencing(self, fencing: Fencing) -> Self {
        Self { fencing, ..self }
    }

    /// Adds an invalidation that failed, or may have. From here on its keys are fenced.
    pub(crate) fn add(&self, plan: &Plan, invalidation: Invalidation) {
        let item = Item::of(plan, invalidation);
        self.with(|state| {
            if state.queue.add(item).is_first_widened() {
                tracing::warn!(
                    "the journal is full: what is invalidated now is widened to whole functions, and other processes' subscribers miss the events"
                );
            }
        });
        self.added.notify_one();
    }

    /// Remembers an invalidation that succeeded.
    pub(crate) fn succeeded(&self, plan: &Plan, invalidation: Invalidation) {
        self.lock().recent.add(Item::of(plan, invalidation), Instant::now());
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

    /// Another server may lack the latest invalidations: they wait again.
    pub(crate) fn repeat_recent(&self) {
        self.with(|state| {
            let (items, widened) = state.recent.take(Instant::now());
            for item in items {
                state.queue.add(item);
            }
            for prefix in widened {
                state.queue.widen(prefix);
            }
        });
        self.added.notify_one();
    }

    /// Nothing that the second tier holds is to be read again: all of it waits to be swept away.
    pub(crate) fn widen_to_everything(&self) {
        self.with(|state| state.queue.widen(String::new()));
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

    fn next(&self) -> Option<Batch> {
        self.lock().queue.next()
    }

    fn acknowledge(&self, batch: Batch) {
        self.with(|state| {
            let now = Instant::now();
            match batch {
                Batch::Items(items) => {
                    for (number, item) in items {
                        state.queue.acknowledge(number);
                        state.recent.add_again(item, now);
                    }
                }
                Batch::Sweep { prefix, number } => state.queue.acknowledge_sweep(&prefix, number),
            }
        });
    }

    fn with(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        self.waiting.store(state.queue.len(), Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
