//! A Redis server, as much of it as the runtime uses: commands in, replies out, nothing else. It has no clock (it is told
//! the time with each command) and no connections (a [`Session`] is what it remembers of one).
//!
//! That it answers as `redis-server` does is checked against one, in `tests/like_redis.rs`. What it does not know it refuses loudly:
//! a command that nobody has checked must not pass for one that was.

mod cluster;
mod commands;
mod keys;
mod resp;
mod scripts;
mod streams;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use self::cluster::moved;
pub use self::cluster::{Map, PIECES, Seat, host};
pub use self::keys::{Fields, Item, Value};
pub use self::resp::{Reply, parse};
pub use self::streams::{Id, Stream};

/// Milliseconds since 1970.
pub type Millis = u64;

/// A server and what it stores.
#[derive(Clone, Debug, PartialEq)]
pub struct Redis {
    pub(crate) keys: BTreeMap<Vec<u8>, Item>,
    /// What it calls itself; another one after each start.
    pub run: String,
    /// What it calls its data's history.
    pub history: String,
    /// What it refuses.
    pub refusal: Refusal,
    /// Its place in a cluster, if it is in one.
    pub cluster: Option<Seat>,
    /// Replicas that have everything.
    pub replicas: u32,
    /// Whether it has `SET .. IFEQ`.
    pub swaps: Swaps,
    loaded: BTreeSet<&'static str>,
    now: Millis,
    /// How far the clock goes on between the beginning of a script and the message that it adds: a real server looks at
    /// it again. Only a comparison with one needs it.
    pub moves: Millis,
    /// Whether a script has written: from then on nothing is refused to it.
    is_dirty: bool,
}

/// What a server that works refuses all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing.
    #[default]
    Nothing,
    /// It has no memory: what needs some.
    NoMemory,
    /// It cannot save: whatever writes.
    NoWrites,
    /// It is a replica by now: whatever writes.
    ReadOnly,
    /// It is still reading its data: everything.
    Loading,
    /// A script runs: everything.
    Busy,
}

/// Whether a server has `SET .. IFEQ`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Swaps {
    /// It is too old.
    #[default]
    None,
    /// It tells a version that would have it, and does not have it.
    Told,
    /// It has it.
    Some,
}

/// What a server remembers of one connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Session {
    /// What the client calls the connection.
    pub name: String,
    /// The channels it is subscribed to.
    pub channels: BTreeSet<Vec<u8>>,
    /// It is one to a server that is a replica by now.
    pub is_of_replica: bool,
}

/// What a command has come to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// An answer.
    Reply(Reply),
    /// It waits for what comes after this in a stream, for at most so many milliseconds.
    Blocks {
        /// The stream.
        stream: Vec<u8>,
        /// The last message that was seen.
        after: Id,
        /// Milliseconds.
        most: Millis,
    },
}

/// What a command did besides answering.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    /// Streams that have something new.
    pub streams: Vec<Vec<u8>>,
    /// What goes to whom is subscribed to the channel.
    pub published: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Redis {
    /// An empty server.
    #[must_use]
    pub fn new(run: &str) -> Self {
        Self {
            keys: BTreeMap::new(),
            run: run.to_owned(),
            history: format!("history-of-{run}"),
            refusal: Refusal::Nothing,
            cluster: None,
            replicas: 0,
            swaps: Swaps::None,
            loaded: BTreeSet::new(),
            now: 0,
            moves: 0,
            is_dirty: false,
        }
    }

    /// The same data in another server.
    #[must_use]
    pub fn started_as(&self, run: &str) -> Self {
        Self { run: run.to_owned(), history: format!("history-of-{run}"), loaded: BTreeSet::new(), ..self.clone() }
    }

    /// Does one command.
    pub fn execute(
        &mut self,
        session: &mut Session,
        now: Millis,
        command: &[Vec<u8>],
        effects: &mut Effects,
    ) -> Outcome {
        self.now = now;
        self.is_dirty = false;
        commands::execute(self, session, command, effects)
    }

    /// The names of all keys that are not over.
    pub fn names(&mut self, now: Millis) -> Vec<Vec<u8>> {
        self.now = now;
        self.keys.iter().filter(|(_, item)| !item.is_over(now)).map(|(name, _)| name.clone()).collect()
    }

    /// A key ends at this time, if it was to end `margin` milliseconds before or after it.
    pub fn ends_at(&mut self, name: &[u8], at: Millis, margin: Millis) {
        if let Some(ends) = self.keys.get_mut(name).and_then(|item| item.ends.as_mut())
            && ends.abs_diff(at) <= margin
        {
            *ends = at;
        }
    }

    /// Removes a key, as an eviction does.
    pub fn evict(&mut self, name: &[u8]) {
        self.keys.remove(name);
    }

    /// Forgets all scripts.
    pub fn forget_scripts(&mut self) {
        self.loaded.clear();
    }

    /// Forgets the oldest messages of a stream.
    pub fn trim(&mut self, name: &[u8], left: usize) {
        if let Some(Item { value: Value::Stream(stream), .. }) = self.keys.get_mut(name) {
            stream.trim(left);
        }
    }

    /// The last id of a stream.
    #[must_use]
    pub fn last_id(&self, name: &[u8]) -> Option<Id> {
        match &self.keys.get(name)?.value {
            Value::Stream(stream) => Some(stream.last()),
            Value::String(_) | Value::Hash(_) => None,
        }
    }

    /// Whether a stream has this message.
    #[must_use]
    pub fn has_message(&self, name: &[u8], id: Id, fields: &[Vec<u8>]) -> bool {
        match self.keys.get(name).map(|item| &item.value) {
            Some(Value::Stream(stream)) => stream.has(id, fields),
            _ => false,
        }
    }

    /// The version of the routes that stand in this hash.
    #[must_use]
    pub fn version(&self, name: &[u8]) -> Option<Vec<u8>> {
        match &self.keys.get(name)?.value {
            Value::Hash(fields) => fields.get(b":version".as_slice()).cloned(),
            Value::String(_) | Value::Stream(_) => None,
        }
    }

    /// Whether nothing is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether both store the same.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        self.keys == other.keys
    }

    /// What stands at a key, as bytes.
    #[must_use]
    pub fn string(&self, name: &[u8]) -> Option<&[u8]> {
        match &self.keys.get(name)?.value {
            Value::String(bytes) => Some(bytes),
            Value::Hash(_) | Value::Stream(_) => None,
        }
    }
}
