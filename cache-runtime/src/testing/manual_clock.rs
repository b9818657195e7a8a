//! A clock that stands still until it is told to go.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
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
    /// By the time at which they end, and by a number that tells sleeps of the same time apart.
    sleepers: BTreeMap<(Duration, u64), Waker>,
    /// The number of the last sleep.
    last: u64,
}

impl State {
    /// Those whose time has come, in the order of their ends.
    fn take_over(&mut self) -> BTreeMap<(Duration, u64), Waker> {
        let asleep = self.sleepers.split_off(&(self.now, u64::MAX));
        std::mem::replace(&mut self.sleepers, asleep)
    }
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
            let mut state = self.state();
            state.now = state.now.saturating_add(by);
            state.take_over()
        };
        woken.into_values().for_each(Waker::wake);
    }

    /// How many sleeps wait for the clock: those that are polled, and neither over nor dropped.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        self.state().sleepers.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        self.state().now
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let until = self.now().saturating_add(duration);
        Box::pin(Asleep { clock: self.clone(), until, number: None })
    }
}

/// One who sleeps. Dropped, it does not any more.
struct Asleep {
    clock: ManualClock,
    until: Duration,
    /// From its first poll on.
    number: Option<u64>,
}

impl Future for Asleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self { clock, until, number } = &mut *self;
        let mut state = clock.state();
        if state.now >= *until {
            return Poll::Ready(());
        }
        let number = *number.get_or_insert_with(|| {
            state.last += 1;
            state.last
        });
        let replaced = state.sleepers.insert((*until, number), context.waker().clone());
        drop(state);
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for Asleep {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let waker = self.clock.state().sleepers.remove(&(self.until, number));
            drop(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(sleep: &mut Sleep) -> bool {
        sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn those_who_sleep_are_counted_while_they_do() {
        let clock = ManualClock::new();
        let [mut short, mut same, mut long] = [1, 1, 2].map(|seconds| clock.sleep(Duration::from_secs(seconds)));
        assert_eq!(clock.sleepers(), 0, "nobody has asked yet");
        for _ in 0..2 {
            assert!(![&mut short, &mut same, &mut long].map(poll).contains(&true));
            assert_eq!(clock.sleepers(), 3, "however often they are polled");
        }
        drop(same);
        assert_eq!(clock.sleepers(), 2, "who is gone sleeps no more");
        clock.advance(Duration::from_secs(1));
        assert_eq!((clock.sleepers(), poll(&mut short), poll(&mut long)), (1, true, false));
        drop(short);
        clock.advance(Duration::from_secs(1));
        assert_eq!((clock.sleepers(), poll(&mut long)), (0, true));
    }

    #[test]
    fn a_timeout_that_was_not_needed_leaves_nothing_behind() {
        let clock = ManualClock::new();
        for _ in 0..100 {
            assert!(!poll(&mut clock.sleep(Duration::from_mins(1))));
        }
        assert_eq!(clock.sleepers(), 0);
    }
}
