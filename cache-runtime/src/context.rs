//! What a task carries along: the cache to use, who watches its lookups, and which loads it is inside of.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use crate::flight::FlightId;
use crate::lookup::Watcher;
use crate::node::Node;

tokio::task_local! {
    static CONTEXT: Context;
}

/// The context of a task tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context {
    pub(crate) node: Option<Arc<Node>>,
    pub(crate) watcher: Option<Watcher>,
    pub(crate) loading: Option<Arc<Loading>>,
}

/// The loads that a task is inside of, innermost first.
#[derive(Debug)]
pub(crate) struct Loading {
    flight: FlightId,
    outer: Option<Arc<Loading>>,
}

impl Context {
    /// The context of the running task.
    pub(crate) fn current() -> Self {
        Self::if_any().unwrap_or_default()
    }

    /// The context of the running task, if it has one: outside of every scope, a look at a thread-local.
    #[inline(always)]
    pub(crate) fn if_any() -> Option<Self> {
        if DEPTH.get() == 0 {
            None
        } else {
            CONTEXT.try_with(Self::clone).ok()
        }
    }

    /// This context, inside the load of `flight`.
    pub(crate) fn loading(mut self, flight: FlightId) -> Self {
        self.loading = Some(Arc::new(Loading {
            flight,
            outer: self.loading.take(),
        }));
        self
    }

    /// The flights whose loads this is inside of.
    pub(crate) fn flights(&self) -> Vec<FlightId> {
        let innermost = self.loading.as_deref();
        std::iter::successors(innermost, |loading| loading.outer.as_deref())
            .map(|loading| loading.flight)
            .collect()
    }

    /// Runs `future` inside this context.
    pub(crate) async fn scope<F: Future>(self, future: F) -> F::Output {
        let mut scoped = pin!(CONTEXT.scope(self, future));
        std::future::poll_fn(|context| {
            let _inside = Inside::enter();
            scoped.as_mut().poll(context)
        })
        .await
    }
}

thread_local! {
    /// How many scopes this thread is polling now: a hit outside of all of them asks nothing else.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// While a scope is polled.
struct Inside;

impl Inside {
    fn enter() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}
