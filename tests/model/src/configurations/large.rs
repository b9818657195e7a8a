//! Those that take long.

use crate::config::{CallSpec, Config, KeySpec, Start, WriteSpec};
use crate::configurations::{BASE, BUS, CALM, EVERYWHERE, GROUPED, KEPT, TOLD, call, of_group, write};
use crate::faults::Faults;
use crate::milestone::Milestone as M;

/// The configurations that take long: more of everything, and faults together.
pub const LARGE: &[Config] = &[ANOTHER, PROMOTED, LISTENERS, CROWD, GROUPS, FLEET, STORM, OUTAGE, MIXED];

/// A failover between two processes.
const ANOTHER: Config = Config {
    name: "another",
    about: "a failover between two processes",
    calls: &[call(0)],
    writes: &[write(1)],
    faults: Faults { failovers: 1, ..CALM },
    reaches: &[M::LostInvalidation, M::AnotherServer, M::Repeated],
    start: Start::Stored,
    ..BUS
};

/// The same over a failover, with loads.
pub const PROMOTED: Config = Config {
    name: "promoted",
    calls: &[call(0)],
    about: "a writer that has just started waits for another process; a replica takes over that knows less",
    faults: Faults { failovers: 1, ticks: 1, ..CALM },
    reaches: &[M::HitNear, M::Everywhere, M::Doubted, M::AnotherServer],
    ..EVERYWHERE
};

/// A failover before two processes have read what a publisher has told.
const LISTENERS: Config = Config {
    name: "listeners",
    about: "a failover before two processes have read what a publisher that only tells the bus has told",
    calls: &[call(0), call(1)],
    processes: 2,
    ..TOLD
};

/// Two processes, two writers, entries evicted, operations given up.
const CROWD: Config = Config {
    name: "crowd",
    about: "two processes, two writers, entries evicted, operations given up",
    calls: &[call(0), call(0), call(1)],
    writes: &[write(0), write(1)],
    faults: Faults { evictions: 1, timeouts: 1, leaves: 1, ..CALM },
    reaches: &[M::Joined, M::Lost, M::Waited, M::LateFill, M::LateInvalidation],
    ..BASE
};

/// A group of two keys, invalidated by two processes, its stamp evicted.
const GROUPS: Config = Config {
    name: "groups",
    about: "a group of two keys, invalidated by two processes, its stamp evicted",
    keys: &[GROUPED, GROUPED],
    calls: &[call(0), call(0), call(1), CallSpec { key: 1, ..call(0) }],
    writes: &[WriteSpec { names: 3, ..of_group(0) }, WriteSpec { names: 3, ..of_group(1) }],
    faults: Faults { evictions: 1, timeouts: 1, ..CALM },
    reaches: &[M::Joined, M::TakenOver, M::Refused],
    ..BASE
};

/// Three processes with in-process tiers, one of which writes.
const FLEET: Config = Config {
    name: "fleet",
    about: "three processes with in-process tiers, two of which write",
    processes: 3,
    calls: &[call(0), call(0), call(1)],
    writes: &[write(1), write(2)],
    staleness: 2,
    faults: Faults { ticks: 4, trims: 1, ..CALM },
    reaches: &[M::HitNear, M::Blind, M::Heard, M::Gap],
    ..BUS
};

/// Everything that goes wrong with operations, over in-process tiers.
const STORM: Config = Config {
    name: "storm",
    about: "timeouts, evictions, crashes and values past their ttl, over in-process tiers",
    calls: &[call(0), call(0), call(1)],
    writes: &[write(0), write(1)],
    faults: Faults { evictions: 1, agings: 1, timeouts: 2, leaves: 1, crashes: 1, ticks: 2, ..CALM },
    reaches: &[M::Queued, M::Replayed, M::Stale, M::Crashed],
    ..BUS
};

/// A failover of a group between two processes that both write.
const OUTAGE: Config = Config {
    name: "outage",
    about: "a failover between two processes that both write, with a group, timeouts and late commands",
    keys: &[KeySpec { grouped: true, ..KEPT }],
    calls: &[call(0), call(1)],
    writes: &[of_group(0), of_group(1)],
    faults: Faults { failovers: 1, timeouts: 1, ticks: 2, ..CALM },
    reaches: &[M::LostInvalidation, M::AnotherServer, M::Repeated, M::Queued],
    ..BUS
};

/// Two functions, one late to register, one foreign publisher, tokens.
const MIXED: Config = Config {
    name: "mixed",
    about: "two functions, of which one registers late, a foreign publisher, and a token",
    keys: &[KEPT, KeySpec { only: Some(1), ..KEPT }],
    calls: &[call(0), CallSpec { after: Some(0), ..call(0) }, CallSpec { key: 1, ..call(1) }],
    writes: &[WriteSpec { names: 3, ..write(0) }, WriteSpec { process: None, ..write(0) }],
    faults: Faults { ticks: 1, timeouts: 1, ..CALM },
    start: Start::Blind,
    reaches: &[M::RoutesChanged, M::Uncovered, M::Heard],
    ..BUS
};
