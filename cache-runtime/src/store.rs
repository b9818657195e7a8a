//! The second tier in the words of the protocol: what stands in a slot, what may be asked, what is answered.
//!
//! `redis::Store` does it. Its operations, all of them cancel-safe in the sense that dropping one leaves an outcome
//! that the protocol allows (a lease that expires, a fill that nobody waits for):
//!
//! * `read`: an entry and its group stamps, in one flush with every other read that waits at that moment.
//! * `lease`: the lease in the entry's own slot, and the stamps as they were before the load.
//! * `watch`: marks a lease as waited for; `wake`: the end of the next wake-up of a key.
//! * `renew`, `end`: the lease's holder, alive, and done: fill, release or cool-down.
//! * `refresh`: the refresh lease of a value.
//! * `invalidate`: entries and stamps first, then the bus.
//! * `probe`, `listen`: the bus. `nodes`: who has read how far. `routes`, `register`: which events name which keys.

use std::time::Duration;

use bytes::Bytes;

/// The name of one lease, and of the value it became.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Token(pub(crate) [u8; 16]);

impl Token {
    /// A new one: random, so that none ever comes twice.
    pub(crate) fn fresh() -> Self {
        Self(fastrand::u128(..).to_le_bytes())
    }

    /// What stands in an entry's slot while the holder of this token loads, and nobody waits for it.
    pub(crate) fn placeholder(self) -> [u8; HEAD] {
        let mut placeholder = [0; HEAD];
        placeholder[..2].copy_from_slice(b"L0");
        placeholder[2..].copy_from_slice(&self.0);
        placeholder
    }
}

/// The nonce of a group: whatever is kept under another one is invalid. A missing one is like no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Stamp(pub(crate) [u8; 16]);

/// What stands at an entry's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Empty,
    /// Somebody loads.
    Lease(Token),
    /// Somebody's load failed a moment ago.
    CoolDown(Token),
    /// A value: all bytes of the slot, header included.
    Value(Bytes),
    /// Nothing of ours, with its first bytes (18 at most); empty for what is no string at all.
    Garbage(Vec<u8>),
}

/// Length of a slot's fixed header in front of a token's end: kind, waiters, token.
pub(crate) const HEAD: usize = 18;

/// Length of the whole header of a value, behind which its envelope begins.
pub(crate) const VALUE_HEAD: usize = 26;

/// An entry and its groups at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) slot: Slot,
    /// One for each group, in the order they were asked for.
    pub(crate) stamps: Vec<Option<Stamp>>,
}

/// What became of the try to take a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Leased {
    /// It is ours, and these are the stamps from before the load; missing ones were created.
    Taken(Vec<Stamp>),
    /// Something else stands there now.
    Held(Slot),
}

/// What may be in the way of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// Nothing: only an empty slot is taken.
    Nothing,
    /// The same, where nobody has looked yet.
    Unseen,
    /// A slot with exactly this beginning (18 bytes at most): a value whose stamps are old, or garbage.
    Head(Vec<u8>),
}

/// How a lease's holder ends it, if it still holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending<'a> {
    /// These bytes (header and envelope) for so long.
    Fill(&'a [u8], Duration),
    /// Nothing is kept.
    Release,
    /// The load failed: nobody needs to wait, for so long.
    CoolDown(Duration),
}

/// Whether the lease was still held when it ended, and the stamps after that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) held: bool,
    pub(crate) stamps: Vec<Option<Stamp>>,
}

/// A place in the bus: the id of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Position {
    pub(crate) millis: u64,
    pub(crate) sequence: u64,
}

/// How far a reader of the bus has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The last message that was applied.
    pub(crate) last: Position,
    /// How many messages were ever added, that one included.
    pub(crate) added: u64,
}

/// The bus after a reader's position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The server's clock when it answered, in milliseconds since 1970.
    pub(crate) server_millis: u64,
    /// The position of the stream's last message and how many were ever added; nothing when there is no stream.
    pub(crate) end: Option<Reading>,
    /// Messages behind the reader's position, oldest first, as many as were asked for at most.
    pub(crate) messages: Vec<Message>,
    /// Whether the bounds were reached, so that there may be more.
    pub(crate) more: bool,
    /// The current version of the routes; nothing when there are none.
    pub(crate) routes: Option<String>,
}

/// Bytes of fields and their names. Of a longer message nothing is read but the names of its events.
pub(crate) const LONGEST_MESSAGE: usize = 1 << 20;

/// One message of the bus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) position: Position,
    /// Field names and values as they stand in the stream, in order.
    pub(crate) fields: Vec<(String, Vec<u8>)>,
}

/// What an invalidation needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Needed {
    /// The server at this place among all; nothing: the one that has a slot which nobody has.
    Server(Option<usize>),
    /// The bus.
    Bus,
}

/// What is to be made invalid, and who is to hear of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Invalidation {
    /// Full names of entries and group stamps.
    pub(crate) unlink: Vec<String>,
    /// A value that takes the place of an entry: full name, bytes, lifetime.
    pub(crate) put: Option<(String, Vec<u8>, Duration)>,
    /// Fields of the message.
    pub(crate) fields: Vec<(&'static str, Vec<u8>)>,
}

/// What became of an invalidation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Invalidated {
    /// Everything is unlinked and the message is on the bus, at this position.
    At(Position),
    /// Unlinked, but the routes are not those of the version that was named: nothing is on the bus yet.
    RoutesChanged,
}

/// Who reads the bus, as far as the server knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Nodes {
    pub(crate) seen: Vec<NodeSeen>,
    /// For how long it has been written down who reads: whoever got the right to serve before is not known.
    pub(crate) kept_for: Duration,
}

/// One process, as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeSeen {
    pub(crate) id: String,
    pub(crate) applied: Position,
    /// Until when it may serve from its in-process tier, in milliseconds from the server's now; nothing when that is over.
    pub(crate) remaining: Option<Duration>,
}
