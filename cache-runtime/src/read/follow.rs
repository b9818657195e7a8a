//! The way of a call that follows another's load.

use std::future::Future;
use std::pin::pin;
use std::task::{Poll, ready};
use std::time::Duration;

use crate::clock::Sleep;
use crate::codec::Coder;
use crate::context::Context;
use crate::flight::{Follow, Outcome, Turn};
use crate::key::Key;
use crate::lookup::Bypass;
use crate::metric::Metric;
use crate::read::{Missed, Way};
use crate::rules::Rule;
use crate::shape::Kept;
use crate::waits::WAITS;

/// F5: after this many lost flights a caller loads for itself.
const MOST_LOST: u32 = 3;

/// How long nothing need be heard of a leader, beside what its operations may take: it pauses for a quarter of that between
/// two looks at another process's load.
const LEADER_IS_QUIET: Duration = Duration::from_secs(1);

/// How soon one that is about to load is looked at again at least.
const SOON: Duration = Duration::from_millis(1);

/// How waiting for a flight ended.
enum Followed {
    Told(Outcome<Kept>),
    /// Its leader is hung: the key was taken from it.
    TooLong,
    /// It waits for this very caller.
    Itself,
    /// It waits for its turn, which may be this caller's: the key was taken from it.
    Queued,
    /// Its leader looks for a value and is not heard of: the key was taken from it.
    Stalled,
}

impl Missed {
    /// Follows, until there is a way on.
    pub(super) async fn find_after(
        &self,
        first: Follow<Key, Kept>,
        mut stale: Option<(Kept, Duration)>,
        coder: &'static Coder,
    ) -> Way {
        let (mut follow, mut lost, mut failures, mut came) = (first, 0, 0, u64::MAX);
        loop {
            let failed_before = follow.failures();
            let followed = match stale {
                // Its refresh is on its way.
                Some((kept, age)) if !self.time_left(&follow).is_zero() => return Way::Stale(kept, Some(age), None),
                Some(_) => self.take_from_hung(&follow),
                None => {
                    // Of those who come while a read is under way, the next one serves all: not one after the other.
                    came = came.min(follow.came());
                    follow.came_before(came);
                    self.follow(follow).await
                }
            };
            match followed {
                Followed::Told(Outcome::Value(kept)) => return Way::Value(kept),
                Followed::Told(Outcome::Stale(kept, age)) => return Way::Stale(kept, age, None),
                Followed::Told(Outcome::Failed(Some(error))) => return Way::Error(error),
                Followed::Told(Outcome::Failed(None)) if failed_before > 0 => {
                    return Way::Alone(Bypass::SourceFailing);
                }
                Followed::Told(Outcome::Failed(None)) => failures = 1,
                Followed::Told(Outcome::Lost) => lost += 1,
                Followed::Told(Outcome::Abandoned) | Followed::TooLong | Followed::Queued | Followed::Stalled => {}
                Followed::Itself => return Way::Alone(Bypass::Reentrant),
            }
            if lost >= MOST_LOST && self.node.rules.holds(Rule::BoundedRetries) {
                return Way::Alone(Bypass::WriteHot);
            }
            let now = self.node.time.now();
            stale = self.may_be_stale();
            follow = match self.join(self.node.fence(&self.address), now, failures) {
                Turn::Lead(lead) => return self.lead(lead, stale, coder, now).await,
                Turn::Follow(follow) => follow,
            };
        }
    }

    async fn follow(&self, mut follow: Follow<Key, Kept>) -> Followed {
        let inside = Context::if_any().map(|context| context.flights()).unwrap_or_default();
        let waiting = if inside.is_empty() { None } else { Some(WAITS.wait(inside, follow.id())) };
        if let Some(None) = waiting {
            return Followed::Itself;
        }
        match self.within_timeout(&mut follow, waiting.is_some()).await {
            Some(Followed::Queued) => {
                self.node.flights.detach(&follow);
                Followed::Queued
            }
            Some(followed) => followed,
            None => self.take_from_hung(&follow),
        }
    }

    /// How it ended, unless that comes too late. Who is inside a load waits for none that waits for loads to end.
    async fn within_timeout(&self, follow: &mut Follow<Key, Kept>, is_inside: bool) -> Option<Followed> {
        let mut timeout = self.patience(follow)?;
        std::future::poll_fn(|context| match pin!(&mut *follow).poll(context) {
            Poll::Ready(outcome) => Poll::Ready(Some(Followed::Told(outcome))),
            Poll::Pending if is_inside && follow.is_queued() => Poll::Ready(Some(Followed::Queued)),
            Poll::Pending => loop {
                ready!(timeout.as_mut().poll(context));
                // It may have come further meanwhile.
                match self.patience(follow) {
                    Some(more) => timeout = more,
                    None => return Poll::Ready(None),
                }
            },
        })
        .await
    }

    /// How long a leader is waited for until it is looked at again; nothing if that was long enough.
    fn patience(&self, follow: &Follow<Key, Kept>) -> Option<Sleep> {
        let (left, node) = (self.time_left(follow), &self.node);
        if left.is_zero() {
            return None;
        }
        if follow.quiet_since().is_none() {
            return Some(node.time.sleep(left));
        }
        // Its load may begin at any moment.
        Some(node.system_time().sleep(left.min(self.load_timeout().max(SOON))))
    }

    /// How long a leader may still take. Where it loads, that is its timeout; before, as long as it may be quiet. One that is
    /// quiet is not polled, as a branch of a `select!` while another one runs: the value may stand there, and nobody looks.
    fn time_left(&self, follow: &Follow<Key, Kept>) -> Duration {
        let node = &self.node;
        let Some(quiet) = follow.quiet_since() else {
            let since = follow.loads_since().unwrap_or_default();
            return self.load_timeout().saturating_sub(node.time.now().since_origin().saturating_sub(since));
        };
        let operation = node.second.as_ref().map_or(Duration::ZERO, |second| second.settings.op_timeout);
        let turn = if follow.is_queued() { node.load_timeout } else { Duration::ZERO };
        let most = turn.saturating_add(operation.saturating_mul(2)).saturating_add(LEADER_IS_QUIET);
        most.saturating_sub(node.system_time().now().since_origin().saturating_sub(quiet))
    }

    fn take_from_hung(&self, follow: &Follow<Key, Kept>) -> Followed {
        let (function, key) = (self.address.function.spec().name, self.address.text());
        if follow.quiet_since().is_some() {
            if self.node.flights.detach(follow) {
                tracing::warn!(function, key, "a call that looks for a value is not polled: the next caller looks");
            }
            return Followed::Stalled;
        }
        if self.node.flights.detach(follow) {
            self.node.count(self.address.function, Metric::LoadTimeout);
            tracing::warn!(function, key, "a load takes longer than its timeout: the next caller loads again");
        }
        Followed::TooLong
    }
}
