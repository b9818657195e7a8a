//! A configuration: who takes part, and what may go wrong.

use crate::faults::Faults;
use crate::milestone::Milestone;
use crate::protocol::{Process, State};

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
        self.staleness > 0 && (self.faults.failovers > 0 || self.calls.iter().any(|call| call.process == process))
    }

    /// How everything begins: nothing is cached.
    #[must_use]
    pub fn beginning(&self) -> State {
        let mut state = State { left: self.faults, ..State::default() };
        state.server.run = 1;
        let is_blind = self.start == Start::Blind;
        state.server.routes = if is_blind { 0 } else { (1 << self.keys.len()) - 1 };
        if self.start == Start::Stored {
            (0..self.keys.len()).for_each(|key| state.server.set(key, 0, 0, 0));
        }
        (0..self.processes).for_each(|process| self.start(&mut state, process, is_blind));
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
