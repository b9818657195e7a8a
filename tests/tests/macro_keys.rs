//! What each attribute key does. One test for each key.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_runtime::testing::ManualClock;
use cache_runtime::{Cache, cached, registry};
use cache_tests::cache;

static CALLS: AtomicU64 = AtomicU64::new(0);

/// Different on each call.
fn next() -> u64 {
    CALLS.fetch_add(1, Ordering::Relaxed)
}

async fn clocked() -> (Cache, ManualClock) {
    let clock = ManualClock::new();
    let cache = Cache::builder("test").clock(clock.clone()).build().await;
    (cache.expect("the functions of this test do not contradict each other"), clock)
}

#[cached(ttl = "1h30m", key = "ttl:<id>")]
async fn with_ttl(id: u64) -> u64 {
    id + next()
}

#[tokio::test]
async fn ttl() {
    assert_eq!(registry().find("with_ttl").map(|function| function.ttl().as_secs()), Some(5_400));
    let (cache, clock) = clocked().await;
    let first = cache.scope(with_ttl(1)).await;
    clock.advance(Duration::from_secs(5_399));
    assert_eq!(cache.scope(with_ttl(1)).await, first);
    clock.advance(Duration::from_secs(1));
    assert_ne!(cache.scope(with_ttl(1)).await, first);
}

#[cached(ttl = "100s", jitter = 50, key = "jitter:<id>")]
async fn with_jitter(id: u64) -> u64 {
    id
}

#[tokio::test]
async fn jitter() {
    let (cache, _clock) = clocked().await;
    let lifetimes = cache.scope(async {
        let mut lifetimes = Vec::new();
        for id in 0..50 {
            with_jitter(id).await;
            let kept = with_jitter_entry(id).peek().await.expect("embedded");
            lifetimes.push(kept.expect("it was just loaded").remaining());
        }
        lifetimes
    });
    let lifetimes = lifetimes.await;
    let range = Duration::from_secs(50)..=Duration::from_secs(100);
    assert!(lifetimes.iter().all(|lifetime| range.contains(lifetime)), "{lifetimes:?}");
    assert!(lifetimes.iter().any(|lifetime| *lifetime != lifetimes[0]), "{lifetimes:?}");
}

struct Order {
    id: u64,
    place: (u8, String),
}

#[cached(ttl = "5m", key = "key:<<<order.id>/<order.place.1>:<secret:hash>=<order.id>@<flag>")]
async fn with_key(order: &Order, secret: &str, flag: Option<bool>) -> String {
    format!("{}{secret}{flag:?}{}", order.id, order.place.0)
}

#[tokio::test]
async fn key() {
    let order = Order { id: 7, place: (1, "a:b".to_owned()) };
    cache()
        .await
        .scope(async {
            assert_eq!(with_key(&order, "xyz", Some(true)).await, "7xyzSome(true)1");
            let text = with_key_entry(&order, "xyz", Some(true)).key();
            let (before, after) = text.split_once("%3Ab:").expect("the colon is encoded");
            assert_eq!(before, "test:v1:key:<7/a");
            let (hash, rest) = after.split_once('=').expect("it follows the hash");
            assert_eq!((hash.len(), rest), (32, "7@true"));
            assert!(!text.contains("xyz"));
            assert!(with_key_entry(&order, "xyz", None).peek().await.expect("embedded").is_none());
        })
        .await;
}

#[cached(ttl = "5m", key = "version:<id>", version = 12)]
async fn with_version(id: u64) -> u64 {
    id
}

#[tokio::test]
async fn version() {
    let key = cache().await.scope(async { with_version_entry(1).key() }).await;
    assert_eq!(key, "test:v12:version:1");
}

#[cached(ttl = "5m", key = "skip:<id>", skip(one))]
async fn with_skip(id: u64, one: u64, #[cache(skip)] two: u64) -> u64 {
    id + one + two
}

#[tokio::test]
async fn skip() {
    cache()
        .await
        .scope(async {
            assert_eq!(with_skip(1, 2, 3).await, 6);
            assert_eq!(with_skip(1, 20, 30).await, 6);
        })
        .await;
}

struct Unclonable(u64);

#[cached(ttl = "5m", key = "own:<text>", own(text, list), skip(value, list))]
async fn with_own(text: &str, list: &[u64], value: Unclonable) -> u64 {
    tokio::task::yield_now().await;
    text.len() as u64 + list.iter().sum::<u64>() + value.0
}

#[tokio::test]
async fn own() {
    let cache = cache().await;
    let mut call = Box::pin(cache.scope(with_own("abc", &[1, 2], Unclonable(4))));
    assert!(futures::poll!(call.as_mut()).is_pending());
    drop(call);
    // The load is in a task of its own: it ends although its caller left.
    while cache.loads_in_flight() > 0 {
        tokio::task::yield_now().await;
    }
    let kept = cache.scope(async { with_own_entry("abc").peek().await }).await;
    assert_eq!(kept.expect("embedded").map(cache_runtime::Peek::into_value), Some(10));
}

struct Service {
    cache: Cache,
}

impl Service {
    #[cached(ttl = "5m", key = "cache:<id>", cache = self.cache)]
    async fn with_cache(&self, id: u64) -> u64 {
        id + next()
    }
}

#[cached(ttl = "5m", key = "given:<id>", cache = services[which].cache, skip(which))]
async fn with_cache_of_arguments(id: u64, services: &[Service], which: usize) -> u64 {
    id + next()
}

#[tokio::test]
async fn cache_of_its_own() {
    let services = [Service { cache: cache().await }, Service { cache: cache().await }];
    let first = services[0].with_cache(1).await;
    assert_eq!(services[0].with_cache(1).await, first);
    assert_ne!(services[1].with_cache(1).await, first);
    let kept = services[0].with_cache_entry(1).peek().await.expect("embedded");
    assert_eq!(kept.map(cache_runtime::Peek::into_value), Some(first));

    let first = with_cache_of_arguments(1, &services, 0).await;
    assert_eq!(with_cache_of_arguments(1, &services, 0).await, first);
    assert_ne!(with_cache_of_arguments(1, &services, 1).await, first);
    let kept = with_cache_of_arguments_entry(1, &services, 0).peek().await.expect("embedded");
    assert_eq!(kept.map(cache_runtime::Peek::into_value), Some(first));
}

#[cached(ttl = "5m", key = "l1-off:<id>", l1 = off)]
async fn without_l1(id: u64) -> u64 {
    id + next()
}

#[cached(ttl = "5m", key = "l1-short:<id>", l1 = "1s", l2 = off)]
async fn with_short_l1(id: u64) -> u64 {
    id + next()
}

#[tokio::test]
async fn l1() {
    let (cache, clock) = clocked().await;
    let first = cache.scope(without_l1(1)).await;
    assert_ne!(cache.scope(without_l1(1)).await, first);
    let first = cache.scope(with_short_l1(1)).await;
    assert_eq!(cache.scope(with_short_l1(1)).await, first);
    clock.advance(Duration::from_secs(1));
    assert_ne!(cache.scope(with_short_l1(1)).await, first);
}

#[cached(ttl = "5m", key = "negative:<id>", negative_ttl = "10s")]
async fn with_negative_ttl(id: u64) -> Option<u64> {
    (id > 0).then_some(id + next())
}

#[tokio::test]
async fn negative_ttl() {
    let (cache, clock) = clocked().await;
    cache
        .scope(async {
            assert_eq!(with_negative_ttl(0).await, None);
            let kept = with_negative_ttl_entry(0).peek().await.expect("embedded");
            assert_eq!(kept.map(cache_runtime::Peek::into_value), Some(None));
            clock.advance(Duration::from_secs(10));
            assert!(with_negative_ttl_entry(0).peek().await.expect("embedded").is_none());
        })
        .await;
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what `store_if` takes")]
fn is_even(number: &u64) -> bool {
    number.is_multiple_of(2)
}

#[cached(ttl = "5m", key = "store-if:<id>", store_if = is_even)]
async fn with_store_if(id: u64) -> Result<u64, String> {
    Ok(id)
}

#[cached(ttl = "5m", key = "store-if-closure:<text>", store_if = |text| text.len() > 1)]
async fn with_store_if_closure(text: &str) -> String {
    text.to_owned()
}

#[tokio::test]
async fn store_if() {
    cache()
        .await
        .scope(async {
            assert_eq!((with_store_if(1).await, with_store_if(2).await), (Ok(1), Ok(2)));
            assert!(with_store_if_entry(1).peek().await.expect("embedded").is_none());
            assert!(with_store_if_entry(2).peek().await.expect("embedded").is_some());
            with_store_if_closure("a").await;
            with_store_if_closure("ab").await;
            assert!(with_store_if_closure_entry("a").peek().await.expect("embedded").is_none());
            assert!(with_store_if_closure_entry("ab").peek().await.expect("embedded").is_some());
        })
        .await;
}

#[cached(ttl = "5m", key = "load-timeout:<id>", load_timeout = "1s")]
async fn with_load_timeout(id: u64, #[cache(skip)] hangs: bool) -> u64 {
    if hangs {
        std::future::pending::<()>().await;
    }
    id
}

#[tokio::test]
async fn load_timeout() {
    let (cache, clock) = clocked().await;
    let mut hung = Box::pin(cache.scope(with_load_timeout(1, true)));
    assert!(futures::poll!(hung.as_mut()).is_pending());
    tokio::task::yield_now().await;
    let mut waits = Box::pin(cache.scope(with_load_timeout(1, false)));
    assert!(futures::poll!(waits.as_mut()).is_pending());
    clock.advance(Duration::from_secs(1));
    assert_eq!(waits.await, 1);
}
