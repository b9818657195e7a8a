//! What happens to everybody: time, evictions, trimming, late commands, crashes, failovers.

use crate::config::Target;
use crate::milestone::Milestone;
use crate::model::Protocol;
use crate::mutant::Mutant;
use crate::promise::needs_but;
use crate::protocol::{
    Answer, Bus, Call, Flight, Late, Name, Phase, Probe, Replay, Slot, Stage, State, Step, Tenure, each, has,
};

impl Protocol {
    /// Time goes on.
    pub(crate) fn tick(&self, state: &mut State) {
        let most = self.config.staleness;
        state.server.nodes.tick(most);
        if let Some(replica) = &mut state.replica {
            replica.nodes.tick(most);
        }
        for process in &mut state.processes {
            process.right = process.right.saturating_sub(1);
            process.doubt = process.doubt.saturating_sub(1);
            if let Probe::Asked { age, .. }
            | Probe::Answered(Answer { age, .. })
            | Probe::Unlinked(Answer { age, .. }) = &mut process.probe
            {
                *age = (*age + 1).min(most);
            }
        }
        for call in &mut state.calls {
            if let Phase::Leading(Flight { closes: Some(closes), .. }) = &mut call.phase {
                *closes = closes.saturating_sub(1);
            }
        }
        for write in &mut state.writes {
            if let Step::Applied(age) = &mut write.step {
                *age = (*age + 1).min(most);
            }
        }
    }

    /// A value grows older than its ttl; or nobody has refreshed it for too long.
    #[expect(clippy::unused_self, reason = "a step of the protocol as all others")]
    pub(crate) fn age(&self, state: &mut State, key: usize) {
        if let Slot::Value(stored) = &mut state.server.slots[key] {
            stored.is_refreshing &= !stored.is_stale;
            stored.is_stale = true;
        }
    }

    /// Whether the lease in this slot is nobody's any more, so that only its lifetime ends it.
    pub(crate) fn is_orphan(&self, state: &State, key: usize) -> bool {
        let Slot::Lease(token) = state.server.slots[key] else { return false };
        let is_put = state.writes.iter().any(|write| write.token == token && write.step == Step::Putting);
        let is_sent = state.writes.iter().any(|write| write.token == token && write.step == Step::Executed);
        !is_put && !is_sent && !state.calls.iter().any(|call| holds(call, token)) && !self.lacks(Mutant::ImmortalLease)
    }

    /// The lifetime of a lease is over.
    pub(crate) fn expire(&self, state: &mut State, key: usize) {
        self.reach(Milestone::LeaseExpired);
        state.server.slots[key] = Slot::Empty;
    }

    /// A renewal of a lease that is gone brings it back: only without the rule.
    pub(crate) fn renewed(&self, state: &State, call: usize) -> Option<Name> {
        let (_, key) = self.place(call);
        let Phase::Leading(flight) = state.calls[call].phase else { return None };
        match flight.stage {
            Stage::Loading(Tenure::Lease(token, _)) | Stage::Loaded(Tenure::Lease(token, _), _)
                if self.lacks(Mutant::RenewLost) && state.server.slots[key] == Slot::Empty =>
            {
                Some(token)
            }
            _ => None,
        }
    }

    /// It is on its way, and its sender does not wait for it.
    #[expect(clippy::unused_self, reason = "a step of the protocol as all others")]
    pub(crate) fn send_late(&self, state: &mut State, command: Late) {
        // Where there are too many already, it is one of those that never arrive.
        let free = state.late.iter_mut().find(|late| late.is_none());
        if let Some(free) = free {
            *free = Some(command);
        }
    }

    /// It arrives.
    pub(crate) fn arrive(&self, state: &mut State, command: Late) {
        match command {
            Late::Fill(key, tenure, version) => {
                self.reach(Milestone::LateFill);
                self.serve_fill(state, usize::from(key), tenure, version);
            }
            Late::Take(key, token, over) => {
                state.server.take(usize::from(key), token, over);
            }
            Late::Invalidate(write) => {
                self.reach(Milestone::LateInvalidation);
                let step = std::mem::replace(&mut state.writes[usize::from(write)].step, Step::Sent);
                let id = state.writes[usize::from(write)].id;
                self.execute(state, usize::from(write));
                state.writes[usize::from(write)].step = step;
                if id != 0 {
                    state.writes[usize::from(write)].id = id;
                }
            }
        }
    }

    /// A process dies. What it had sent may still arrive. It starts again, knowing nothing.
    pub(crate) fn crash(&self, state: &mut State, process: usize) {
        self.reach(Milestone::Crashed);
        for call in 0..self.config.calls.len() {
            let Phase::Leading(flight) = state.calls[call].phase else { continue };
            let (at, key) = self.place(call);
            if let (true, Stage::Filling(tenure, version)) = (at == process, flight.stage) {
                self.send_late(state, Late::Fill(u8::try_from(key).expect("a few keys"), tenure, version));
            }
        }
        for (call, spec) in state.calls.iter_mut().zip(self.config.calls) {
            if spec.process == process && call.phase != Phase::Waiting {
                *call = Call { phase: Phase::Done, ..Call::default() };
            }
        }
        for (write, spec) in state.writes.iter_mut().zip(self.config.writes) {
            let is_over = matches!(write.step, Step::Idle | Step::Applied(_));
            if spec.process == Some(process) && !is_over {
                write.step = Step::Dead;
            }
        }
        self.config.start(state, process, self.config.reads_bus(process));
    }

    /// The bus is evicted, and what was told by it alone and not yet read is lost.
    pub(crate) fn lose_bus(&self, state: &mut State) {
        let readers = (0..self.config.processes).filter(|process| self.config.reads_bus(*process));
        let read = readers.map(|process| state.processes[process].applied).min().unwrap_or_default();
        for write in each(self.foreign()) {
            // Or it was read, and what was unlinked for it is there again.
            if state.writes[write].id > read || state.writes[write].step == Step::Forgotten {
                state.writes[write].step = Step::Forgotten;
                state.server.executed &= !(1 << write);
            }
        }
        state.server.bus = Bus::default();
    }

    /// The replica takes over: connections break, and what was written since is lost.
    pub(crate) fn fail_over(&self, state: &mut State) {
        let Some(replica) = state.replica.take() else { return };
        // What was unlinked for a publisher that only tells the bus may be lost too, until it is unlinked again.
        self.forgive(state, state.server.executed & !replica.executed | self.foreign());
        if self.config.stamp_fails_alone {
            (state.server.stamp, state.server.executed) = (replica.stamp, replica.executed);
            return self.lose_writes(state);
        }
        let run = state.server.run + 1;
        state.server = crate::protocol::Server { run, ..replica };
        state.server.nodes.run_ahead(self.config.staleness);
        state.late = Default::default();
        for call in 0..self.config.calls.len() {
            if let Phase::Leading(flight) = state.calls[call].phase
                && matches!(flight.stage, Stage::Read(_) | Stage::Taken { .. } | Stage::Filled(..))
            {
                self.give_up(state, call, flight);
            }
        }
        for process in &mut state.processes {
            if matches!(process.probe, Probe::Answered(_) | Probe::Unlinked(_)) {
                process.probe = Probe::None;
            }
            process.replay = Replay::None;
        }
        self.lose_writes(state);
    }

    /// The writes of publishers that only tell the bus.
    fn foreign(&self) -> u8 {
        let writes = self.config.writes.iter().enumerate();
        writes.filter(|(_, spec)| spec.process.is_none()).fold(0, |writes, (write, _)| writes | 1 << write)
    }

    /// What is lost is not promised any more, not even to calls that have begun.
    fn forgive(&self, state: &mut State, lost: u8) {
        for call in 0..self.config.calls.len() {
            let (version, promise) = needs_but(&self.config, state, call, lost);
            let begun = &mut state.calls[call];
            if version < begun.needs {
                (begun.needs, begun.promise) = (version, promise);
            }
        }
    }

    fn lose_writes(&self, state: &mut State) {
        (0..self.config.writes.len()).for_each(|write| self.lose_write(state, write));
    }

    /// Whether the process that has told of it can repeat it: it has not died since.
    fn remembers(&self, state: &State, write: usize) -> bool {
        let teller = self.config.writes[write].process.map(|process| &state.processes[process]);
        teller.is_some_and(|held| has(held.recent | held.journal, write))
    }

    fn lose_write(&self, state: &mut State, write: usize) {
        let is_there = has(state.server.executed, write);
        let is_foreign = self.config.writes[write].process.is_none();
        if is_foreign && state.writes[write].id != 0 {
            state.writes[write].step = Step::Forgotten;
        } else if !is_there && !is_foreign {
            state.writes[write].id = 0;
            state.writes[write].is_everywhere = false;
        }
        match state.writes[write].step {
            Step::Told | Step::Executed | Step::RoutesChanged => self.queue(state, write),
            Step::Applied(_) | Step::Putting if !is_there && !is_foreign => {
                self.reach(Milestone::LostInvalidation);
                let is_remembered = self.remembers(state, write) || state.writes[write].step == Step::Putting;
                state.writes[write].step = if is_remembered { Step::Forgotten } else { Step::Dead };
            }
            Step::Putting if self.config.writes[write].target == Target::Put => {
                state.writes[write].step = Step::Applied(0);
            }
            _ => {}
        }
    }
}

/// Whether this call holds the lease with this token, or may.
fn holds(call: &Call, token: Name) -> bool {
    let Phase::Leading(flight) = call.phase else { return false };
    match flight.stage {
        Stage::Asking(own) | Stage::Taking { token: own, .. } | Stage::Taken { token: own, .. } => own == token,
        Stage::Loading(tenure) | Stage::Loaded(tenure, _) | Stage::Filling(tenure, _) => {
            matches!(tenure, Tenure::Lease(own, _) if own == token)
        }
        Stage::Turn | Stage::Reading | Stage::Read(_) | Stage::Waiting(_) | Stage::Filled(..) => false,
    }
}
