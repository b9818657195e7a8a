//! All workers of a run by one task, each in its turn.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::clock::Sleep;
use crate::timer;

use super::log::Log;
use super::pace::Pace;

/// Turns without anything happening after which the service is taken to wait for something real.
const IDLE: u32 = 1_000;

/// One of those who read, write or disturb.
pub(super) type Worker<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// All workers at once, by one task.
pub(super) struct Turns<'a> {
    workers: Vec<Worker<'a>>,
    log: &'a Log,
    pace: &'a Pace,
    /// What had happened at the last turn.
    seen: u64,
    /// Turns since then.
    idle: u32,
    nap: Option<Sleep>,
}

impl<'a> Turns<'a> {
    pub(super) fn new(workers: Vec<Worker<'a>>, log: &'a Log, pace: &'a Pace) -> Self {
        Self { workers, log, pace, seen: 0, idle: 0, nap: None }
    }
}

impl Future for Turns<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.pace.tick();
        self.workers.retain_mut(|worker| worker.as_mut().poll(context).is_pending());
        if self.workers.is_empty() {
            return Poll::Ready(());
        }
        if self.pace.is_in_turns() {
            self.turn_again(context);
        }
        Poll::Pending
    }
}

impl Turns<'_> {
    /// The next turn is now, after whoever else is on this thread; later where a real thing is waited for.
    fn turn_again(&mut self, context: &mut Context<'_>) {
        let total = self.log.entries().total;
        self.idle = if total == self.seen { self.idle + 1 } else { 0 };
        self.seen = total;
        if self.idle < IDLE {
            self.nap = None;
            return context.waker().wake_by_ref();
        }
        let nap = self.nap.get_or_insert_with(|| Box::pin(timer::sleep(Duration::from_millis(1))));
        if nap.as_mut().poll(context).is_ready() {
            self.nap = None;
            context.waker().wake_by_ref();
        }
    }
}
