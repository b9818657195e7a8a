//! Exploring: completely, with progress; or until a mutant is caught.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use stateright::report::{ReportData, ReportDiscovery, Reporter};
use stateright::{Checker, HasDiscoveries, Model};

use crate::config::Config;
use crate::milestone::Milestone;
use crate::model::Protocol;
use crate::mutant::Mutant;
use crate::trace;

/// What the exploration of one configuration has come to.
#[derive(Debug)]
pub struct Explored {
    /// Different states.
    pub unique: usize,
    /// The longest path that was followed.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// Whether that was all of them.
    pub is_complete: bool,
    /// Broken promises, each with the way there.
    pub broken: Vec<Broken>,
    /// What should have been reached, and was not.
    pub unreached: Vec<Milestone>,
}

/// A broken promise.
#[derive(Debug)]
pub struct Broken {
    /// Its property.
    pub property: &'static str,
    /// How many steps lead there.
    pub steps: usize,
    /// The steps, told.
    pub way: String,
}

/// How a configuration is explored.
#[derive(Clone, Copy, Debug)]
pub enum Search {
    /// Breadth first: the shortest way to a broken promise, and every state in memory until it is done.
    Breadth,
    /// The same, until so many states were generated.
    Shallow(usize),
    /// Depth first, until so many states were generated: only their fingerprints stay in memory.
    Depth(usize),
}

/// Explores one configuration with all of its rules, on so many threads, and tells how far it is.
#[must_use]
pub fn explore(config: Config, search: Search, threads: usize) -> Explored {
    let protocol = Protocol::of(config);
    let checker = protocol.clone().checker().threads(threads).finish_when(HasDiscoveries::AnyFailures);
    let begun = Instant::now();
    let mut progress = Progress { name: config.name, next: Duration::from_secs(10) };
    match search {
        Search::Breadth => explored(&protocol, &checker.spawn_bfs().join_and_report(&mut progress), begun, usize::MAX),
        Search::Shallow(most) => {
            let checker = checker.target_state_count(most).spawn_bfs();
            explored(&protocol, &checker.join_and_report(&mut progress), begun, most)
        }
        Search::Depth(most) => {
            let checker = checker.target_state_count(most).spawn_dfs();
            explored(&protocol, &checker.join_and_report(&mut progress), begun, most)
        }
    }
}

/// Explores one configuration without this rule, until something notices; on one thread, so that the way is the shortest.
#[must_use]
pub fn hunt(config: Config, mutant: Mutant) -> Explored {
    let protocol = Protocol::without(config, mutant);
    let begun = Instant::now();
    let checker = protocol.clone().checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    explored(&protocol, &checker, begun, usize::MAX)
}

fn explored(protocol: &Protocol, checker: &impl Checker<Protocol>, begun: Instant, most: usize) -> Explored {
    let took = begun.elapsed();
    let ways = checker.discoveries().into_iter().map(|(property, path)| {
        let path = path.into_vec();
        Broken { property, steps: path.len() - 1, way: trace::told(protocol, &path) }
    });
    let broken: Vec<_> = ways.collect();
    let is_complete = broken.is_empty() && checker.state_count() < most;
    let unreached = protocol.config.reaches.iter().copied().filter(|milestone| !protocol.has_reached(*milestone));
    Explored {
        unique: checker.unique_state_count(),
        depth: checker.max_depth(),
        took,
        is_complete,
        broken,
        unreached: unreached.collect(),
    }
}

/// Prints a line now and then while a long exploration runs.
struct Progress {
    name: &'static str,
    next: Duration,
}

impl Reporter<Protocol> for Progress {
    fn report_checking(&mut self, data: ReportData) {
        if data.duration >= self.next && !data.done {
            self.next += Duration::from_secs(10);
            let (states, seconds) = (data.unique_states, data.duration.as_secs());
            println!("    {}: {states} states so far, depth {}, {seconds} s", self.name, data.max_depth);
        }
    }

    fn report_discoveries(&mut self, _: &Protocol, _: BTreeMap<&'static str, ReportDiscovery<Protocol>>) {}

    fn delay(&self) -> Duration {
        Duration::from_millis(50)
    }
}
