//! What a hit costs: no allocation for `(u64, u64)` keys, nor for text of any usual length, with `Arc` outputs; and how
//! much a cached function adds to its body's future.

use std::sync::Arc;

use cache_runtime::cached;
use cache_tests::cache;
use futures::FutureExt;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
}

#[cached(ttl = "1h", jitter = 10, key = "hits-user:<tenant>:<id>")]
async fn user(tenant: u64, id: u64) -> Arc<User> {
    Arc::new(User { name: format!("{tenant} {id}") })
}

#[cached(ttl = "1h", key = "hits-mail:<mail>")]
async fn by_mail(mail: &str) -> Result<Arc<User>, String> {
    Ok(Arc::new(User { name: mail.to_owned() }))
}

#[cached(ttl = "1h", key = "hits-price:<item>")]
async fn price(item: u64) -> Option<u64> {
    Some(item)
}

#[track_caller]
fn check_no_allocation<T: PartialEq + std::fmt::Debug>(mut call: impl AsyncFnMut() -> T) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let cache = runtime.block_on(cache());
    // In scope, as tests are; a hit of the installed cache does less.
    let (first, second) = runtime.block_on(cache.scope(async { (call().await, call().await) }));
    assert_eq!(first, second);
    runtime.block_on(cache.scope(async {
        let counted = allocation_counter::measure(|| {
            for _ in 0..100 {
                assert!(call().boxed_local_free());
            }
        });
        assert_eq!(counted.count_total, 0);
    }));
}

/// A future that must be ready at once, without a box.
trait ReadyNow: Future + Sized {
    fn boxed_local_free(self) -> bool {
        let mut call = std::pin::pin!(self);
        call.as_mut().now_or_never().is_some()
    }
}

impl<F: Future> ReadyNow for F {}

#[test]
fn a_hit_allocates_nothing() {
    check_no_allocation(async || user(42, 7).await);
    check_no_allocation(async || by_mail("somebody.with.a.long.name@example.com").await);
    check_no_allocation(async || price(7).await);
}

#[test]
fn caches_that_take_turns_count_their_own_hits() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let caches = runtime.block_on(async { [cache().await, cache().await] });
    for cache in caches.iter().cycle().take(200) {
        assert_eq!(runtime.block_on(cache.scope(user(42, 7))).name, "42 7");
    }
    for cache in &caches {
        let stats = cache.stats().into_iter().find(|stats| stats.name() == "user").expect("registered");
        assert_eq!((stats.loads(), stats.hits()), (1, 99));
    }
}

#[test]
fn hits_of_threads_that_are_gone_still_count() {
    let runtime = || tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let cache = runtime().block_on(cache());
    for _ in 0..20 {
        let call = || runtime().block_on(cache.scope(user(42, 7)));
        std::thread::scope(|scope| scope.spawn(call).join().expect("no panics"));
    }
    let stats = cache.stats().into_iter().find(|stats| stats.name() == "user").expect("registered");
    assert_eq!((stats.loads(), stats.hits()), (1, 19));
}

#[test]
fn long_text_is_allocated_for_once() {
    let mail = "x".repeat(10_000);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let cache = runtime.block_on(cache());
    runtime.block_on(cache.scope(async {
        let first = by_mail(&mail).await.expect("kept");
        assert!(Arc::ptr_eq(&first, &by_mail(&mail).await.expect("kept")));
    }));
}

/// A body whose own future has 1,152 bytes.
async fn large_body(id: u64) -> u64 {
    let state = [id; 142];
    tokio::task::yield_now().await;
    state.iter().sum()
}

#[cached(ttl = "1h", key = "hits-large:<id>")]
async fn large(id: u64) -> u64 {
    large_body(id).await
}

#[cached(ttl = "1h", key = "hits-large-borrowed:<id>")]
async fn large_borrowed(id: u64, #[cache(skip)] factor: &u64) -> u64 {
    large_body(id).await * *factor
}

#[test]
fn the_future_is_hardly_larger_than_its_body() {
    let body = size_of_val(&large_body(7));
    assert!(body >= 1_152, "{body}");
    for future in [size_of_val(&large(7)), size_of_val(&large_borrowed(7, &1))] {
        assert!(future <= body + 256, "{future} around {body}");
    }
}
