//! The load and what becomes of its value. As little as possible is generic: it is compiled again for every function.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use crate::claim::{Allowance, Refresh};
use crate::clock::Moment;
use crate::codec::Coder;
use crate::context::{Context, Scoped};
use crate::fault::Fault;
use crate::flight::Lead;
use crate::function::Function;
use crate::key::Key;
use crate::l1::{Life, shortened};
use crate::lease::Lease;
use crate::metric::Metric;
use crate::node::{Address, Filling, Node};
use crate::read::{Leading, Missed, Tenure};
use crate::rules::Rule;
use crate::second::Second;
use crate::shape::Kept;
use crate::steps::Step;
use crate::store::{Ending, Invalidation, Leased, Over, Stamp, Token};
use crate::stored::Sealing;

/// A load that this call leads: the duty, and what must be known when it ends.
pub(crate) struct Loading {
    missed: Box<Missed>,
    lead: Lead<Key, Kept>,
    claim: Tenure,
    coder: &'static Coder,
    /// Taken from the caller's task, since the load may run in another.
    context: Option<Context>,
    began: Moment,
}

/// What a load ended with, without its type.
pub(crate) enum Loaded {
    Value(LoadedValue),
    /// The function's own error, where it can be copied.
    Error(Option<Kept>),
}

/// A loaded value.
pub(crate) struct LoadedValue {
    pub(crate) kept: Kept,
    /// Estimated bytes.
    pub(crate) bytes: usize,
    /// `None`, where the function returns an `Option`.
    pub(crate) absent: bool,
    /// What `store_if` says.
    pub(crate) wanted: bool,
}

impl Loading {
    /// The load begins.
    pub(crate) fn begin(missed: Box<Missed>, leading: Leading, coder: &'static Coder) -> Self {
        let began = missed.node.time.now();
        leading.lead.loading(began.since_origin());
        if let Tenure::Leased(lease, _) = &leading.claim {
            lease.load_begins(missed.load_timeout());
        }
        missed.node.count(missed.address.function, Metric::Load);
        let context = Some(Context::current().loading(leading.lead.id(), missed.since(&leading)));
        let Leading { lead, claim, .. } = leading;
        Self { missed, lead, claim, coder, context, began }
    }

    /// The function that is loaded.
    pub(crate) fn function(&self) -> &'static Function {
        self.missed.address.function
    }

    /// The function's body, inside its own load.
    pub(crate) fn scope<F: Future>(&mut self, body: F) -> Scoped<F> {
        self.context.take().unwrap_or_default().scope(body)
    }

    /// Keeps the value, if nothing overtook its load, and tells those who follow. Without a second tier it is done at the
    /// first poll.
    ///
    /// Dropping it hands over to those who follow.
    pub(crate) fn settle(self, loaded: Loaded) -> Settling {
        let (node, function) = (&self.missed.node, self.missed.address.function);
        let took = node.time.now().since(self.began);
        node.state(function).load_took(took);
        match loaded {
            Loaded::Error(shared) => {
                node.count(function, Metric::LoadError);
                if let Tenure::Leased(lease, _) = self.claim {
                    lease.fail();
                }
                self.lead.fail(shared);
                Box::pin(std::future::ready(()))
            }
            Loaded::Value(value) => self.keep(value, took),
        }
    }

    /// A block, here and below: the arguments of an asynchronous function take their place twice, and this one is
    /// allocated with every load.
    fn keep(self, value: LoadedValue, took: Duration) -> Settling {
        let Self { missed, lead, mut claim, coder, .. } = self;
        Box::pin(async move {
            let (node, address) = (&missed.node, &missed.address);
            let (load, key) = (lead.id().number(), address.text());
            node.steps.at(Step::Loaded { load, key }).await;
            // Nobody joins from here on: the verdict is about those who came before. Where it is this process's own,
            // whoever joins until it is known came before, and whoever could not would load once more.
            if matches!(claim, Tenure::Leased(..) | Tenure::Refresh(..)) {
                lead.seal();
            }
            let lives = Lives::of(node, address, &value);
            let fill = Fill { node, address, coder, value: &value, life: lives.stored, took };
            let verdict = match &mut claim {
                Tenure::Leased(lease, allowance) => fill.under_lease(lease, allowance).await,
                Tenure::Refresh(refresh) => Box::pin(fill.in_place_of(refresh)).await,
                Tenure::Embedded | Tenure::Without(_) => Verdict::Accepted,
            };
            // A lease that did not end is given back, a permit too.
            drop(claim);
            if took > missed.load_timeout() {
                lead.too_late();
            }
            let verdict = if lead.may_keep(node.fence(address)) { verdict } else { Verdict::Overtaken };
            match (verdict, lives.near) {
                (Verdict::Overtaken, _) => {
                    node.count(address.function, Metric::RefusedFill);
                    node.steps.note(Step::Refused { load, key });
                }
                (Verdict::Accepted | Verdict::Unknown, None) => {
                    node.count(address.function, Metric::NotKept);
                    node.forget_stale(address);
                }
                // Whatever hindered it is counted.
                (Verdict::Unknown, Some(_)) => node.steps.note(Step::Refused { load, key }),
                // Kept under the fence of the flight's beginning: an invalidation from here on finds it unusable.
                (Verdict::Accepted, Some(life)) => {
                    let (kept, bytes, fence) = (value.kept.clone(), value.bytes, lead.fence());
                    node.fill(address, Filling { kept, bytes, life, fence });
                    node.steps.note(Step::Kept { load, key });
                }
            }
            lead.finish(value.kept, verdict == Verdict::Accepted);
        })
    }
}

/// What is still to be done when a load has ended.
type Settling = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the second tier says of a load when its value is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing overtook it.
    Accepted,
    /// Its lease is gone, or what it was to replace: by an invalidation, or for too long a time.
    Overtaken,
    /// Nothing: it did not answer, or could not be asked.
    Unknown,
}

impl Verdict {
    /// Of a fill that was done if this is true.
    fn of(done: bool) -> Self {
        if done { Self::Accepted } else { Self::Overtaken }
    }
}

/// How long a value lives in each tier, shortened by the same jitter.
struct Lives {
    near: Option<Life>,
    stored: Option<Duration>,
}

impl Lives {
    fn of(node: &Node, address: &Address, value: &LoadedValue) -> Self {
        let function = address.function;
        let share = node.dice.share();
        let near = function.lifetime(value.absent).filter(|_| value.wanted);
        let stored = function.stored_lifetime(value.absent).filter(|_| value.wanted);
        Self {
            near: near.map(|full| node.life(function, full, share)),
            stored: stored.map(|full| shortened(full, function.spec().jitter, share)),
        }
    }
}

/// A value on its way into the second tier.
struct Fill<'a> {
    node: &'a Node,
    address: &'a Address,
    coder: &'static Coder,
    value: &'a LoadedValue,
    life: Option<Duration>,
    took: Duration,
}

impl Fill<'_> {
    /// Ends the lease, with the value where it may be stored.
    async fn under_lease(&self, lease: &mut Lease, allowance: &mut Allowance) -> Verdict {
        let Some(second) = &self.node.second else { return Verdict::Unknown };
        if !self.node.rules.holds(Rule::Snapshot) {
            Box::pin(self.late_snapshot(second, lease)).await;
        }
        let slot = self.slot(second, lease.snapshot());
        if !self.node.rules.holds(Rule::FillToken)
            && let Some((bytes, life)) = slot
        {
            return Box::pin(put(second, self.address, bytes, life)).await;
        }
        let ending = match &slot {
            Some((bytes, life)) => Ending::Fill(bytes, *life),
            None => Ending::Release,
        };
        let end = pin!(lease.end(&second.store, self.address, ending));
        let ended = allowance.spend(second.settings.op_timeout, end).await;
        self.judged(ended, slot.is_some())
    }

    /// Puts the value in the place of the stale one, if that still stands there: what was invalidated meanwhile is gone.
    async fn in_place_of(&self, refresh: &Refresh) -> Verdict {
        let Some(second) = &self.node.second else { return Verdict::Unknown };
        let Some((bytes, life)) = self.slot(second, &refresh.snapshot) else {
            return self.take_away(second, refresh).await;
        };
        if !self.node.rules.holds(Rule::FillToken) {
            return put(second, self.address, bytes, life).await;
        }
        let address = self.address;
        let stamps = (address.stamps.as_slice(), address.function.stamp_life());
        let ended = second.store.supersede(address.entry(), &refresh.head, (&bytes, life), stamps).await;
        let is_current = |stamps: Vec<Option<Stamp>>| stamps.into_iter().eq(refresh.snapshot.iter().copied().map(Some));
        self.judged(ended.map(|ended| ended.held && is_current(ended.stamps)), true)
    }

    /// The newer value is not to be stored: the stale one goes, if it still stands there, as nothing refreshes it any more.
    async fn take_away(&self, second: &Second, refresh: &Refresh) -> Verdict {
        let (address, token) = (self.address, Token::fresh());
        let (over, life) = (Over::Head(refresh.head.clone()), address.function.stamp_life());
        let mut lease = second.keeper.hold(address.entry(), token, None);
        match second.store.lease(address.entry(), &over, &address.stamps, life, token).await {
            Ok(Leased::Taken(snapshot)) => {
                lease.set_snapshot(snapshot);
                let ended = lease.end(&second.store, address, Ending::Release).await;
                self.judged(ended.map(|_| true), false);
                Verdict::Unknown
            }
            Ok(Leased::Held(_)) => {
                lease.forget();
                Verdict::Overtaken
            }
            Err(fault) => self.judged(Err(fault), false),
        }
    }

    /// What the second tier's answer means, counted; with a value it was filled.
    fn judged(&self, answer: Result<bool, Fault>, with_value: bool) -> Verdict {
        let function = self.address.function;
        let unknown = |fault| {
            self.node.count(function, Metric::FaultL2);
            tracing::debug!(%fault, key = self.address.entry(), "a value was not stored");
            Verdict::Unknown
        };
        let verdict = answer.map_or_else(unknown, Verdict::of);
        if verdict == Verdict::Accepted && with_value {
            self.node.count(function, Metric::FilledL2);
        }
        verdict
    }

    /// Puts a snapshot of now in the place of the one from before the load.
    async fn late_snapshot(&self, second: &Second, lease: &mut Lease) {
        let address = self.address;
        if !address.stamps.is_empty()
            && let Ok(seen) = second.store.read(address.entry(), &address.stamps).await
        {
            lease.set_snapshot(seen.stamps.into_iter().flatten().collect());
        }
    }

    /// The bytes that are stored, and for how long.
    fn slot(&self, second: &Second, snapshot: &[Stamp]) -> Option<(Vec<u8>, Duration)> {
        let life = self.life?;
        let hard = life.saturating_add(self.address.function.staleness());
        let sealing = Sealing {
            entry: self.address.entry(),
            kept: &self.value.kept,
            stamps: snapshot,
            life,
            hard,
            load: self.took,
        };
        let bytes = sealing.seal(self.node, second, self.address.function, self.coder)?;
        Some((bytes, hard))
    }
}

/// Stores a value whatever stands there.
async fn put(second: &Second, address: &Address, bytes: Vec<u8>, life: Duration) -> Verdict {
    let put = Some((address.entry().to_owned(), bytes, life));
    let invalidation = Invalidation { put, ..Invalidation::default() };
    Verdict::of(second.store.invalidate(&invalidation, None).await.is_ok())
}
