//! P1 under real threads: readers, writers, cancellations and panics at random for some seconds, and no read older than
//! what was promised when it began. `CACHE_STRESS_SECONDS` asks for more than the default of 4.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use cache_runtime::testing::Rule;
use cache_runtime::{Cache, Event, cached};
use cache_tests::{cache, cache_without};
use futures::FutureExt;
use serde::{Deserialize, Serialize};

const GROUPS: u64 = 3;
const KEYS: usize = 8;

/// The database: a version for each key, and the newest version whose invalidation has returned.
#[derive(Default)]
struct Database {
    versions: [AtomicU64; KEYS],
    promised: [AtomicU64; KEYS],
}

#[derive(Event, Serialize, Deserialize)]
struct GroupWritten {
    group: u64,
}

#[cached(ttl = "1h", key = "stress:<group>:<key>", invalidate_on = "GroupWritten => stress:<group>:*")]
async fn versioned(group: u64, key: u64, #[cache(skip)] database: Arc<Database>) -> u64 {
    let _ = group;
    read_slowly(&database, key).await
}

#[cached(
    ttl = "1h",
    key = "stress-borrowed:<group>:<key>",
    invalidate_on = "GroupWritten => stress-borrowed:<group>:*"
)]
async fn versioned_borrowed(group: u64, key: u64, #[cache(skip)] database: &Database) -> Arc<u64> {
    let _ = group;
    Arc::new(read_slowly(database, key).await)
}

/// Reads at one moment and answers later, sometimes not at all.
async fn read_slowly(database: &Database, key: u64) -> u64 {
    for _ in 0..fastrand::u32(0..3) {
        tokio::task::yield_now().await;
    }
    let version = database.versions[index(key)].load(Ordering::SeqCst);
    for _ in 0..fastrand::u32(0..4) {
        tokio::task::yield_now().await;
    }
    assert!(fastrand::u32(0..200) > 0, "a load panics now and then");
    version
}

fn index(key: u64) -> usize {
    usize::try_from(key).expect("a few keys")
}

fn group_of(key: u64) -> u64 {
    key % GROUPS
}

#[derive(Default)]
struct Counts {
    reads: AtomicU64,
    writes: AtomicU64,
    stale: AtomicU64,
}

async fn read(database: &Arc<Database>, counts: &Counts) {
    let key = fastrand::u64(0..KEYS as u64);
    let promised = database.promised[index(key)].load(Ordering::SeqCst);
    let call = async {
        if fastrand::bool() {
            versioned(group_of(key), key, Arc::clone(database)).await
        } else {
            *versioned_borrowed(group_of(key), key, database).await
        }
    };
    let mut call = Box::pin(AssertUnwindSafe(call).catch_unwind());
    let first = futures::poll!(&mut call);
    if first.is_pending() && fastrand::u32(0..10) == 0 {
        return; // this caller leaves
    }
    let answer = match first {
        Poll::Ready(answer) => answer,
        Poll::Pending => call.await,
    };
    if let Ok(version) = answer {
        counts.reads.fetch_add(1, Ordering::Relaxed);
        counts.stale.fetch_add(u64::from(version < promised), Ordering::Relaxed);
    }
}

async fn write(cache: &Cache, database: &Arc<Database>, counts: &Counts) {
    let key = fastrand::u64(0..KEYS as u64);
    let version = database.versions[index(key)].fetch_add(1, Ordering::SeqCst) + 1;
    match fastrand::u32(0..2) {
        0 => {
            versioned_entry(group_of(key), key).within(cache).invalidate().await.expect("invalidated");
            versioned_borrowed_entry(group_of(key), key).within(cache).invalidate().await.expect("invalidated");
        }
        _ => {
            cache.publish(&GroupWritten { group: group_of(key) }).await.expect("published");
        }
    }
    counts.writes.fetch_add(1, Ordering::Relaxed);
    database.promised[index(key)].fetch_max(version, Ordering::SeqCst);
}

/// Runs for `time`, or until the first stale read when that is what is looked for.
async fn run(cache: Cache, time: Duration, until_stale: bool) -> Arc<Counts> {
    let (database, counts) = (Arc::new(Database::default()), Arc::new(Counts::default()));
    let stop = Arc::new(AtomicBool::new(false));
    let ends = Instant::now() + time;
    let tasks = (0..16).map(|task| {
        let (cache, database, counts) = (cache.clone(), Arc::clone(&database), Arc::clone(&counts));
        let stop = Arc::clone(&stop);
        tokio::spawn(async move {
            let scope = cache.clone();
            let work = async {
                while !stop.load(Ordering::Relaxed) {
                    for _ in 0..50 {
                        if task == 0 { write(&cache, &database, &counts).await } else { read(&database, &counts).await }
                    }
                    tokio::task::yield_now().await;
                    let found = until_stale && counts.stale.load(Ordering::Relaxed) > 0;
                    if found || Instant::now() >= ends {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
            };
            scope.scope(work).await;
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("panics of loads are caught");
    }
    counts
}

fn seconds() -> u64 {
    std::env::var("CACHE_STRESS_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(4)
}

fn silence_expected_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload_as_str().unwrap_or_default();
        if !message.contains("a load panics now and then") {
            usual(panic);
        }
    }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_read_is_older_than_promised() {
    silence_expected_panics();
    let cache = cache().await;
    let counts = run(cache.clone(), Duration::from_secs(seconds()), false).await;
    let (reads, writes) = (counts.reads.load(Ordering::Relaxed), counts.writes.load(Ordering::Relaxed));
    println!("{reads} reads, {writes} writes");
    assert!(reads > 1_000 && writes > 50, "{reads} reads and {writes} writes say nothing");
    assert_eq!(counts.stale.load(Ordering::Relaxed), 0, "of {reads} reads, {writes} writes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_the_fence_stale_reads_are_found() {
    silence_expected_panics();
    let cache = cache_without(&[Rule::Detach, Rule::Fence]).await;
    let counts = run(cache, Duration::from_mins(1), true).await;
    assert!(counts.stale.load(Ordering::Relaxed) > 0, "a minute without the fence, and nothing was noticed");
}
