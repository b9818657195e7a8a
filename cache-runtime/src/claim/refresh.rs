//! Values past their lifetimes: who refreshes them.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::Search;
use crate::fault::Fault;
use crate::metric::Metric;
use crate::read::Tenure;
use crate::store::{HEAD, Stamp, Token};

/// Who loads what is past its lifetime.
pub(crate) enum Renewal {
    /// Not this call.
    Elsewhere,
    /// This process, beside its caller, who is served the value meanwhile.
    Beside(Tenure),
    /// Its caller, who has this turn, and is served the value if the load fails.
    First(OwnedSemaphorePermit),
}

/// The longest that one refresh keeps other processes from trying.
const MOST_REFRESH: Duration = Duration::from_secs(10);

/// The right to replace a value by a newer one, if it still stands there then.
#[derive(Clone, Debug)]
pub(crate) struct Refresh {
    /// The beginning of its slot.
    pub(crate) head: Vec<u8>,
    /// The stamps of its groups from before the load.
    pub(crate) snapshot: Vec<Stamp>,
}

impl Search<'_> {
    /// One refresh at a time in all processes: whoever takes the refresh lease of the value. The value is at hand, so
    /// nobody waits for a load because that lease was not taken; but where the server refuses it and nothing is kept in memory
    /// either, no refresh would ever come to anything, and the caller loads.
    pub(super) async fn refresh(&mut self, slot: &[u8], stamps: &[Option<Stamp>]) -> Renewal {
        if self.claiming.missed.is_refreshed(self.claiming.lead.fence()) {
            return Renewal::Elsewhere;
        }
        match self.take_refresh(slot, stamps).await {
            Ok(Some(refresh)) => Renewal::Beside(Tenure::Refresh(refresh)),
            Ok(None) => Renewal::Elsewhere,
            Err(fault) => {
                self.claiming.count(Metric::FaultL2);
                tracing::debug!(%fault, kind = fault.kind(), key = self.entry(), "a value is not refreshed for all");
                self.refresh_near(matches!(fault, Fault::Refused(..)))
            }
        }
    }

    async fn take_refresh(&mut self, slot: &[u8], stamps: &[Option<Stamp>]) -> Result<Option<Refresh>, Fault> {
        let head = slot[..HEAD].to_vec();
        let etag = Token(*head.last_chunk().expect("the beginning ends with the token"));
        let lease = self.claiming.missed.load_timeout().min(MOST_REFRESH);
        let (whole, store) = (self.claiming.second.settings.op_timeout, &self.claiming.second.store);
        let refresh = pin!(store.refresh(self.claiming.missed.address.entry(), etag, lease));
        let is_ours = self.allowance.spend(whole, refresh).await?;
        let snapshot = stamps.iter().copied().collect::<Option<Vec<_>>>().filter(|_| is_ours);
        Ok(snapshot.map(|snapshot| Refresh { head, snapshot }))
    }

    /// For this process alone, when it has its turn at once: what it keeps itself is refreshed there. What it keeps in no
    /// memory is loaded, where the server has refused it to be refreshed.
    fn refresh_near(&self, is_refused: bool) -> Renewal {
        let is_kept = self.function().lifetime(false).is_some();
        if !is_kept && !is_refused {
            return Renewal::Elsewhere;
        }
        match Arc::clone(&self.claiming.second.loads).try_acquire_owned() {
            Ok(permit) if is_kept => Renewal::Beside(Tenure::Without(Some(permit))),
            Ok(permit) => Renewal::First(permit),
            Err(_) => Renewal::Elsewhere,
        }
    }
}
