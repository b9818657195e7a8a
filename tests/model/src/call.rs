//! A call: the in-process tier, the flight, the load.

use crate::milestone::Milestone;
use crate::model::Protocol;
use crate::mutant::Mutant;
use crate::process::Outcome;
use crate::promise::{Flaw, needs};
use crate::protocol::{Call, Flight, Phase, Stage, State, Step, Tenure};

impl Protocol {
    /// Whether this call may begin. Of calls that differ in nothing, the first begins first.
    pub(crate) fn may_begin(&self, state: &State, call: usize) -> bool {
        let spec = &self.config.calls[call];
        let is_like = |other: usize| {
            let like = &self.config.calls[other];
            (like.process, like.key, like.after) == (spec.process, spec.key, spec.after)
        };
        let has_token = spec.after.is_none_or(|write| matches!(state.writes[write].step, Step::Applied(_)));
        has_token
            && (0..call)
                .rev()
                .find(|other| is_like(*other))
                .is_none_or(|other| state.calls[other].phase != Phase::Waiting)
    }

    /// It begins: what it needs is what has returned by now.
    pub(crate) fn begin(&self, state: &mut State, call: usize) {
        let (process, key) = self.place(call);
        let (needs, promise) = needs(&self.config, state, call);
        let is_strict = !self.config.keys[key].l1 || !self.has_seen_token(state, call);
        state.calls[call] = Call { needs, promise, is_strict, phase: Phase::Missed, ..Call::default() };
        if !is_strict && let Some(version) = self.near(state, process, key) {
            self.reach(Milestone::HitNear);
            self.answer(state, call, version);
        } else if self.config.calls[call].is_peek {
            state.calls[call] = Call { phase: Phase::Done, ..Call::default() };
        }
    }

    fn has_seen_token(&self, state: &State, call: usize) -> bool {
        let spec = &self.config.calls[call];
        let Some(write) = spec.after else { return true };
        let is_own = self.config.writes[write].process == Some(spec.process);
        let has = is_own || state.processes[spec.process].applied >= state.writes[write].id;
        if !has {
            self.reach(Milestone::TokenAhead);
        }
        has || self.lacks(Mutant::Token)
    }

    /// It reads the fence, before it joins.
    pub(crate) fn read_fence(&self, state: &mut State, call: usize) {
        let (process, key) = self.place(call);
        state.calls[call].phase = Phase::Fenced(state.processes[process].fences[key]);
    }

    /// It joins the flight of its key, or leads a new one.
    pub(crate) fn join(&self, state: &mut State, call: usize, fence: u8) {
        let (process, key) = self.place(call);
        if let Some(leader) = state.processes[process].flights[key]
            && self.may_follow(state, call, usize::from(leader), fence)
        {
            let joining = &mut state.calls[call];
            joining.phase = Phase::Following(leader);
            if !std::mem::replace(&mut joining.has_come, true) {
                joining.ahead = 0;
            }
            return;
        }
        let known = state.processes[process].flights[key].map(|leader| state.calls[usize::from(leader)].phase);
        let fence = match known {
            Some(Phase::Leading(flight)) => flight.fence.max(fence),
            _ => fence,
        };
        let flight = Flight { fence, closes: None, is_served: false, stage: Stage::Turn };
        state.calls[call].phase = Phase::Leading(flight);
        state.processes[process].flights[key] = Some(self.number(call));
    }

    fn may_follow(&self, state: &State, call: usize, leader: usize, fence: u8) -> bool {
        // A leader that left without a word holds its key for ever.
        let Phase::Leading(flight) = state.calls[leader].phase else { return true };
        let is_detached = flight.fence < fence && !self.lacks(Mutant::Detach);
        let is_sealed = matches!(flight.stage, Stage::Filling(..) | Stage::Filled(..)) && !self.lacks(Mutant::Seal);
        let is_closed = flight.closes.is_some_and(|ticks| ticks == 0 || state.calls[call].is_strict);
        if is_closed {
            self.reach(Milestone::Closed);
        }
        let may = !is_detached && !is_sealed && (!is_closed || self.lacks(Mutant::LateJoin));
        if may && flight.closes.is_some() {
            self.reach(Milestone::JoinedWithoutLease);
        }
        may
    }

    /// Who leads looks into its process once more; then it sends its read, or loads without a lease.
    pub(crate) fn turn(&self, state: &mut State, call: usize, flight: Flight) {
        let (process, key) = self.place(call);
        let is_strict = state.calls[call].is_strict;
        match self.near(state, process, key).filter(|_| !is_strict) {
            Some(version) => {
                self.end_flight(state, call, Outcome::Looked(version));
                self.answer(state, call, version);
            }
            None if self.config.keys[key].unseen => {
                let token = self.name(state);
                self.look(state, call, flight, Stage::Asking(token));
            }
            None => self.look(state, call, flight, Stage::Reading),
        }
    }

    /// What finds out what stands there is sent, if the second tier may be read.
    pub(crate) fn look(&self, state: &mut State, call: usize, flight: Flight, sent: Stage) {
        let (process, _) = self.place(call);
        let held = &state.processes[process];
        let is_blocked = held.journal != 0 && !self.lacks(Mutant::Journal);
        if is_blocked || !(held.is_registered || self.lacks(Mutant::Registered)) {
            self.reach(Milestone::KeptOff);
            return self.load_without(state, call, flight);
        }
        if held.journal != 0 {
            state.flaw = state.flaw.or(Some(Flaw::ReadBeforeReplay));
        }
        for other in (0..self.config.calls.len()).filter(|other| *other != call) {
            if self.place(other) == self.place(call) && state.calls[other].has_come {
                state.calls[other].ahead |= 1 << call;
            }
        }
        self.lead(state, call, flight, sent);
    }

    /// A load without a lease: nobody tells whether it was overtaken, so that it may not be joined for long.
    pub(crate) fn load_without(&self, state: &mut State, call: usize, flight: Flight) {
        self.reach(Milestone::WithoutLease);
        let closes = Some(if state.calls[call].is_strict { 0 } else { self.config.staleness });
        self.lead(state, call, Flight { closes, ..flight }, Stage::Loading(Tenure::Without));
    }

    /// The flight is at this stage now.
    #[expect(clippy::unused_self, reason = "a step of the protocol as all others")]
    pub(crate) fn lead(&self, state: &mut State, call: usize, flight: Flight, now: Stage) {
        state.calls[call].phase = Phase::Leading(Flight { stage: now, ..flight });
    }

    /// The load has ended: the flight is sealed and the fill sent.
    pub(crate) fn seal(&self, state: &mut State, call: usize, flight: Flight) {
        let Stage::Loaded(tenure, version) = flight.stage else { return };
        match tenure {
            Tenure::Without => self.finish(state, call, flight, version, true),
            Tenure::Lease(..) | Tenure::Refresh(..) => {
                self.lead(state, call, flight, Stage::Filling(tenure, version));
            }
        }
    }

    /// The verdict is there: keep the value, tell those who follow.
    pub(crate) fn finish(&self, state: &mut State, call: usize, flight: Flight, version: u8, verdict: bool) {
        if !verdict {
            self.reach(Milestone::Refused);
        }
        let is_accepted = verdict && self.keep(state, call, &flight, version);
        let outcome = if is_accepted || self.lacks(Mutant::Verdict) { Outcome::Loaded(version) } else { Outcome::Lost };
        self.end_flight(state, call, outcome);
        self.leave_with(state, call, flight, version);
    }

    /// The leader's own call ends, if it was not answered before.
    pub(crate) fn leave_with(&self, state: &mut State, call: usize, flight: Flight, version: u8) {
        if flight.is_served {
            state.calls[call] = Call { phase: Phase::Done, ..Call::default() };
        } else {
            self.answer(state, call, version);
        }
    }

    /// A caller leaves: whoever waits for it joins again. Its lease is given back, or expires.
    pub(crate) fn leave(&self, state: &mut State, call: usize) {
        if !self.lacks(Mutant::HandOver) {
            self.end_flight(state, call, Outcome::Abandoned);
        }
        state.calls[call] = Call { phase: Phase::Done, ..Call::default() };
    }

    /// A follower has waited too long: it takes the key from the flight.
    pub(crate) fn take_from_hung(&self, state: &mut State, call: usize, leader: u8) {
        let (process, key) = self.place(call);
        if state.processes[process].flights[key] == Some(leader) {
            state.processes[process].flights[key] = None;
        }
        state.calls[call].phase = Phase::Missed;
    }
}
