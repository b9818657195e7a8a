//! A run over one topology after the other.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::data::Data;
use super::marks::Marker;
use super::network::Network;
use super::plan::{Lane, Plan, names};
use super::report::Report;
use super::servers::Servers;
use super::settings::{Settings, Topology};
use super::world::World;
use crate::redis_server::RedisServer;
use crate::stress::{self, Children, Diary, Judge, Losses, MOST_PIECES, Watch};

/// How long it may take until it is known what the last failover has lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the chaos; `program` is the one that calls `ChildSettings::from_arguments`. Each topology gets the same share of
/// the time, and ends with its first violation.
///
/// # Panics
///
/// If servers or processes cannot be started.
#[must_use]
pub fn run(program: &Path, settings: &Settings) -> Vec<Report> {
    let share = settings.time / u32::try_from(settings.topologies.len().max(1)).expect("there are three");
    let mut reports = Vec::new();
    for topology in &settings.topologies {
        reports.push(run_one(program, settings, *topology, share));
    }
    reports
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a process may have a runtime")
}

fn run_one(program: &Path, settings: &Settings, topology: Topology, time: Duration) -> Report {
    if settings.talks {
        println!("{topology}, {} s", time.as_secs());
    }
    let (world, truth) = (runtime().block_on(World::start(topology)), RedisServer::start());
    let (events, heard) = sync_channel(MOST_PIECES);
    let (diary, losses) = (Diary::new(names()), Losses::default());
    let mut watch = Watch::new(settings.talks, heard, diary.clone(), Judge::new(losses.clone()));
    let like = stress::Settings {
        seed: settings.seed,
        without: settings.without.clone(),
        min_replicas: usize::from(topology != Topology::Standalone),
        ..stress::Settings::default()
    };
    let children = thread::scope(|scope| {
        // What they tell is read from their start on.
        let start = || Children::start(program.to_owned(), &like, world.urls(), truth.address(), events);
        let starting = scope.spawn(start);
        watch.hear_until(|| starting.is_finished());
        starting.join().expect("the processes start")
    });
    let marks_end = AtomicBool::new(false);
    let marks_are_over = || marks_end.load(Ordering::SeqCst);
    thread::scope(|scope| {
        let chaos = Chaos { world: &world, children: &children, diary: &diary, losses: &losses, settings, topology };
        let markers = chaos.start_markers(scope, &marks_are_over);
        let lanes = chaos.start_lanes(scope);
        let end = Instant::now() + time;
        watch.hear_until(|| Instant::now() >= end || lanes.iter().any(ScopedJoinHandle::is_finished));
        world.end();
        join(&mut watch, lanes);
        if !watch.has_found() {
            watch.rest(&children);
            let end = Instant::now() + PATIENCE;
            watch.hear_until(|| !losses.are_open() || Instant::now() >= end);
        }
        marks_end.store(true, Ordering::SeqCst);
        join(&mut watch, markers);
        watch.close();
    });
    Report::of(topology, time, watch, &children, &losses, &diary)
}

/// What the threads of a run share.
struct Chaos<'a> {
    world: &'a World,
    children: &'a Children,
    diary: &'a Diary,
    losses: &'a Losses,
    settings: &'a Settings,
    topology: Topology,
}

type Thread<'scope> = ScopedJoinHandle<'scope, thread::Result<()>>;

impl<'a> Chaos<'a> {
    /// Where servers can fail over.
    fn start_markers<'scope>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        is_over: &'scope (impl Fn() -> bool + Sync),
    ) -> Vec<Thread<'scope>>
    where
        'a: 'scope,
    {
        let shards = if self.topology == Topology::Standalone { 0 } else { self.world.shards() };
        let marker = |shard| {
            let (losses, diary) = (self.losses.clone(), self.diary.clone());
            let marker = Marker { world: self.world, shard, losses, diary };
            scope.spawn(move || std::panic::catch_unwind(AssertUnwindSafe(|| marker.run(scope, is_over))))
        };
        (0..shards).map(marker).collect()
    }

    fn start_lanes<'scope>(&self, scope: &'scope Scope<'scope, '_>) -> Vec<Thread<'scope>>
    where
        'a: 'scope,
    {
        let lane = |lane| {
            let plan = Plan::new(self.settings.seed, self.topology, lane);
            let (world, children, random) = (self.world, self.children, fastrand::Rng::with_seed(0));
            let (diary, losses) = (self.diary.clone(), self.losses.clone());
            let work = move || match lane {
                Lane::Data => Data { world, children, diary, random, stopped: Vec::new() }.run(plan),
                Lane::Network => Network { world, diary, losses, random }.run(plan),
                Lane::Servers => Servers { world, diary, random, runtime: runtime() }.run(plan),
            };
            scope.spawn(move || std::panic::catch_unwind(AssertUnwindSafe(work)))
        };
        Lane::ALL.into_iter().map(lane).collect()
    }
}

/// Goes on checking until they are through. One that panics has waited in vain for servers to recover.
fn join(watch: &mut Watch, threads: Vec<Thread<'_>>) {
    while threads.iter().any(|thread| !thread.is_finished()) {
        watch.hear(Duration::from_millis(10));
    }
    for thread in threads {
        let ended = thread.join().expect("panics are caught");
        if let Err(panic) = ended {
            let what = panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "it panicked".to_owned());
            watch.problem(format!("the servers of the run failed: {what}"));
        }
    }
}
