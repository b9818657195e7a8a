//! The steps that are possible in a state.

use crate::model::Protocol;
use crate::mutant::Mutant;
use crate::protocol::{Phase, Probe, Replay, Slot, Stage, State, Step};

/// One step of somebody, by number: calls, writes, processes, keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A call begins.
    Begin(usize),
    /// A call reads the fence.
    ReadFence(usize),
    /// A call joins a flight, or leads one.
    Join(usize),
    /// A leader looks once more, and sends its read.
    Turn(usize),
    /// The server executes a leader's command.
    Serve(usize),
    /// The reply arrives at the leader.
    Receive(usize),
    /// A leader looks again, for the lease it waits for is gone.
    Poll(usize),
    /// A load reads the source.
    Load(usize),
    /// A leader seals its flight and sends the fill.
    Fill(usize),
    /// A leader's operation times out.
    GiveUp(usize),
    /// A leader's caller leaves.
    Leave(usize),
    /// A follower takes the key from a hung flight.
    TakeFromHung(usize),
    /// A renewal of a lost lease brings it back.
    Renew(usize),
    /// A writer commits.
    Commit(usize),
    /// A writer fences its process and sends the invalidation.
    Send(usize),
    /// The server executes an invalidation.
    Execute(usize),
    /// The reply arrives at the writer, and it returns.
    Confirm(usize),
    /// A writer's operation times out.
    GiveUpWrite(usize),
    /// A writer is told that all processes know.
    Everywhere(usize),
    /// A process looks which server it is, registers, and asks for the bus.
    Ask(usize),
    /// The server answers.
    ServeProbe(usize),
    /// A process unlinks what a publisher has not covered.
    Unlink(usize),
    /// A process applies what it has read.
    Apply(usize),
    /// A process sends its journal.
    Replay(usize),
    /// The server executes it.
    ServeReplay(usize),
    /// The reply arrives.
    ConfirmReplay(usize),
    /// Time goes on.
    Tick,
    /// An entry is evicted.
    Evict(usize),
    /// The group's stamp is evicted.
    EvictStamp,
    /// A value grows older than its ttl.
    Age(usize),
    /// A lease that nobody holds expires.
    Expire(usize),
    /// A given-up command arrives.
    Arrive(usize),
    /// The oldest message is trimmed.
    Trim,
    /// The bus is evicted.
    LoseBus,
    /// The list of those who read it is evicted.
    LoseNodes,
    /// A process dies and starts again.
    Crash(usize),
    /// The replica has everything up to here, and nothing that comes.
    Replicate,
    /// The replica takes over.
    FailOver,
}

impl Protocol {
    pub(crate) fn call_actions(&self, state: &State, actions: &mut Vec<Action>) {
        for call in 0..self.config.calls.len() {
            match state.calls[call].phase {
                Phase::Waiting if self.may_begin(state, call) => actions.push(Action::Begin(call)),
                Phase::Missed => actions.push(Action::ReadFence(call)),
                Phase::Fenced(_) => actions.push(Action::Join(call)),
                Phase::Following(_) if state.left.timeouts > 0 => actions.push(Action::TakeFromHung(call)),
                Phase::Alone => actions.push(Action::Load(call)),
                Phase::Leading(flight) => self.leader_actions(state, call, flight.stage, actions),
                Phase::Waiting | Phase::Following(_) | Phase::Done => {}
            }
        }
    }

    fn leader_actions(&self, state: &State, call: usize, now: Stage, actions: &mut Vec<Action>) {
        match now {
            Stage::Turn => actions.push(Action::Turn(call)),
            Stage::Reading | Stage::Asking(_) | Stage::Taking { .. } | Stage::Filling(..) => {
                actions.push(Action::Serve(call));
            }
            Stage::Read(_) | Stage::Taken { .. } | Stage::Filled(..) => actions.push(Action::Receive(call)),
            Stage::Waiting(token) if self.may_poll(state, call, token) => actions.push(Action::Poll(call)),
            Stage::Waiting(_) => {}
            Stage::Loading(_) => actions.push(Action::Load(call)),
            Stage::Loaded(..) => actions.push(Action::Fill(call)),
        }
        if state.left.timeouts > 0 && !matches!(now, Stage::Turn | Stage::Loading(_) | Stage::Loaded(..)) {
            actions.push(Action::GiveUp(call));
        }
        if state.left.leaves > 0 {
            actions.push(Action::Leave(call));
        }
        if self.renewed(state, call).is_some() {
            actions.push(Action::Renew(call));
        }
    }

    pub(crate) fn write_actions(&self, state: &State, actions: &mut Vec<Action>) {
        for write in 0..self.config.writes.len() {
            let invalidates_first = self.lacks(Mutant::InvalidateFirst);
            let written = &state.writes[write];
            match written.step {
                Step::Idle if !self.may_write(state, write) => {}
                Step::Idle if invalidates_first && written.id == 0 => actions.push(Action::Send(write)),
                Step::Idle => actions.push(Action::Commit(write)),
                Step::Committed => actions.push(Action::Send(write)),
                Step::Sent | Step::Told | Step::Putting => actions.push(Action::Execute(write)),
                Step::Executed | Step::RoutesChanged => actions.push(Action::Confirm(write)),
                Step::Applied(_) | Step::Queued | Step::Forgotten | Step::Dead => {}
            }
            let is_sent =
                matches!(written.step, Step::Sent | Step::Told | Step::Executed | Step::RoutesChanged | Step::Putting);
            if is_sent && state.left.timeouts > 0 && self.config.writes[write].process.is_some() {
                actions.push(Action::GiveUpWrite(write));
            }
            if self.may_return(state, write) {
                actions.push(Action::Everywhere(write));
            }
        }
    }

    pub(crate) fn process_actions(&self, state: &State, actions: &mut Vec<Action>) {
        for process in (0..self.config.processes).filter(|process| self.config.reads_bus(*process)) {
            let held = &state.processes[process];
            match &held.probe {
                Probe::None => actions.push(Action::Ask(process)),
                Probe::Asked { .. } => actions.push(Action::ServeProbe(process)),
                Probe::Answered(answer) if self.uncovered(state, process, answer) != 0 => {
                    actions.push(Action::Unlink(process));
                }
                Probe::Answered(_) | Probe::Unlinked(_) => actions.push(Action::Apply(process)),
            }
        }
    }

    pub(crate) fn world_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let left = &state.left;
        for process in 0..self.config.processes {
            match state.processes[process].replay {
                Replay::None if state.processes[process].journal != 0 => actions.push(Action::Replay(process)),
                Replay::None => {}
                Replay::Sent(_) => actions.push(Action::ServeReplay(process)),
                Replay::Done(..) => actions.push(Action::ConfirmReplay(process)),
            }
            if left.crashes > 0 {
                actions.push(Action::Crash(process));
            }
        }
        for key in 0..self.config.keys.len() {
            if left.evictions > 0 && state.server.slots[key] != Slot::Empty {
                actions.push(Action::Evict(key));
            }
            if left.agings > 0 && matches!(state.server.slots[key], Slot::Value(_)) {
                actions.push(Action::Age(key));
            }
            if self.is_orphan(state, key) {
                actions.push(Action::Expire(key));
            }
        }
        actions.extend((0..state.late.len()).filter(|late| state.late[*late].is_some()).map(Action::Arrive));
        let also = [
            (left.evictions > 0 && state.server.stamp != 0, Action::EvictStamp),
            (left.trims > 0 && state.server.bus.length > 0, Action::Trim),
            (left.losses > 0 && state.server.bus.has_begun(), Action::LoseBus),
            (left.losses > 0 && state.server.nodes.kept_for.is_some(), Action::LoseNodes),
            (left.ticks > 0, Action::Tick),
            (left.failovers > 0 && state.replica.is_none(), Action::Replicate),
            (left.failovers > 0 && state.replica.is_some(), Action::FailOver),
        ];
        actions.extend(also.into_iter().filter(|(may, _)| *may).map(|(_, action)| action));
    }
}
