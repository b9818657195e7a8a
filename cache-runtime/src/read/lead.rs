//! The way of a call that leads: mostly through the second tier.

use std::future::{poll_fn, ready};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use crate::claim::{Claim, Claiming, Look, Renewal};
use crate::clock::Moment;
use crate::codec::Coder;
use crate::context::Context;
use crate::fault::Fault;
use crate::flight::Lead;
use crate::key::Key;
use crate::l1::Entry;
use crate::lookup::Bypass;
use crate::node::Filling;
use crate::read::{Finding, Instead, Leading, Missed, Tenure, Way};
use crate::second::Second;
use crate::shape::Kept;
use crate::store::Over;
use crate::stored::Stored;

impl Missed {
    /// Who leads looks once more: a flight may have ended between this call's look and its turn.
    pub(super) fn lead(
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
            lead.loading_without_lease(self.node.time.now().since_origin(), self.joinable_until(second));
        }
        Box::pin(self.led(Way::Lead(Leading::new(lead, Tenure::Embedded)), stale))
    }

    /// Until when others may join a load that no lease protects: nobody tells whether another process's invalidation
    /// overtook it. Who must see everything joins none, but may lead one for the others.
    fn joinable_until(&self, second: &Second) -> Duration {
        self.node.time.now().since_origin().saturating_add(second.settings.max_staleness)
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

    /// The same, for a caller who may be given what this process keeps.
    pub(crate) fn may_be_stale(&self) -> Option<(Kept, Duration)> {
        if self.is_strict() { None } else { self.stale() }
    }

    /// The value that may be served although its lifetime is over, and its age.
    fn stale(&self) -> Option<(Kept, Duration)> {
        let (node, function) = (&self.node, self.address.function);
        let entry = node.stale(&self.address.key.probe(), function)?;
        let age = node.ages(&entry, function, false).0;
        Some((entry.into_value(function.is_grouped()), age))
    }

    fn entry(&self) -> Option<Entry> {
        if self.is_strict() {
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
                (Claim::Stale(stored, renewal), _) => {
                    // Past its end there too: whoever comes next serves it from there while the refresh runs.
                    // Unless what a refresh has left is newer.
                    if self.node.fresh(&self.address.key.probe(), self.address.function.is_grouped()).is_none() {
                        self.keep_hit(&lead, &stored);
                    }
                    self.serve_stale(lead, stored, renewal)
                }
                (Claim::Kept(kept, age), _) => {
                    // Who comes after it and may not be given that one waits by itself.
                    drop(lead);
                    Way::Stale(kept, Some(age), None)
                }
                (Claim::Lease(lease), allowance) => Way::Lead(Leading::new(lead, Tenure::Leased(lease, allowance))),
                (Claim::Itself, _) => return Way::Alone(Bypass::Reentrant),
                (Claim::Without, _) => Box::pin(self.lead_without(second, lead, stale.is_some())).await,
            };
            if self.is_overtaken(&way) {
                // What it held may be what the other one waits for.
                drop(way);
                return self.join_or_lead(coder, self.node.fence(&self.address), self.node.time.now()).await;
            }
            self.led(way, stale).await
        })
    }

    /// Whether somebody else has the key or the lease by now, since this call was not polled for long, or its process was
    /// stopped: it would load beside the other one, and its value would be refused. Only once, that it comes to an end.
    fn is_overtaken(&self, way: &Way) -> bool {
        let Way::Lead(Leading { lead, claim, .. }) = way else { return false };
        // It has waited for its turn, and would wait for another one.
        if matches!(claim, Tenure::Without(_)) {
            return false;
        }
        let has_expired = matches!(claim, Tenure::Leased(lease, _) if !lease.is_living());
        (has_expired || !lead.has_key()) && !self.joined_again.swap(true, Ordering::Relaxed)
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
    /// overrun: what may be served meanwhile is refreshed when it has its turn at once.
    async fn lead_without(&self, second: &Second, lead: Lead<Key, Kept>, may_be_stale: bool) -> Way {
        // A load inside another load has its permit: waiting for a second one could wait for itself.
        let is_nested = Context::if_any().is_some_and(|context| !context.flights().is_empty());
        let permit = match Arc::clone(&second.loads).try_acquire_owned() {
            _ if is_nested => None,
            Ok(permit) => Some(permit),
            Err(_) => match self.stale().filter(|_| may_be_stale) {
                Some((kept, age)) => return Way::Stale(kept, Some(age), None),
                None => self.permit(second, &lead).await,
            },
        };
        lead.loading_without_lease(self.node.time.now().since_origin(), self.joinable_until(second));
        Way::Lead(Leading::new(lead, Tenure::Without(permit)))
    }

    /// The permit to load, or nothing where loads that do not come to an end have all of them.
    async fn permit(&self, second: &Second, lead: &Lead<Key, Kept>) -> Option<OwnedSemaphorePermit> {
        // Who has a permit and needs this very key is not to wait for one that is to come from there.
        lead.queueing(self.node.system_time().now().since_origin());
        let mut permit = pin!(Arc::clone(&second.loads).acquire_owned());
        let mut timeout = self.node.time.sleep(self.node.load_timeout);
        poll_fn(|context| match permit.as_mut().poll(context) {
            Poll::Ready(permit) => Poll::Ready(permit.ok()),
            Poll::Pending => timeout.as_mut().poll(context).map(|()| None),
        })
        .await
    }

    /// A value past its lifetime, and the duty to refresh it where that is this call's; where it loads first, that duty, and
    /// the value if it fails. Nobody follows the refresh, nor that load: who came before is served too, and who comes later
    /// looks.
    fn serve_stale(&self, lead: Lead<Key, Kept>, stored: Stored, renewal: Renewal) -> Way {
        let (claim, is_first) = match renewal {
            Renewal::Elsewhere => (None, false),
            Renewal::Beside(claim) => (Some(claim), false),
            Renewal::First(permit) => (Some(Tenure::Without(Some(permit))), true),
        };
        let refresh = claim.and_then(|claim| Some(Leading::new(self.refresh(&lead)?, claim)));
        let (kept, age) = (Arc::clone(&stored.kept), stored.age);
        lead.stale_hit(Arc::clone(&kept), age);
        match refresh {
            Some(refresh) if is_first => {
                Way::Lead(Leading { instead: Some(Box::new(Instead::new(self, stored))), ..refresh })
            }
            refresh => Way::Stale(kept, age, refresh),
        }
    }

    /// Nothing where somebody else refreshes it by now, or it was invalidated, since this call was not polled for long: it
    /// would load beside the other one, and what it loads would be refused.
    fn refresh(&self, lead: &Lead<Key, Kept>) -> Option<Lead<Key, Kept>> {
        if lead.fence() != self.node.fence(&self.address) {
            return None;
        }
        lead.refresh(self.node.time.now().since_origin(), self.oldest_load())
    }
}
