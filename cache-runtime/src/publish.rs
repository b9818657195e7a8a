//! The publish path: what an event, or a person, makes invalid.
//!
//! ```text
//! 1  bump own epochs                       loads under way are detached, own entries unusable
//! 2  UNLINK entries and stamps             with the routes still current? else read them and unlink the rest
//! 3  XADD bus                              never before 2: a reader would read the old value again and keep it
//! 4  bump own epochs again                 what was read from the second tier in between
//! ```

use std::any::TypeId;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::announce::{Announcement, announce, everywhere};
use crate::error::Error;
use crate::event::Event;
use crate::metric::Metric;
use crate::node::Node;
use crate::registry;
use crate::steps::Step;
use crate::store::Position;
use crate::token::Token;

/// An event on its way; `.await` it.
///
/// # Cancel safety
///
/// The invalidation in this process happens at the first poll, before anything waits; what other processes need is sent
/// by a task of its own, which then tells the subscribers of this one. Once polled, dropping it takes nothing back.
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

    /// Waits until every process that could still serve an old value has applied the event, or has lost the right to
    /// serve, at most `timeout`; then it is [`Error::NotEverywhere`].
    ///
    /// A server that has just begun to write down who reads the bus, since it was started or flushed, does not know all who
    /// may still serve: then it takes until their right is over, one `max_staleness`. So it does where this process has
    /// reached its first server, or met another one, less than that ago. All processes of an application are
    /// to have the same. A process that is cut off serves nothing it has kept by then; a call there may still be handed a
    /// load that began before, for one `max_staleness` after the event and never where `l1 = off`.
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
        Box::pin(async move {
            let receipt = publish(&self.node, self.event).await?;
            match self.everywhere {
                Some(timeout) => everywhere(&self.node, &receipt, timeout).await.map(|()| receipt),
                None => Ok(receipt),
            }
        })
    }
}

/// Fences first, in every function the event names, then tells the plain subscribers: who hears of an event and reads
/// finds the new value.
async fn publish<E: Event>(node: &Arc<Node>, event: &E) -> Result<Receipt, Error> {
    let receipt = match &node.second {
        None => {
            node.steps.at(Step::Invalidating).await;
            let texts = invalidate(node, event);
            node.steps.at(Step::Invalidated { texts: &texts, applied: true }).await;
            node.subscribers.send(event)?;
            Receipt::applied(texts.len())
        }
        Some(second) => match serde_json::to_vec(event) {
            Ok(json) => announce(node, Announcement::of_event(second, E::NAME, json, event)).await?,
            Err(error) => {
                // An event that cannot be told is told by the keys it names here.
                let texts = invalidate(node, event);
                announce(node, Announcement::of_texts(second, texts)).await?;
                return Err(Error::Event(error));
            }
        },
    };
    tracing::debug!(event = E::NAME, invalidated = receipt.invalidated, delivery = ?receipt.delivery, "published");
    Ok(receipt)
}

/// Fences off whatever this event names in this process, and returns it.
fn invalidate<E: Event>(node: &Node, event: &E) -> Vec<String> {
    let mut texts = Vec::new();
    for (function, route) in registry::routes_of(TypeId::of::<E>()) {
        if let Some(text) = route.text_of(event, &node.hash_key) {
            node.count(function, Metric::Invalidated);
            texts.push(text);
        }
    }
    node.invalidate_all(texts.iter().map(String::as_str));
    texts
}

/// What became of an invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    delivery: Delivery,
    invalidated: usize,
    token: Option<Token>,
}

/// How far an invalidation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// It took effect: no call that begins from here on is answered with an older value, in this process at once, in
    /// others after at most `max_staleness`.
    Applied,
    /// It took effect in this process. The second tier is away, or did not answer in time: the invalidation is kept, its
    /// keys stay fenced in this process, and it is sent before anything is read from there again.
    Queued,
}

impl Receipt {
    /// Of an embedded cache.
    pub(crate) fn applied(invalidated: usize) -> Self {
        Self { delivery: Delivery::Applied, invalidated, token: Some(Token::new(Position::default(), "")) }
    }

    /// On the bus, at the place that the token names; else it is queued.
    pub(crate) fn announced(invalidated: usize, token: Option<Token>) -> Self {
        let delivery = if token.is_some() { Delivery::Applied } else { Delivery::Queued };
        Self { delivery, invalidated, token }
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

    /// Its place among all invalidations, for [`Cache::after`](crate::Cache::after) in any process; nothing while it is
    /// queued, since no process can know then what comes after it.
    #[must_use]
    pub fn token(&self) -> Option<Token> {
        self.token
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {} keys and groups", self.delivery, self.invalidated)
    }
}
