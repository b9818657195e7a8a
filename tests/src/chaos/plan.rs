//! Which fault comes next, and after which pause: drawn from the seed alone.

use std::time::Duration;

use super::settings::Topology::{self, Cluster, Sentinel, Standalone};

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    EvictEntry,
    EvictStamp,
    TrimBus,
    DropBus,
    DropRoutes,
    FlushScripts,
    FlushAll,
    KillClient,
    KillProcess,
    StopProcess,
    Delay,
    Hold,
    HoldBus,
    HalfOpen,
    Throttle,
    Cut,
    Reset,
    CutAfter,
    Refuse,
    Corrupt,
    PausePrimary,
    RestartPrimary,
    KillPrimary,
    KillAhead,
    KillBusPrimary,
    StopPrimary,
    Failover,
    StopReplica,
    KillSentinel,
    MoveSlot,
    MoveBusSlot,
}

/// What goes wrong at the same time as the others, one thing after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// What the server holds, and the processes.
    Data,
    /// The connections behind the proxies.
    Network,
    /// The servers.
    Servers,
}

impl Lane {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Data, Self::Network, Self::Servers];

    /// The least and the longest pause between two of them, in milliseconds.
    fn pause(self) -> std::ops::Range<u64> {
        match self {
            Self::Data => 2..24,
            Self::Network => 50..900,
            Self::Servers => 500..2_500,
        }
    }
}

const ALL: &[Topology] = &Topology::ALL;
const REPLICATED: &[Topology] = &[Sentinel, Cluster];

/// Each kind: what it is called, its lane, how often it comes compared with others of the lane, and where it can.
const TABLE: &[(Kind, &str, Lane, u32, &[Topology])] = &[
    (Kind::EvictEntry, "entries or leases evicted", Lane::Data, 800, ALL),
    (Kind::EvictStamp, "group stamps evicted", Lane::Data, 160, ALL),
    (Kind::TrimBus, "bus trimmed", Lane::Data, 8, ALL),
    (Kind::DropBus, "bus deleted", Lane::Data, 3, ALL),
    (Kind::DropRoutes, "routes deleted", Lane::Data, 2, ALL),
    (Kind::FlushScripts, "SCRIPT FLUSH", Lane::Data, 8, ALL),
    (Kind::FlushAll, "FLUSHALL", Lane::Data, 2, ALL),
    (Kind::KillClient, "CLIENT KILL", Lane::Data, 16, ALL),
    (Kind::KillProcess, "processes killed", Lane::Data, 4, ALL),
    (Kind::StopProcess, "processes stopped", Lane::Data, 4, ALL),
    (Kind::Delay, "bytes late", Lane::Network, 4, ALL),
    (Kind::Hold, "connections stand still", Lane::Network, 4, ALL),
    (Kind::HoldBus, "bus alone stands still", Lane::Network, 3, ALL),
    (Kind::HalfOpen, "connections half-open", Lane::Network, 4, ALL),
    (Kind::Throttle, "connections throttled", Lane::Network, 2, ALL),
    (Kind::Cut, "connections cut", Lane::Network, 3, ALL),
    (Kind::Reset, "connections reset", Lane::Network, 3, ALL),
    (Kind::CutAfter, "connections cut in mid-message", Lane::Network, 4, ALL),
    (Kind::Refuse, "new connections refused", Lane::Network, 2, ALL),
    (Kind::Corrupt, "bits flipped", Lane::Network, 2, &[Standalone]),
    (Kind::PausePrimary, "primary stopped for a moment", Lane::Servers, 3, ALL),
    (Kind::RestartPrimary, "primary killed and back at once, empty", Lane::Servers, 2, ALL),
    (Kind::KillPrimary, "primary killed, failover", Lane::Servers, 4, REPLICATED),
    (Kind::KillAhead, "the same, ahead of its replicas", Lane::Servers, 5, REPLICATED),
    (Kind::KillBusPrimary, "primary of the bus killed, failover", Lane::Servers, 2, &[Cluster]),
    (Kind::StopPrimary, "primary stopped, failover, goes on", Lane::Servers, 3, REPLICATED),
    (Kind::Failover, "failover on demand", Lane::Servers, 4, REPLICATED),
    (Kind::StopReplica, "replica stopped", Lane::Servers, 2, REPLICATED),
    (Kind::KillSentinel, "sentinel killed", Lane::Servers, 2, &[Sentinel]),
    (Kind::MoveSlot, "slot moved and back", Lane::Servers, 3, &[Cluster]),
    (Kind::MoveBusSlot, "slot of the bus moved and back", Lane::Servers, 2, &[Cluster]),
];

/// What they are called, in the order of [`Step::number`].
pub(super) fn names() -> Vec<&'static str> {
    TABLE.iter().map(|(_, name, ..)| *name).collect()
}

/// What goes wrong in one lane.
#[derive(Debug)]
pub(super) struct Plan {
    lane: Lane,
    topology: Topology,
    random: fastrand::Rng,
}

/// The next fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) kind: Kind,
    /// Among all kinds.
    pub(super) number: usize,
    /// Before it.
    pub(super) pause: Duration,
}

impl Plan {
    pub(super) fn new(seed: u64, topology: Topology, lane: Lane) -> Self {
        let random = fastrand::Rng::with_seed(seed ^ (lane as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self { lane, topology, random }
    }

    pub(super) fn step(&mut self) -> Step {
        let pause = Duration::from_millis(self.random.u64(self.lane.pause()));
        let rows: Vec<_> = TABLE.iter().enumerate().filter(|(_, row)| self.has(row.2, row.4)).collect();
        let mut left = self.random.u32(0..rows.iter().map(|(_, row)| row.3).sum());
        for (number, row) in rows {
            match left.checked_sub(row.3) {
                Some(rest) => left = rest,
                None => return Step { kind: row.0, number, pause },
            }
        }
        unreachable!("{left} is less than all together")
    }

    /// For what else is random about a fault.
    pub(super) fn random(&mut self) -> fastrand::Rng {
        self.random.fork()
    }

    fn has(&self, lane: Lane, topologies: &[Topology]) -> bool {
        lane == self.lane && topologies.contains(&self.topology)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn steps(seed: u64, topology: Topology) -> Vec<Step> {
        let plans = Lane::ALL.into_iter().map(|lane| Plan::new(seed, topology, lane));
        plans.flat_map(|mut plan| (0..3_000).map(move |_| plan.step()).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn the_same_seed_is_the_same_plan_and_another_is_another() {
        for topology in Topology::ALL {
            assert_eq!(steps(7, topology), steps(7, topology));
            assert_ne!(steps(7, topology), steps(8, topology));
        }
    }

    #[test]
    fn every_kind_comes_where_it_can_and_nowhere_else() {
        for topology in Topology::ALL {
            let come: HashSet<_> = steps(1, topology).into_iter().map(|step| (step.kind, step.number)).collect();
            let can = TABLE.iter().enumerate().filter(|(_, row)| row.4.contains(&topology));
            assert_eq!(come, can.map(|(number, row)| (row.0, number)).collect());
        }
    }
}
