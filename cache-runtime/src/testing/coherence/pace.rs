//! Pauses at random: how long whoever passes a step of the cache lets others go first.

use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use crate::clock::{Clock, Sleep};
use crate::testing::ManualClock;
use crate::timer;

/// One turn of everybody, where time is counted in turns.
const TICK: Duration = Duration::from_nanos(1);

/// How pauses pass.
#[derive(Debug)]
pub(super) struct Pace {
    random: Mutex<fastrand::Rng>,
    /// Nothing where time is real: what happens over a network takes its own.
    ticks: Option<ManualClock>,
}

impl Pace {
    /// In turns: a pause of so many is over when everybody else had as many.
    pub(super) fn in_turns(seed: u64) -> Self {
        Self { random: Mutex::new(fastrand::Rng::with_seed(seed)), ticks: Some(ManualClock::new()) }
    }

    /// In milliseconds.
    pub(super) fn in_time(seed: u64) -> Self {
        Self { random: Mutex::new(fastrand::Rng::with_seed(seed)), ticks: None }
    }

    pub(super) fn is_in_turns(&self) -> bool {
        self.ticks.is_some()
    }

    /// Everybody has had a turn.
    pub(super) fn tick(&self) {
        if let Some(ticks) = &self.ticks {
            ticks.advance(TICK);
        }
    }

    /// None, a short or a long one.
    pub(super) fn pause(&self) -> Option<Sleep> {
        let mut random = self.random();
        let length = match random.u32(0..16) {
            0..8 => return None,
            8..15 => random.u32(1..=8),
            _ => random.u32(1..=96),
        };
        Some(self.sleep(length, Duration::from_micros(300)))
    }

    /// Between two operations of one worker.
    pub(super) fn rest(&self) -> Sleep {
        let length = self.random().u32(1..=6);
        self.sleep(length, Duration::from_micros(300))
    }

    /// What a caller waits before it leaves.
    pub(super) fn patience(&self) -> Sleep {
        let length = self.random().u32(1..=24);
        self.sleep(length, Duration::from_micros(300))
    }

    fn sleep(&self, length: u32, step: Duration) -> Sleep {
        match &self.ticks {
            Some(ticks) => ticks.sleep(TICK * length),
            None => Box::pin(timer::sleep(step * length)),
        }
    }

    fn random(&self) -> MutexGuard<'_, fastrand::Rng> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `future` ends with, unless `patience` ends first.
pub(super) async fn unless<F: Future>(future: F, mut patience: Sleep) -> Option<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => patience.as_mut().poll(context).map(|()| None),
    })
    .await
}
