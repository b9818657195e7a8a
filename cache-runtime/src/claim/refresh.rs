//! Values past their lifetimes: who refreshes them.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::Search;
use crate::fault::Fault;
use crate::metric::Metric;
use crate::read::Tenure;
use crate::store::{HEAD, Stamp, Token};

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
    pub(super) async fn refresh(&mut self, slot: &[u8], stamps: &[Option<Stamp>]) -> Result<Option<Tenure>, Fault> {
        if self.claiming.missed.is_refreshed(self.claiming.lead.fence()) {
            return Ok(None);
        }
        match self.take_refresh(slot, stamps).await {
            Ok(refresh) => Ok(refresh.map(Tenure::Refresh)),
            Err(fault @ Fault::Refused(..)) if self.must_load() => Err(fault),
            Err(fault) => {
                self.claiming.count(Metric::FaultL2);
                tracing::debug!(%fault, kind = fault.kind(), key = self.entry(), "a value is not refreshed for all");
                Ok(self.refresh_near())
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

    /// Whether its caller loads where no refresh is taken: nothing is kept in memory, and it has its turn at once.
    fn must_load(&self) -> bool {
        self.function().lifetime(false).is_none() && self.claiming.second.loads.available_permits() > 0
    }

    /// For this process alone: what it keeps itself, and when it has its turn at once.
    fn refresh_near(&self) -> Option<Tenure> {
        self.function().lifetime(false)?;
        let permit = Arc::clone(&self.claiming.second.loads).try_acquire_owned().ok()?;
        Some(Tenure::Without(Some(permit)))
    }
}
