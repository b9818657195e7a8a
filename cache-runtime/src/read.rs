//! The read path of a cached call, in the order of the picture: in-process tier, flight, load, fill.
//!
//! ```text
//! hit    key bytes -> L1 get -> same fence? fresh? -> value          no await point, no lock held, no allocation
//! miss   text, fence -> join the flight of the key
//!        follow: wait -> value | lost, abandoned: join again | failed: its error, or load alone
//!        lead:   L1 again -> load -> fence unchanged? keep under it -> tell those who follow
//! ```

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::clock::Moment;
use crate::context::Context;
use crate::flight::{Follow, Lead, Outcome as FlightOutcome, Turn};
use crate::function::Function;
use crate::key::{Key, KeyBytes, Parts};
use crate::l1::Entry;
use crate::lookup::{Bypass, Lookup, Outcome, Watcher};
use crate::metric::Metric;
use crate::node::{Address, Node};
use crate::registry;
use crate::rules::Rule;
use crate::shape::{Kept, Shape};

/// F5: after this many lost flights a caller loads for itself.
const MOST_LOST: u32 = 3;

/// What a call finds at once.
pub(crate) enum Found<T> {
    Hit(T),
    Miss(Box<Missed>),
}

/// A call that found nothing it could be given at once.
#[derive(Debug)]
pub(crate) struct Missed {
    pub(crate) node: Arc<Node>,
    pub(crate) address: Address,
    /// When the call began.
    began: Moment,
}

/// How a missed call goes on.
pub(crate) enum Way {
    /// The value of another call's load, or one that was kept meanwhile.
    Value(Kept),
    /// The error of another call's load.
    Error(Kept),
    /// Load, keep, and tell those who follow.
    Lead(Lead<Key, Kept>),
    /// Load without the cache.
    Alone(Bypass),
}

/// Looks into the in-process tier: the hit path.
#[inline(always)]
pub(crate) fn find<S: Shape>(
    node: &Arc<Node>,
    context: Option<&Context>,
    function: &'static Function,
    parts: &impl Parts,
) -> Found<S::Kept> {
    let bytes = KeyBytes::new(registry::number_of(function), parts);
    let probe = bytes.probe();
    if let Some(value) = node.hit(function, &probe).and_then(S::take) {
        if let Some(watcher) = context.and_then(|context| context.watcher.as_ref()) {
            let absent = S::is_absent(&value);
            watch_hit(
                watcher,
                node,
                &node.address(function, &bytes, parts),
                absent,
            );
        }
        return Found::Hit(value);
    }
    Found::Miss(miss(node, function, &bytes, parts))
}

#[cold]
fn watch_hit(watcher: &Watcher, node: &Node, address: &Address, absent: bool) {
    let entry = node.fresh(&address.key.probe(), address.function.is_grouped());
    let age = entry.map(|entry| node.ages(&entry, address.function, absent).0);
    let (function, key) = (address.function.spec().name, address.text.clone());
    watcher.note(Lookup {
        function,
        key,
        outcome: Outcome::HitL1,
        age,
        took: Duration::ZERO,
    });
}

#[cold]
#[expect(
    clippy::unnecessary_box_returns,
    reason = "the caller's future stays small"
)]
fn miss(
    node: &Arc<Node>,
    function: &'static Function,
    bytes: &KeyBytes,
    parts: &dyn Parts,
) -> Box<Missed> {
    node.count(function, Metric::Miss);
    let address = node.address(function, bytes, parts);
    Box::new(Missed {
        began: node.time.now(),
        address,
        node: Arc::clone(node),
    })
}

impl Missed {
    /// Leads or follows until there is a way on.
    pub(crate) async fn way(&self) -> Way {
        let (mut lost, mut failures) = (0, 0);
        loop {
            // Read before the flight is joined: whatever is invalidated from here on makes a difference.
            let fence = self.node.fence(&self.address);
            let now = self.node.time.now().since_origin();
            let follow = match self
                .node
                .flights
                .join(&self.address.key, fence, failures, now)
            {
                Turn::Lead(lead) => return self.lead(lead),
                Turn::Follow(follow) => follow,
            };
            let failed_before = follow.failures();
            match self.follow(follow).await {
                Followed::Told(FlightOutcome::Value(kept)) => return Way::Value(kept),
                Followed::Told(FlightOutcome::Failed(Some(error))) => return Way::Error(error),
                Followed::Told(FlightOutcome::Failed(None)) if failed_before > 0 => {
                    return Way::Alone(Bypass::SourceFailing);
                }
                Followed::Told(FlightOutcome::Failed(None)) => failures = 1,
                Followed::Told(FlightOutcome::Lost) => lost += 1,
                Followed::Told(FlightOutcome::Abandoned) | Followed::TooLong => {}
                Followed::Itself => return Way::Alone(Bypass::Reentrant),
            }
            if lost >= MOST_LOST && self.node.rules.holds(Rule::BoundedRetries) {
                return Way::Alone(Bypass::WriteHot);
            }
        }
    }

    /// Who leads looks once more: a flight may have ended between this call's look and its turn.
    fn lead(&self, lead: Lead<Key, Kept>) -> Way {
        match self.entry() {
            Some(entry) => {
                let kept = entry.into_value(self.address.function.is_grouped());
                lead.hit(Arc::clone(&kept));
                Way::Value(kept)
            }
            None => Way::Lead(lead),
        }
    }

    fn entry(&self) -> Option<Entry> {
        self.node.fresh(
            &self.address.key.probe(),
            self.address.function.is_grouped(),
        )
    }

    async fn follow(&self, mut follow: Follow<Kept>) -> Followed {
        let inside = Context::if_any()
            .map(|context| context.flights())
            .unwrap_or_default();
        let waiting = if inside.is_empty() {
            None
        } else {
            Some(self.node.waits.wait(inside, follow.id()))
        };
        if let Some(None) = waiting {
            return Followed::Itself;
        }
        let told = self.within_timeout(&mut follow).await;
        told.map_or_else(|| self.take_from_hung(&follow), Followed::Told)
    }

    /// The flight's end, unless it comes too late.
    async fn within_timeout(&self, follow: &mut Follow<Kept>) -> Option<FlightOutcome<Kept>> {
        let since = self
            .node
            .time
            .now()
            .since_origin()
            .saturating_sub(follow.begun());
        let mut timeout = self
            .node
            .time
            .sleep(self.load_timeout().saturating_sub(since));
        let mut told = pin!(follow);
        std::future::poll_fn(|context| match told.as_mut().poll(context) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending => timeout.as_mut().poll(context).map(|()| None),
        })
        .await
    }

    fn take_from_hung(&self, follow: &Follow<Kept>) -> Followed {
        self.node.flights.detach(&self.address.key, follow);
        self.node.count(self.address.function, Metric::LoadTimeout);
        let (function, key) = (self.address.function.spec().name, &self.address.text);
        tracing::warn!(
            function,
            key,
            "a load takes longer than its timeout: the next caller loads again"
        );
        Followed::TooLong
    }

    /// How long a load may hold this key.
    pub(crate) fn load_timeout(&self) -> Duration {
        self.address
            .function
            .load_timeout()
            .unwrap_or(self.node.load_timeout)
    }

    /// Tells whoever watches, and counts.
    pub(crate) fn note(&self, outcome: Outcome) {
        match outcome {
            Outcome::HitL1 | Outcome::Loaded => {}
            Outcome::Joined => self.node.count(self.address.function, Metric::Joined),
            Outcome::Bypassed(reason) => self.note_bypass(reason),
        }
        if let Some(watcher) = Context::if_any().and_then(|context| context.watcher) {
            let took = self.node.time.now().since(self.began);
            let (function, key) = (self.address.function.spec().name, self.address.text.clone());
            watcher.note(Lookup {
                function,
                key,
                outcome,
                age: None,
                took,
            });
        }
    }

    fn note_bypass(&self, reason: Bypass) {
        self.node.count(self.address.function, Metric::Bypassed);
        let (function, key) = (self.address.function.spec().name, &self.address.text);
        match reason {
            Bypass::Reentrant => tracing::warn!(
                function,
                key,
                "a load waits for itself: loaded without the cache"
            ),
            Bypass::ForeignType => {
                tracing::error!(function, key, "a kept value has another type: not used")
            }
            Bypass::WriteHot | Bypass::SourceFailing => {
                tracing::debug!(function, key, ?reason, "loaded without the cache");
            }
        }
    }
}

/// How waiting for a flight ended.
enum Followed {
    Told(FlightOutcome<Kept>),
    /// Its leader is hung: the key was taken from it.
    TooLong,
    /// It waits for this very caller.
    Itself,
}
