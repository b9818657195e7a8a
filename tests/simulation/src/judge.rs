//! What became of a run: whether every promise was kept, and whether nothing was left over.

use std::collections::BTreeMap;

use cache_tests::history::{
    Checker, Invalidation, KeyNumber, Nanos, ProcessNumber, Promise, Reach, Record, Version, nanos,
};

use crate::functions::{Function, Place};
use crate::plan::{Plan, What};
use crate::run::{Outcome, Run};
use crate::shared::Load;

/// Judges a run that has come to its end.
pub(crate) fn judge(run: &mut Run<'_>) -> Outcome {
    let mut outcome = Outcome { trace: run.world.trace(), ..Outcome::default() };
    check_promises(run, &mut outcome);
    outcome.violations.extend(unrest(run));
    check_truth(run, &mut outcome);
    let alone = check_loads(run, &mut outcome);
    let state = run.shared.state();
    outcome.counts = state.counts;
    outcome.counts.alone = alone;
    outcome.counts.events = run.world.events();
    outcome.violations.extend(state.problems.iter().cloned());
    outcome.timeline = state.lines.iter().map(|(at, line)| format!("{:>12.3}  {line}", millis(*at))).collect();
    drop(state);
    outcome
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn millis(at: Nanos) -> f64 {
    at as f64 / 1_000_000.0
}

fn check_promises(run: &Run<'_>, outcome: &mut Outcome) {
    let max_staleness = run.plan.settings.max_staleness;
    let mut checker = Checker::new(max_staleness);
    let processes = 0..ProcessNumber::try_from(run.processes.len()).expect("few processes");
    processes.clone().for_each(|process| checker.started(process, 0));
    let state = run.shared.state();
    let mut of: BTreeMap<ProcessNumber, Vec<Record>> = BTreeMap::new();
    for (number, (process, record)) in state.records.iter().enumerate() {
        let mut record = *record;
        match &mut record {
            Record::Invalidation(invalidation) if is_lost(run, invalidation) => continue,
            // Who may serve for how long is known to others by the server's clock.
            Record::Invalidation(one) if one.reach == Reach::Everywhere && state.clock.hurry(one, max_staleness) => {
                one.reach = Reach::Applied;
            }
            Record::Invalidation(_) => {}
            // A token binds as much as what it stands for.
            Record::Read(read) => {
                let cause = state.causes.get(&number);
                let is_told_again = |cause| !run.plan.settings.bus_goes_on && state.clock.repeat(cause);
                if cause.is_some_and(|(_, cause)| is_lost(run, cause) || is_told_again(cause)) {
                    read.token = 0;
                }
            }
        }
        of.entry(*process).or_default().push(record);
    }
    drop(state);
    let mut violations = Vec::new();
    for process in processes {
        violations.extend(checker.add(process, Nanos::MAX, of.get(&process).map_or(&[], Vec::as_slice)));
    }
    let name = |key: KeyNumber| format!("{:?}", Place::of(key));
    outcome.violations.extend(violations.iter().map(|violation| violation.report(0, name)));
    outcome.bound = Promise::ALL.map(|promise| checker.checked(promise).reads);
}

/// Whether the server had acknowledged it and lost it again. What was queued may have been sent at any time before.
fn is_lost(run: &Run<'_>, invalidation: &Invalidation) -> bool {
    run.faults.lost.iter().any(|(from, to)| {
        let since = if invalidation.reach == Reach::Queued { 0 } else { *from };
        invalidation.began <= *to && invalidation.returned >= since
    })
}

/// What is not at rest.
fn unrest(run: &mut Run<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    for (process, under_way) in run.shared.state().under_way.iter().filter(|(_, under_way)| **under_way > 0) {
        problems.push(format!("process {process}: {under_way} operations never ended"));
    }
    for seat in &run.seats {
        let process = &run.processes[*seat as usize];
        let Some(cache) = process.cache().get().cloned() else {
            problems.push(format!("process {seat} has no cache"));
            continue;
        };
        let health = cache.health();
        let is_well = health.reaches_server() && health.serves_near() && health.queued() == 0 && health.leases() == 0;
        if !is_well || cache.loads_in_flight() > 0 {
            problems.push(format!("process {seat} did not come to rest: {health}, {} loads", cache.loads_in_flight()));
        }
    }
    for host in &mut run.hosts {
        let now = host.millis();
        for name in host.redis.names(now) {
            if host.redis.string(&name).is_some_and(|slot| slot.starts_with(b"L") && slot.len() == 18) {
                problems.push(format!("an orphan lease at {}", String::from_utf8_lossy(&name)));
            }
        }
    }
    problems
}

/// Whether nothing waits, nothing is owed, and nobody holds a lease.
pub(crate) fn is_at_rest(run: &mut Run<'_>) -> bool {
    unrest(run).is_empty()
}

/// Who read last saw the newest version whose invalidation is known to have been told.
fn check_truth(run: &Run<'_>, outcome: &mut Outcome) {
    let mut told: BTreeMap<KeyNumber, Version> = BTreeMap::new();
    for (place, newer) in run.told_by_foreigners() {
        let version = told.entry(place.number()).or_default();
        *version = (*version).max(newer);
    }
    let state = run.shared.state();
    for (process, record) in &state.records {
        if let Record::Invalidation(one) = record
            // What was queued in a process that died is gone with it.
            && (one.reach != Reach::Queued || run.processes[*process as usize].is_alive())
            && (!is_lost(run, one) || run.processes[*process as usize].is_alive())
        {
            let version = told.entry(one.key).or_default();
            *version = (*version).max(one.version);
        }
    }
    for (process, record) in &state.records {
        if let Record::Read(read) = record
            && read.began >= run.rested
            && told.get(&read.key).is_some_and(|told| read.version < *told)
        {
            let (place, told) = (Place::of(read.key), told[&read.key]);
            outcome.violations.push(format!(
                "after all was quiet, process {process} read version {} of {place:?} where {told} was told",
                read.version
            ));
        }
    }
}

/// P7 across processes: while nothing goes wrong, a key is loaded by one at a time, in all of them. Returns how many loads
/// had to be alone.
fn check_loads(run: &Run<'_>, outcome: &mut Outcome) -> u64 {
    if !is_calm(run.plan) {
        return 0;
    }
    let state = run.shared.state();
    let mut of: BTreeMap<KeyNumber, Vec<Load>> = BTreeMap::new();
    for load in state.loads.iter().filter(|load| load.began >= WARM && has_one_lease(load.place.function)) {
        of.entry(load.place.number()).or_default().push(*load);
    }
    for (key, loads) in &of {
        let invalid = invalidations(run, &state.records, *key);
        for (number, second) in loads.iter().enumerate() {
            for first in loads[..number].iter().filter(|first| first.ended > second.began) {
                if !are_excused(run, first, second, &invalid) {
                    outcome.violations.push(two_at_a_time(first, second));
                }
            }
        }
    }
    of.values().map(|loads| loads.len() as u64).sum()
}

fn two_at_a_time(first: &Load, second: &Load) -> String {
    let place = first.place;
    let told = |load: &Load| {
        format!("process {} from {:.3} to {:.3} ms", load.process, millis(load.began), millis(load.ended))
    };
    format!("{place:?} is loaded by two at a time: {}, and {}", told(first), told(second))
}

/// By then all processes have told the server what they can load.
const WARM: Nanos = 100_000_000;

/// Whether nothing goes wrong in it: every load ends soon, with a value, and the second tier always answers in time.
fn is_calm(plan: &Plan) -> bool {
    let settings = &plan.settings;
    let has_faults = plan.steps.iter().any(|step| matches!(step.what, What::Fault(..)));
    let have_loads = settings.failing + settings.panicking + settings.slow > 0;
    // All that a leader asks the second tier for takes one `op_timeout` at most.
    let is_quick = 8 * settings.delays.longest.max(settings.delays.most) < nanos(settings.op_timeout);
    !has_faults && !have_loads && is_quick
}

/// Whether its loads have the lease of their key: not those that have no second tier, that are refreshes beside a value,
/// or whose output may not be kept.
fn has_one_lease(function: Function) -> bool {
    use Function::{Near, NearStale, NestedNear, Optional, Stale};
    !matches!(function, Near | NearStale | NestedNear | Optional | Stale)
}

/// From when to when something made this key invalid.
fn invalidations(run: &Run<'_>, records: &[(ProcessNumber, Record)], key: KeyNumber) -> Vec<(Nanos, Nanos)> {
    let of_processes = records.iter().filter_map(|(_, record)| match record {
        Record::Invalidation(one) if one.key == key => Some((one.began, one.returned)),
        Record::Invalidation(_) | Record::Read(_) => None,
    });
    // Whoever only tells the bus leaves it to those who read it.
    let told = run.plan.steps.iter().filter(|step| match step.what {
        What::Tell(record) => Place::of_record(record).any(|place| place.number() == key),
        What::Operation(..) | What::Fault(..) => false,
    });
    let told = told.map(|step| (step.at, step.at + nanos(run.plan.settings.max_staleness)));
    of_processes.chain(told).collect()
}

/// Whether the first load had lost its lease before the second began, or the second went without one because too much was
/// lost before.
fn are_excused(run: &Run<'_>, first: &Load, second: &Load, invalid: &[(Nanos, Nanos)]) -> bool {
    let within = |from: Nanos| invalid.iter().filter(move |(began, ended)| *began <= second.began && *ended >= from);
    let lease_taken = first.began.saturating_sub(nanos(run.plan.settings.op_timeout));
    let lost = within(second.began.saturating_sub(nanos(run.plan.settings.load_timeout))).count();
    within(lease_taken).next().is_some() || lost >= MOST_LOST
}

/// After so many lost loads of others a caller loads for itself.
const MOST_LOST: usize = 3;
