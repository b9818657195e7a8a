//! What became of a run: whether every promise was kept, and whether nothing was left over.

use std::collections::BTreeMap;

use cache_tests::history::{Checker, Invalidation, KeyNumber, Nanos, ProcessNumber, Promise, Reach, Record, Version};

use crate::functions::Place;
use crate::run::{Outcome, Run};

/// Judges a run that has come to its end.
pub(crate) fn judge(run: &mut Run<'_>) -> Outcome {
    let mut outcome = Outcome { trace: run.world.trace(), ..Outcome::default() };
    check_promises(run, &mut outcome);
    outcome.violations.extend(unrest(run));
    check_truth(run, &mut outcome);
    let state = run.shared.state();
    outcome.counts = state.counts;
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
