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
        let mut absence = None;
        loop {
            // On whichever is first, and not at once: what breaks, breaks in bursts.
            in_time(next, trouble.notified()).await;
            timer::sleep(PAUSE.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            next = match self.look(&topology).await {
                Ok(primaries) => {
                    topology.adopt(primaries);
                    absence.take().into_iter().for_each(Absence::over);
                    backoff = Backoff::new();
                    self.period()
                }
                Err(no) => {
                    if topology.is_empty() {
                        self.blind(&topology, &mut absence, &no);
                    }
                    backoff.pause()
                }
            };
        }
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
            Self::Sentinel(_) => Duration::from_secs(1),
        }
    }
}
