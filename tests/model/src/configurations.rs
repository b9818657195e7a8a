//! The configurations by name: small ones for every test run, large ones by command.

mod known;
mod large;

pub use self::known::{KNOWN, Known};
pub use self::large::{LARGE, PROMOTED};
use crate::config::{CallSpec, Config, KeySpec, Start, Target, WriteSpec};
use crate::faults::Faults;
use crate::milestone::Milestone as M;

/// The configurations of every test run.
pub const SMALL: &[Config] = &[
    JOIN, LEASE, UNSEEN, GROUP, MEMBERS, SHARD, HOT, HANDS, STALE, PUT, OWN, NEAR, GAP, START, FAILOVER, FIRST,
    JOURNAL, ROUTES, FOREIGN, TOLD, TOKEN, WITHOUT, BEGUN, EVERYWHERE,
];

const CALM: Faults =
    Faults { evictions: 0, agings: 0, timeouts: 0, leaves: 0, crashes: 0, trims: 0, losses: 0, failovers: 0, ticks: 0 };

const STRICT: KeySpec = KeySpec { grouped: false, l1: false, unseen: false, only: None };
const GROUPED: KeySpec = KeySpec { grouped: true, ..STRICT };
const KEPT: KeySpec = KeySpec { l1: true, ..STRICT };

const fn call(process: usize) -> CallSpec {
    CallSpec { process, key: 0, after: None, is_peek: false }
}

const fn write(process: usize) -> WriteSpec {
    WriteSpec { process: Some(process), names: 1, target: Target::Keys, follows: None, everywhere: false }
}

const fn of_group(process: usize) -> WriteSpec {
    WriteSpec { target: Target::Group, ..write(process) }
}

/// Two processes, one key without the in-process tier, nothing that goes wrong.
const BASE: Config = Config {
    name: "",
    about: "",
    processes: 2,
    keys: &[STRICT],
    calls: &[],
    writes: &[],
    staleness: 0,
    faults: CALM,
    start: Start::Empty,
    stamp_fails_alone: false,
    ends: true,
    reaches: &[],
};

/// The same with the in-process tier and the bus.
const BUS: Config = Config { keys: &[KEPT], staleness: 1, ends: false, ..BASE };

/// Three calls of one process share flights while another process writes.
pub const JOIN: Config = Config {
    name: "join",
    about: "three calls of one process share flights while another process writes",
    calls: &[call(0), call(0), call(0)],
    writes: &[write(1)],
    reaches: &[M::Joined, M::Lost, M::HitStored, M::Refused],
    ..BASE
};

/// Two processes load, entries are evicted, operations time out and arrive late.
pub const LEASE: Config = Config {
    name: "lease",
    about: "two processes load, entries are evicted, operations time out and arrive late",
    calls: &[call(0), call(1)],
    writes: &[write(0)],
    faults: Faults { evictions: 1, timeouts: 1, ..CALM },
    reaches: &[M::Waited, M::LateFill, M::LateInvalidation, M::LeaseExpired, M::Refused],
    ..BASE
};

/// Leases are taken without a look before them; values age, entries are evicted.
pub const UNSEEN: Config = Config {
    name: "unseen",
    about: "leases are taken without a look before them; values age, entries are evicted",
    keys: &[KeySpec { unseen: true, ..STRICT }],
    calls: &[call(0), call(0), call(1)],
    writes: &[write(1)],
    faults: Faults { evictions: 1, agings: 1, ..CALM },
    reaches: &[M::FoundUnseen, M::HitStored, M::Stale, M::Waited, M::Joined, M::Lost, M::Refused],
    ..BASE
};

/// A group is invalidated, and its stamp evicted.
pub const GROUP: Config = Config {
    name: "group",
    about: "a group is invalidated, and its stamp evicted",
    keys: &[GROUPED],
    calls: &[call(0), call(1)],
    writes: &[of_group(0)],
    faults: Faults { evictions: 1, ..CALM },
    reaches: &[M::TakenOver, M::Refused],
    ..BASE
};

/// Two keys of one group.
pub const MEMBERS: Config = Config {
    name: "members",
    about: "two keys of one group",
    keys: &[GROUPED, GROUPED],
    calls: &[call(0), call(0), CallSpec { key: 1, ..call(0) }],
    writes: &[WriteSpec { names: 3, ..of_group(1) }],
    reaches: &[M::Refused, M::Joined],
    ..BASE
};

/// The shard of a group's stamp fails over, that of its entries does not.
pub const SHARD: Config = Config {
    name: "shard",
    about: "the shard of a group's stamp fails over, that of its entries does not",
    keys: &[GROUPED],
    calls: &[call(0), call(0)],
    writes: &[of_group(0), WriteSpec { follows: Some(0), ..of_group(0) }],
    processes: 1,
    faults: Faults { failovers: 1, ..CALM },
    stamp_fails_alone: true,
    reaches: &[M::LostInvalidation, M::TakenOver],
    ..BASE
};

/// Calls lose one flight after another.
pub const HOT: Config = Config {
    name: "hot",
    about: "calls lose one flight after another",
    calls: &[call(0), call(0), call(0), call(0)],
    processes: 1,
    faults: Faults { evictions: 3, ..CALM },
    reaches: &[M::Lost, M::WriteHot],
    ..BASE
};

/// Leaders leave, hang and die.
pub const HANDS: Config = Config {
    name: "hands",
    about: "leaders leave, hang and die",
    calls: &[call(0), call(0), call(1)],
    faults: Faults { leaves: 1, crashes: 1, timeouts: 1, ..CALM },
    reaches: &[M::HandedOver, M::Crashed, M::LeaseExpired],
    ..BASE
};

/// A value past its ttl is served and refreshed while it is invalidated.
pub const STALE: Config = Config {
    name: "stale",
    about: "a value past its ttl is served and refreshed while it is invalidated",
    calls: &[call(0), call(0), call(1)],
    writes: &[write(1)],
    faults: Faults { agings: 1, ..CALM },
    reaches: &[M::Stale, M::Refreshed],
    ..BASE
};

/// A put that may time out and arrive late, and a write after it.
pub const PUT: Config = Config {
    name: "put",
    about: "a put that may time out and arrive late, and a write after it",
    calls: &[call(0)],
    writes: &[WriteSpec { target: Target::Put, ..write(0) }, WriteSpec { follows: Some(0), ..write(1) }],
    faults: Faults { timeouts: 1, ..CALM },
    reaches: &[M::Put, M::LateInvalidation, M::Queued],
    ..BASE
};

/// The process that writes reads from its own tier.
pub const OWN: Config = Config {
    name: "own",
    about: "the process that writes reads from its own tier",
    calls: &[call(0), call(0)],
    writes: &[write(0)],
    processes: 1,
    reaches: &[M::HitNear],
    start: Start::Stored,
    ..BUS
};

/// A process reads from its own tier what another one invalidates, as long as it has the right to.
pub const NEAR: Config = Config {
    name: "near",
    about: "a process reads from its own tier what another one invalidates, as long as it has the right to",
    calls: &[call(0), call(0)],
    writes: &[write(1)],
    faults: Faults { ticks: 2, ..CALM },
    reaches: &[M::HitNear, M::Blind, M::Heard],
    start: Start::Stored,
    ..BUS
};

/// A message is trimmed before it is read.
pub const GAP: Config = Config {
    name: "gap",
    about: "a message is trimmed before it is read",
    faults: Faults { trims: 1, ..CALM },
    reaches: &[M::Gap, M::Heard],
    ..NEAR
};

/// A process that has never read the bus, and that the server does not know.
pub const START: Config = Config {
    name: "start",
    about: "a process that has never read the bus, and that the server does not know",
    faults: CALM,
    start: Start::Blind,
    reaches: &[M::KeptOff, M::WithoutLease, M::RoutesChanged],
    ..NEAR
};

/// A failover loses what a process has invalidated: it repeats it.
pub const FAILOVER: Config = Config {
    name: "failover",
    about: "a failover loses what a process has invalidated: it repeats it",
    calls: &[call(0)],
    writes: &[write(0)],
    processes: 1,
    faults: Faults { failovers: 1, ..CALM },
    reaches: &[M::LostInvalidation, M::AnotherServer, M::Repeated],
    start: Start::Stored,
    ..BUS
};

/// A failover before a process has looked at its server.
pub const FIRST: Config = Config {
    name: "first",
    about: "a failover before a process that has invalidated something looks at its server for the first time",
    start: Start::Unread,
    reaches: &[M::LostInvalidation, M::Repeated, M::Begun],
    ..FAILOVER
};

/// Invalidations time out and wait in the journal.
pub const JOURNAL: Config = Config {
    name: "journal",
    about: "invalidations time out and wait in the journal",
    calls: &[call(0), call(0)],
    writes: &[write(0)],
    processes: 1,
    faults: Faults { timeouts: 1, ..CALM },
    reaches: &[M::Queued, M::Replayed, M::KeptOff],
    ..BUS
};

/// A publisher does not have the function whose values it invalidates, and that registers late.
pub const ROUTES: Config = Config {
    name: "routes",
    about: "a publisher does not have the function whose values it invalidates, and that registers late",
    keys: &[STRICT, KeySpec { only: Some(1), ..STRICT }],
    calls: &[CallSpec { key: 1, ..call(1) }, CallSpec { key: 1, ..call(1) }],
    writes: &[WriteSpec { names: 3, ..write(0) }],
    start: Start::Blind,
    reaches: &[M::RoutesChanged, M::KeptOff],
    ..BUS
};

/// A publisher that only tells the bus, which is evicted.
pub const FOREIGN: Config = Config {
    name: "foreign",
    about: "a publisher that only tells the bus, which is evicted",
    calls: &[call(0), call(0)],
    writes: &[WriteSpec { process: None, ..write(0) }],
    processes: 1,
    faults: Faults { losses: 1, ..CALM },
    reaches: &[M::Uncovered, M::Heard, M::Gap],
    start: Start::Stored,
    ..BUS
};

/// The same over a failover: what it has told is yet to be read.
pub const TOLD: Config = Config {
    name: "told",
    about: "a publisher that only tells the bus, and a failover before that is read",
    faults: Faults { failovers: 1, ..CALM },
    reaches: &[M::Uncovered, M::ReadBehind, M::AnotherServer],
    ..FOREIGN
};

/// A call that carries a token among calls that carry none.
pub const TOKEN: Config = Config {
    name: "token",
    about: "a call that carries a token among calls that carry none",
    calls: &[call(0), call(0), CallSpec { after: Some(0), ..call(0) }],
    writes: &[write(1)],
    reaches: &[M::TokenAhead, M::HitNear],
    ..BUS
};

/// Loads without a lease, which may be joined for as long as the bus may take.
pub const WITHOUT: Config = Config {
    name: "without",
    about: "loads without a lease, which may be joined for as long as the bus may take",
    calls: &[call(0), call(0)],
    writes: &[write(1)],
    faults: Faults { timeouts: 1, ticks: 1, ..CALM },
    reaches: &[M::WithoutLease, M::JoinedWithoutLease, M::Closed],
    ..BUS
};

/// There is no bus at first; one comes, and is evicted before it is read.
pub const BEGUN: Config = Config {
    name: "begun",
    about: "there is no bus at first; one comes, and is evicted before it is read",
    keys: &[KEPT, KEPT],
    calls: &[call(0), CallSpec { is_peek: true, ..call(0) }],
    writes: &[write(1), WriteSpec { names: 2, follows: Some(0), ..write(1) }],
    faults: Faults { losses: 1, ..CALM },
    start: Start::Unread,
    reaches: &[M::Begun, M::HitNear, M::Heard, M::Gap],
    ..BUS
};

/// A writer that has just started waits until another process knows; the bus or the list of its readers is evicted.
pub const EVERYWHERE: Config = Config {
    name: "everywhere",
    about: "a writer that has just started waits for another process; the bus or the list of its readers is evicted",
    calls: &[CallSpec { is_peek: true, ..call(0) }],
    writes: &[WriteSpec { everywhere: true, ..write(1) }],
    faults: Faults { losses: 1, ticks: 2, ..CALM },
    start: Start::Kept,
    reaches: &[M::HitNear, M::Everywhere, M::Doubted, M::Begun],
    ..BUS
};
