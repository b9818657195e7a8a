//! The journal: invalidations that are yet to be confirmed, replayed until they are.

use crate::milestone::Milestone;
use crate::model::Protocol;
use crate::protocol::{Replay, State, Step, each};

impl Protocol {
    /// They wait from here on, also where a replay of them is under way: what that unlinks was perhaps read again since.
    #[expect(clippy::unused_self, reason = "a step of the protocol as all others")]
    pub(crate) fn add_to_journal(&self, state: &mut State, process: usize, writes: u8) {
        let held = &mut state.processes[process];
        held.journal |= writes;
        held.replay = match held.replay {
            Replay::None => Replay::None,
            Replay::Sent(sent) => Replay::Sent(sent & !writes),
            Replay::Done(done, id) => Replay::Done(done & !writes, id),
        };
    }

    /// The server executes the replay: entries first, bus last. With other routes it is planned again.
    pub(crate) fn serve_replay(&self, state: &mut State, process: usize, writes: u8) {
        if state.server.routes != state.processes[process].version {
            return self.read_routes(state, process);
        }
        let mut covered = 0;
        for write in each(writes) {
            let spec = &self.config.writes[write];
            state.writes[write].plan = spec.names & state.processes[process].known;
            covered |= state.writes[write].plan;
            self.take_away(state, write);
            state.server.executed |= 1 << write;
        }
        let id = self.tell_bus(state, writes, covered);
        state.processes[process].replay = Replay::Done(writes, id);
    }

    /// It is confirmed: what waited holds now.
    pub(crate) fn confirm_replay(&self, state: &mut State, process: usize, writes: u8, id: u8) {
        self.reach(Milestone::Replayed);
        let held = &mut state.processes[process];
        held.replay = Replay::None;
        held.journal &= !writes;
        held.recent |= writes;
        for write in each(writes) {
            if state.writes[write].step == Step::Forgotten {
                self.reach(Milestone::Repeated);
            }
            state.writes[write].id = id;
            state.writes[write].step = Step::Applied(0);
        }
    }
}
