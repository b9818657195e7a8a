//! A configuration: who takes part, and what may go wrong.

use crate::faults::Faults;
use crate::milestone::Milestone;
use crate::nodes::NodeSeen;
use crate::protocol::{Kept, Message, Process, State};

/// F5: after so many lost flights a call loads for itself. Three in the runtime; two show the same.
pub const MOST_LOST: u8 = 2;

/// Who takes part in a model, and what may go wrong.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// How many processes there are.
    pub processes: usize,
    /// The keys, each of a function of its own.
    pub keys: &'static [KeySpec],
    /// The calls.
    pub calls: &'static [CallSpec],
    /// The writers.
    pub writes: &'static [WriteSpec],
    /// `max_staleness` in ticks; 0: nobody reads the bus, and nothing is kept in a process.
    pub staleness: u8,
    /// What may go wrong.
    pub faults: Faults,
    /// How it begins.
    pub start: Start,
    /// Whether a failover concerns the shard of the stamp alone: entries stay as they are.
    pub stamp_fails_alone: bool,
    /// Whether every path ends, so that `eventually` means something.
    pub ends: bool,
    /// What must be reached, or the configuration shows nothing.
    pub reaches: &'static [Milestone],
}

/// How everything begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Nobody has read the bus yet, and the server knows no routes.
    Blind,
    /// Nothing is stored.
    Empty,
    /// The second tier holds a value of the first version of each key.
    Stored,
    /// The same, but nobody has looked at the bus yet: there is none.
    Unread,
    /// The same with a bus. The first process has read it, and kept the value with the right to serve it; all others have
    /// yet to look.
    Kept,
}

/// A key.
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    /// Whether it belongs to the group.
    pub grouped: bool,
    /// Whether its function uses the in-process tier.
    pub l1: bool,
    /// Whether leases are taken without a look before.
    pub unseen: bool,
    /// The one process that has its function; else all have.
    pub only: Option<usize>,
}

/// A call.
#[derive(Clone, Copy, Debug)]
pub struct CallSpec {
    /// Where it runs.
    pub process: usize,
    /// What it asks for.
    pub key: usize,
    /// The write whose token it carries.
    pub after: Option<usize>,
    /// Whether it ends where its process has nothing, without a load.
    pub is_peek: bool,
}

/// A writer.
#[derive(Clone, Copy, Debug)]
pub struct WriteSpec {
    /// Where it runs; nowhere: a foreign publisher, which only tells the bus.
    pub process: Option<usize>,
    /// The keys whose values it changes.
    pub names: u8,
    /// What it invalidates.
    pub target: Target,
    /// It begins after this one has returned.
    pub follows: Option<usize>,
    /// Whether it waits until all processes know of it.
    pub everywhere: bool,
}

/// What a write invalidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The keys it names.
    Keys,
    /// The group that all keys it names belong to.
    Group,
    /// The one key it names, whose new value it puts there.
    Put,
}

impl Config {
    /// The functions that this process has.
    #[must_use]
    pub fn linked(&self, process: usize) -> u8 {
        let is_linked = |key: &&KeySpec| key.only.is_none_or(|only| only == process);
        self.keys.iter().enumerate().filter(|(_, key)| is_linked(key)).fold(0, |set, (key, _)| set | 1 << key)
    }

    /// The keys of the group.
    #[must_use]
    pub fn grouped(&self) -> u8 {
        self.keys.iter().enumerate().filter(|(_, key)| key.grouped).fold(0, |set, (key, _)| set | 1 << key)
    }

    /// Whether this process reads the bus: one that only publishes needs not.
    #[must_use]
    pub fn reads_bus(&self, process: usize) -> bool {
        let (calls, writes) = (self.calls.iter(), self.writes.iter());
        let mut readers = calls.map(|call| Some(call.process));
        let mut waiting = writes.filter(|write| write.everywhere).map(|write| write.process);
        let is_one = readers.any(|one| one == Some(process)) || waiting.any(|one| one == Some(process));
        self.staleness > 0 && (self.faults.failovers > 0 || is_one)
    }

    /// For how many ticks a process doubts what a server tells it that it has just met.
    pub(crate) fn doubt(&self) -> u8 {
        if self.waits() { self.staleness } else { 0 }
    }

    /// Whether a writer waits until all processes know.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.writes.iter().any(|write| write.everywhere)
    }

    /// How everything begins: nothing is cached.
    #[must_use]
    pub fn beginning(&self) -> State {
        let mut state = State { left: self.faults, ..State::default() };
        state.server.run = 1;
        let is_blind = self.start == Start::Blind;
        state.server.routes = if is_blind { 0 } else { (1 << self.keys.len()) - 1 };
        if matches!(self.start, Start::Stored | Start::Unread | Start::Kept) {
            (0..self.keys.len()).for_each(|key| state.server.set(key, 0, 0, 0));
        }
        if matches!(self.start, Start::Empty | Start::Stored | Start::Kept) && self.staleness > 0 {
            // Somebody has looked, long ago: there is a bus.
            state.names = 1;
            state.server.bus.add(Message { id: 1, is_all: true, ..Message::default() });
            state.server.bus.trim();
            state.server.nodes.kept_for = self.waits().then_some(self.staleness);
        }
        (0..self.processes).for_each(|process| self.start(&mut state, process, is_blind));
        let unread = usize::from(self.start != Start::Unread);
        if matches!(self.start, Start::Unread | Start::Kept) {
            state.processes[unread..self.processes].iter_mut().for_each(Process::has_yet_to_look);
        }
        if self.start == Start::Kept {
            let (applied, right) = (state.names, self.staleness);
            state.processes[0].right = right;
            (0..self.keys.len()).for_each(|key| state.processes[0].l1[key] = Some(Kept { version: 0, fence: 0 }));
            state.server.nodes.seen[0] = Some(NodeSeen { applied, right });
        }
        state
    }

    /// A process starts.
    pub(crate) fn start(&self, state: &mut State, process: usize, is_blind: bool) {
        let known = self.linked(process);
        state.processes[process] = Process { known, ..Process::default() };
        if !is_blind {
            let (routes, run, end) = (state.server.routes, state.server.run, state.server.bus.end);
            let started = &mut state.processes[process];
            (started.known, started.version, started.is_registered) = (known | routes, routes, true);
            if self.reads_bus(process) {
                (started.run, started.reader) = (run, Some(end));
                (started.counted, started.applied) = (end.added, end.last);
            }
        }
    }
}

impl Process {
    fn has_yet_to_look(&mut self) {
        (self.run, self.reader, self.counted, self.applied) = (0, None, 0, 0);
    }
}
