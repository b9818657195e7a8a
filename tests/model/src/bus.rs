//! The reader of the bus: which server, what is new, is anything missing, apply it, extend the right.

use crate::config::Target;
use crate::milestone::Milestone;
use crate::model::Protocol;
use crate::mutant::Mutant;
use crate::nodes::Nodes;
use crate::promise::Flaw;
use crate::protocol::{Answer, Message, Name, Probe, Reading, State, Step, each, has};

impl Protocol {
    /// Looks which server it is, registers there, and asks what is new.
    pub(crate) fn ask(&self, state: &mut State, process: usize) {
        let run = state.server.run;
        let held = &mut state.processes[process];
        let is_another = held.run != 0 && held.run != run;
        held.run = run;
        if is_another && !self.lacks(Mutant::Identity) {
            self.reach(Milestone::AnotherServer);
            self.forget(state, process);
            self.lose_server(state, process);
        }
        self.register(state, process);
        state.processes[process].probe = Probe::Asked { run, age: 0 };
    }

    /// Its position means nothing here: what was read of late is read again.
    fn forget(&self, state: &mut State, process: usize) {
        let held = &mut state.processes[process];
        let was_read = held.reader.take().is_some() || held.is_behind;
        held.is_behind = was_read && !self.lacks(Mutant::EndAlone);
    }

    fn register(&self, state: &mut State, process: usize) {
        if state.processes[process].is_registered {
            return;
        }
        state.server.routes |= self.config.linked(process);
        self.read_routes(state, process);
        state.processes[process].is_registered = true;
    }

    /// The server answers. Where there is no bus, one begins: another may have come and gone.
    pub(crate) fn serve_probe(&self, state: &mut State, process: usize, run: u8, age: u8) {
        if !state.server.bus.has_begun() && !self.lacks(Mutant::Begin) {
            self.reach(Milestone::Begun);
            let id = self.name(state);
            state.server.nodes = Nodes::default();
            state.server.bus.add(Message { id, is_all: true, ..Message::default() });
        }
        self.see(state, process);
        let held = &mut state.processes[process];
        let from = match held.reader {
            Some(at) => at.last,
            None if held.is_behind && self.lacks(Mutant::OnceOnly) => held.applied,
            None if held.is_behind => 0,
            None => Name::MAX,
        };
        let bus = state.server.bus.after(from);
        // Another server than the one that was looked at: over another connection.
        let is_same = run == state.server.run;
        held.probe = Probe::Answered(Answer { is_same, age, bus, routes: state.server.routes });
    }

    /// Whether something has to be unlinked before the fences.
    pub(crate) fn uncovered(&self, state: &State, process: usize, answer: &Answer) -> u8 {
        if !self.is_readable(state, process, answer) {
            return 0;
        }
        let known = state.processes[process].known;
        self.of_others(process, answer).fold(0, |keys, message| keys | self.keys_of(*message, known) & !message.covered)
    }

    /// Whether the messages are behind what was read: after a gap too.
    fn is_readable(&self, state: &State, process: usize, answer: &Answer) -> bool {
        let held = &state.processes[process];
        match held.reader {
            Some(at) => is_read_to(at, answer) || !self.lacks(Mutant::GapAlone),
            None => held.is_behind,
        }
    }

    fn of_others<'a>(&'a self, process: usize, answer: &'a Answer) -> impl Iterator<Item = &'a Message> {
        let is_own = move |writes: u8| each(writes).all(|write| self.config.writes[write].process == Some(process));
        answer.bus.messages().iter().filter(move |message| message.is_all || !is_own(message.writes))
    }

    /// The keys that a message names, as far as their routes are known. A group is unlinked by whoever publishes.
    fn keys_of(&self, message: Message, known: u8) -> u8 {
        each(message.writes).fold(0, |keys, write| {
            let spec = &self.config.writes[write];
            if spec.target == Target::Group { keys } else { keys | spec.names & known }
        })
    }

    /// What publishers have not covered is unlinked.
    pub(crate) fn unlink_uncovered(&self, state: &mut State, process: usize) {
        let Probe::Answered(answer) = state.processes[process].probe else { return };
        self.reach(Milestone::Uncovered);
        let keys = self.uncovered(state, process, &answer);
        if self.lacks(Mutant::FenceFirst) {
            self.fence_off(state, process, &answer);
        } else {
            state.server.unlink(keys, false);
        }
        state.processes[process].probe = Probe::Unlinked(answer);
    }

    fn fence_off(&self, state: &mut State, process: usize, answer: &Answer) {
        for message in self.of_others(process, answer) {
            self.reach(Milestone::Heard);
            let keys = each(message.writes).fold(0, |keys, write| keys | self.config.writes[write].names);
            self.bump(state, process, if message.is_all { u8::MAX } else { keys });
        }
    }

    /// The reply is applied to its end: then, and only then, the right is extended.
    pub(crate) fn apply(&self, state: &mut State, process: usize, probe: Probe) {
        let (Probe::Answered(answer) | Probe::Unlinked(answer)) = probe else { return };
        state.processes[process].probe = Probe::None;
        let end = answer.bus.end;
        let held = &mut state.processes[process];
        let (at, was_behind) = (held.reader.replace(end), std::mem::take(&mut held.is_behind));
        match at {
            None => {
                if was_behind && answer.bus.length > 0 {
                    self.reach(Milestone::ReadBehind);
                }
                self.look_first(state, process);
            }
            Some(at) if end.last < at.last || end.added < at.added => {
                self.reach(Milestone::Gap);
                (held.reader, held.is_behind) = (None, true);
                self.lose_server(state, process);
            }
            Some(at) if !is_read_to(at, &answer) => {
                self.reach(Milestone::Gap);
                if !self.lacks(Mutant::Gap) {
                    self.drop_all(state, process);
                }
            }
            Some(_) => self.apply_messages(state, process, &answer, matches!(probe, Probe::Unlinked(_))),
        }
        let is_read = state.processes[process].reader.is_some();
        if is_read && (answer.is_same || self.lacks(Mutant::Generation)) {
            state.processes[process].applied = end.last;
        }
        if answer.routes != state.processes[process].version {
            self.read_routes(state, process);
        }
    }

    fn apply_messages(&self, state: &mut State, process: usize, answer: &Answer, is_unlinked: bool) {
        if is_unlinked && self.lacks(Mutant::FenceFirst) {
            let known = state.processes[process].known;
            let keys = self.of_others(process, answer).fold(0, |keys, message| keys | self.keys_of(*message, known));
            state.server.unlink(keys, false);
        } else {
            self.fence_off(state, process, answer);
        }
        if answer.routes == 0 {
            return self.lose_server(state, process);
        }
        // `is_still`: an answer of another server than the one that was looked at extends nothing.
        state.processes[process].counted += answer.bus.length;
        if answer.is_same || self.lacks(Mutant::Generation) {
            if state.processes[process].counted != answer.bus.end.added {
                state.flaw = state.flaw.or(Some(Flaw::SkippedMessages));
            }
            let age = if self.lacks(Mutant::RightFromSending) { 0 } else { answer.age };
            let held = &mut state.processes[process];
            held.right = held.right.max(self.config.staleness.saturating_sub(age));
            self.remember_forgotten(state, process);
        }
    }

    /// What was there before is not known: neither rights of others, nor whether it is the server that was told of what
    /// this process has invalidated.
    fn look_first(&self, state: &mut State, process: usize) {
        state.processes[process].doubt = self.config.doubt();
        self.drop_all(state, process);
        if !self.lacks(Mutant::FirstLook) {
            self.repeat_recent(state, process);
        }
    }

    fn repeat_recent(&self, state: &mut State, process: usize) {
        if !self.lacks(Mutant::Recent) {
            let recent = std::mem::take(&mut state.processes[process].recent);
            self.add_to_journal(state, process, recent);
        }
    }

    /// The server may have lost what it had.
    fn lose_server(&self, state: &mut State, process: usize) {
        if !self.lacks(Mutant::Gap) {
            self.drop_all(state, process);
        }
        state.processes[process].is_registered = false;
        state.processes[process].doubt = self.config.doubt();
        self.repeat_recent(state, process);
    }

    /// A process that has read the bus of the new server holds to what it invalidated before: it is in the journal, or it
    /// is promised again. And to what it has read there.
    fn remember_forgotten(&self, state: &mut State, process: usize) {
        for write in 0..self.config.writes.len() {
            let teller = self.config.writes[write].process;
            let waits = has(state.processes[process].journal, write);
            let is_told = teller.is_none() && has(state.server.executed, write);
            let written = &mut state.writes[write];
            if (is_told || teller == Some(process) && !waits) && written.step == Step::Forgotten {
                written.step = Step::Applied(0);
            }
        }
    }
}

/// Whether nothing is missing between the position and the messages.
fn is_read_to(at: Reading, answer: &Answer) -> bool {
    let last = last_of(answer).unwrap_or(at.last);
    Reading { last, added: at.added + answer.bus.length } == answer.bus.end
}

fn last_of(answer: &Answer) -> Option<Name> {
    answer.bus.messages().last().map(|message| message.id)
}
