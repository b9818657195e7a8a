//! One cached value, by its arguments.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::announce::{Announcement, Put, announce};
use crate::cache::Cache;
use crate::codec::Coder;
use crate::context::Context;
use crate::error::Error;
use crate::function::{Drafts, Function};
use crate::key::{Key, Parts};
use crate::l1::shortened;
use crate::metric::Metric;
use crate::node::{Address, Filling, Node};
use crate::publish::Receipt;
use crate::read::has_seen;
use crate::registry;
use crate::second::Second;
use crate::shape::{Kept, Shape, Value};
use crate::steps::Step;
use crate::store::{Seen, Slot, Token};
use crate::stored::{Opened, Opening, Sealing};
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
    coder: &'static Coder,
}

impl<T> Keeping<T> {
    fn of<S: Shape<Kept = T>>() -> Self {
        Self { keep: S::keep, take: S::take, is_absent: S::is_absent, coder: S::CODER }
    }
}

impl<T: Value> Entry<T> {
    pub(crate) fn new<S: Shape<Kept = T>>(function: &'static Function, parts: &impl Parts) -> Self {
        let node = Arc::clone(Cache::current().node());
        let drafts = node.drafts(function, parts);
        let address = node.address_of(function, Key::of(registry::number_of(function), parts), drafts.clone());
        Self { node, address, drafts, keeping: Keeping::of::<S>() }
    }

    /// The same entry in another cache.
    #[must_use]
    pub fn within(mut self, cache: &Cache) -> Self {
        self.node = Arc::clone(cache.node());
        self.drafts.begin_with(&self.node.beginning(self.address.function));
        self.address = self.node.address_of(self.address.function, self.address.key, self.drafts.clone());
        self
    }

    /// The key as it stands in every tier: `<app>:v<version>:<template with values>`.
    #[must_use]
    pub fn key(&self) -> String {
        self.address.entry().to_owned()
    }

    /// The kept value, if there is one that may be served, from whichever tier; loads nothing and counts nothing. Inside
    /// [`Cache::after`], only one that cannot be older than what the tokens of its cache stand for.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if the second tier does not answer. None in an embedded cache.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn peek(&self) -> Result<Option<Peek<T>>, Error> {
        let function = self.address.function;
        let may_be_old = Context::if_any().is_some_and(|context| !has_seen(&self.node, &context));
        let entry = if may_be_old { None } else { self.node.fresh(&self.address.key.probe(), function.is_grouped()) };
        if let Some(entry) = entry
            && let Some(value) = (self.keeping.take)(entry.clone().into_value(function.is_grouped()))
        {
            let (age, remaining) = self.node.ages(&entry, function, (self.keeping.is_absent)(&value));
            return Ok(Some(Peek { value, age, remaining }));
        }
        match self.node.second_for(function) {
            Some(second) => self.peek_stored(second).await,
            None => Ok(None),
        }
    }

    async fn peek_stored(&self, second: &Second) -> Result<Option<Peek<T>>, Error> {
        if !second.may_read(&self.address, self.node.rules) {
            return Err(Error::Redis { problem: "the second tier is not in use at the moment".to_owned() });
        }
        let (address, sent) = (&self.address, self.node.time.now());
        let seen = second.store.read(address.entry(), &address.stamps).await;
        let Seen { slot, stamps } = seen.map_err(|fault| Error::Redis { problem: fault.to_string() })?;
        let Slot::Value(bytes) = slot else { return Ok(None) };
        let opening = Opening { entry: address.entry(), function: address.function, coder: self.keeping.coder };
        match opening.open(&self.node, second, &bytes, &stamps, sent) {
            Opened::Fresh(stored) => Ok((self.keeping.take)(Arc::clone(&stored.kept)).map(|value| {
                let (age, remaining) = (stored.age.unwrap_or_default(), stored.remaining.unwrap_or_default());
                Peek { value, age, remaining }
            })),
            Opened::Stale(_) | Opened::Over | Opened::Damaged => Ok(None),
        }
    }

    /// Keeps `value` as if it had just been loaded, with the function's ttl and jitter. Loads under way are fenced off.
    ///
    /// Put after the commit, and only where one writer at a time writes this value: of two puts that race, the later one
    /// is kept, whichever committed first. Where writers race, [`Entry::invalidate`] is always right.
    ///
    /// `None` without a `negative_ttl` is not kept: then it only invalidates. So does a value that cannot be stored, for
    /// other processes. `store_if` is not asked: whoever puts a value has decided.
    ///
    /// # Errors
    ///
    /// None: see [`Receipt::delivery`].
    ///
    /// # Cancel safety
    ///
    /// Once polled it takes effect, whether it is waited for or not; in this process alone, if it is dropped early.
    pub async fn put(&self, value: T) -> Result<Receipt, Error> {
        let (node, address) = (&self.node, &self.address);
        node.steps.at(Step::Invalidating).await;
        let absent = (self.keeping.is_absent)(&value);
        let (kept, share) = ((self.keeping.keep)(&value), node.dice.share());
        let Some(second) = &node.second else {
            node.count(address.function, Metric::Invalidated);
            let fence = node.epochs.bump_for_put(address.slots.key, &address.slots.groups);
            if let Some(full) = address.function.lifetime(absent)
                && let Some(bytes) = weigh(&value)
            {
                let life = node.life(address.function, full, share);
                node.fill(address, Filling { kept, bytes, life, fence });
            }
            self.has_ended().await;
            return Ok(Receipt::applied(1));
        };
        node.epochs.bump(address.slots.key);
        let put = self.stored(second, &kept, absent, share).await;
        // Not into the in-process tier: another process's invalidation may be applied here before this one is done, and
        // a value kept after it would hide it. The next read takes the value from the second tier.
        announce(node, Announcement::of_key(second, address, put)).await
    }

    /// The value as the second tier stores it; nothing where it may not be stored, or not safely.
    async fn stored(&self, second: &Second, kept: &Kept, absent: bool, share: u8) -> Option<Put> {
        let function = self.node.second_for(self.address.function).map(|_| self.address.function)?;
        let life = shortened(function.stored_lifetime(absent)?, function.spec().jitter, share);
        let hard = life.saturating_add(function.staleness());
        let address = &self.address;
        let stamps = match address.stamps.as_slice() {
            [] => Vec::new(),
            // From before the value is stored: a group that is invalidated meanwhile invalidates it too.
            stamps => {
                let prolonged = second.store.prolong(stamps, function.stamp_life());
                tokio::join!(second.store.read(address.entry(), stamps), prolonged).0.ok()?.stamps
            }
        };
        // A missing stamp is like no other.
        let stamps = stamps.into_iter().collect::<Option<Vec<_>>>()?;
        let sealing = Sealing { entry: address.entry(), kept, stamps: &stamps, life, hard, load: Duration::ZERO };
        let bytes = sealing.seal(&self.node, second, function, self.keeping.coder)?;
        Some(Put { entry: address.entry().to_owned(), token: Token::fresh(), bytes, life: hard })
    }

    /// Makes the kept value invalid, and every load of it that still runs, in every process.
    ///
    /// # Errors
    ///
    /// None: see [`Receipt::delivery`].
    ///
    /// # Cancel safety
    ///
    /// Once polled it takes effect, whether it is waited for or not.
    pub async fn invalidate(&self) -> Result<Receipt, Error> {
        self.node.steps.at(Step::Invalidating).await;
        self.node.epochs.bump(self.address.slots.key);
        self.node.l1.remove(&self.address.key);
        let Some(second) = &self.node.second else {
            self.node.count(self.address.function, Metric::Invalidated);
            self.has_ended().await;
            return Ok(Receipt::applied(1));
        };
        announce(&self.node, Announcement::of_key(second, &self.address, None)).await
    }

    /// In an embedded cache, that is all.
    async fn has_ended(&self) {
        let texts = [self.address.text().to_owned()];
        self.node.steps.at(Step::Invalidated { texts: &texts, applied: true }).await;
    }
}

impl<T> fmt::Debug for Entry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("key", &self.address.entry()).finish_non_exhaustive()
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

    /// How long ago it was kept, in the tier where it was found. With `l1 = ".."`, the in-process tier counts from when it
    /// came there: what the second tier has may be older.
    pub fn age(&self) -> Duration {
        self.age
    }

    /// How long it will be served from the tier where it was found, if nothing makes it invalid before. With `l1 = ".."`,
    /// the second tier may have it for longer; with `stale_while_revalidate`, it is served past its end too.
    pub fn remaining(&self) -> Duration {
        self.remaining
    }
}
