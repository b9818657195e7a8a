//! One process: fences, in-process tier, the flights of its calls.

use crate::milestone::Milestone;
use crate::model::Protocol;
use crate::mutant::Mutant;
use crate::promise::Flaw;
use crate::protocol::{Call, Flight, Kept, Phase, State, Version, each, has};

impl Protocol {
    /// An epoch of each of these keys grows.
    pub(crate) fn bump(&self, state: &mut State, process: usize, keys: u8) {
        each(keys)
            .take_while(|key| *key < self.config.keys.len())
            .for_each(|key| state.processes[process].fences[key] += 1);
    }

    /// Everything that the process holds, and every load under way, is fenced off.
    pub(crate) fn drop_all(&self, state: &mut State, process: usize) {
        self.bump(state, process, u8::MAX);
        let held = &mut state.processes[process];
        held.counted = held.reader.map_or(0, |at| at.added);
    }

    /// The in-process value that a call may be given now.
    pub(crate) fn near(&self, state: &State, process: usize, key: usize) -> Option<Version> {
        let held = &state.processes[process];
        let Kept { version, fence } = held.l1[key]?;
        let is_current = fence == held.fences[key] || self.lacks(Mutant::Fence);
        if held.right == 0 && is_current {
            self.reach(Milestone::Blind);
        }
        (is_current && (held.right > 0 || self.lacks(Mutant::Right))).then_some(version)
    }

    /// Whether this flight may keep its value in its process.
    fn may_keep(&self, state: &State, call: usize, flight: &Flight) -> bool {
        let (process, key) = self.place(call);
        let held = &state.processes[process];
        let is_current = flight.fence == held.fences[key] || self.lacks(Mutant::Detach);
        is_current && held.flights[key] == Some(self.number(call))
    }

    /// Keeps a value under the fence of its flight, and tells whether it was allowed.
    pub(crate) fn keep(&self, state: &mut State, call: usize, flight: &Flight, version: Version) -> bool {
        let (process, key) = self.place(call);
        let may = self.may_keep(state, call, flight);
        if may && self.config.staleness > 0 && self.config.keys[key].l1 {
            state.processes[process].l1[key] = Some(Kept { version, fence: flight.fence });
        }
        may
    }

    /// The call gets this value.
    pub(crate) fn answer(&self, state: &mut State, call: usize, version: Version) {
        self.check(state, call, version);
        state.calls[call] = Call { phase: Phase::Done, ..Call::default() };
    }

    /// Whether this version is what the call was promised.
    #[expect(clippy::unused_self, reason = "a step of the protocol as all others")]
    pub(crate) fn check(&self, state: &mut State, call: usize, version: Version) {
        let Call { needs, promise, .. } = state.calls[call];
        if version < needs {
            state.flaw = state.flaw.or(Some(Flaw::Stale(promise)));
        }
    }

    /// The flight of this call is over: all who follow are told.
    pub(crate) fn end_flight(&self, state: &mut State, call: usize, outcome: Outcome) {
        for follower in 0..self.config.calls.len() {
            if state.calls[follower].phase == Phase::Following(self.number(call)) {
                self.tell(state, follower, call, outcome);
            }
        }
        let (process, key) = self.place(call);
        if state.processes[process].flights[key] == Some(self.number(call)) {
            state.processes[process].flights[key] = None;
        }
        state.calls.iter_mut().for_each(|other| other.ahead &= !(1 << call));
    }

    fn tell(&self, state: &mut State, follower: usize, leader: usize, outcome: Outcome) {
        let came_first = has(state.calls[follower].ahead, leader) || self.lacks(Mutant::NoSharedHits);
        match outcome {
            Outcome::Loaded(version) => {
                self.reach(Milestone::Joined);
                self.answer(state, follower, version);
            }
            Outcome::Hit(version) if came_first => self.answer(state, follower, version),
            Outcome::Looked(version) if self.lacks(Mutant::SharedLook) => self.answer(state, follower, version),
            Outcome::Looked(_) | Outcome::Abandoned => {
                self.reach(Milestone::HandedOver);
                state.calls[follower].phase = Phase::Missed;
            }
            Outcome::Hit(_) | Outcome::Lost => self.lose(state, follower),
        }
    }

    /// F5: a call that has lost too often loads for itself.
    fn lose(&self, state: &mut State, follower: usize) {
        self.reach(Milestone::Lost);
        let call = &mut state.calls[follower];
        call.lost += 1;
        call.phase = Phase::Missed;
        if call.lost > crate::config::MOST_LOST {
            state.flaw = state.flaw.or(Some(Flaw::RetriedTooOften));
        } else if call.lost == crate::config::MOST_LOST && !self.lacks(Mutant::BoundedRetries) {
            self.reach(Milestone::WriteHot);
            call.phase = Phase::Alone;
        }
    }
}

/// How a flight ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// With the value of a load whose fill was accepted.
    Loaded(Version),
    /// With a hit of the second tier.
    Hit(Version),
    /// With what its leader found in the process on a second look.
    Looked(Version),
    /// Something overtook it.
    Lost,
    /// Its leader left.
    Abandoned,
}
