//! What a task carries along: the cache to use, who watches its lookups, and which loads it is inside of.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use crate::flight::FlightId;
use crate::lookup::Watcher;
use crate::near::NodeId;
use crate::node::Node;
use crate::token::Token;

thread_local! {
    /// How many scopes this thread is polling now: a hit outside of all of them asks nothing else.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static CONTEXT: RefCell<Option<Context>> = const { RefCell::new(None) };
}

/// The context of a task tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context {
    pub(crate) node: Option<Arc<Node>>,
    pub(crate) watcher: Option<Watcher>,
    pub(crate) loading: Option<Arc<Loading>>,
    /// The invalidations that reads have to have seen, at most one of each cache.
    pub(crate) awaited: Option<Arc<[(NodeId, Token)]>>,
}

/// The loads that a task is inside of, innermost first.
#[derive(Debug)]
pub(crate) struct Loading {
    /// Nothing, where the body runs without the cache.
    flight: Option<FlightId>,
    outer: Option<Arc<Loading>>,
    /// How often which cache's bus had been asked when the right to keep its value was there: what the load reads from this
    /// process is no older.
    since: Option<(NodeId, u64)>,
}

impl Context {
    /// The context of the running task.
    pub(crate) fn current() -> Self {
        Self::if_any().unwrap_or_default()
    }

    /// The context of the running task, if it has one: outside of every scope, a look at a thread-local.
    #[inline(always)]
    pub(crate) fn if_any() -> Option<Self> {
        if DEPTH.get() == 0 { None } else { Self::innermost() }
    }

    /// This context, inside the load of `flight`. What it reads ends in the loads around it too.
    pub(crate) fn loading(self, flight: FlightId, since: Option<(NodeId, u64)>) -> Self {
        self.inside(Some(flight), since)
    }

    /// This context, inside a body that runs without the cache, for somebody who must have seen everything until then.
    pub(crate) fn reading(self, since: (NodeId, u64)) -> Self {
        self.inside(None, Some(since))
    }

    fn inside(mut self, flight: Option<FlightId>, since: Option<(NodeId, u64)>) -> Self {
        let since = since.or_else(|| self.since());
        let outer = self.loading.take();
        self.loading = Some(Arc::new(Loading { flight, outer, since }));
        self
    }

    /// How often which cache's bus had been asked at the time that what is read must be as new as.
    pub(crate) fn since(&self) -> Option<(NodeId, u64)> {
        self.loading.as_ref().and_then(|loading| loading.since)
    }

    /// This context, whose reads of this cache have to have seen what the token stands for, too. Of several of one cache
    /// the last on its bus is enough: who has applied the bus up to there has applied it up to the others.
    pub(crate) fn awaiting(self, node: NodeId, token: Token) -> Self {
        let before = self.awaited.as_deref().unwrap_or_default();
        let others = before.iter().filter(|(of, _)| *of != node).copied();
        let last = match self.awaited(node) {
            Some(awaited) if awaited.position() > token.position() => *awaited,
            _ => token,
        };
        Self { awaited: Some(others.chain([(node, last)]).collect()), ..self }
    }

    /// The invalidation that reads of this cache have to have seen. Other caches have other buses.
    pub(crate) fn awaited(&self, node: NodeId) -> Option<&Token> {
        let mut awaited = self.awaited.as_deref()?.iter();
        awaited.find(|(of, _)| *of == node).map(|(_, token)| token)
    }

    /// The flights whose loads this is inside of.
    pub(crate) fn flights(&self) -> Vec<FlightId> {
        let innermost = self.loading.as_deref();
        let loads = std::iter::successors(innermost, |loading| loading.outer.as_deref());
        loads.filter_map(|loading| loading.flight).collect()
    }

    #[cold]
    fn innermost() -> Option<Self> {
        CONTEXT.try_with(|context| context.borrow().clone()).ok().flatten()
    }

    /// `future` inside this context.
    pub(crate) fn scope<F: Future>(self, future: F) -> Scoped<F> {
        Scoped { context: Some(self), future: Box::pin(future) }
    }
}

/// A future whose every poll happens inside a context.
#[must_use = "futures do nothing unless polled"]
pub(crate) struct Scoped<F> {
    /// Here while the future is not being polled.
    context: Option<Context>,
    future: Pin<Box<F>>,
}

impl<F> Scoped<F> {
    /// The same, which goes on by itself: it tells nobody who watches the task that it comes from, and no load of that waits
    /// for it.
    pub(crate) fn by_itself(mut self) -> Self {
        if let Some(context) = &mut self.context {
            context.watcher = None;
            if let Some(loading) = context.loading.as_mut().and_then(Arc::get_mut) {
                loading.outer = None;
            }
        }
        self
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<F::Output> {
        let Self { context: own, future } = &mut *self;
        let _inside = Inside::enter(own);
        future.as_mut().poll(context)
    }
}

/// While a scope is polled: its context is the thread's, and the one before waits here.
struct Inside<'a> {
    place: &'a mut Option<Context>,
}

impl<'a> Inside<'a> {
    fn enter(place: &'a mut Option<Context>) -> Self {
        swap(place);
        DEPTH.set(DEPTH.get() + 1);
        Self { place }
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
        swap(self.place);
    }
}

/// Takes what is the thread's and gives it what is here. A thread that is about to end has nothing to give.
fn swap(place: &mut Option<Context>) {
    let _ending = CONTEXT.try_with(|context| std::mem::swap(&mut *context.borrow_mut(), place));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Position;

    fn token(millis: u64) -> Token {
        Token::new(Position { millis, sequence: 0 }, "another")
    }

    #[test]
    fn of_each_cache_the_last_invalidation_is_awaited() {
        let [one, other, third] = [1, 2, 3].map(NodeId);
        let mut context = Context::default();
        for millis in [3, 7, 7, 5] {
            context = context.awaiting(one, token(millis)).awaiting(other, token(millis + 10));
        }
        assert_eq!(
            [one, other, third].map(|node| context.awaited(node).copied()),
            [Some(token(7)), Some(token(17)), None]
        );
        assert_eq!(context.awaited.map_or(0, |awaited| awaited.len()), 2, "one of each, however many there were");
    }
}
