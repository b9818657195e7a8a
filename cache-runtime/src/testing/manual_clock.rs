//! A clock that stands still until it is told to go.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::clock::{Clock, Sleep};

/// A clock that moves only by [`ManualClock::advance`]; all clones are the same clock.
///
/// # Examples
///
/// ```
/// # async fn example() -> Result<(), cache_runtime::Error> {
/// use std::time::Duration;
/// use cache_runtime::{Cache, testing::ManualClock};
///
/// let clock = ManualClock::new();
/// let cache = Cache::builder("test").clock(clock.clone()).build().await?;
/// clock.advance(Duration::from_secs(300)); // entries of 5 minutes are over
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    now: Duration,
    sleepers: Vec<(Duration, Waker)>,
}

impl ManualClock {
    /// A clock at its beginning.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the clock and wakes whoever slept long enough.
    pub fn advance(&self, by: Duration) {
        let woken = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.now = state.now.saturating_add(by);
            let now = state.now;
            let (woken, asleep): (Vec<_>, _) = state.sleepers.drain(..).partition(|(until, _)| *until <= now);
            state.sleepers = asleep;
            woken
        };
        for (_, waker) in woken {
            waker.wake();
        }
    }

    /// How many sleeps wait for the clock.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).sleepers.len()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).now
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let clock = self.clone();
        let until = self.now().saturating_add(duration);
        Box::pin(std::future::poll_fn(move |context| {
            let mut state = clock.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.now >= until {
                return Poll::Ready(());
            }
            let waker = context.waker();
            if !state.sleepers.iter().any(|(when, other)| *when == until && other.will_wake(waker)) {
                state.sleepers.push((until, waker.clone()));
            }
            Poll::Pending
        }))
    }
}
