//! Finds out where the primaries are, and goes on doing so: now and then, and at once when something is wrong.

mod cluster;
mod sentinel;

use std::sync::Arc;
use std::time::Duration;

use crate::redis::backoff::Backoff;
use crate::redis::outage::Absence;
use crate::redis::session::NoSession;
use crate::redis::target::Address;
use crate::redis::topology::{Primaries, Topology};
use crate::timer::{self, in_time};

pub(crate) use self::cluster::ClusterScout;
pub(crate) use self::sentinel::SentinelScout;

/// The least time between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks where the primaries are.
pub(crate) enum Scout {
    Cluster(ClusterScout),
    Sentinel(SentinelScout),
}

impl Scout {
    /// Where the primaries are, as far as anybody says.
    pub(crate) async fn look(&mut self, topology: &Topology) -> Result<Primaries, NoSession> {
        match self {
            Self::Cluster(scout) => scout.look(topology).await,
            Self::Sentinel(scout) => scout.look().await,
        }
    }

    /// Keeps the topology right, for ever.
    pub(crate) async fn run(mut self, topology: Arc<Topology>) {
        let trouble = Arc::clone(&topology.plant().events.trouble);
        let mut backoff = Backoff::new();
        let mut next = if topology.is_empty() { backoff.pause() } else { self.period() };
        let (mut absence, mut is_abandoned) = (None, false);
        loop {
            // On whichever is first, and not at once: what breaks, breaks in bursts.
            in_time(next, trouble.notified()).await;
            timer::sleep(PAUSE.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            next = match self.look(&topology).await {
                Ok(primaries) => {
                    topology.adopt(primaries);
                    absence.take().into_iter().for_each(Absence::over);
                    if std::mem::take(&mut is_abandoned) {
                        tracing::info!("redis: most sentinels answer again, and the primary that they name is used");
                    }
                    backoff = Backoff::new();
                    self.period()
                }
                Err(no) => {
                    is_abandoned |= self.abandon(&topology, &no);
                    if topology.is_empty() {
                        self.blind(&topology, &mut absence, &no);
                    }
                    backoff.pause()
                }
            };
        }
    }

    /// Whether the servers are not used any more: nobody has named them for so long that others may have their place.
    fn abandon(&mut self, topology: &Topology, no: &NoSession) -> bool {
        if topology.is_empty() || !topology.trusted_for().is_zero() {
            return false;
        }
        topology.abandon("the sentinels do not confirm it");
        let reason = no.reason();
        tracing::warn!(reason, "redis: most sentinels do not answer, so no server is used until they do");
        if let Self::Sentinel(scout) = self {
            scout.forget();
        }
        true
    }

    /// Nothing is known of any server: nobody else would say so.
    pub(crate) fn blind(&self, topology: &Topology, absence: &mut Option<Absence>, no: &NoSession) {
        let outages = &topology.plant().events.outages;
        let absence = absence.get_or_insert_with(|| outages.begin(self.first(), "scout", no.reason()));
        if let NoSession::Refused(answer) = no {
            absence.refused(answer);
        }
    }

    fn first(&self) -> &Address {
        match self {
            Self::Cluster(scout) => scout.first(),
            Self::Sentinel(scout) => scout.first(),
        }
    }

    fn period(&self) -> Duration {
        match self {
            Self::Cluster(_) => Duration::from_secs(30),
            // A primary that was cut off from its sentinels may still answer: nothing else would tell.
            Self::Sentinel(scout) => scout.period(),
        }
    }
}
