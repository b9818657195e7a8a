//! One cached value, by its arguments.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::Cache;
use crate::error::Error;
use crate::function::{Drafts, Function};
use crate::key::{Key, Parts};
use crate::metric::Metric;
use crate::node::{Address, Filling, Node};
use crate::publish::Receipt;
use crate::registry;
use crate::shape::{Kept, Shape, Value};
use crate::weight::weigh;

/// One cached value of one function, named by the function's key arguments: made by `NAME_entry(..)`. `T` is what is
/// kept: the function's output without its `Result`.
///
/// It belongs to the cache that was [current](Cache::current) when it was made; [`Entry::within`] chooses another.
pub struct Entry<T> {
    node: Arc<Node>,
    address: Address,
    drafts: Drafts,
    keeping: Keeping<T>,
}

/// What the function's shape knows of `T`.
struct Keeping<T> {
    keep: fn(&T) -> Kept,
    take: fn(Kept) -> Option<T>,
    is_absent: fn(&T) -> bool,
}

impl<T: Value> Entry<T> {
    pub(crate) fn new<S: Shape<Kept = T>>(function: &'static Function, parts: &impl Parts) -> Self {
        let node = Arc::clone(Cache::current().node());
        let drafts = function.drafts(parts);
        let address = node.address_of(function, Key::of(registry::number_of(function), parts), &drafts);
        Self { node, address, drafts, keeping: Keeping { keep: S::keep, take: S::take, is_absent: S::is_absent } }
    }

    /// The same entry in another cache.
    #[must_use]
    pub fn within(mut self, cache: &Cache) -> Self {
        self.address = cache.node().address_of(self.address.function, self.address.key, &self.drafts);
        self.node = Arc::clone(cache.node());
        self
    }

    /// The key as it stands in every tier: `<app>:v<version>:<template with values>`.
    #[must_use]
    pub fn key(&self) -> String {
        self.node.full_key(&self.address)
    }

    /// The kept value, if there is one that may be served; loads nothing and counts nothing.
    ///
    /// # Errors
    ///
    /// None in an embedded cache.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    #[expect(clippy::unused_async, reason = "the second tier is asked here")]
    pub async fn peek(&self) -> Result<Option<Peek<T>>, Error> {
        let function = self.address.function;
        let entry = self.node.fresh(&self.address.key.probe(), function.is_grouped());
        Ok(entry.and_then(|entry| {
            let value = (self.keeping.take)(entry.clone().into_value(function.is_grouped()))?;
            let (age, remaining) = self.node.ages(&entry, function, (self.keeping.is_absent)(&value));
            Some(Peek { value, age, remaining })
        }))
    }

    /// Keeps `value` as if it had just been loaded, with the function's ttl and jitter. Loads under way are fenced off.
    ///
    /// Put after the commit, and only where one writer at a time writes this value: of two puts that race, the later one
    /// is kept, whichever committed first. Where writers race, [`Entry::invalidate`] is always right.
    ///
    /// `None` without a `negative_ttl` is not kept: then it only invalidates.
    ///
    /// # Errors
    ///
    /// None in an embedded cache.
    ///
    /// # Cancel safety
    ///
    /// Once polled it has taken effect.
    #[expect(clippy::unused_async, reason = "the second tier is written here")]
    pub async fn put(&self, value: T) -> Result<Receipt, Error> {
        let fence = self.node.epochs.bump_for_put(self.address.slots.key, &self.address.slots.groups);
        self.node.count(self.address.function, Metric::Invalidated);
        if let Some(lifetime) = self.address.function.lifetime((self.keeping.is_absent)(&value)) {
            let (kept, bytes) = ((self.keeping.keep)(&value), weigh(&value));
            self.node.fill(&self.address, Filling { kept, bytes, lifetime, fence });
        }
        Ok(Receipt::applied(1))
    }

    /// Makes the kept value invalid, and every load of it that still runs.
    ///
    /// # Errors
    ///
    /// None in an embedded cache.
    ///
    /// # Cancel safety
    ///
    /// Once polled it has taken effect.
    #[expect(clippy::unused_async, reason = "the second tier is invalidated here")]
    pub async fn invalidate(&self) -> Result<Receipt, Error> {
        self.node.epochs.bump(self.address.slots.key);
        self.node.l1.remove(&self.address.key);
        self.node.count(self.address.function, Metric::Invalidated);
        Ok(Receipt::applied(1))
    }
}

impl<T> fmt::Debug for Entry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("key", &self.node.full_key(&self.address)).finish_non_exhaustive()
    }
}

/// A kept value, seen from outside.
#[derive(Clone, Debug)]
pub struct Peek<T> {
    value: T,
    age: Duration,
    remaining: Duration,
}

impl<T> Peek<T> {
    /// The value.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// The value, taken out.
    pub fn into_value(self) -> T {
        self.value
    }

    /// How long ago it was kept.
    pub fn age(&self) -> Duration {
        self.age
    }

    /// How long it will be served.
    pub fn remaining(&self) -> Duration {
        self.remaining
    }
}
