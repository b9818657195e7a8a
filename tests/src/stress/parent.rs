//! The run: servers, processes, and faults.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use super::control::Children;
use super::diary::Diary;
use super::faults::{self, Faults};
use super::judge::Judge;
use super::settings::Settings;
use super::watch::Watch;
use crate::fault_proxy::FaultProxy;
use crate::history::Promise;
use crate::redis_server::RedisServer;

/// Pieces of logs that wait to be checked; processes whose parent is behind slow down.
pub(crate) const MOST_PIECES: usize = 1_000;

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
    /// How often happened what is special about some functions and processes.
    pub special: [(&'static str, u64); 4],
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
    let urls = vec![server.url(), server.url_at(proxy.port())];
    let diary = Diary::new(faults::names());
    let mut watch = Watch::new(settings.talks, heard, diary.clone(), Judge::strict());
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
    if !watch.has_found() {
        watch.rest(&children);
    }
    watch.outcome(&children)
}
