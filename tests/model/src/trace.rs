//! The way to a broken promise, as a person would tell it.

use crate::action::Action;
use crate::config::Config;
use crate::model::Protocol;
use crate::promise::{Flaw, Promise};
use crate::protocol::{Phase, Seen, Slot, Stage, State, Step, Tenure};

/// The steps of a path, one in each line, and what they end with.
#[must_use]
pub fn told(protocol: &Protocol, path: &[(State, Option<Action>)]) -> String {
    let mut lines = Vec::new();
    for pair in path.windows(2) {
        let [(before, Some(action)), (after, _)] = pair else { continue };
        lines.push(format!("{:>4}  {}", lines.len() + 1, sentence(&protocol.config, before, *action, after)));
    }
    if let Some((last, _)) = path.last() {
        lines.push(format!("   => {}", ending(last)));
    }
    lines.join("\n")
}

fn ending(state: &State) -> String {
    match state.flaw {
        Some(Flaw::Stale(promise)) => format!("a call was given a value that is older than promised: {}", why(promise)),
        Some(Flaw::FilledWithoutLease) => {
            "a value was accepted although its lease did not stand in the slot".to_owned()
        }
        Some(Flaw::SkippedMessages) => "a process may serve although it has missed messages".to_owned(),
        Some(Flaw::ReadBeforeReplay) => {
            "the second tier was read while invalidations of this process waited".to_owned()
        }
        Some(Flaw::RetriedTooOften) => "a call has lost more flights than it may".to_owned(),
        None => format!("nothing more can happen, and these calls wait: {}", waiting(state)),
    }
}

fn waiting(state: &State) -> String {
    let waits = |phase: Phase| !matches!(phase, Phase::Done | Phase::Waiting);
    let calls = state.calls.iter().enumerate().filter(|(_, call)| waits(call.phase));
    calls.map(|(number, _)| number.to_string()).collect::<Vec<_>>().join(", ")
}

fn why(promise: Promise) -> &'static str {
    match promise {
        Promise::Nothing => "nothing was promised",
        Promise::Strict => "its invalidation had returned before the call began (l1 = off)",
        Promise::OwnProcess => "its own process had invalidated it before the call began",
        Promise::Causal => "the call carries the token of its invalidation",
        Promise::Everywhere => "its writer had been told that all processes know of it",
        Promise::Heard => "its process had applied the invalidation from the bus before the call began",
        Promise::Bounded => "its invalidation had returned max_staleness before the call began",
    }
}

fn sentence(config: &Config, before: &State, action: Action, after: &State) -> String {
    match action {
        Action::Begin(call) => {
            let (needs, begun) = (after.calls[call].needs, at(config, call));
            match after.calls[call].phase {
                Phase::Done => format!("{begun} begins, and is answered from its process"),
                _ => format!("{begun} begins: it needs version {needs} or a newer one"),
            }
        }
        Action::ReadFence(call) => format!("{} reads its fence", at(config, call)),
        Action::Join(call) => match after.calls[call].phase {
            Phase::Following(leader) => format!("{} joins the flight of call {leader}", at(config, call)),
            _ => format!("{} leads a flight", at(config, call)),
        },
        Action::TakeFromHung(call) => format!("{} waits too long, and takes the key from the flight", at(config, call)),
        Action::Commit(_) | Action::Send(_) | Action::Execute(_) | Action::Confirm(_) | Action::GiveUpWrite(_) => {
            of_write(config, before, action, after)
        }
        Action::Everywhere(write) => format!("write {write} is told that all processes know of it"),
        Action::Ask(_) | Action::ServeProbe(_) | Action::Unlink(_) | Action::Apply(_) => of_bus(before, action, after),
        Action::Replay(process) => format!("process {process} sends its journal"),
        Action::ServeReplay(process) => format!("the server executes the journal of process {process}"),
        Action::ConfirmReplay(process) => format!("process {process} sees its journal confirmed"),
        Action::Tick
        | Action::Evict(_)
        | Action::EvictStamp
        | Action::Age(_)
        | Action::Expire(_)
        | Action::Arrive(_)
        | Action::Trim
        | Action::LoseBus
        | Action::LoseNodes
        | Action::Crash(_)
        | Action::Replicate
        | Action::FailOver => of_world(before, action),
        Action::Turn(call)
        | Action::Serve(call)
        | Action::Receive(call)
        | Action::Poll(call)
        | Action::Load(call)
        | Action::Fill(call)
        | Action::GiveUp(call)
        | Action::Leave(call)
        | Action::Renew(call) => format!("{} {}", at(config, call), of_leader(before, action, after, call)),
    }
}

fn at(config: &Config, call: usize) -> String {
    format!("call {call} in process {}", config.calls[call].process)
}

fn of_leader(before: &State, action: Action, after: &State, call: usize) -> String {
    let stage = match after.calls[call].phase {
        Phase::Leading(flight) => Some(flight.stage),
        _ => None,
    };
    match (action, stage) {
        (Action::Load(_), None) => "loads for itself, and is answered".to_owned(),
        (Action::Leave(_), _) => "leaves".to_owned(),
        (Action::Renew(_), _) => "renews its lease, which was gone: it is back".to_owned(),
        (Action::GiveUp(_), None) => "gives its fill up, and is answered without a verdict".to_owned(),
        (Action::GiveUp(_), Some(_)) => "gives the second tier up, and loads without a lease".to_owned(),
        (Action::Receive(_), None) => match before.calls[call].phase {
            Phase::Leading(flight) => received(flight.stage),
            _ => "is answered".to_owned(),
        },
        (_, None) => "is answered".to_owned(),
        (_, Some(stage)) => entered(stage),
    }
}

fn received(stage: Stage) -> String {
    match stage {
        Stage::Filled(version, true) => {
            format!("hears that its fill was accepted: version {version} for all who follow")
        }
        Stage::Filled(version, false) => format!("hears that its fill was refused: version {version} for itself alone"),
        Stage::Read(Seen::Hit(version) | Seen::Stale(version, _)) => format!("is answered with version {version}"),
        _ => "is answered".to_owned(),
    }
}

fn entered(stage: Stage) -> String {
    match stage {
        Stage::Turn => "has its turn".to_owned(),
        Stage::Reading => "sends GET".to_owned(),
        Stage::Asking(token) => format!("asks for lease {token}, or for what stands there"),
        Stage::Read(Seen::Hit(version)) => format!(": GET finds version {version}"),
        Stage::Read(Seen::Stale(version, None)) => format!(": GET finds version {version}, past its ttl"),
        Stage::Read(Seen::Stale(version, Some(_))) => {
            format!(": GET finds version {version}, past its ttl, to be refreshed")
        }
        Stage::Read(Seen::Take(0)) => ": GET finds nothing".to_owned(),
        Stage::Read(Seen::Take(_)) => ": GET finds a value under another stamp".to_owned(),
        Stage::Read(Seen::Lease(token)) => format!(": GET finds lease {token}"),
        Stage::Waiting(token) => format!("waits for lease {token}"),
        Stage::Taking { token, .. } => format!("asks for lease {token}"),
        Stage::Taken { token, snapshot: Some(stamp) } => {
            format!(": the server gives it lease {token} under stamp {stamp}")
        }
        Stage::Taken { snapshot: None, .. } => ": somebody else holds the lease".to_owned(),
        Stage::Loading(Tenure::Without) => "loads without a lease".to_owned(),
        Stage::Loading(Tenure::Lease(token, _)) => format!("loads under lease {token}"),
        Stage::Loading(Tenure::Refresh(..)) => "serves what it has, and refreshes it".to_owned(),
        Stage::Loaded(_, version) => format!(": its load sees version {version}"),
        Stage::Filling(_, version) => format!("seals its flight, and sends its fill with version {version}"),
        Stage::Filled(version, true) => format!(": the server accepts version {version}"),
        Stage::Filled(version, false) => format!(": the server refuses version {version}, or finds another stamp"),
    }
}

fn of_write(config: &Config, before: &State, action: Action, after: &State) -> String {
    let (Action::Commit(write)
    | Action::Send(write)
    | Action::Execute(write)
    | Action::Confirm(write)
    | Action::GiveUpWrite(write)) = action
    else {
        return format!("{action:?}");
    };
    let place = config.writes[write].process.map_or("elsewhere".to_owned(), |process| format!("in process {process}"));
    let did = match (action, before.writes[write].step, after.writes[write].step) {
        (Action::Commit(_), ..) => format!("commits version {}", after.writes[write].version),
        (Action::Send(_), ..) => "fences its process and sends its invalidation".to_owned(),
        (Action::Execute(_), Step::Putting, _) => ": the server puts its value, if its lease stands".to_owned(),
        (Action::Execute(_), _, Step::RoutesChanged) => {
            ": the server unlinks, but its routes are others by now".to_owned()
        }
        (Action::Execute(_), ..) => format!(": the server executes it, as message {}", after.writes[write].id),
        (Action::Confirm(_), _, Step::Sent) => "reads the routes, and sends again".to_owned(),
        (Action::Confirm(_), _, Step::Putting) => "sends its value, for the place of its lease".to_owned(),
        (Action::Confirm(_), ..) => "fences its process again, and returns".to_owned(),
        (_, Step::Putting, _) => "gives the value up, and returns".to_owned(),
        _ => "gives up: the invalidation waits in the journal".to_owned(),
    };
    format!("write {write} {place} {did}")
}

fn of_bus(before: &State, action: Action, after: &State) -> String {
    match action {
        Action::Ask(process) => format!("process {process} asks for the bus"),
        Action::ServeProbe(process) => format!("the server tells process {process} what is on the bus"),
        Action::Unlink(process) => format!("process {process} unlinks what a publisher has not covered"),
        Action::Apply(process) => {
            let (old, new) = (&before.processes[process], &after.processes[process]);
            let dropped = if new.fences == old.fences { "" } else { ", fences off what it names" };
            format!("process {process} applies the bus up to {}{dropped}, may serve for {}", new.applied, new.right)
        }
        _ => format!("{action:?}"),
    }
}

fn of_world(before: &State, action: Action) -> String {
    match action {
        Action::Tick => "a tick of the clock".to_owned(),
        Action::Evict(key) => match before.server.slots[key] {
            Slot::Lease(token) => format!("lease {token} of key {key} is evicted"),
            Slot::Empty | Slot::Value(_) => format!("the value of key {key} is evicted"),
        },
        Action::EvictStamp => "the stamp of the group is evicted".to_owned(),
        Action::Age(key) => format!("the value of key {key} is past its ttl"),
        Action::Expire(key) => format!("the lease of key {key}, which nobody holds any more, expires"),
        Action::Arrive(late) => format!("a command arrives that was given up: {:?}", before.late[late]),
        Action::Trim => "the oldest message is trimmed".to_owned(),
        Action::LoseBus => "the bus is evicted".to_owned(),
        Action::LoseNodes => "the list of those who read the bus is evicted".to_owned(),
        Action::Crash(process) => format!("process {process} dies and starts again"),
        Action::Replicate => "the replica has all of this, and nothing that comes".to_owned(),
        Action::FailOver => "the replica takes over".to_owned(),
        _ => format!("{action:?}"),
    }
}
