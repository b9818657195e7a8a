//! A writer: commit, fence, invalidate, tell the bus, fence again, return. Or into the journal.

use crate::config::Target;
use crate::milestone::Milestone;
use crate::model::Protocol;
use crate::mutant::Mutant;
use crate::nodes::Nodes;
use crate::protocol::{Late, Message, Slot, State, Step, each};

impl Protocol {
    /// Whether this writer may begin.
    pub(crate) fn may_write(&self, state: &State, write: usize) -> bool {
        let follows = self.config.writes[write].follows;
        follows.is_none_or(|first| matches!(state.writes[first].step, Step::Applied(_) | Step::Queued | Step::Dead))
    }

    /// The source shows a new version.
    pub(crate) fn commit(&self, state: &mut State, write: usize) {
        let newest = state.writes.iter().map(|write| write.version).max().unwrap_or_default();
        let version = newest + 1;
        each(self.config.writes[write].names).for_each(|key| state.source[key] = version);
        state.writes[write].version = version;
        let is_late = self.lacks(Mutant::InvalidateFirst) && state.writes[write].id != 0;
        state.writes[write].step = if is_late { Step::Applied(0) } else { Step::Committed };
    }

    /// The plan is made by the routes that are known, its process is fenced, and the invalidation is sent.
    pub(crate) fn send(&self, state: &mut State, write: usize) {
        let spec = &self.config.writes[write];
        if let Some(process) = spec.process {
            state.writes[write].plan = spec.names & state.processes[process].known;
            self.bump(state, process, state.writes[write].plan);
        }
        if spec.target == Target::Put {
            state.writes[write].token = self.name(state);
        }
        state.writes[write].step = Step::Sent;
    }

    /// The server executes it: entries first, routes compared, bus last.
    pub(crate) fn execute(&self, state: &mut State, write: usize) {
        let spec = &self.config.writes[write];
        let Some(process) = spec.process else {
            let id = self.tell_bus(state, 1 << write, 0);
            state.server.executed |= 1 << write;
            (state.writes[write].id, state.writes[write].step) = (id, Step::Executed);
            return;
        };
        let tells_first = self.lacks(Mutant::UnlinkFirst);
        if !tells_first || state.writes[write].step == Step::Told {
            self.take_effect(state, write);
        }
        if state.writes[write].step == Step::Told {
            state.writes[write].step = Step::Executed;
        } else if state.server.routes != state.processes[process].version {
            state.writes[write].step = Step::RoutesChanged;
        } else {
            let id = self.tell_bus(state, 1 << write, state.writes[write].plan);
            state.writes[write].id = id;
            state.server.executed |= 1 << write;
            state.writes[write].step = if tells_first { Step::Told } else { Step::Executed };
        }
    }

    /// What was there is invalid from here on: a put leaves a lease in its place.
    fn take_effect(&self, state: &mut State, write: usize) {
        let (spec, written) = (&self.config.writes[write], state.writes[write]);
        self.take_away(state, write);
        for key in each(spec.names).filter(|_| spec.target == Target::Put) {
            if self.lacks(Mutant::PutLease) {
                let etag = self.name(state);
                state.server.set(key, written.version, 0, etag);
            } else {
                state.server.slots[key] = Slot::Lease(written.token);
            }
        }
    }

    /// The entries are unlinked, or the stamp of their group is.
    pub(crate) fn take_away(&self, state: &mut State, write: usize) {
        match self.config.writes[write].target {
            Target::Keys | Target::Put => {
                state.server.unlink(state.writes[write].plan, self.lacks(Mutant::SeparateLock));
            }
            Target::Group if self.lacks(Mutant::CounterStamps) => state.server.stamp += 1,
            Target::Group => state.server.stamp = 0,
        }
    }

    /// `XADD`.
    pub(crate) fn tell_bus(&self, state: &mut State, writes: u8, covered: u8) -> u8 {
        let id = self.name(state);
        // Who only adds a message clears no list.
        let is_foreign = each(writes).all(|write| self.config.writes[write].process.is_none());
        if !state.server.bus.has_begun() && !is_foreign {
            // How far the one before was read says nothing about this one.
            state.server.nodes = Nodes::default();
        }
        state.server.bus.add(Message { id, writes, covered, is_all: false });
        id
    }

    /// The reply arrives: its process is fenced again, for what it has read since.
    pub(crate) fn confirm(&self, state: &mut State, write: usize) {
        let spec = &self.config.writes[write];
        if let Some(process) = spec.process {
            if !self.lacks(Mutant::SecondBump) {
                self.bump(state, process, state.writes[write].plan);
            }
            state.processes[process].recent |= 1 << write;
        }
        state.writes[write].step = match spec.target {
            _ if state.writes[write].version == 0 => Step::Idle,
            Target::Put if !self.lacks(Mutant::PutLease) => Step::Putting,
            Target::Keys | Target::Group | Target::Put => Step::Applied(0),
        };
    }

    /// The routes are read, the plan is made again, and sent.
    pub(crate) fn plan_again(&self, state: &mut State, write: usize) {
        self.reach(Milestone::RoutesChanged);
        if let Some(process) = self.config.writes[write].process {
            self.read_routes(state, process);
        }
        self.send(state, write);
    }

    /// A process reads the routes of all.
    pub(crate) fn read_routes(&self, state: &mut State, process: usize) {
        let routes = state.server.routes;
        let held = &mut state.processes[process];
        held.version = routes;
        if !self.lacks(Mutant::Routes) {
            held.known |= routes;
        }
    }

    /// The value takes the place of its lease, if that stands; the put returns.
    pub(crate) fn put(&self, state: &mut State, write: usize) {
        let (spec, written) = (&self.config.writes[write], state.writes[write]);
        for key in each(spec.names) {
            if state.server.holds(key, written.token) {
                self.reach(Milestone::Put);
                let etag = self.name(state);
                state.server.set(key, written.version, 0, etag);
            }
        }
        state.writes[write].step = Step::Applied(0);
    }

    /// It failed, or nobody knows: it waits in the journal, and its process is fenced.
    pub(crate) fn queue(&self, state: &mut State, write: usize) {
        let Some(process) = self.config.writes[write].process else { return };
        self.reach(Milestone::Queued);
        self.bump(state, process, state.writes[write].plan);
        self.add_to_journal(state, process, 1 << write);
        state.writes[write].step = Step::Queued;
    }

    /// It takes too long. What was sent and not yet executed may arrive later.
    pub(crate) fn give_up_write(&self, state: &mut State, write: usize) {
        let number = u8::try_from(write).expect("a few writes");
        match state.writes[write].step {
            Step::Putting => state.writes[write].step = Step::Applied(0),
            Step::Sent => {
                self.send_late(state, Late::Invalidate(number));
                self.queue(state, write);
            }
            _ => self.queue(state, write),
        }
    }
}
