//! A caller that waits for another one's flight.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Flight, FlightId, Outcome, Phase};
use crate::sync::{Arc, lock};

/// A place among those who wait for a flight. Dropping it leaves the flight alone.
#[must_use = "futures do nothing unless polled"]
pub(crate) struct Follow<K, V> {
    pub(super) flight: Arc<Flight<K, V>>,
    pub(super) place: usize,
    /// How many reads were sent, by all flights of its shard, before it came.
    pub(super) came: u64,
}

impl<K, V: Clone> Follow<K, V> {
    pub(crate) fn id(&self) -> FlightId {
        self.flight.id
    }

    /// How many loads failed one after another before the one that is waited for.
    pub(crate) fn failures(&self) -> u32 {
        self.flight.failures
    }

    /// How many reads were sent before this caller came.
    pub(crate) fn came(&self) -> u64 {
        self.came
    }

    /// This caller came earlier than it joined: it has waited for another flight.
    pub(crate) fn came_before(&mut self, reads: u64) {
        self.came = self.came.min(reads);
    }

    /// Whether the load waits for its turn.
    pub(crate) fn is_queued(&self) -> bool {
        lock(&self.flight.state).phase == Phase::Queued
    }

    /// Since when nothing was heard of a leader who looks for a value, or waits for the load's turn, on the system's clock.
    /// Nothing once it loads.
    pub(crate) fn quiet_since(&self) -> Option<Duration> {
        let state = lock(&self.flight.state);
        let is_before_load = matches!(state.phase, Phase::Open | Phase::Reading | Phase::Queued);
        is_before_load.then_some(state.moved)
    }

    /// When its load began, on the cache's clock; nothing before.
    pub(crate) fn loads_since(&self) -> Option<Duration> {
        let state = lock(&self.flight.state);
        matches!(state.phase, Phase::Loading | Phase::Sealed).then_some(state.moved)
    }
}

impl<K, V: Clone> Future for Follow<K, V> {
    type Output = Outcome<V>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome<V>> {
        let mut state = lock(&self.flight.state);
        match (&state.outcome, state.phase) {
            // A value that came without a load is a hit: it was read before the late ones came.
            (Some(Outcome::Value(_) | Outcome::Stale(..)), Phase::Reading) if self.came >= state.last_read => {
                Poll::Ready(Outcome::Lost)
            }
            // Nor is it theirs if nothing was read at all: their leader found it in its process on a second look, which
            // tells nothing about the right to serve of now, nor about what a caller with a token must see.
            (Some(Outcome::Value(_)), Phase::Open) => Poll::Ready(Outcome::Abandoned),
            (Some(outcome), _) => Poll::Ready(outcome.clone()),
            (None, _) => {
                state.wakers[self.place] = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<K, V> Drop for Follow<K, V> {
    fn drop(&mut self) {
        if let Some(waker) = lock(&self.flight.state).wakers.get_mut(self.place) {
            *waker = None;
        }
    }
}

impl<K, V> fmt::Debug for Follow<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follow").field("place", &self.place).finish_non_exhaustive()
    }
}
