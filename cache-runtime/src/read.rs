//! The read path of a cached call, in the order of the picture: in-process tier, flight, load, fill.
//!
//! ```text
//! hit    key bytes -> L1 get -> same fence? fresh? -> value          no await point, no lock held, no allocation
//! miss   text, fence -> join the flight of the key
//!        follow: wait -> value | lost, abandoned: join again | failed: its error, or load alone
//!        lead:   L1 again -> second tier: value, or lease -> load -> seal, fill, verdict -> tell those who follow
//! ```

mod follow;

use std::future::{Future, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use crate::claim::{Allowance, Claim, Claiming, Look, Refresh};
use crate::clock::Moment;
use crate::codec::Coder;
use crate::context::Context;
use crate::current::current_node;
use crate::fault::Fault;
use crate::flight::{Lead, Turn};
use crate::function::{Function, L1};
use crate::key::{Key, Parts, Probe, with_long_key};
use crate::l1::Entry;
use crate::lease::Lease;
use crate::lookup::{Bypass, Lookup, Outcome};
use crate::metric::Metric;
use crate::node::{Address, Filling, Node};
use crate::second::Second;
use crate::shape::Kept;
use crate::steps::Step;
use crate::store::Over;
use crate::stored::Stored;

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
    /// Whether what other processes invalidated must have been seen, without the time that the bus may take.
    strict: bool,
}

/// What finds out how a missed call goes on.
pub(crate) type Finding<'a> = Pin<Box<dyn Future<Output = Way> + Send + 'a>>;

/// How a missed call goes on.
pub(crate) enum Way {
    /// The value of another call's load, or one that was kept meanwhile.
    Value(Kept),
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

/// Whether this process has applied the invalidation that the task's reads come after.
#[cold]
pub(crate) fn has_seen(node: &Node, context: &Context) -> bool {
    let has_applied = |token| node.second.as_ref().is_none_or(|second| second.has_applied(token));
    context.after.as_ref().is_none_or(has_applied)
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
    let strict = function.spec().l1 == L1::Off || context.as_ref().is_some_and(|context| !has_seen(node, context));
    Box::new(Missed { began, fence, address, strict, node: Arc::clone(node) })
}

impl Missed {
    /// Leads or follows until there is a way on.
    ///
    /// Each kind of way is a future of its own size: one for all would be as large as the largest.
    pub(crate) fn way(&self, coder: &'static Coder) -> Finding<'_> {
        let stale = if self.strict { None } else { self.stale() };
        match self.join(self.fence, self.began, 0) {
            Turn::Lead(lead) => self.lead(lead, stale, coder, self.began),
            Turn::Follow(follow) => Box::pin(self.find_after(follow, stale, coder)),
        }
    }

    /// The fence is from before: whatever is invalidated from then on makes a difference.
    fn join(&self, fence: u64, now: Moment, failures: u32) -> Turn<Key, Kept> {
        self.node.flights.join(&self.address.key, fence, failures, now.since_origin(), self.strict)
    }

    /// Tells a test that watches of the load that is about to begin.
    async fn watched(&self, way: &Way) {
        if let Way::Lead(leading) | Way::Stale(_, _, Some(leading)) = way {
            let (load, key, groups) = (leading.lead.id().number(), self.address.text(), &self.address.groups);
            self.node.steps.at(Step::Loading { load, key, groups }).await;
        }
    }

    /// Who leads looks once more: a flight may have ended between this call's look and its turn.
    fn lead(
        &self,
        lead: Lead<Key, Kept>,
        stale: Option<(Kept, Duration)>,
        coder: &'static Coder,
        now: Moment,
    ) -> Finding<'_> {
        if let Some(entry) = self.entry() {
            let kept = entry.into_value(self.address.function.is_grouped());
            lead.hit(Arc::clone(&kept));
            return Box::pin(ready(Way::Value(kept)));
        }
        if let Some(second) = self.node.second_for(self.address.function) {
            return self.lead_in(second, lead, stale, coder, now);
        }
        if let Some(second) = &self.node.second {
            // Other processes invalidate what this function keeps here, and no lease tells.
            lead.loading_without_lease(self.joinable_until(second));
        }
        Box::pin(self.led(Way::Lead(Leading { lead, claim: Tenure::Embedded }), stale))
    }

    /// Until when others may join a load that no lease protects: nobody tells whether another process's invalidation
    /// overtook it.
    fn joinable_until(&self, second: &Second) -> Duration {
        let joinable = if self.strict { Duration::ZERO } else { second.settings.max_staleness };
        self.node.time.now().since_origin().saturating_add(joinable)
    }

    /// Where there is something to be served meanwhile, the load is a refresh.
    async fn led(&self, way: Way, stale: Option<(Kept, Duration)>) -> Way {
        // It was there when the call began. Another process may have been waited for since.
        let stale = stale.and_then(|_| self.stale());
        let way = match (way, stale) {
            (Way::Lead(leading), Some((kept, age))) => Way::Stale(kept, Some(age), Some(leading)),
            (way, _) => way,
        };
        self.watched(&way).await;
        way
    }

    /// The value that may be served although its lifetime is over, and its age.
    fn stale(&self) -> Option<(Kept, Duration)> {
        let (node, function) = (&self.node, self.address.function);
        let entry = node.stale(&self.address.key.probe(), function)?;
        let age = node.ages(&entry, function, false).0;
        Some((entry.into_value(function.is_grouped()), age))
    }

    fn entry(&self) -> Option<Entry> {
        if self.strict {
            return None;
        }
        self.node.fresh(&self.address.key.probe(), self.address.function.is_grouped())
    }

    /// The leader's way through the second tier: mostly a look.
    ///
    /// A block, here and below: the arguments of an asynchronous function take their place twice.
    fn lead_in<'a>(
        &'a self,
        second: &'a Second,
        lead: Lead<Key, Kept>,
        stale: Option<(Kept, Duration)>,
        coder: &'static Coder,
        now: Moment,
    ) -> Finding<'a> {
        if (Claiming { missed: self, lead: &lead, coder, second }).expects_nothing() {
            let unseen = Ok(Look::Take(Over::Unseen));
            return self.lead_on(second, lead, stale, (coder, now), unseen);
        }
        Box::pin(async move {
            let claiming = Claiming { missed: self, lead: &lead, coder, second };
            let seen = match claiming.ask() {
                Ok(reading) => reading.await,
                Err(fault) => Err(fault),
            };
            match seen.map(|seen| claiming.judge(seen, now)) {
                Ok(Look::Hit(stored)) => self.lead_by_hit(lead, stored),
                look => self.lead_on(second, lead, stale, (coder, now), look).await,
            }
        })
    }

    fn lead_by_hit(&self, lead: Lead<Key, Kept>, stored: Stored) -> Way {
        self.keep_hit(&lead, &stored);
        lead.hit(Arc::clone(&stored.kept));
        Way::Stored(stored.kept, stored.age)
    }

    /// Nothing that may be served stands there, or nobody has looked: the right to load it, or a value that comes meanwhile.
    fn lead_on<'a>(
        &'a self,
        second: &'a Second,
        lead: Lead<Key, Kept>,
        stale: Option<(Kept, Duration)>,
        (coder, began): (&'static Coder, Moment),
        mut first: Result<Look, Fault>,
    ) -> Finding<'a> {
        Box::pin(async move {
            let claim = Claiming { missed: self, lead: &lead, coder, second }.go_on(&mut first, began).await;
            let way = match claim {
                (Claim::Hit(stored), _) => self.lead_by_hit(lead, stored),
                (Claim::Stale(stored, refresh), _) => {
                    // Past its end there too: whoever comes next serves it from there while the refresh runs.
                    self.keep_hit(&lead, &stored);
                    serve_stale(lead, stored, refresh)
                }
                (Claim::Lease(lease), allowance) => {
                    Way::Lead(Leading { lead, claim: Tenure::Leased(lease, allowance) })
                }
                (Claim::Without, _) => Box::pin(self.lead_without(second, lead)).await,
            };
            self.led(way, stale).await
        })
    }

    /// A value of the second tier goes into the in-process one for the rest of its life, under the fence from before it
    /// was read.
    fn keep_hit(&self, lead: &Lead<Key, Kept>, stored: &Stored) {
        if let Some(life) = stored.life
            && lead.may_keep(self.node.fence(&self.address))
        {
            let (kept, bytes) = (Arc::clone(&stored.kept), stored.bytes);
            self.node.fill(&self.address, Filling { kept, bytes, life, fence: lead.fence() });
        }
    }

    /// Without the second tier nobody may join a load for longer than the bus may take. And the source is not to be
    /// overrun.
    async fn lead_without(&self, second: &Second, lead: Lead<Key, Kept>) -> Way {
        // A load inside another load has its permit: waiting for a second one could wait for itself.
        let is_nested = Context::if_any().is_some_and(|context| context.loading.is_some());
        let permit = if is_nested { None } else { self.permit(second, &lead).await };
        lead.loading_without_lease(self.joinable_until(second));
        Way::Lead(Leading { lead, claim: Tenure::Without(permit) })
    }

    /// The permit to load, or nothing where loads that do not come to an end have all of them.
    async fn permit(&self, second: &Second, lead: &Lead<Key, Kept>) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&second.loads).try_acquire_owned() {
            return Some(permit);
        }
        // Who has a permit and needs this very key is not to wait for one that is to come from there.
        lead.queueing();
        let mut permit = pin!(Arc::clone(&second.loads).acquire_owned());
        let mut timeout = self.node.time.sleep(self.node.load_timeout);
        poll_fn(|context| match permit.as_mut().poll(context) {
            Poll::Ready(permit) => Poll::Ready(permit.ok()),
            Poll::Pending => timeout.as_mut().poll(context).map(|()| None),
        })
        .await
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
            Bypass::WriteHot | Bypass::SourceFailing => {
                tracing::debug!(function, key, ?reason, "loaded without the cache");
            }
        }
    }
}

/// A value past its lifetime, and the duty to refresh it where that is this process's.
fn serve_stale(lead: Lead<Key, Kept>, stored: Stored, refresh: Option<Refresh>) -> Way {
    let Stored { kept, age, .. } = stored;
    if let Some(refresh) = refresh {
        return Way::Stale(kept, age, Some(Leading { lead, claim: Tenure::Refresh(refresh) }));
    }
    lead.hit(Arc::clone(&kept));
    Way::Stale(kept, age, None)
}
