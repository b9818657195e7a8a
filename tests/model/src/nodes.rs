//! Who reads the bus, as the server knows it, and the writer that waits for all of them: `everywhere`.

use crate::milestone::Milestone;
use crate::model::Protocol;
use crate::mutant::Mutant;
use crate::protocol::{Name, PROCESSES, State, Step};

/// The table that each look at the bus writes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Nodes {
    /// For how many ticks it has been kept, `max_staleness` at most; nothing where there is none.
    pub kept_for: Option<u8>,
    /// What each process has told.
    pub seen: [Option<NodeSeen>; PROCESSES],
}

/// What a process has told at its last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeSeen {
    /// How far it had applied the bus.
    pub applied: Name,
    /// For how many more ticks it may serve.
    pub right: u8,
}

impl Nodes {
    /// Time goes on.
    pub(crate) fn tick(&mut self, most: u8) {
        self.kept_for = self.kept_for.map(|ticks| (ticks + 1).min(most));
        self.seen.iter_mut().flatten().for_each(|seen| seen.right = seen.right.saturating_sub(1));
    }

    /// By the clock of the server that has the table now, all that it tells was long ago.
    pub(crate) fn run_ahead(&mut self, most: u8) {
        (0..most).for_each(|_| self.tick(most));
    }
}

impl Protocol {
    /// A look at the bus: the server learns how far its process is, and until when it may serve.
    pub(crate) fn see(&self, state: &mut State, process: usize) {
        if !self.config.waits() {
            return;
        }
        let applied = state.processes[process].applied;
        let nodes = &mut state.server.nodes;
        nodes.kept_for.get_or_insert(0);
        nodes.seen[process] = Some(NodeSeen { applied, right: self.config.staleness });
    }

    /// Whether this writer waits until all know of it, and is told now that they do.
    pub(crate) fn may_return(&self, state: &State, write: usize) -> bool {
        let (spec, written) = (&self.config.writes[write], &state.writes[write]);
        let Some(process) = spec.process.filter(|_| spec.everywhere && !written.is_everywhere) else { return false };
        matches!(written.step, Step::Applied(_)) && !self.waits_for_others(state, process, written.id)
    }

    /// Whether another process may still serve what this message made invalid, or that cannot be told.
    fn waits_for_others(&self, state: &State, process: usize, id: Name) -> bool {
        let (held, nodes) = (&state.processes[process], &state.server.nodes);
        // The list is asked for over the connection whose server was looked at.
        let is_another = held.run != state.server.run && !self.lacks(Mutant::ListOfAnother);
        if held.applied < id || is_another {
            return true;
        }
        let is_young = nodes.kept_for.is_none_or(|ticks| ticks < self.config.staleness);
        if (held.doubt > 0 && !self.lacks(Mutant::Doubt)) || (is_young && !self.lacks(Mutant::YoungList)) {
            self.reach(Milestone::Doubted);
            return true;
        }
        let others = nodes.seen.iter().enumerate().filter(|(other, _)| *other != process);
        others.filter_map(|(_, seen)| *seen).any(|seen| seen.right > 0 && seen.applied < id)
    }

    /// All know of it, or may not serve: it returns.
    pub(crate) fn return_everywhere(&self, state: &mut State, write: usize) {
        self.reach(Milestone::Everywhere);
        state.writes[write].is_everywhere = true;
    }
}
