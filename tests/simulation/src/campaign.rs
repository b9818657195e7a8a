//! Many seeds, on all processors.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cache_runtime::testing::Rule;

use crate::functions::UNLUCKY;
use crate::plan::Plan;
use crate::run::{Outcome, run};
use crate::shared::Counts;

/// Which seeds, and how.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The first seed.
    pub from: u64,
    /// How many.
    pub seeds: u64,
    /// Rules of the protocol that are taken away.
    pub without: Vec<Rule>,
    /// Whether it is over with the first that fails.
    pub stops: bool,
    /// No seed begins after this long.
    pub most: Duration,
    /// Threads that run them.
    pub threads: usize,
    /// Whether it says how far it is, now and then.
    pub talks: bool,
}

/// What became of them.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Seeds that were run.
    pub seeds: u64,
    /// What was done in all.
    pub counts: Counts,
    /// Reads that each promise had something to say about.
    pub bound: [u64; 5],
    /// What fails, by seed.
    pub failures: BTreeMap<u64, Vec<String>>,
    /// The traces of all of them: the same whenever the same seeds are run.
    pub trace: u64,
    /// How long it took.
    pub took: Duration,
}

/// The next word of a long run.
const TALK: Duration = Duration::from_secs(10);

/// Panics of loads are no news.
pub fn silence_expected_panics() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !info.payload_as_str().is_some_and(|text| text.contains(UNLUCKY)) {
            hook(info);
        }
    }));
}

impl Campaign {
    /// Runs them.
    ///
    /// # Panics
    ///
    /// If the simulation itself does something that it does not know how to do.
    #[must_use]
    pub fn run(&self) -> Report {
        let (next, is_over, began) = (AtomicU64::new(0), AtomicBool::new(false), Instant::now());
        let report = Mutex::new(Report::default());
        let add = |seed: u64, outcome: Outcome| {
            let mut report = report.lock().expect("nobody panics with it");
            report.add(seed, outcome);
            if self.stops && !report.failures.is_empty() {
                is_over.store(true, Ordering::Relaxed);
            }
            report.seeds
        };
        let work = || {
            let mut told = Instant::now();
            while !is_over.load(Ordering::Relaxed) && began.elapsed() < self.most {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= self.seeds {
                    return;
                }
                let seed = self.from + number;
                let outcome = run(&Plan::of(seed, &self.without), false);
                if let Some(problem) = outcome.violations.first().filter(|_| self.talks) {
                    println!("    seed {seed} fails: {}", problem.lines().next().unwrap_or_default());
                }
                let seeds = add(seed, outcome);
                if self.talks && number % 2 == 0 && told.elapsed() > TALK {
                    told = Instant::now();
                    println!("    {seeds} seeds, after {:.0?}", began.elapsed());
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(work);
            }
        });
        let mut report = report.into_inner().expect("nobody panics with it");
        report.took = began.elapsed();
        report
    }
}

impl Report {
    fn add(&mut self, seed: u64, outcome: Outcome) {
        self.seeds += 1;
        self.counts += outcome.counts;
        self.trace = self.trace.wrapping_add(outcome.trace);
        self.bound.iter_mut().zip(outcome.bound).for_each(|(sum, more)| *sum += more);
        if !outcome.violations.is_empty() {
            self.failures.insert(seed, outcome.violations);
        }
    }
}
