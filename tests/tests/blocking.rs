//! Whoever blocks the thread that a load would run on is answered all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use cache_runtime::cached;
use cache_tests::cache;
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
