//! What a state of the model is: the source, the server, the processes, the calls and the writes.
//!
//! Everything is a small number, so that two histories that lead to the same situation are one state. Names that are
//! never used twice (tokens of leases, nonces of groups, ids of messages) come from one counter, [`State::names`].

/// Most keys, processes, calls, writes, messages on the bus and late commands of a configuration.
pub const KEYS: usize = 2;
/// See [`KEYS`].
pub const PROCESSES: usize = 3;
/// See [`KEYS`].
pub const CALLS: usize = 4;
/// See [`KEYS`].
pub const WRITES: usize = 3;
/// See [`KEYS`].
pub const MESSAGES: usize = 5;
/// See [`KEYS`].
pub const LATE: usize = 2;

/// A version of the source: the number of the newest commit that a value shows. 0 is what was there before.
pub type Version = u8;

/// A name that is never used twice; 0 is none.
pub type Name = u8;

/// One moment of all that takes part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// What a load of each key would see.
    pub source: [Version; KEYS],
    /// The second tier.
    pub server: Server,
    /// What the replica has that takes over: the writes since are lost.
    pub replica: Option<Server>,
    /// The processes.
    pub processes: [Process; PROCESSES],
    /// The calls of cached functions.
    pub calls: [Call; CALLS],
    /// The writers: commit, invalidate, return.
    pub writes: [Write; WRITES],
    /// Commands that their senders have given up and that the server has yet to see.
    pub late: [Option<Late>; LATE],
    /// The last name that was given.
    pub names: Name,
    /// What may still go wrong.
    pub left: crate::faults::Faults,
    /// The first broken promise.
    pub flaw: Option<crate::promise::Flaw>,
}

/// Redis: entries, one group's stamp, routes, bus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Server {
    /// The slot of each entry: lease and value share it.
    pub slots: [Slot; KEYS],
    /// The nonce of the group; 0 where there is none.
    pub stamp: Name,
    /// The functions (one for each key) whose routes are known; it is the version of the routes too.
    pub routes: u8,
    /// The stream.
    pub bus: Bus,
    /// Who reads it.
    pub nodes: crate::nodes::Nodes,
    /// Which server this is, since which start.
    pub run: u8,
    /// Not in Redis, only for the properties: the writes that took effect here.
    pub executed: u8,
}

/// What stands at an entry's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Slot {
    /// Nothing.
    #[default]
    Empty,
    /// The right to fill it.
    Lease(Name),
    /// A value.
    Value(Stored),
}

/// A value in the second tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stored {
    /// What its load saw.
    pub version: Version,
    /// The group's stamp from before its load.
    pub stamp: Name,
    /// Its own name.
    pub etag: Name,
    /// Past its ttl, but it may be served while it is refreshed.
    pub is_stale: bool,
    /// Somebody has its refresh lease.
    pub is_refreshing: bool,
}

/// The stream: ids that grow, and a count of what was ever added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bus {
    /// What is still there, oldest first.
    pub messages: [Message; MESSAGES],
    /// How many of [`Bus::messages`] there are.
    pub length: u8,
    /// Where it ends, and how many were ever added.
    pub end: Reading,
}

/// A place on the bus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reading {
    /// The last id.
    pub last: Name,
    /// How many messages up to here, trimmed ones included.
    pub added: u8,
}

/// A message: what was invalidated, and what its publisher has unlinked itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Message {
    /// Its id.
    pub id: Name,
    /// The writes it tells of.
    pub writes: u8,
    /// The keys that are unlinked already.
    pub covered: u8,
    /// Whether it makes everything invalid: the first message of a bus that begins.
    pub is_all: bool,
}

/// One process: in-process tier, flights, reader of the bus, journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Process {
    /// The sum of the epochs of each key and its group.
    pub fences: [u8; KEYS],
    /// The in-process tier.
    pub l1: [Option<Kept>; KEYS],
    /// The call that leads the flight of each key.
    pub flights: [Option<u8>; KEYS],
    /// For how many more ticks it may serve from its in-process tier.
    pub right: u8,
    /// How far it has read the bus; nothing before the first look.
    pub reader: Option<Reading>,
    /// Without that: whether it has read another server, or stream, and reads again what both may have.
    pub is_behind: bool,
    /// Only for the properties: how many messages were applied, or made up for by dropping everything.
    pub counted: u8,
    /// The id up to which it has applied the bus.
    pub applied: Name,
    /// The server that it has looked at last; 0 before the first look.
    pub run: u8,
    /// For so many more ticks, rights may be in force that its server does not know.
    pub doubt: u8,
    /// Its look at the bus that is under way.
    pub probe: Probe,
    /// Whether the server knows its routes.
    pub is_registered: bool,
    /// The functions whose routes it knows.
    pub known: u8,
    /// The routes it has read last: their version.
    pub version: u8,
    /// Writes whose invalidation is yet to be confirmed.
    pub journal: u8,
    /// Writes whose invalidation succeeded.
    pub recent: u8,
    /// The replay that is under way.
    pub replay: Replay,
}

/// A value in the in-process tier, and the fence it is served under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kept {
    /// What its load saw.
    pub version: Version,
    /// From before its load.
    pub fence: u8,
}

/// A look at the bus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Probe {
    /// None is under way.
    #[default]
    None,
    /// Sent to this server, so many ticks ago.
    Asked {
        /// The server that was looked at.
        run: u8,
        /// In ticks, since it was sent.
        age: u8,
    },
    /// Its reply is on the way.
    Answered(Answer),
    /// What publishers have not covered is unlinked; fences come next.
    Unlinked(Answer),
}

/// The answer to a look at the bus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Answer {
    /// Whether it came from the server that was looked at.
    pub is_same: bool,
    /// In ticks, since it was asked for.
    pub age: u8,
    /// The messages behind the reader's position, and the end.
    pub bus: Bus,
    /// The routes; none tells that everything may be gone.
    pub routes: u8,
}

/// A replay of the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Replay {
    /// None is under way.
    #[default]
    None,
    /// Sent, for these writes.
    Sent(u8),
    /// Done at the server, under this id; the reply is on the way.
    Done(u8, Name),
}

/// A call of a cached function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Call {
    /// The oldest version it may be given.
    pub needs: Version,
    /// Why.
    pub promise: crate::promise::Promise,
    /// Flights it has lost.
    pub lost: u8,
    /// Whether it must see what the bus has not brought yet.
    pub is_strict: bool,
    /// Whether it has joined a flight before: then it counts as arrived.
    pub has_come: bool,
    /// The calls of its process whose last read was sent after it came: their hits are for it.
    pub ahead: u8,
    /// How far it is.
    pub phase: Phase,
}

/// How far a call is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It has not begun.
    #[default]
    Waiting,
    /// It found nothing in the in-process tier, or lost its flight.
    Missed,
    /// It has read the fence and joins a flight next.
    Fenced(u8),
    /// It waits for the flight that this call leads.
    Following(u8),
    /// It leads.
    Leading(Flight),
    /// It loads for itself.
    Alone,
    /// It was answered, or left.
    Done,
}

/// A flight, as its leader knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flight {
    /// From before anything was sent.
    pub fence: u8,
    /// In so many ticks nobody may join any more: its load has no lease.
    pub closes: Option<u8>,
    /// Whether its leader was answered already, with a stale value.
    pub is_served: bool,
    /// How far it is.
    pub stage: Stage,
}

/// How far a flight is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Its leader looks into the in-process tier once more.
    Turn,
    /// GET was sent.
    Reading,
    /// SET NX GET was sent for this lease, without a look before it.
    Asking(Name),
    /// GET was answered.
    Read(Seen),
    /// Another process holds this lease.
    Waiting(Name),
    /// SET NX was sent, or the same over the value with this name.
    Taking {
        /// Of the lease.
        token: Name,
        /// The value that is over; 0: nothing.
        over: Name,
    },
    /// The lease was taken under this stamp, or not.
    Taken {
        /// Of the lease.
        token: Name,
        /// The stamp of that moment.
        snapshot: Option<Name>,
    },
    /// The load runs.
    Loading(Tenure),
    /// It has seen this.
    Loaded(Tenure, Version),
    /// Sealed, and the fill sent.
    Filling(Tenure, Version),
    /// The fill was answered with this verdict.
    Filled(Version, bool),
}

/// What a read has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Seen {
    /// A value under the stamp of now.
    Hit(Version),
    /// A value past its ttl; where the refresh lease is ours, with its name and the stamp.
    Stale(Version, Option<(Name, Name)>),
    /// The value with this name is over; 0: nothing.
    Take(Name),
    /// Somebody's lease.
    Lease(Name),
}

/// What a load may do with its value in the second tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tenure {
    /// Fill the entry, with this token and the stamp from before the load.
    Lease(Name, Name),
    /// Replace the value with this name, if it stands there still.
    Refresh(Name, Name),
    /// Nothing.
    Without,
}

/// A writer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Write {
    /// What it committed; 0 before.
    pub version: Version,
    /// The keys that its plan covers.
    pub plan: u8,
    /// Its place on the bus; 0 before.
    pub id: Name,
    /// The token of a put.
    pub token: Name,
    /// Whether it was told that all processes know of it.
    pub is_everywhere: bool,
    /// How far it is.
    pub step: Step,
}

/// How far a writer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Step {
    /// It has not begun.
    #[default]
    Idle,
    /// It has committed.
    Committed,
    /// Its process is fenced, the invalidation sent.
    Sent,
    /// Only without the rule: the bus knows, the entries stand.
    Told,
    /// The server has executed it; the reply is on the way.
    Executed,
    /// The server had other routes: it tells so.
    RoutesChanged,
    /// Its value was sent, to take the place of its lease.
    Putting,
    /// It returned so many ticks ago: the invalidation holds.
    Applied(u8),
    /// It returned; the invalidation waits in the journal.
    Queued,
    /// A failover has lost it, and its process has yet to notice.
    Forgotten,
    /// Its process died.
    Dead,
}

/// A command that arrives when its sender has given it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Late {
    /// A fill of this key.
    Fill(u8, Tenure, Version),
    /// A lease of this key.
    Take(u8, Name, Name),
    /// The invalidation of this write.
    Invalidate(u8),
}

/// Whether a set of small numbers has this one.
#[must_use]
pub fn has(set: u8, number: usize) -> bool {
    set & (1 << number) != 0
}

/// The numbers of a set.
pub fn each(set: u8) -> impl Iterator<Item = usize> {
    (0..8).filter(move |number| has(set, *number))
}
