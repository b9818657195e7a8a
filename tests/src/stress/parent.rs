//! The run: servers, processes, faults, and the one who checks.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::control::{Children, Event};
use super::faults::{Diary, Faults};
use super::log::Counter;
use super::places::Place;
use super::progress::Tally;
use super::settings::{MAX_STALENESS, Settings};
use crate::fault_proxy::FaultProxy;
use crate::history::{Checker, Nanos, ProcessNumber, Promise, Violation, nanos, now};
use crate::redis_server::RedisServer;

/// Pieces of logs that wait to be checked; processes whose parent is behind slow down.
const MOST_PIECES: usize = 1_000;

/// How often it is told how it goes.
const LINES: Duration = Duration::from_secs(5);

/// How long all processes together may take to come to rest.
const REST: Duration = Duration::from_mins(1);

/// What a run has come to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Reads that were checked.
    pub reads: u64,
    /// Commits.
    pub writes: u64,
    /// Invalidations, those of a group counted for each of its keys.
    pub invalidations: u64,
    /// Loads whose leader left or was killed.
    pub dead_leaders: u64,
    /// Reads for which each promise asked for some version, in the order of [`Promise::ALL`].
    pub bound: [u64; Promise::ALL.len()],
    /// The first read that was older than promised, with all that happened to its key.
    pub violation: Option<String>,
    /// How long it took until that was found.
    pub found_after: Option<Duration>,
    /// What else was wrong: processes that died by themselves, calls that never ended, what was left when all was quiet.
    pub problems: Vec<String>,
    /// All of it for a person.
    pub table: String,
}

/// Runs the stress; `program` is the one that calls `ChildSettings::from_arguments`. It ends with the first violation.
///
/// # Panics
///
/// If servers or processes cannot be started.
#[must_use]
pub fn run(program: &Path, settings: &Settings) -> Outcome {
    let (server, truth) = (RedisServer::start(), RedisServer::start());
    let proxy = FaultProxy::start(server.address()).expect("a port is free");
    let (events, heard) = sync_channel(MOST_PIECES);
    let urls = [server.url(), server.url_at(proxy.port())];
    let diary = Diary::default();
    let mut watch = Watch::new(settings, heard, diary.clone());
    let children = thread::scope(|scope| {
        // What they tell is read from their start on.
        let starting = scope.spawn(|| Children::start(program.to_owned(), settings, urls, truth.address(), events));
        watch.hear_until(|| starting.is_finished());
        starting.join().expect("the processes start")
    });
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let random = fastrand::Rng::with_seed(settings.seed);
        let faults = Faults { server: &server, proxy: &proxy, children: &children, diary, random };
        let failing = scope.spawn(|| faults.run(&stop));
        let end = Instant::now() + settings.time;
        watch.hear_until(|| Instant::now() >= end);
        stop.store(true, Ordering::Relaxed);
        while !failing.is_finished() {
            watch.hear(Duration::from_millis(10));
        }
    });
    if watch.violation.is_none() {
        watch.rest(&children);
    }
    watch.outcome(&children)
}

/// The one who checks.
struct Watch {
    checker: Checker,
    tally: Tally,
    heard: Receiver<Event>,
    diary: Diary,
    begun: Instant,
    origin: Nanos,
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
    fn new(settings: &Settings, heard: Receiver<Event>, diary: Diary) -> Self {
        let begun = Instant::now();
        Self {
            checker: Checker::new(MAX_STALENESS),
            tally: Tally::default(),
            heard,
            diary,
            begun,
            origin: now(),
            talks: settings.talks,
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
    fn hear_until(&mut self, is_over: impl Fn() -> bool) {
        while self.violation.is_none() && !is_over() {
            self.hear(Duration::from_millis(10));
        }
    }

    /// Lets all processes come to rest, and checks what they read last.
    fn rest(&mut self, children: &Children) {
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

    fn hear(&mut self, within: Duration) {
        if self.talks && Instant::now() >= self.next_line {
            self.next_line += LINES;
            println!("{}", self.tally.line(&self.checker, self.begun.elapsed()));
        }
        let found = match self.heard.recv_timeout(within) {
            Ok(Event::Started(process, at)) => {
                self.tally.started();
                self.living.push(process);
                self.checker.started(process, at);
                return;
            }
            Ok(Event::Frame(process, frame)) => {
                self.tally.add(process, &frame);
                self.checker.add(process, frame.told, &frame.records)
            }
            Ok(Event::Ended(process)) => {
                self.tally.ended(process);
                self.living.retain(|living| *living != process);
                if !self.is_resting {
                    self.early.push(process);
                }
                self.checker.ended(process)
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
        };
        if let Some(first) = found.into_iter().next()
            && self.violation.is_none()
        {
            self.found_after = Some(self.begun.elapsed());
            self.violation = Some(first);
        }
    }

    fn outcome(mut self, children: &Children) -> Outcome {
        let died = self.early.iter().filter(|number| !children.was_killed(**number));
        self.problems.extend(died.map(|number| format!("process {number} died by itself")));
        let counts = self.tally.counts();
        for (counter, what) in [
            (Counter::Stuck, "tasks never came to an end"),
            (Counter::LeftOver, "leases, loads or queued invalidations were left when all was quiet"),
        ] {
            if counts.get(counter) > 0 {
                self.problems.push(format!("{} {what}", counts.get(counter)));
            }
        }
        let report = self.violation.map(|mut violation| {
            // What goes wrong may show later.
            let (from, to) = violation.span();
            let since = from.saturating_sub(nanos(2 * MAX_STALENESS));
            for (at, what) in self.diary.about(violation.read.key, (since, to)) {
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
            violation: report,
            found_after: self.found_after,
            problems: self.problems,
            table: format!("{}{}", self.tally.table(&self.checker), self.diary),
        }
    }
}
