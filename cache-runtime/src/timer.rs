//! Waiting without asking the runtime: one thread of this process's own.
//!
//! A runtime may have been built without timers, and a cached function must not panic for it; and a caller may have no
//! tokio runtime at all. The thread starts with the first wait and sleeps until the next one is over.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use crate::instant::Instant;

static TIMER: LazyLock<Timer> = LazyLock::new(Timer::start);

struct Timer {
    waits: Mutex<Waits>,
    changed: Condvar,
}

#[derive(Default)]
struct Waits {
    /// By time, and by a number that tells waits for the same time apart.
    wakers: BTreeMap<(Instant, u64), Waker>,
    next: u64,
    planned: Option<Instant>,
}

impl Timer {
    fn start() -> Self {
        if let Err(error) = thread::Builder::new().name("cache-timer".to_owned()).spawn(|| TIMER.run()) {
            tracing::error!(%error, "no thread for timeouts: loads that hang keep their keys");
        }
        Self { waits: Mutex::default(), changed: Condvar::new() }
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut waits = self.waits();
        loop {
            let over = waits.take_over(Instant::now());
            if !over.is_empty() {
                drop(waits);
                over.into_iter().for_each(Waker::wake);
                waits = self.waits();
                continue;
            }
            let next = waits.wakers.keys().next().map(|(until, _)| until.saturating_duration_since(Instant::now()));
            let pause = next.unwrap_or(Duration::from_hours(1));
            waits.planned = Instant::now().checked_add(pause);
            waits = self.changed.wait_timeout(waits, pause).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Waits {
    fn take_over(&mut self, now: Instant) -> Vec<Waker> {
        let later = self.wakers.split_off(&(now, u64::MAX));
        std::mem::replace(&mut self.wakers, later).into_values().collect()
    }

    /// Whether this wait is the next to be over.
    fn insert(&mut self, key: (Instant, u64), waker: Waker) -> bool {
        self.wakers.insert(key, waker);
        self.planned.is_none_or(|planned| key.0 < planned)
    }
}

/// A future that ends after `duration`, wherever it is polled. Dropping it leaves nothing behind.
#[cfg(not(feature = "simulation"))]
pub(crate) fn sleep(duration: Duration) -> impl Future<Output = ()> + Send {
    wait(duration)
}

/// The same, in the world that this thread has entered, if it simulates.
#[cfg(feature = "simulation")]
pub(crate) fn sleep(duration: Duration) -> crate::clock::Sleep {
    crate::world::sleep(duration).unwrap_or_else(|| Box::pin(wait(duration)))
}

fn wait(duration: Duration) -> Wait {
    Wait { until: Instant::now().checked_add(duration), number: None }
}

struct Wait {
    /// Nothing: the end of time.
    until: Option<Instant>,
    number: Option<u64>,
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(until) = self.until else { return Poll::Pending };
        if until <= Instant::now() {
            return Poll::Ready(());
        }
        let mut waits = TIMER.waits();
        let number = *self.number.get_or_insert_with(|| {
            waits.next += 1;
            waits.next
        });
        let is_next = waits.insert((until, number), context.waker().clone());
        drop(waits);
        if is_next {
            TIMER.changed.notify_one();
        }
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let (Some(until), Some(number)) = (self.until, self.number) {
            let waker = TIMER.waits().wakers.remove(&(until, number));
            drop(waker);
        }
    }
}

/// The output of `future`, if it comes within `most`.
pub(crate) async fn in_time<F: Future>(most: Duration, future: F) -> Option<F::Output> {
    let (mut future, mut over) = (pin!(future), pin!(sleep(most)));
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => over.as_mut().poll(context).map(|()| None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_wait_ends_early() {
        let started = Instant::now();
        let order = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for millis in [30, 10, 20] {
                let order = &order;
                scope.spawn(move || {
                    // tidy: sleep because this is the function under test
                    block_on(sleep(Duration::from_millis(millis)));
                    order.lock().expect("no panics").push((millis, started.elapsed()));
                });
            }
        });
        for (millis, after) in order.into_inner().expect("no panics") {
            assert!(after >= Duration::from_millis(millis), "{millis} ms were over after {after:?}");
        }
    }

    #[test]
    fn a_dropped_wait_is_forgotten() {
        let mut wait = Box::pin(Wait { until: Instant::now().checked_add(Duration::from_hours(1)), number: None });
        assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let key = (wait.until.expect("finite"), wait.number.expect("registered"));
        assert!(TIMER.waits().wakers.contains_key(&key));
        drop(wait);
        assert!(!TIMER.waits().wakers.contains_key(&key));
    }

    #[test]
    fn the_end_of_time_does_not_come() {
        // tidy: sleep because this is the function under test
        let mut wait = Box::pin(sleep(Duration::MAX));
        assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }

    fn block_on(future: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without timers");
        runtime.block_on(future);
    }
}
