//! Loads in tasks of their own, so that they go on when their callers leave.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tracing::Instrument;

use crate::clock::Sleep;

/// A load that puts its output where its caller finds it.
pub(crate) type Load = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs a load in a task of its own, in the caller's task where there is no runtime. After `timeout`, a load that nobody
/// listens to is given up.
pub(crate) async fn detached(load: Load, timeout: Sleep) {
    let Ok(handle) = Handle::try_current() else {
        return load.await;
    };
    let (answer, answered) = oneshot::channel();
    let task = Task { load: Some(load), answer: Some(answer), timeout: Some(timeout) };
    handle.spawn(task.in_current_span());
    match answered.await {
        Ok(Answer::Done) => {}
        Ok(Answer::Panic(panic)) => resume_unwind(panic),
        Ok(Answer::Unfinished(load)) => load.await,
        // The task answers whoever listens.
        Err(_) => std::future::pending().await,
    }
}

/// Runs a load that nobody waits for in a task of its own; where there is no runtime it is given up. After `timeout` it is
/// given up too.
pub(crate) fn in_background(load: Load, timeout: Sleep) {
    if let Ok(handle) = Handle::try_current() {
        let task = Task { load: Some(load), answer: None, timeout: Some(timeout) };
        handle.spawn(task.in_current_span());
    }
}

enum Answer {
    Done,
    Panic(Box<dyn Any + Send>),
    /// The runtime is shutting down: the caller has to go on by itself.
    Unfinished(Load),
}

/// A load in its own task.
struct Task {
    load: Option<Load>,
    answer: Option<oneshot::Sender<Answer>>,
    timeout: Option<Sleep>,
}

impl Task {
    fn end(&mut self, answer: Answer) -> Poll<()> {
        self.load = None;
        if let Some(sender) = self.answer.take() {
            // Only an error when the caller left.
            let _nobody = sender.send(answer);
        }
        Poll::Ready(())
    }

    fn is_given_up(&mut self, context: &mut Context<'_>) -> bool {
        if let Some(timeout) = &mut self.timeout {
            if timeout.as_mut().poll(context).is_pending() {
                return false;
            }
            self.timeout = None;
        }
        self.answer.as_mut().is_none_or(|answer| answer.poll_closed(context).is_ready())
    }
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(load) = &mut self.load else { return Poll::Ready(()) };
        match catch_unwind(AssertUnwindSafe(|| load.as_mut().poll(context))) {
            Ok(Poll::Ready(())) => self.end(Answer::Done),
            Err(panic) => self.end(Answer::Panic(panic)),
            Ok(Poll::Pending) if self.is_given_up(context) => {
                self.load = None;
                Poll::Ready(())
            }
            Ok(Poll::Pending) => Poll::Pending,
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let (Some(load), Some(answer)) = (self.load.take(), self.answer.take()) {
            let _nobody = answer.send(Answer::Unfinished(load));
        }
    }
}
