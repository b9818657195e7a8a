//! Deadlines of operations that mostly end long before: a timer for each would cost more than it is worth.
//!
//! All operations have the same time, so it is enough to count ticks of an eighth of it: an operation notes the tick in
//! which it began to wait, and one task, which ticks while there are operations, ends those that are too old. None ends
//! early, and none more than an eighth and a tick's delay late.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;

use crate::sync::lock;
use crate::timer;

/// Ticks in the time of an operation.
const TICKS: u32 = 8;

/// Ticks without an operation after which the task rests.
const IDLE_TICKS: u32 = 32;

/// No reply came in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Late;

/// The deadlines of all operations of one set of servers.
#[derive(Debug)]
pub(crate) struct Deadlines {
    most: Duration,
    state: Mutex<State>,
    rested: Notify,
}

#[derive(Debug, Default)]
struct State {
    tick: u64,
    waits: Vec<Wait>,
    free: Vec<usize>,
    is_resting: bool,
    /// Ticks since anything waited.
    idle: u32,
}

#[derive(Debug)]
enum Wait {
    Free,
    Since(u64, Waker),
    Over,
}

impl Deadlines {
    pub(crate) fn new(most: Duration) -> Self {
        let state = State { is_resting: true, ..State::default() };
        Self { most, state: Mutex::new(state), rested: Notify::new() }
    }

    /// How long an operation may take.
    pub(crate) fn most(&self) -> Duration {
        self.most
    }

    /// The output of `future`, if it comes in time.
    pub(crate) async fn within<F: Future>(&self, future: F) -> Result<F::Output, Late> {
        let mut future = pin!(future);
        let mut place = Place { deadlines: self, number: None };
        std::future::poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => place.wait(context.waker()).map(Err),
        })
        .await
    }

    /// Ticks for ever.
    pub(crate) async fn tick(self: Arc<Self>) {
        loop {
            timer::sleep(self.most / TICKS).await;
            let (over, rests) = self.state().tick();
            over.into_iter().for_each(Waker::wake);
            if rests {
                self.rested.notified().await;
            }
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn tick(&mut self) -> (Vec<Waker>, bool) {
        self.tick += 1;
        let mut over = Vec::new();
        for wait in &mut self.waits {
            if matches!(wait, Wait::Since(began, _) if self.tick > *began + u64::from(TICKS))
                && let Wait::Since(_, waker) = std::mem::replace(wait, Wait::Over)
            {
                over.push(waker);
            }
        }
        self.idle = if self.free.len() == self.waits.len() { self.idle + 1 } else { 0 };
        self.is_resting = self.idle >= IDLE_TICKS;
        (over, self.is_resting)
    }

    fn begin(&mut self, waker: &Waker) -> usize {
        self.idle = 0;
        let wait = Wait::Since(self.tick, waker.clone());
        if let Some(number) = self.free.pop() {
            self.waits[number] = wait;
            return number;
        }
        self.waits.push(wait);
        self.waits.len() - 1
    }

    fn is_over(&mut self, number: usize, waker: &Waker) -> bool {
        match &mut self.waits[number] {
            Wait::Since(_, old) => {
                old.clone_from(waker);
                false
            }
            Wait::Over => true,
            Wait::Free => unreachable!("whoever waits has a place"),
        }
    }
}

/// The place of one operation, once it had to wait.
struct Place<'a> {
    deadlines: &'a Deadlines,
    number: Option<usize>,
}

impl Place<'_> {
    fn wait(&mut self, waker: &Waker) -> Poll<Late> {
        let mut state = self.deadlines.state();
        let Some(number) = self.number else {
            self.number = Some(state.begin(waker));
            let was_resting = std::mem::replace(&mut state.is_resting, false);
            drop(state);
            if was_resting {
                self.deadlines.rested.notify_one();
            }
            return Poll::Pending;
        };
        if state.is_over(number, waker) { Poll::Ready(Late) } else { Poll::Pending }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut state = self.deadlines.state();
        let wait = std::mem::replace(&mut state.waits[number], Wait::Free);
        state.free.push(number);
        drop(state);
        drop(wait);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const MOST: Duration = Duration::from_millis(80);

    fn ticking() -> Arc<Deadlines> {
        let deadlines = Arc::new(Deadlines::new(MOST));
        tokio::spawn(Arc::clone(&deadlines).tick());
        deadlines
    }

    #[tokio::test]
    async fn what_ends_in_time_costs_nothing_and_leaves_nothing() {
        let deadlines = ticking();
        assert_eq!(deadlines.within(async { 1 }).await, Ok(1));
        assert!(deadlines.state().waits.is_empty());
        assert_eq!(deadlines.within(tokio::task::yield_now()).await, Ok(()));
        let state = deadlines.state();
        assert_eq!(state.free.len(), state.waits.len());
    }

    #[tokio::test]
    async fn nothing_ends_early_and_nothing_much_too_late() {
        let deadlines = ticking();
        for _ in 0..3 {
            let began = Instant::now();
            assert_eq!(deadlines.within(std::future::pending::<()>()).await, Err(Late));
            let took = began.elapsed();
            assert!(took >= MOST, "{took:?}");
            assert!(took < MOST * 10, "{took:?}");
        }
    }

    #[tokio::test]
    async fn a_deadline_after_a_rest_counts() {
        let deadlines = Arc::new(Deadlines::new(Duration::from_millis(8)));
        tokio::spawn(Arc::clone(&deadlines).tick());
        assert_eq!(deadlines.within(std::future::pending::<()>()).await, Err(Late));
        while !deadlines.state().is_resting {
            tokio::task::yield_now().await;
        }
        assert_eq!(deadlines.within(std::future::pending::<()>()).await, Err(Late));
    }

    #[test]
    fn a_dropped_operation_gives_its_place_back() {
        let deadlines = Deadlines::new(MOST);
        for _ in 0..3 {
            let mut waiting = Box::pin(deadlines.within(std::future::pending::<()>()));
            let mut context = std::task::Context::from_waker(Waker::noop());
            assert!(waiting.as_mut().poll(&mut context).is_pending());
        }
        let state = deadlines.state();
        assert_eq!((state.waits.len(), state.free.len()), (1, 1));
    }
}
