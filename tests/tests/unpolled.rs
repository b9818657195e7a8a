//! Calls that are begun and not polled any more, as a branch of a `select!` while another one runs, or one of a buffered
//! stream while its consumer is busy: they hold up nobody else.

#![expect(unused_variables, reason = "keys are what tells these calls apart")]

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cache_runtime::{Builder, Cache, Metric, Outcome, cached, explain};
use cache_tests::Gate;
use cache_tests::eventually::eventually;
use cache_tests::on_redis::process_with;
use cache_tests::redis_server::RedisServer;
use futures::future::join_all;

#[cached(ttl = "1m", key = "unpolled:<id>")]
async fn value(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

#[cached(ttl = "1m", key = "unpolled-busy:<id>")]
async fn busy(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

#[cached(ttl = "1m", l2 = off, load_timeout = "400ms", key = "unpolled-near:<id>")]
async fn near(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

#[cached(ttl = "1m", key = "unpolled-missing:<id>")]
async fn missing(id: u64, #[cache(skip)] source: &Missing) -> Option<u64> {
    source.load().await
}

#[cached(ttl = "1m", load_timeout = "300ms", key = "unpolled-hung:<id>")]
async fn hung(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

#[cached(ttl = "1s", stale_while_revalidate = "1m", load_timeout = "1s", key = "unpolled-stale:<id>", skip(source))]
async fn stale(id: u64, source: Arc<Gate>) -> u64 {
    source.load().await
}

/// A source that has nothing, and counts who asks at the same time.
#[derive(Default)]
struct Missing {
    now: AtomicUsize,
    most: AtomicUsize,
    loads: AtomicUsize,
}

impl Missing {
    async fn load(&self) -> Option<u64> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.most.fetch_max(1 + self.now.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
        // tidy: sleep because a source takes its time
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        None
    }
}

/// What a load may take is far more than any of these tests.
const LOAD: Duration = Duration::from_mins(1);

const TOO_LONG: Duration = Duration::from_secs(15);

async fn impatient(server: &RedisServer) -> Cache {
    let set = |builder: Builder| {
        builder.op_timeout(Duration::from_millis(200)).lease(Duration::from_millis(500)).load_timeout(LOAD)
    };
    process_with(&server.url(), set).await
}

#[tokio::test]
async fn a_look_that_nobody_goes_on_with_holds_up_nobody() {
    let (server, source) = (RedisServer::start(), Gate::new());
    assert_eq!(impatient(&server).await.scope(value(1, &source)).await, 0);
    let cache = impatient(&server).await;
    let mut left_alone = Box::pin(cache.scope(value(1, &source)));
    assert!(futures::poll!(left_alone.as_mut()).is_pending(), "it asks the server");
    let call = explain(cache.scope(value(1, &source)));
    let (found, lookups) = tokio::time::timeout(TOO_LONG, call).await.expect("it does not wait for the other");
    assert_eq!((found, lookups[0].outcome()), (0, Outcome::HitL2));
    assert_eq!(left_alone.await, 0);
    assert_eq!(source.loads(), 1);
}

#[tokio::test]
async fn a_lease_that_nobody_goes_on_with_runs_out() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let (cache, other) = (impatient(&server).await, impatient(&server).await);
    let mut left_alone = Box::pin(cache.scope(value(2, &source)));
    // Not once more than it takes until the lease is there.
    while server.cli(&["EXISTS", "test:v1:unpolled:2"]).trim() == "0" {
        assert!(futures::poll!(left_alone.as_mut()).is_pending(), "it asks the server");
        tokio::task::yield_now().await;
    }
    assert_eq!(source.loads(), 0, "its load has not begun");
    for cache in [&other, &cache] {
        let call = tokio::time::timeout(TOO_LONG, cache.scope(value(2, &source)));
        assert_eq!(call.await.expect("it does not wait for the other"), 0);
    }
    assert_eq!(left_alone.await, 0, "it finds what they have stored");
    assert_eq!(source.loads(), 1);
}

/// Whoever has a stale value waits for nobody, and somebody has to refresh it.
#[tokio::test]
async fn a_look_that_nobody_goes_on_with_keeps_no_value_stale() {
    let (server, source) = (RedisServer::start(), Arc::new(Gate::new()));
    let cache = impatient(&server).await;
    let read = || cache.scope(explain(stale(7, Arc::clone(&source))));
    assert_eq!(read().await.0, 0);
    source.commit();
    let mut left_alone = None;
    let refreshed = eventually(TOO_LONG, async || {
        if left_alone.is_none() {
            let mut call = Box::pin(read());
            // Past its lifetime it asks the server, and is not polled again.
            left_alone = futures::poll!(call.as_mut()).is_pending().then_some(call);
            return false;
        }
        read().await.0 == 1
    });
    refreshed.await;
    assert_eq!(source.loads(), 2);
    drop(left_alone);
}

/// Its lease has run out, and another process loads: it does not load beside that.
#[tokio::test]
async fn a_call_that_has_lost_its_lease_waits_for_who_has_it() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let (cache, other) = (impatient(&server).await, impatient(&server).await);
    let mut left_alone = Box::pin(cache.scope(value(4, &source)));
    while server.cli(&["EXISTS", "test:v1:unpolled:4"]).trim() == "0" {
        assert!(futures::poll!(left_alone.as_mut()).is_pending(), "it asks the server");
        tokio::task::yield_now().await;
    }
    source.close();
    let mut loads = Box::pin(other.scope(value(4, &source)));
    source.wait_for_load(&mut loads).await;
    // As long as it likes: it finds that somebody loads.
    eventually(TOO_LONG, async || {
        assert!(futures::poll!(left_alone.as_mut()).is_pending(), "it waits for the other");
        cache.stats().iter().any(|stats| stats.count(Metric::Waited) > 0)
    })
    .await;
    source.open();
    assert_eq!(futures::join!(loads, left_alone), (0, 0));
    assert_eq!(source.loads(), 1);
}

/// Another call of its process has taken the key, and loads: it does not load beside that.
#[tokio::test]
async fn a_call_that_has_lost_its_key_follows_who_has_it() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let cache = impatient(&server).await;
    let mut left_alone = Box::pin(cache.scope(value(5, &source)));
    while server.cli(&["EXISTS", "test:v1:unpolled:5"]).trim() == "0" {
        assert!(futures::poll!(left_alone.as_mut()).is_pending(), "it asks the server");
        tokio::task::yield_now().await;
    }
    source.close();
    let mut loads = Box::pin(cache.scope(value(5, &source)));
    source.wait_for_load(&mut loads).await;
    assert!(futures::poll!(left_alone.as_mut()).is_pending(), "it waits for the other");
    source.open();
    assert_eq!(futures::join!(loads, left_alone), (0, 0));
    assert_eq!(source.loads(), 1);
}

/// A server with a value past its lifetime under this name, and its source.
async fn with_stale(id: u64) -> (RedisServer, Arc<Gate>, String) {
    let (server, source) = (RedisServer::start(), Arc::new(Gate::new()));
    let entry = format!("test:v1:unpolled-stale:{id}");
    assert_eq!(impatient(&server).await.scope(stale(id, Arc::clone(&source))).await, 0);
    let left = || server.cli(&["PTTL", &entry]).trim().parse::<u64>().expect("it is there");
    eventually(TOO_LONG, async || left() < 59_800).await;
    (server, source, entry)
}

/// Polls the call until it has taken the refresh lease, and not once more.
async fn takes_refresh_lease<F: Future>(server: &RedisServer, entry: &str, call: &mut Pin<Box<F>>) {
    while server.cli(&["BITCOUNT", entry, "18", "25"]).trim() == "0" {
        assert!(futures::poll!(call.as_mut()).is_pending(), "it asks the server");
        tokio::task::yield_now().await;
    }
}

/// A refresh that a call has begun by now has called the source.
async fn refreshes_would_load() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

/// Its refresh lease has run out, and another call of its process refreshes: it does not refresh beside that.
#[tokio::test]
async fn a_call_that_has_lost_its_refresh_leaves_it_to_who_has_it() {
    let (server, source, entry) = with_stale(1).await;
    let cache = impatient(&server).await;
    let read = || explain(cache.scope(stale(1, Arc::clone(&source))));
    let mut left_alone = Box::pin(read());
    takes_refresh_lease(&server, &entry, &mut left_alone).await;
    source.commit();
    source.close();
    eventually(TOO_LONG, async || {
        assert_eq!(read().await.0, 0);
        source.loads() == 2
    })
    .await;
    let (found, lookups) = left_alone.await;
    assert_eq!((found, lookups[0].outcome()), (0, Outcome::Stale));
    refreshes_would_load().await;
    source.open();
    eventually(TOO_LONG, async || cache.loads_in_flight() == 0).await;
    assert_eq!(source.loads(), 2);
    let (found, lookups) = read().await;
    assert_eq!((found, lookups[0].outcome()), (1, Outcome::HitL1));
}

/// What it would load is refused, wherever it would be kept.
#[tokio::test]
async fn a_call_whose_value_was_invalidated_meanwhile_refreshes_nothing() {
    let (server, source, entry) = with_stale(2).await;
    let cache = impatient(&server).await;
    let mut left_alone = Box::pin(explain(cache.scope(stale(2, Arc::clone(&source)))));
    takes_refresh_lease(&server, &entry, &mut left_alone).await;
    cache.scope(async { stale_entry(2).invalidate().await }).await.expect("the server is there");
    let (found, lookups) = left_alone.await;
    assert_eq!((found, lookups[0].outcome()), (0, Outcome::Stale), "it came before");
    refreshes_would_load().await;
    assert_eq!(source.loads(), 1);
}

#[tokio::test]
async fn a_turn_that_nobody_takes_holds_up_nobody() {
    let (server, before, source) = (RedisServer::start(), Gate::new(), Gate::new());
    let set = |builder: Builder| {
        let builder = builder.op_timeout(Duration::from_millis(200)).load_limit(1);
        builder.load_timeout(Duration::from_secs(1))
    };
    let cache = process_with(&server.url(), set).await;
    server.kill();
    eventually(TOO_LONG, async || !cache.health().reaches_server()).await;
    before.close();
    let mut first = Box::pin(cache.scope(busy(1, &before)));
    before.wait_for_load(&mut first).await;
    let mut left_alone = Box::pin(cache.scope(value(3, &source)));
    eventually(TOO_LONG, async || {
        assert!(futures::poll!(left_alone.as_mut()).is_pending(), "it waits for its turn");
        cache.loads_in_flight() == 2
    })
    .await;
    before.open();
    assert_eq!(first.await, 0);
    // The turn is that other call's now, which does not know.
    let call = tokio::time::timeout(TOO_LONG, cache.scope(value(3, &source)));
    assert_eq!(call.await.expect("it does not wait for the other"), 0);
    assert_eq!(left_alone.await, 0);
}

/// Who follows while the value is looked for waits no longer for a load that hangs than who comes later.
#[tokio::test]
async fn a_load_that_hangs_is_noticed_by_those_who_came_before_it_began() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let cache = process_with(&server.url(), |builder| builder.op_timeout(Duration::from_secs(5))).await;
    source.close();
    let (mut first, mut second) = (Box::pin(cache.scope(hung(1, &source))), Box::pin(cache.scope(hung(1, &source))));
    assert!(futures::poll!(first.as_mut()).is_pending(), "it asks the server");
    assert!(futures::poll!(second.as_mut()).is_pending(), "it follows");
    tokio::select! {
        _ = async { futures::join!(first, second) } => panic!("the gate is closed"),
        () = eventually(Duration::from_secs(8), async || source.loads() == 2) => {}
    }
}

#[tokio::test]
async fn what_nobody_may_store_is_not_loaded_by_one_process_after_the_other() {
    let (server, source) = (RedisServer::start(), Missing::default());
    let caches = join_all((0..10).map(|_| impatient(&server))).await;
    let found = join_all(caches.iter().map(|cache| cache.scope(missing(1, &source)))).await;
    assert_eq!(found, [None; 10]);
    assert_eq!(source.loads.into_inner(), 10, "each for itself");
    assert!(source.most.into_inner() > 3, "most of them at the same time");
}

#[tokio::test]
async fn a_load_that_is_too_late_does_not_replace_what_came_after_it() {
    let (server, hung, source) = (RedisServer::start(), Gate::new(), Gate::new());
    let joinable = Duration::from_millis(300);
    let cache = process_with(&server.url(), |builder| builder.max_staleness(joinable)).await;
    hung.close();
    let mut first = Box::pin(cache.scope(near(1, &hung)));
    hung.wait_for_load(&mut first).await;
    let began = Instant::now();
    // Longer than others may join, and than it may take.
    eventually(TOO_LONG, async || began.elapsed() > 2 * joinable).await;
    source.commit();
    assert_eq!(cache.scope(near(1, &source)).await, 1);
    hung.open();
    assert_eq!(first.await, 0, "its own caller came before");
    assert_eq!(cache.scope(near(1, &source)).await, 1);
}
