//! The read path of a cached call, in the order of the picture: in-process tier, flight, load, fill.
//!
//! ```text
//! hit    key bytes -> L1 get -> same fence? fresh? -> value          no await point, no lock held, no allocation
//! miss   text, fence -> join the flight of the key
//!        follow: wait -> value | lost, abandoned: join again | failed: its error, or load alone
//!        lead:   L1 again -> second tier: value, or lease -> load -> seal, fill, verdict -> tell those who follow
//! ```

mod follow;
mod lead;

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

use crate::claim::{Allowance, Refresh};
use crate::clock::Moment;
use crate::codec::Coder;
use crate::context::Context;
use crate::current::current_node;
use crate::flight::{Lead, Turn};
use crate::function::{Function, L1};
use crate::key::{Key, Parts, Probe, with_long_key};
use crate::l1::Entry;
use crate::lease::Lease;
use crate::lookup::{Bypass, Lookup, Outcome};
use crate::metric::Metric;
use crate::near::NodeId;
use crate::node::{Address, Node};
use crate::second::Second;
use crate::shape::Kept;
use crate::steps::Step;
use crate::stored::Stored;
use crate::token::Token;

/// Which cache a call uses: this one, else the current one.
#[derive(Clone, Copy, Debug)]
pub struct Using<'a>(pub(crate) Option<&'a Arc<Node>>);

impl<'a> Using<'a> {
    #[inline(always)]
    fn node<'b>(self, context: Option<&'b Context>) -> &'b Arc<Node>
    where
        'a: 'b,
    {
        self.0.unwrap_or_else(|| current_node(context))
    }
}

/// What a call finds at once.
pub(crate) enum Found {
    Hit(Kept),
    /// A hit that somebody watches: see [`watch_hit`].
    WatchedHit(Kept),
    Nothing,
}

/// A call that found nothing it could be given at once.
#[derive(Debug)]
pub(crate) struct Missed {
    pub(crate) node: Arc<Node>,
    pub(crate) address: Address,
    /// When the call began.
    began: Moment,
    /// The fence of then.
    fence: u64,
    /// Whether what other processes invalidated must have been seen, without the time that the bus may take. Where that turns
    /// out on the way, it is.
    strict: AtomicBool,
    /// It has led, and was overtaken before its load began.
    joined_again: AtomicBool,
    /// Inside a load whose value others may be given: how often the bus had been asked when it began.
    since: Option<u64>,
}

/// What finds out how a missed call goes on.
pub(crate) type Finding<'a> = Pin<Box<dyn Future<Output = Way> + Send + 'a>>;

/// How a missed call goes on.
pub(crate) enum Way {
    /// The value of another call's load, or one that was kept meanwhile.
    Value(Kept),
    /// What this process keeps.
    Kept(Box<Entry>),
    /// A value of the second tier, and its age.
    Stored(Kept, Option<Duration>),
    /// A value past its lifetime, and the duty to refresh it where it is this call's.
    Stale(Kept, Option<Duration>, Option<Leading>),
    /// The error of another call's load.
    Error(Kept),
    /// Load, keep as far as the claim allows, and tell those who follow.
    Lead(Leading),
    /// Load without the cache.
    Alone(Bypass),
}

/// The duty of a leader, and what it may do with its value.
pub(crate) struct Leading {
    pub(crate) lead: Lead<Key, Kept>,
    pub(crate) claim: Tenure,
    pub(crate) instead: Option<Box<Instead>>,
}

impl Leading {
    fn new(lead: Lead<Key, Kept>, claim: Tenure) -> Self {
        Self { lead, claim, instead: None }
    }
}

/// A value past its lifetime that whoever leads is served if the load fails.
pub(crate) struct Instead {
    stored: Stored,
    found: Moment,
    node: Arc<Node>,
    function: &'static Function,
}

impl Instead {
    fn new(missed: &Missed, stored: Stored) -> Self {
        let (node, function) = (Arc::clone(&missed.node), missed.address.function);
        Self { stored, found: node.system_time().now(), node, function }
    }

    /// The value, and its age; nothing if the load took longer than it may be served.
    pub(crate) fn serve(self) -> Option<(Kept, Option<Duration>)> {
        let Stored { kept, age, remaining, .. } = self.stored;
        let took = self.node.system_time().now().since(self.found);
        if remaining.is_none_or(|remaining| took >= remaining) {
            return None;
        }
        self.node.count(self.function, Metric::Stale);
        Some((kept, age.map(|age| age.saturating_add(took))))
    }
}

/// What a load may do with its value in the second tier.
pub(crate) enum Tenure {
    /// There is none, or not for this function.
    Embedded,
    /// Fill it.
    Leased(Lease, Allowance),
    /// Replace the stale value that stands there, if it still does then.
    Refresh(Refresh),
    /// Leave it alone.
    #[expect(dead_code, reason = "a permit is held, not read")]
    Without(Option<OwnedSemaphorePermit>),
}

/// Looks into the in-process tier for a short key: the hit path, compiled once for all functions. The key comes in
/// registers: a key in memory, written in pieces and read whole, would wait for its own stores.
pub(crate) fn find(using: Using<'_>, function: &'static Function, length: u8, low: u64, high: u64) -> Found {
    find_probe(using, function, &Probe::Short { function: function.number(), length, words: [low, high] })
}

/// Looks into the in-process tier for a long key.
pub(crate) fn find_long(using: Using<'_>, function: &'static Function, parts: &dyn Parts) -> Found {
    with_long_key(function.number(), parts, |key| find_probe(using, function, key))
}

#[inline(always)]
fn find_probe(using: Using<'_>, function: &'static Function, key: &Probe<'_>) -> Found {
    let context = Context::if_any();
    let node = using.node(context.as_ref());
    if context.as_ref().is_some_and(|context| !has_seen(node, context)) {
        return Found::Nothing;
    }
    match node.hit(function, key) {
        Some(kept) if context.is_some_and(|context| context.watcher.is_some()) => Found::WatchedHit(kept),
        Some(kept) => Found::Hit(kept),
        None => Found::Nothing,
    }
}

/// Whether this process has applied the invalidations that the task's reads come after, and whatever was told before the
/// load began that they are inside of: a value that is kept for all is not made of what this process alone takes for new.
#[cold]
pub(crate) fn has_seen(node: &Node, context: &Context) -> bool {
    let has_caught_up = |since| node.second.as_ref().is_none_or(|second| second.has_caught_up(since));
    has_heard(node, context) && node.since(context).is_none_or(has_caught_up)
}

/// Whether this process has applied the invalidations that the task's reads of this cache come after.
fn has_heard(node: &Node, context: &Context) -> bool {
    context.awaited(node.id).is_none_or(|token| has_applied(node, token))
}

/// Whether this process has applied what the token stands for. Without a second tier there is nobody else to hear of.
pub(crate) fn has_applied(node: &Node, token: &Token) -> bool {
    node.second.as_ref().is_none_or(|second| second.has_applied(token))
}

/// Tells whoever watches of a hit.
#[cold]
pub(crate) fn watch_hit(using: Using<'_>, function: &'static Function, parts: &dyn Parts, absent: bool) {
    let context = Context::current();
    let node = using.node(Some(&context));
    let address = node.address(function, parts);
    let entry = node.fresh(&address.key.probe(), function.is_grouped());
    let age = entry.map(|entry| node.ages(&entry, function, absent).0);
    if let Some(watcher) = &context.watcher {
        let (function, key) = (function.spec().name, address.text().to_owned());
        watcher.note(Lookup { function, key, outcome: Outcome::HitL1, age, took: Duration::ZERO });
    }
}

/// A call that has to join a load or begin one.
#[cold]
pub(crate) fn miss(using: Using<'_>, function: &'static Function, parts: &dyn Parts) -> Box<Missed> {
    let context = Context::if_any();
    let node = using.node(context.as_ref());
    node.count(function, Metric::Miss);
    let began = node.time.now();
    let address = node.address(function, parts);
    // As early as can be: it is a look into a large array, which the processor fetches meanwhile.
    let fence = node.fence(&address);
    // Inside a load that may be kept for others, a load that began before it may have begun too early.
    let since = context.as_ref().and_then(|context| node.since(context));
    // What is kept in this process alone is asked of the bus, where that can tell.
    let asks_bus = !function.spec().l2 && node.second.as_ref().is_some_and(Second::can_catch_up);
    let may_be_old = since.is_some() && !asks_bus;
    let has_seen = |context| has_heard(node, context);
    let strict = function.spec().l1 == L1::Off || may_be_old || !context.as_ref().is_none_or(has_seen);
    let (strict, joined_again) = (AtomicBool::new(strict), AtomicBool::new(false));
    Box::new(Missed { began, fence, address, strict, joined_again, since, node: Arc::clone(node) })
}

impl Missed {
    /// Leads or follows until there is a way on.
    ///
    /// Each kind of way is a future of its own size: one for all would be as large as the largest.
    pub(crate) fn way(&self, coder: &'static Coder) -> Finding<'_> {
        match (self.since, &self.node.second) {
            (Some(since), Some(second)) if !self.address.function.spec().l2 => {
                Box::pin(self.way_of_near(second, since, coder))
            }
            _ => self.join_or_lead(coder, self.fence, self.began),
        }
    }

    /// Of a function that is kept in this process alone: the second tier cannot tell whether what is kept is new, but the
    /// bus can. What another call loads is as new as it has to be if it is still good when the bus has been read.
    async fn way_of_near(&self, second: &Second, since: u64, coder: &'static Coder) -> Way {
        let (key, is_grouped) = (self.address.key.probe(), self.address.function.is_grouped());
        if !self.is_strict() {
            if self.node.fresh(&key, is_grouped).is_none() {
                match self.join_or_lead(coder, self.fence, self.began).await {
                    // Both may be from before.
                    Way::Value(_) | Way::Stale(..) => {}
                    way => return way,
                }
            }
            if second.catch_up(since, &self.address.slots).await
                && let Some(entry) = self.node.fresh(&key, is_grouped)
            {
                return Way::Kept(Box::new(entry));
            }
            self.strict.store(true, Ordering::Relaxed);
        }
        // Under the fence of now, or what it loads would not be kept.
        self.join_or_lead(coder, self.node.fence(&self.address), self.node.time.now()).await
    }

    /// Whether what other processes invalidated must have been seen, without the time that the bus may take.
    fn is_strict(&self) -> bool {
        self.strict.load(Ordering::Relaxed)
    }

    fn join_or_lead(&self, coder: &'static Coder, fence: u64, now: Moment) -> Finding<'_> {
        let stale = self.may_be_stale();
        if let Some((kept, age)) = &stale
            && self.is_refreshed(fence)
        {
            return Box::pin(ready(Way::Stale(Arc::clone(kept), Some(*age), None)));
        }
        match self.join(fence, now, 0) {
            Turn::Lead(lead) => self.lead(lead, stale, coder, now),
            Turn::Follow(follow) => Box::pin(self.find_after(follow, stale, coder)),
        }
    }

    /// The fence is from before: whatever is invalidated from then on makes a difference.
    fn join(&self, fence: u64, now: Moment, failures: u32) -> Turn<Key, Kept> {
        self.node.flights.join(&self.address.key, fence, failures, now.since_origin(), self.is_strict())
    }

    /// Whether this process loads it, and not for too long: what is past its lifetime is being refreshed.
    pub(crate) fn is_refreshed(&self, fence: u64) -> bool {
        self.node.flights.is_refreshed(&self.address.key, fence, self.oldest_load())
    }

    /// When loads of this key began, on the cache's clock, that do not take too long.
    fn oldest_load(&self) -> Duration {
        self.node.time.now().since_origin().saturating_sub(self.load_timeout())
    }

    /// Tells a test that watches of the load that is about to begin.
    async fn watched(&self, way: &Way) {
        if let Way::Lead(leading) | Way::Stale(_, _, Some(leading)) = way {
            let (load, key, groups) = (leading.lead.id().number(), self.address.text(), &self.address.groups);
            self.node.steps.at(Step::Loading { load, key, groups }).await;
        }
    }

    /// How new must be what the load reads from this process: where other processes are given its value, or somebody waits
    /// for it who must have seen everything, as new as its beginning.
    pub(crate) fn since(&self, leading: &Leading) -> Option<(NodeId, u64)> {
        let is_for_others = matches!(leading.claim, Tenure::Leased(..) | Tenure::Refresh(..));
        let is_strict = self.is_strict() || leading.lead.is_strict();
        let second = self.node.second.as_ref().filter(|_| is_for_others || is_strict)?;
        Some((self.node.id, second.looks()))
    }

    /// What a body runs in that runs without the cache: for who must have seen everything, what it reads is no older than
    /// its beginning.
    pub(crate) fn alone(&self) -> Context {
        let context = Context::current();
        match self.node.second.as_ref().filter(|_| self.is_strict()) {
            Some(second) => context.reading((self.node.id, second.looks())),
            None => context,
        }
    }

    /// The value of an entry of its own.
    pub(crate) fn kept(&self, entry: &Entry) -> Kept {
        entry.clone().into_value(self.address.function.is_grouped())
    }

    /// The runtime that keeps the leases of this cache, if it has any.
    pub(crate) fn runtime(&self) -> Option<Handle> {
        self.node.second.as_ref().map(|second| second.runtime.clone())
    }

    /// How long a load may hold this key.
    pub(crate) fn load_timeout(&self) -> Duration {
        self.address.function.load_timeout().unwrap_or(self.node.load_timeout)
    }

    /// Tells whoever watches, and counts.
    pub(crate) fn note(&self, outcome: Outcome, age: Option<Duration>) {
        match outcome {
            Outcome::HitL1 | Outcome::Loaded => {}
            Outcome::Stale => self.node.count(self.address.function, Metric::Stale),
            Outcome::HitL2 => self.node.count(self.address.function, Metric::HitL2),
            Outcome::Joined => self.node.count(self.address.function, Metric::Joined),
            Outcome::Bypassed(reason) => self.note_bypass(reason),
        }
        if let Some(watcher) = Context::if_any().and_then(|context| context.watcher) {
            let took = self.node.time.now().since(self.began);
            let (function, key) = (self.address.function.spec().name, self.address.text().to_owned());
            watcher.note(Lookup { function, key, outcome, age, took });
        }
    }

    /// The body is about to run without the cache: counted and told before it may hang, and listed when it has ended.
    pub(crate) fn note_bypass(&self, reason: Bypass) {
        self.node.count(self.address.function, Metric::Bypassed);
        let (function, key) = (self.address.function.spec().name, self.address.text());
        match reason {
            Bypass::Reentrant => tracing::warn!(function, key, "a load waits for itself: loaded without the cache"),
            Bypass::ForeignType => {
                tracing::error!(function, key, "a kept value has another type: not used");
            }
            Bypass::WriteHot | Bypass::SourceFailing | Bypass::OtherSelf => {
                tracing::debug!(function, key, ?reason, "loaded without the cache");
            }
        }
    }
}
