//! The load and what becomes of its value.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tracing::Instrument;

use crate::clock::{Moment, Sleep};
use crate::context::Context;
use crate::flight::Lead;
use crate::key::Key;
use crate::metric::Metric;
use crate::node::Filling;
use crate::read::Missed;
use crate::shape::{Judged, Kept, Shape};
use crate::weight::weigh;

/// A load that this call leads: the duty, and what must be known when it ends.
pub(crate) struct Loading<S: Shape> {
    missed: Box<Missed>,
    lead: Lead<Key, Kept>,
    veto: Option<fn(&S::Kept) -> bool>,
    /// Taken from the caller's task, since the load may run in another.
    context: Context,
    began: Moment,
}

impl<S: Shape> Loading<S> {
    /// The load begins.
    pub(crate) fn begin(
        missed: Box<Missed>,
        lead: Lead<Key, Kept>,
        veto: Option<fn(&S::Kept) -> bool>,
    ) -> Self {
        lead.loading();
        missed.node.count(missed.address.function, Metric::Load);
        let context = Context::current().loading(lead.id());
        Self {
            began: missed.node.time.now(),
            missed,
            lead,
            veto,
            context,
        }
    }

    /// Runs the body, then keeps its value and tells those who follow. Dropping the future hands over to one of them.
    pub(crate) async fn run<F: Future<Output = S::Output>>(mut self, body: F) -> S::Output {
        let output = std::mem::take(&mut self.context).scope(body).await;
        self.settle(&output);
        output
    }

    fn settle(self, output: &S::Output) {
        let (node, function) = (&self.missed.node, self.missed.address.function);
        node.state(function)
            .load_took(node.time.now().since(self.began));
        match S::judge(output) {
            Judged::Value(kept) => self.keep(kept),
            Judged::Error(shared) => {
                node.count(function, Metric::LoadError);
                self.lead.fail(shared);
            }
        }
    }

    fn keep(self, value: &S::Kept) {
        let (node, address) = (&self.missed.node, &self.missed.address);
        let kept = S::keep(value);
        let accepted = self.lead.may_keep(node.fence(address));
        match self.lifetime(value) {
            _ if !accepted => node.count(address.function, Metric::RefusedFill),
            None => node.count(address.function, Metric::NotKept),
            Some(lifetime) => {
                // Kept under the fence of the flight's beginning: an invalidation from here on finds it unusable.
                let (bytes, fence) = (weigh(value), self.lead.fence());
                node.fill(
                    address,
                    Filling {
                        kept: kept.clone(),
                        bytes,
                        lifetime,
                        fence,
                    },
                );
            }
        }
        self.lead.finish(kept, accepted);
    }

    fn lifetime(&self, value: &S::Kept) -> Option<std::time::Duration> {
        let wanted = self.veto.is_none_or(|keeps| keeps(value));
        self.missed
            .address
            .function
            .lifetime(S::is_absent(value))
            .filter(|_| wanted)
    }
}

/// Runs a load in a task of its own, so that it goes on when its caller leaves. In the caller's task where there is no
/// runtime.
pub(crate) async fn detached<F>(load: F, timeout: Sleep) -> F::Output
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let Ok(handle) = Handle::try_current() else {
        return Box::pin(load).await;
    };
    let (answer, answered) = oneshot::channel();
    let task = Task {
        load: Some(Box::pin(load)),
        answer: Some(answer),
        timeout: Some(timeout),
    };
    handle.spawn(task.in_current_span());
    match answered.await {
        Ok(Answer::Output(output)) => output,
        Ok(Answer::Panic(panic)) => resume_unwind(panic),
        Ok(Answer::Unfinished(load)) => load.await,
        // The task answers whoever listens.
        Err(_) => std::future::pending().await,
    }
}

enum Answer<F: Future> {
    Output(F::Output),
    Panic(Box<dyn Any + Send>),
    /// The runtime is shutting down: the caller has to go on by itself.
    Unfinished(Pin<Box<F>>),
}

/// A load in its own task.
struct Task<F: Future> {
    load: Option<Pin<Box<F>>>,
    answer: Option<oneshot::Sender<Answer<F>>>,
    /// After it, a load that nobody listens to is given up.
    timeout: Option<Sleep>,
}

impl<F: Future> Task<F> {
    fn end(&mut self, answer: Answer<F>) -> Poll<()> {
        self.load = None;
        if let Some(sender) = self.answer.take() {
            // Only an error when the caller left.
            let _nobody = sender.send(answer);
        }
        Poll::Ready(())
    }

    fn is_given_up(&mut self, context: &mut TaskContext<'_>) -> bool {
        if let Some(timeout) = &mut self.timeout {
            if timeout.as_mut().poll(context).is_pending() {
                return false;
            }
            self.timeout = None;
        }
        self.answer
            .as_mut()
            .is_none_or(|answer| answer.poll_closed(context).is_ready())
    }
}

impl<F: Future> Unpin for Task<F> {}

impl<F: Future> Future for Task<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<()> {
        let Some(load) = &mut self.load else {
            return Poll::Ready(());
        };
        match catch_unwind(AssertUnwindSafe(|| load.as_mut().poll(context))) {
            Ok(Poll::Ready(output)) => self.end(Answer::Output(output)),
            Err(panic) => self.end(Answer::Panic(panic)),
            Ok(Poll::Pending) if self.is_given_up(context) => {
                self.load = None;
                Poll::Ready(())
            }
            Ok(Poll::Pending) => Poll::Pending,
        }
    }
}

impl<F: Future> Drop for Task<F> {
    fn drop(&mut self) {
        if let (Some(load), Some(answer)) = (self.load.take(), self.answer.take()) {
            let _nobody = answer.send(Answer::Unfinished(load));
        }
    }
}
