//! The one who checks: hears what the processes tell, and finds the first read that was older than promised.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::control::{Children, Event};
use super::diary::Diary;
use super::judge::Judge;
use super::log::Counter;
use super::parent::Outcome;
use super::places::Place;
use super::progress::Tally;
use super::settings::MAX_STALENESS;
use crate::history::{Checker, Nanos, ProcessNumber, Promise, Record, Violation, nanos, now};

/// How often it is told how it goes.
const LINES: Duration = Duration::from_secs(5);

/// How long all processes together may take to come to rest.
const REST: Duration = Duration::from_mins(1);

/// What has to happen for what is special about functions and processes to be tried.
const SPECIAL: [(Counter, &str); 4] = [
    (Counter::Stale, "answers past their ttl"),
    (Counter::Absent, "kept answers that there is nothing"),
    (Counter::MadeOfKept, "loads made of what another function keeps"),
    (Counter::Overflows, "invalidations that found the journal full"),
];

/// The one who checks.
pub(crate) struct Watch {
    pub(crate) checker: Checker,
    pub(crate) judge: Judge,
    pub(crate) tally: Tally,
    heard: Receiver<Event>,
    diary: Diary,
    begun: Instant,
    pub(crate) origin: Nanos,
    talks: bool,
    next_line: Instant,
    living: Vec<ProcessNumber>,
    /// Those that ended before they were asked to.
    early: Vec<ProcessNumber>,
    is_resting: bool,
    violation: Option<Violation>,
    found_after: Option<Duration>,
    problems: Vec<String>,
}

impl Watch {
    pub(crate) fn new(talks: bool, heard: Receiver<Event>, diary: Diary, judge: Judge) -> Self {
        let begun = Instant::now();
        Self {
            checker: Checker::new(MAX_STALENESS),
            judge,
            tally: Tally::default(),
            heard,
            diary,
            begun,
            origin: now(),
            talks,
            next_line: begun + LINES,
            living: Vec::new(),
            early: Vec::new(),
            is_resting: false,
            violation: None,
            found_after: None,
            problems: Vec::new(),
        }
    }

    /// Checks until then, or until the first violation.
    pub(crate) fn hear_until(&mut self, is_over: impl Fn() -> bool) {
        while self.violation.is_none() && !is_over() {
            self.hear(Duration::from_millis(10));
        }
    }

    pub(crate) fn has_found(&self) -> bool {
        self.violation.is_some()
    }

    /// Something else that is wrong.
    pub(crate) fn problem(&mut self, what: String) {
        self.problems.push(what);
    }

    /// Lets all processes come to rest, and checks what they read last.
    pub(crate) fn rest(&mut self, children: &Children) {
        self.is_resting = true;
        children.rest();
        let end = Instant::now() + REST;
        while !self.living.is_empty() && Instant::now() < end {
            self.hear(Duration::from_millis(100));
        }
        let restless = children.restless();
        if !restless.is_empty() {
            self.problems.push(format!("processes {restless:?} did not come to rest"));
        }
    }

    /// Judges what is left, when nothing more can come.
    pub(crate) fn close(&mut self) {
        let broken = self.judge.judge_rest();
        self.find(broken);
    }

    pub(crate) fn hear(&mut self, within: Duration) {
        if self.talks && Instant::now() >= self.next_line {
            self.next_line += LINES;
            println!("{}{}", self.tally.line(&self.checker, &self.judge, self.begun.elapsed()), self.happening());
        }
        let found = match self.heard.recv_timeout(within) {
            Ok(event) => self.take(event),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Vec::new(),
        };
        self.judge.pend(found);
        let broken = self.judge.judge(now());
        self.find(broken);
    }

    fn take(&mut self, event: Event) -> Vec<Violation> {
        match event {
            Event::Started(process, at) => {
                self.tally.started();
                self.living.push(process);
                self.checker.started(process, at);
                Vec::new()
            }
            Event::Frame(process, frame) => {
                self.tally.add(process, &frame);
                for record in &frame.records {
                    if let Record::Invalidation(one) = record {
                        self.judge.add(process, one);
                    }
                }
                self.checker.add(process, frame.told, &frame.records)
            }
            Event::Ended(process) => {
                self.tally.ended(process);
                self.living.retain(|living| *living != process);
                if !self.is_resting {
                    self.early.push(process);
                }
                self.judge.ended(process, now());
                self.checker.ended(process)
            }
        }
    }

    fn find(&mut self, broken: Vec<Violation>) {
        if let Some(first) = broken.into_iter().next()
            && self.violation.is_none()
        {
            self.found_after = Some(Duration::from_nanos(first.read.ended.saturating_sub(self.origin)));
            self.violation = Some(first);
        }
    }

    /// The end of a line: what went wrong last.
    fn happening(&self) -> String {
        self.diary.latest().map(|(_, what)| format!("  [{what}]")).unwrap_or_default()
    }

    pub(crate) fn outcome(mut self, children: &Children) -> Outcome {
        let died = self.early.iter().filter(|number| !children.was_killed(**number));
        self.problems.extend(died.map(|number| format!("process {number} died by itself")));
        let counts = self.tally.counts();
        for (counter, what) in [
            (Counter::Stuck, "tasks never came to an end"),
            (Counter::LeftOver, "leases, loads or queued invalidations were left when all was quiet"),
            (Counter::TooOld, "values were served for longer than their functions allow"),
            (Counter::KeptAmiss, "values were kept that were not to be kept"),
        ] {
            if counts.get(counter) > 0 {
                self.problems.push(format!("{} {what}", counts.get(counter)));
            }
        }
        let report = self.violation.map(|mut violation| {
            // What goes wrong may show later.
            let (from, to) = violation.span();
            let since = from.saturating_sub(nanos(2 * MAX_STALENESS));
            let events = self.diary.about(violation.read.key, (since, to));
            for (at, what) in events.into_iter().chain(self.judge.about((since, to))) {
                violation.add(at, &what);
            }
            violation.report(self.origin, |key| Place::of(key).key())
        });
        Outcome {
            reads: self.checker.reads(),
            writes: counts.get(Counter::Writes),
            invalidations: self.tally.applied + self.tally.queued,
            dead_leaders: self.tally.all_dead_leaders(),
            bound: Promise::ALL.map(|promise| self.checker.checked(promise).reads),
            special: SPECIAL.map(|(counter, what)| (what, counts.get(counter))),
            violation: report,
            found_after: self.found_after,
            problems: self.problems,
            table: format!("{}{}", self.tally.table(&self.checker, &self.judge), self.diary),
        }
    }
}
