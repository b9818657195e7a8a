//! The protocol as a model: every step that is possible in a state, and where it leads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use stateright::{Model, Property};

use crate::action::Action;
use crate::config::Config;
use crate::milestone::Milestone;
use crate::mutant::Mutant;
use crate::nodes::Nodes;
use crate::promise::{Flaw, Promise};
use crate::protocol::{Name, Phase, Probe, Replay, Slot, Stage, State, Step};

/// The protocol in one configuration, with all of its rules or without one.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// Who takes part.
    pub config: Config,
    /// The rule that is taken away.
    pub missing: Option<Mutant>,
    reached: Arc<[AtomicBool; Milestone::COUNT]>,
}

impl Protocol {
    /// With all of its rules.
    #[must_use]
    pub fn of(config: Config) -> Self {
        Self { config, missing: None, reached: Arc::new([const { AtomicBool::new(false) }; Milestone::COUNT]) }
    }

    /// Without one of them.
    #[must_use]
    pub fn without(config: Config, mutant: Mutant) -> Self {
        Self { missing: Some(mutant), ..Self::of(config) }
    }

    /// Whether this rule was taken away.
    pub(crate) fn lacks(&self, mutant: Mutant) -> bool {
        self.missing == Some(mutant)
    }

    /// Process and key of a call.
    pub(crate) fn place(&self, call: usize) -> (usize, usize) {
        (self.config.calls[call].process, self.config.calls[call].key)
    }

    /// A call's number as it stands in a state.
    #[expect(clippy::unused_self, reason = "read beside `place`")]
    pub(crate) fn number(&self, call: usize) -> u8 {
        u8::try_from(call).expect("a few calls")
    }

    /// A name that was never used.
    #[expect(clippy::unused_self, reason = "a step of the protocol as all others")]
    pub(crate) fn name(&self, state: &mut State) -> Name {
        state.names = state.names.checked_add(1).expect("a path is shorter than that");
        state.names
    }

    /// It was reached.
    pub(crate) fn reach(&self, milestone: Milestone) {
        let flag = &self.reached[milestone as usize];
        // Written once: all threads read it all the time.
        if !flag.load(Ordering::Relaxed) {
            flag.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was reached by anything explored so far.
    #[must_use]
    pub fn has_reached(&self, milestone: Milestone) -> bool {
        self.reached[milestone as usize].load(Ordering::Relaxed)
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.config.beginning()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.flaw.is_some() {
            return;
        }
        self.call_actions(state, actions);
        self.write_actions(state, actions);
        if self.config.staleness > 0 {
            self.process_actions(state, actions);
        }
        self.world_actions(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = *last;
        self.step(&mut state, action);
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("strict: no call gets what was invalidated before it began", |_, state: &State| {
                state.flaw != Some(Flaw::Stale(Promise::Strict))
            }),
            Property::always("own process: nor what its own process has invalidated", |_, state: &State| {
                state.flaw != Some(Flaw::Stale(Promise::OwnProcess))
            }),
            Property::always("causal: nor what its token stands for", |_, state: &State| {
                state.flaw != Some(Flaw::Stale(Promise::Causal))
            }),
            Property::always("everywhere: nor what all processes were said to know of", |_, state: &State| {
                state.flaw != Some(Flaw::Stale(Promise::Everywhere))
            }),
            Property::always("heard: nor what its process has applied from the bus", |_, state: &State| {
                state.flaw != Some(Flaw::Stale(Promise::Heard))
            }),
            Property::always("bounded: nor what was invalidated max_staleness before", |_, state: &State| {
                state.flaw != Some(Flaw::Stale(Promise::Bounded))
            }),
            Property::always("leases: a fill is accepted only while its own lease stands", |_, state: &State| {
                state.flaw != Some(Flaw::FilledWithoutLease)
            }),
            Property::always("bus: what is applied is a prefix, or everything was dropped", |_, state: &State| {
                state.flaw != Some(Flaw::SkippedMessages)
            }),
            Property::always("journal: it is replayed before the second tier is read", |_, state: &State| {
                state.flaw != Some(Flaw::ReadBeforeReplay)
            }),
            Property::always("retries: a call loses a bounded number of flights", |_, state: &State| {
                state.flaw != Some(Flaw::RetriedTooOften)
            }),
        ];
        if self.config.ends {
            properties.push(Property::eventually("liveness: every call is answered", |model: &Self, state: &State| {
                let is_answered = |call: &crate::protocol::Call| call.phase == Phase::Done;
                state.flaw.is_some() || state.calls[..model.config.calls.len()].iter().all(is_answered)
            }));
        }
        properties
    }
}

impl Protocol {
    fn step(&self, state: &mut State, action: Action) {
        match action {
            Action::Begin(call) => self.begin(state, call),
            Action::ReadFence(call) => self.read_fence(state, call),
            Action::Join(_)
            | Action::Turn(_)
            | Action::Serve(_)
            | Action::Receive(_)
            | Action::Poll(_)
            | Action::Load(_)
            | Action::Fill(_)
            | Action::GiveUp(_)
            | Action::Leave(_)
            | Action::TakeFromHung(_)
            | Action::Renew(_) => self.step_of_call(state, action),
            Action::Commit(write) => self.commit(state, write),
            Action::Send(write) => self.send(state, write),
            Action::Execute(write) if state.writes[write].step == Step::Putting => self.put(state, write),
            Action::Execute(write) => self.execute(state, write),
            Action::Confirm(write) if state.writes[write].step == Step::RoutesChanged => self.plan_again(state, write),
            Action::Confirm(write) => self.confirm(state, write),
            Action::Everywhere(write) => self.return_everywhere(state, write),
            Action::GiveUpWrite(write) => {
                state.left.timeouts -= 1;
                self.give_up_write(state, write);
            }
            Action::Ask(_)
            | Action::ServeProbe(_)
            | Action::Unlink(_)
            | Action::Apply(_)
            | Action::Replay(_)
            | Action::ServeReplay(_)
            | Action::ConfirmReplay(_) => self.step_of_process(state, action),
            _ => self.step_of_world(state, action),
        }
    }

    fn step_of_call(&self, state: &mut State, action: Action) {
        let (Action::Join(call)
        | Action::Turn(call)
        | Action::Serve(call)
        | Action::Receive(call)
        | Action::Poll(call)
        | Action::Load(call)
        | Action::Fill(call)
        | Action::GiveUp(call)
        | Action::Leave(call)
        | Action::TakeFromHung(call)
        | Action::Renew(call)) = action
        else {
            return;
        };
        let (_, key) = self.place(call);
        match (action, state.calls[call].phase) {
            (Action::Join(_), Phase::Fenced(fence)) => self.join(state, call, fence),
            (Action::TakeFromHung(_), Phase::Following(leader)) => {
                state.left.timeouts -= 1;
                self.take_from_hung(state, call, leader);
            }
            (Action::Load(_), Phase::Alone) => self.answer(state, call, state.source[key]),
            (Action::Turn(_), Phase::Leading(flight)) => self.turn(state, call, flight),
            (Action::Serve(_), Phase::Leading(flight)) => self.serve(state, call, flight),
            (Action::Receive(_), Phase::Leading(flight)) => self.receive(state, call, flight),
            (Action::Poll(_), Phase::Leading(flight)) => self.look(state, call, flight, Stage::Reading),
            (Action::Fill(_), Phase::Leading(flight)) => self.seal(state, call, flight),
            (Action::Load(_), Phase::Leading(flight)) => {
                if let Stage::Loading(tenure) = flight.stage {
                    self.lead(state, call, flight, Stage::Loaded(tenure, state.source[key]));
                }
            }
            (Action::GiveUp(_), Phase::Leading(flight)) => {
                state.left.timeouts -= 1;
                self.give_up(state, call, flight);
            }
            (Action::Leave(_), _) => {
                state.left.leaves -= 1;
                self.leave(state, call);
            }
            (Action::Renew(_), _) => {
                if let Some(token) = self.renewed(state, call) {
                    state.server.slots[key] = Slot::Lease(token);
                }
            }
            _ => {}
        }
    }

    fn step_of_process(&self, state: &mut State, action: Action) {
        match action {
            Action::Ask(process) => self.ask(state, process),
            Action::ServeProbe(process) => {
                if let Probe::Asked { run, age } = state.processes[process].probe {
                    self.serve_probe(state, process, run, age);
                }
            }
            Action::Unlink(process) => self.unlink_uncovered(state, process),
            Action::Apply(process) => self.apply(state, process, state.processes[process].probe),
            Action::Replay(process) => {
                state.processes[process].replay = Replay::Sent(state.processes[process].journal);
            }
            Action::ServeReplay(process) => {
                if let Replay::Sent(writes) = state.processes[process].replay {
                    self.serve_replay(state, process, writes);
                }
            }
            Action::ConfirmReplay(process) => {
                if let Replay::Done(writes, id) = state.processes[process].replay {
                    self.confirm_replay(state, process, writes, id);
                }
            }
            _ => {}
        }
    }

    fn step_of_world(&self, state: &mut State, action: Action) {
        match action {
            Action::Tick => {
                state.left.ticks -= 1;
                self.tick(state);
            }
            Action::Evict(key) => {
                state.left.evictions -= 1;
                state.server.slots[key] = Slot::Empty;
            }
            Action::EvictStamp => {
                state.left.evictions -= 1;
                state.server.stamp = 0;
            }
            Action::Age(key) => {
                state.left.agings -= 1;
                self.age(state, key);
            }
            Action::Expire(key) => self.expire(state, key),
            Action::Arrive(late) => {
                if let Some(command) = state.late[late].take() {
                    self.arrive(state, command);
                }
            }
            Action::Trim => {
                state.left.trims -= 1;
                state.server.bus.trim();
            }
            Action::LoseBus => {
                state.left.losses -= 1;
                self.lose_bus(state);
            }
            Action::LoseNodes => {
                state.left.losses -= 1;
                state.server.nodes = Nodes::default();
            }
            Action::Crash(process) => {
                state.left.crashes -= 1;
                self.crash(state, process);
            }
            Action::Replicate => state.replica = Some(state.server),
            Action::FailOver => {
                state.left.failovers -= 1;
                self.fail_over(state);
            }
            _ => {}
        }
    }
}
