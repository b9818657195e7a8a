//! The publish path: what an event, or a person, makes invalid.

use std::any::TypeId;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::event::Event;
use crate::metric::Metric;
use crate::node::Node;
use crate::registry;

/// An event on its way; `.await` it.
///
/// # Cancel safety
///
/// The invalidation happens at the first poll, before anything waits: once polled, dropping it takes nothing back.
#[must_use = "an event is published when this is awaited"]
#[derive(Debug)]
pub struct Publish<'a, E> {
    node: Arc<Node>,
    event: &'a E,
    everywhere: Option<Duration>,
}

impl<'a, E: Event> Publish<'a, E> {
    pub(crate) fn new(node: Arc<Node>, event: &'a E) -> Self {
        Self { node, event, everywhere: None }
    }

    /// Waits until every process that could still serve an old value has applied the event, at most `timeout`.
    ///
    /// An embedded cache is the only process there is, and has applied the event when it is published.
    pub fn everywhere(self, timeout: Duration) -> Self {
        Self { everywhere: Some(timeout), ..self }
    }
}

impl<'a, E: Event> IntoFuture for Publish<'a, E> {
    type Output = Result<Receipt, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        tracing::trace!(event = E::NAME, everywhere = ?self.everywhere, "publishing");
        Box::pin(async move { publish(&self.node, self.event) })
    }
}

/// Fences first, in every function the event names, then tells the plain subscribers: who hears of an event and reads
/// finds the new value.
fn publish<E: Event>(node: &Node, event: &E) -> Result<Receipt, Error> {
    let mut invalidated = 0;
    for (function, route) in registry::routes_of(TypeId::of::<E>()) {
        if let Some(text) = route.text_of(event, &node.hash_key) {
            node.invalidate(&text);
            node.count(function, Metric::Invalidated);
            invalidated += 1;
        }
    }
    tracing::debug!(event = E::NAME, invalidated, "published");
    node.subscribers.send(event)?;
    Ok(Receipt { delivery: Delivery::Applied, invalidated })
}

/// What became of an invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    delivery: Delivery,
    invalidated: usize,
}

/// How far an invalidation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// It took effect: no call that begins from here on is answered with an older value.
    Applied,
}

impl Receipt {
    pub(crate) fn applied(invalidated: usize) -> Self {
        Self { delivery: Delivery::Applied, invalidated }
    }

    /// How far it has come.
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        self.delivery
    }

    /// How many keys and groups of cached functions it named. 0 tells that no cached function listens to the event.
    #[must_use]
    pub fn invalidated(&self) -> usize {
        self.invalidated
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {} keys and groups", self.delivery, self.invalidated)
    }
}
