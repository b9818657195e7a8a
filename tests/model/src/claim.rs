//! A leader in the second tier: its commands at the server, and what it does with their replies.

use crate::milestone::Milestone;
use crate::model::Protocol;
use crate::mutant::Mutant;
use crate::process::Outcome;
use crate::promise::Flaw;
use crate::protocol::{Flight, Late, Name, Seen, Slot, Stage, State, Stored, Tenure, Version};

impl Protocol {
    /// The server executes the command that this leader has sent.
    pub(crate) fn serve(&self, state: &mut State, call: usize, flight: Flight) {
        let (_, key) = self.place(call);
        let next = match flight.stage {
            Stage::Reading => Stage::Read(self.serve_read(state, key)),
            Stage::Asking(token) => self.serve_ask(state, key, token),
            Stage::Taking { token, over } => {
                let snapshot = self.serve_take(state, key, token, over);
                Stage::Taken { token, snapshot }
            }
            Stage::Filling(tenure, version) => {
                if self.lacks(Mutant::DoubleFill) {
                    self.send_late(state, Late::Fill(small(key), tenure, version));
                }
                Stage::Filled(version, self.serve_fill(state, key, tenure, version))
            }
            other => other,
        };
        self.lead(state, call, flight, next);
    }

    fn serve_read(&self, state: &mut State, key: usize) -> Seen {
        let checks = self.config.keys[key].grouped && !self.lacks(Mutant::Stamps);
        let is_over =
            |stored: &Stored, stamp: Name| stored.stamp != stamp || (stamp == 0 && !self.lacks(Mutant::MissingStamp));
        state.server.read(key, |stored, stamp| checks && is_over(stored, stamp))
    }

    /// The lease, or what stands there.
    fn serve_ask(&self, state: &mut State, key: usize, token: Name) -> Stage {
        if let Some(snapshot) = self.serve_take(state, key, token, 0) {
            return Stage::Taken { token, snapshot: Some(snapshot) };
        }
        self.reach(Milestone::FoundUnseen);
        Stage::Read(self.serve_read(state, key))
    }

    /// The stamp of the moment, if the lease was taken. A stamp that is missing is made.
    fn serve_take(&self, state: &mut State, key: usize, token: Name, over: Name) -> Option<Name> {
        if !state.server.take(key, token, over) {
            return None;
        }
        if over != 0 {
            self.reach(Milestone::TakenOver);
        }
        if self.config.keys[key].grouped && state.server.stamp == 0 && !self.lacks(Mutant::MissingStamp) {
            state.server.stamp = if self.lacks(Mutant::CounterStamps) { 1 } else { self.name(state) };
        }
        Some(state.server.stamp)
    }

    /// The verdict on a fill.
    pub(crate) fn serve_fill(&self, state: &mut State, key: usize, tenure: Tenure, version: Version) -> bool {
        let (is_held, owns, mut snapshot) = match tenure {
            Tenure::Lease(token, snapshot) => {
                let is_spent = self.lacks(Mutant::DoubleFill) && state.server.has(key, token);
                let holds = state.server.holds(key, token);
                (holds || is_spent || self.lacks(Mutant::FillToken), holds, snapshot)
            }
            Tenure::Refresh(etag, snapshot) => {
                let has = state.server.has(key, etag);
                (has || self.lacks(Mutant::RefreshToken), has, snapshot)
            }
            Tenure::Without => return true,
        };
        if !is_held {
            return false;
        }
        if !owns {
            state.flaw = state.flaw.or(Some(Flaw::FilledWithoutLease));
        }
        if self.lacks(Mutant::Snapshot) {
            snapshot = state.server.stamp;
        }
        let etag = match tenure {
            Tenure::Lease(token, _) if self.lacks(Mutant::DoubleFill) => token,
            _ => self.name(state),
        };
        if matches!(tenure, Tenure::Refresh(..)) {
            self.reach(Milestone::Refreshed);
        }
        state.server.set(key, version, snapshot, etag);
        !self.config.keys[key].grouped || snapshot == state.server.stamp
    }

    /// The reply arrives.
    pub(crate) fn receive(&self, state: &mut State, call: usize, flight: Flight) {
        match flight.stage {
            Stage::Read(Seen::Hit(version)) => {
                self.reach(Milestone::HitStored);
                self.keep(state, call, &flight, version);
                self.end_flight(state, call, Outcome::Hit(version));
                self.answer(state, call, version);
            }
            Stage::Read(Seen::Stale(version, refresh)) => self.receive_stale(state, call, flight, version, refresh),
            Stage::Read(Seen::Take(over)) => {
                let token = self.name(state);
                self.lead(state, call, flight, Stage::Taking { token, over });
            }
            Stage::Read(Seen::Lease(token)) => {
                self.reach(Milestone::Waited);
                self.lead(state, call, flight, Stage::Waiting(token));
            }
            Stage::Taken { token, snapshot: Some(snapshot) } => {
                self.lead(state, call, flight, Stage::Loading(Tenure::Lease(token, snapshot)));
            }
            Stage::Taken { snapshot: None, .. } => self.look(state, call, flight, Stage::Reading),
            Stage::Filled(version, verdict) => self.finish(state, call, flight, version, verdict),
            _ => {}
        }
    }

    /// A value past its ttl is served at once; whoever has its refresh lease loads.
    fn receive_stale(
        &self,
        state: &mut State,
        call: usize,
        flight: Flight,
        version: Version,
        refresh: Option<(Name, Name)>,
    ) {
        self.reach(Milestone::Stale);
        if let Some((etag, snapshot)) = refresh {
            self.check(state, call, version);
            let tenure = Tenure::Refresh(etag, snapshot);
            self.lead(state, call, Flight { is_served: true, ..flight }, Stage::Loading(tenure));
        } else {
            self.end_flight(state, call, Outcome::Hit(version));
            self.answer(state, call, version);
        }
    }

    /// The operation has taken too long: its outcome is unknown, and what was sent may arrive later.
    pub(crate) fn give_up(&self, state: &mut State, call: usize, flight: Flight) {
        let (_, key) = self.place(call);
        let key = small(key);
        match flight.stage {
            Stage::Taking { token, over } => {
                self.send_late(state, Late::Take(key, token, over));
                self.load_without(state, call, flight);
            }
            Stage::Asking(token) => {
                self.send_late(state, Late::Take(key, token, 0));
                self.load_without(state, call, flight);
            }
            Stage::Filling(tenure, version) => {
                self.send_late(state, Late::Fill(key, tenure, version));
                self.finish(state, call, flight, version, false);
            }
            Stage::Filled(version, _) => self.finish(state, call, flight, version, false),
            Stage::Reading | Stage::Read(_) | Stage::Taken { .. } | Stage::Waiting(_) => {
                self.load_without(state, call, flight);
            }
            Stage::Turn | Stage::Loading(_) | Stage::Loaded(..) => {}
        }
    }

    /// Whether the lease that this leader waits for is gone. A look at one that still stands changes nothing.
    pub(crate) fn may_poll(&self, state: &State, call: usize, token: Name) -> bool {
        let (_, key) = self.place(call);
        state.server.slots[key] != Slot::Lease(token) && !self.lacks(Mutant::LostWakeUp)
    }
}

fn small(key: usize) -> u8 {
    u8::try_from(key).expect("a few keys")
}
