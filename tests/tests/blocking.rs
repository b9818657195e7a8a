//! Whoever blocks the thread that a load would run on is answered all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use cache_runtime::{Cache, cached};
use cache_tests::on_redis::process;
use cache_tests::redis_server::RedisServer;
use cache_tests::{Gate, cache, eventually};
use futures::executor::block_on;
use tokio::runtime::{Builder, Runtime};

/// Long over when a load has been taken back.
const SOON: Duration = Duration::from_secs(30);

#[cached(ttl = "1m", key = "blocked:<id>")]
async fn user(id: u64, #[cache(skip)] loads: Arc<AtomicU64>) -> u64 {
    loads.fetch_add(1, Ordering::SeqCst);
    id + 1
}

#[cached(ttl = "1m", key = "blocking:<id>")]
async fn over_user(id: u64, #[cache(skip)] loads: Arc<AtomicU64>) -> u64 {
    block_on(user(id, loads))
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn two_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// On a thread of its own, so that what hangs fails.
#[track_caller]
fn in_time<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(run()));
    told.recv_timeout(SOON).expect("it does not hang")
}

#[test]
fn a_call_that_blocks_the_only_thread_is_answered() {
    let loads = in_time(|| {
        one_thread().block_on(async {
            let (cache, loads) = (cache().await, Arc::new(AtomicU64::new(0)));
            assert_eq!(block_on(cache.scope(user(1, Arc::clone(&loads)))), 2);
            // Its task has its turn now, and nothing to do.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            loads.load(Ordering::SeqCst)
        })
    });
    assert_eq!(loads, 1);
}

/// The task stands where no other thread finds it: the one that made it would run it next.
#[test]
fn a_call_that_blocks_one_of_several_threads_is_answered() {
    let answers = in_time(|| {
        let runtime = two_threads();
        let (cache, loads) = (runtime.block_on(cache()), Arc::new(AtomicU64::new(0)));
        let (inner, outer) = (cache.clone(), cache);
        let (for_inner, for_outer) = (Arc::clone(&loads), Arc::clone(&loads));
        let task = runtime.spawn(async move { block_on(inner.scope(user(1, for_inner))) });
        let first = runtime.block_on(task).expect("no panic");
        let task = runtime.spawn(async move { outer.scope(over_user(2, for_outer)).await });
        (first, runtime.block_on(task).expect("no panic"), loads.load(Ordering::SeqCst))
    });
    assert_eq!(answers, (2, 3, 2));
}

#[cached(ttl = "1m", key = "left:<id>", skip(source))]
async fn left(id: u64, source: Arc<Gate>) -> u64 {
    id + source.load().await
}

#[cached(ttl = "1s", stale_while_revalidate = "1m", key = "left-stale:<id>", skip(source))]
async fn left_stale(id: u64, source: Arc<Gate>) -> u64 {
    id + source.load().await
}

/// A cache on a runtime of its own, and one that stands for another process.
fn two_processes(server: &RedisServer) -> (Runtime, Cache, Cache) {
    let home = two_threads();
    let caches = home.block_on(async { (process(&server.url(), &[]).await, process(&server.url(), &[]).await) });
    (home, caches.0, caches.1)
}

/// Its caller has left, and with it whoever drove the runtime that its task is on.
#[test]
fn a_load_that_nobody_drives_any_more_is_given_up() {
    let (server, source) = (RedisServer::start(), Arc::new(Gate::new()));
    let ((home, cache, other), idle) = (two_processes(&server), one_thread());
    source.close();
    idle.block_on(async {
        let mut call = Box::pin(cache.scope(left(1, Arc::clone(&source))));
        source.wait_for_load(&mut call).await;
    });
    source.open();
    for cache in [&other, &cache] {
        let call = async { tokio::time::timeout(SOON / 3, cache.scope(left(1, Arc::clone(&source)))).await };
        assert_eq!(home.block_on(call).expect("it does not wait for the other"), 1);
    }
    assert_eq!(source.loads(), 2);
}

#[test]
fn a_refresh_that_nobody_drives_any_more_is_given_up() {
    let (server, source) = (RedisServer::start(), Arc::new(Gate::new()));
    let ((home, cache, _), idle) = (two_processes(&server), one_thread());
    assert_eq!(home.block_on(cache.scope(left_stale(1, Arc::clone(&source)))), 1);
    source.close();
    idle.block_on(eventually(SOON, async || {
        cache.scope(left_stale(1, Arc::clone(&source))).await;
        source.loads() == 2
    }));
    assert_eq!(cache.loads_in_flight(), 1);
    home.block_on(eventually(SOON / 3, async || cache.loads_in_flight() == 0));
}

/// Its caller has left, and its runtime is driven on.
#[test]
fn a_load_that_is_driven_is_not_given_up() {
    let (server, source) = (RedisServer::start(), Arc::new(Gate::new()));
    let ((home, cache, other), busy) = (two_processes(&server), two_threads());
    source.close();
    busy.block_on(async {
        let mut call = Box::pin(cache.scope(left(1, Arc::clone(&source))));
        source.wait_for_load(&mut call).await;
    });
    // tidy: sleep because nothing is to happen in the time in which it would be given up
    thread::sleep(Duration::from_millis(2_500));
    source.open();
    assert_eq!(home.block_on(other.scope(left(1, Arc::clone(&source)))), 1);
    assert_eq!(source.loads(), 1);
}
