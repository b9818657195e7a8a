//! What a person sees of a run.

use std::collections::HashMap;
use std::time::Duration;

use super::judge::Judge;
use super::log::{Counter, Counts};
use super::wire::Frame;
use crate::history::{Checked, Checker, Invalidation, Nanos, ProcessNumber, Promise, Reach, Record, Source};

/// Where answers come from, as a person reads it.
const SOURCES: [(Source, &str); 5] = [
    (Source::Near, "in-process tier"),
    (Source::Second, "second tier"),
    (Source::Load, "own load"),
    (Source::Joined, "another's load"),
    (Source::Bypass, "without the cache"),
];

/// What happened so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    latest: HashMap<ProcessNumber, Counts>,
    ended: Counts,
    pub(crate) dead_leaders: u64,
    pub(crate) queued: u64,
    pub(crate) applied: u64,
    /// The longest that one took, in nanoseconds.
    pub(crate) slowest_invalidation: Nanos,
    sources: [u64; 6],
    processes: u64,
}

impl Tally {
    pub(crate) fn started(&mut self) {
        self.processes += 1;
    }

    pub(crate) fn add(&mut self, process: ProcessNumber, frame: &Frame) {
        self.latest.insert(process, frame.counts);
        for record in &frame.records {
            match record {
                Record::Read(read) => self.sources[read.source as usize] += 1,
                Record::Invalidation(one) => self.invalidated(one),
            }
        }
    }

    fn invalidated(&mut self, one: &Invalidation) {
        let queued = u64::from(one.reach == Reach::Queued);
        self.queued += queued;
        self.applied += 1 - queued;
        self.slowest_invalidation = self.slowest_invalidation.max(one.returned.saturating_sub(one.began));
    }

    pub(crate) fn ended(&mut self, process: ProcessNumber) {
        let counts = self.latest.remove(&process).unwrap_or_default();
        // What it was loading when it was killed.
        self.dead_leaders += counts.loading();
        self.ended.add(&counts);
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut all = self.ended;
        self.latest.values().for_each(|counts| all.add(counts));
        all
    }

    /// Loads whose leader left, or was killed.
    pub(crate) fn all_dead_leaders(&self) -> u64 {
        self.dead_leaders + self.counts().get(Counter::LoadsDropped)
    }

    pub(crate) fn line(&self, checker: &Checker, judge: &Judge, elapsed: Duration) -> String {
        let violations = judge.broken.iter().sum::<u64>();
        format!(
            "{:>5} s  {:>10} reads  {:>8} writes  {:>8} invalidations  {:>6} dead leaders  {violations} violations",
            elapsed.as_secs(),
            checker.reads(),
            self.counts().get(Counter::Writes),
            self.applied + self.queued,
            self.all_dead_leaders(),
        )
    }

    /// What was checked, and how the reads were answered.
    pub(crate) fn table(&self, checker: &Checker, judge: &Judge) -> String {
        let mut lines = vec!["  promise         reads that it binds  begun < 10 ms after   violations".to_owned()];
        lines.extend(Promise::ALL.map(|promise| {
            let Checked { reads, close, .. } = checker.checked(promise);
            let violations = judge.broken[promise as usize];
            format!("  {:<14} {reads:>20} {close:>20} {violations:>12}", format!("{promise:?}"))
        }));
        let sources = SOURCES.map(|(source, name)| format!("{} {name}", self.sources[source as usize]));
        lines.push(format!("  of the reads that were asked: {}", sources.join(", ")));
        let counts = self.counts();
        lines.push(format!(
            "  {} loads, {} with a leader that died, {} calls left, {} failed; slowest call {} ms; {} processes",
            counts.get(Counter::LoadsBegun),
            self.all_dead_leaders(),
            counts.get(Counter::CallsLeft),
            counts.get(Counter::CallsFailed),
            counts.get(Counter::Slowest),
            self.processes,
        ));
        lines.push(format!(
            "  {} answers past their ttl, {} kept ones that there is nothing, {} loads made of what is kept; {} times a \
             full journal",
            counts.get(Counter::Stale),
            counts.get(Counter::Absent),
            counts.get(Counter::MadeOfKept),
            counts.get(Counter::Overflows),
        ));
        lines.push(format!(
            "  {} invalidations applied, {} queued; at most {} reads waited for their check",
            self.applied,
            self.queued,
            checker.most_waiting(),
        ));
        lines.join("\n") + "\n"
    }
}
