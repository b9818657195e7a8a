//! `stale_while_revalidate` over a server: nobody waits for a refresh, and nobody is told how it failed.

#![cfg(unix)]
#![expect(unused_variables, reason = "keys are what tells these calls apart")]

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cache_runtime::{Builder, Cache, Event, Metric, Outcome, cached, explain};
use cache_tests::Gate;
use cache_tests::eventually::eventually;
use cache_tests::on_redis::{process, process_with};
use cache_tests::redis_server::RedisServer;
use serde::{Deserialize, Serialize};

/// Far less than a refresh takes that is waited for.
const SOON: Duration = Duration::from_secs(5);

#[cached(ttl = "1s", stale_while_revalidate = "1m", key = "value:<id>", skip(source))]
async fn value(id: u64, source: Arc<Gate>) -> u64 {
    source.load().await
}

#[cached(ttl = "1s", stale_while_revalidate = "1m", key = "strict:<id>", l1 = off, skip(source))]
async fn strict(id: u64, source: Arc<Gate>) -> u64 {
    source.load().await
}

#[cached(ttl = "1s", stale_while_revalidate = "1m", key = "failing:<id>", l1 = off, skip(source))]
async fn failing(id: u64, source: Arc<Gate>) -> Result<u64, String> {
    match source.load().await {
        0 => Ok(0),
        _ => Err("the source is down".to_owned()),
    }
}

#[cached(ttl = "1s", stale_while_revalidate = "3s", key = "brief:<id>", l1 = off, skip(source))]
async fn brief(id: u64, source: Arc<Gate>) -> Result<u64, String> {
    match source.load().await {
        0 => Ok(0),
        _ => Err("the source is down".to_owned()),
    }
}

#[cached(ttl = "1s", stale_while_revalidate = "1m", key = "missing:<id>", skip(source))]
async fn missing(id: u64, source: Arc<Gate>) -> Option<u64> {
    Some(source.load().await).filter(|version| *version == 0)
}

#[cached(ttl = "1s", stale_while_revalidate = "1m", l2 = off, key = "near:<id>", skip(source))]
async fn near(id: u64, source: Arc<Gate>) -> u64 {
    source.load().await
}

#[cached(ttl = "1s", stale_while_revalidate = "1m", load_timeout = "1s", key = "gone:<id>", skip(source))]
async fn gone(id: u64, source: Arc<Gate>) -> Option<u64> {
    Some(source.load().await).filter(|version| *version == 0)
}

#[derive(Event, Serialize, Deserialize)]
struct ShopClosed {
    shop: u64,
}

#[cached(
    ttl = "1s",
    stale_while_revalidate = "1m",
    key = "item:<shop>:<id>",
    invalidate_on = "ShopClosed => item:<shop>:*",
    skip(source)
)]
async fn item(shop: u64, id: u64, source: Arc<Gate>) -> u64 {
    source.load().await
}

/// Far less than the window in which a stale value may be served.
const TOO_LONG: Duration = Duration::from_secs(15);

/// What a call is given, and how.
async fn ask<T>(cache: &Cache, call: impl Future<Output = T>) -> (T, Outcome) {
    let asked = tokio::time::timeout(SOON, cache.scope(explain(call)));
    let (value, lookups) = asked.await.expect("it waits for no load");
    (value, lookups[0].outcome())
}

/// Waits until a value is that old that has a minute and a second to live in all.
async fn is_older_than(server: &RedisServer, entry: &str, age: u64) {
    let left = || server.cli(&["PTTL", entry]).trim().parse::<u64>().expect("it is there");
    eventually(SOON, async || left() < 61_000 - age).await;
}

#[tokio::test]
async fn who_comes_while_a_value_is_refreshed_is_served_it_too() {
    let (server, source) = (RedisServer::start(), Arc::new(Gate::new()));
    let cache = process(&server.url(), &[]).await;
    let read = async || ask(&cache, strict(1, Arc::clone(&source))).await;
    assert_eq!(read().await, (0, Outcome::Loaded));
    source.commit();
    source.close();
    is_older_than(&server, "test:v1:strict:1", 1_200).await;
    for _ in 0..10 {
        assert_eq!(read().await, (0, Outcome::Stale));
    }
    eventually(SOON, async || source.loads() == 2).await;
    source.open();
    eventually(SOON, async || read().await == (1, Outcome::HitL2)).await;
    assert_eq!(source.loads(), 2);
}

/// The first one looks, the next one of those that came after its look does, and the last one is given what that finds.
#[tokio::test]
async fn who_is_given_a_stale_value_that_another_call_has_found_is_told_so() {
    let (server, source) = (RedisServer::start(), Arc::new(Gate::new()));
    let cache = process(&server.url(), &[]).await;
    assert_eq!(ask(&cache, strict(1, Arc::clone(&source))).await, (0, Outcome::Loaded));
    source.close();
    is_older_than(&server, "test:v1:strict:1", 1_200).await;
    let read = || cache.scope(explain(strict(1, Arc::clone(&source))));
    let (first, second, third) = futures::join!(read(), read(), read());
    for (value, lookups) in [first, second, third] {
        assert_eq!((value, lookups[0].outcome()), (0, Outcome::Stale));
        assert!(lookups[0].age() > Some(Duration::from_secs(1)), "{lookups:?}");
    }
    let count = |metric| cache.stats().iter().find(|stats| stats.name() == "strict").map(|stats| stats.count(metric));
    assert_eq!((count(Metric::Stale), count(Metric::Joined)), (Some(3), Some(0)));
    source.open();
}

/// The server has evicted it, say, and the other one has nothing to serve.
#[tokio::test]
async fn who_has_a_stale_value_does_not_wait_for_another_process_that_loads_it() {
    let (server, source) = (RedisServer::start(), Arc::new(Gate::new()));
    let (cache, other) = (process(&server.url(), &[]).await, process(&server.url(), &[]).await);
    let read = async || ask(&cache, value(1, Arc::clone(&source))).await;
    assert_eq!(read().await, (0, Outcome::Loaded));
    source.commit();
    source.close();
    is_older_than(&server, "test:v1:value:1", 1_200).await;
    server.cli(&["DEL", "test:v1:value:1"]);
    let load = other.scope(value(1, Arc::clone(&source)));
    let meanwhile = async {
        eventually(SOON, async || source.loads() == 2).await;
        for _ in 0..3 {
            assert_eq!(read().await, (0, Outcome::Stale));
        }
        source.open();
    };
    assert_eq!(futures::join!(load.into_future(), meanwhile).0, 1);
    assert_eq!(read().await, (1, Outcome::HitL2));
    assert_eq!(source.loads(), 2);
}

/// Others find nothing to be kept, again and again: it would be served to the end of its window.
#[tokio::test]
async fn who_has_a_stale_value_waits_once_it_has_been_stale_for_long() {
    let (server, source, elsewhere) = (RedisServer::start(), Arc::new(Gate::new()), Arc::new(Gate::new()));
    let (cache, other) = (process(&server.url(), &[]).await, process(&server.url(), &[]).await);
    assert_eq!(cache.scope(gone(1, Arc::clone(&source))).await, Some(0));
    source.commit();
    is_older_than(&server, "test:v1:gone:1", 2_200).await;
    server.cli(&["DEL", "test:v1:gone:1"]);
    elsewhere.commit();
    elsewhere.close();
    let mut load = Box::pin(other.scope(gone(1, Arc::clone(&elsewhere))).into_future());
    elsewhere.wait_for_load(&mut load).await;
    server.cli(&["COPY", "test:v1:gone:1", "lease"]);
    server.cli(&["PERSIST", "lease"]);
    drop(load);
    eventually(TOO_LONG, async || {
        // Whenever it looks, somebody loads.
        server.cli(&["COPY", "lease", "test:v1:gone:1", "REPLACE"]);
        cache.scope(gone(1, Arc::clone(&source))).await.is_none()
    })
    .await;
}

#[tokio::test]
async fn nobody_is_told_how_a_refresh_failed() {
    let (server, source) = (RedisServer::start(), Arc::new(Gate::new()));
    let cache = process(&server.url(), &[]).await;
    let read = async || ask(&cache, failing(1, Arc::clone(&source))).await;
    assert_eq!(read().await, (Ok(0), Outcome::Loaded));
    source.commit();
    source.close();
    is_older_than(&server, "test:v1:failing:1", 1_200).await;
    assert_eq!(read().await, (Ok(0), Outcome::Stale));
    eventually(SOON, async || source.loads() == 2).await;
    let (during, ()) = futures::join!(read(), async { source.open() });
    assert_eq!(during, (Ok(0), Outcome::Stale));
    eventually(SOON, async || cache.loads_in_flight() == 0).await;
    assert_eq!(read().await, (Ok(0), Outcome::Stale), "it has failed");
}

/// The end of the value's life was before this process's clock began.
#[tokio::test]
async fn a_process_that_is_younger_than_the_end_of_a_value_waits_for_no_refresh() {
    let (server, source) = (RedisServer::start(), Arc::new(Gate::new()));
    assert_eq!(process(&server.url(), &[]).await.scope(value(1, Arc::clone(&source))).await, 0);
    source.close();
    is_older_than(&server, "test:v1:value:1", 4_000).await;
    let young = process(&server.url(), &[]).await;
    for _ in 0..3 {
        assert_eq!(ask(&young, value(1, Arc::clone(&source))).await, (0, Outcome::Stale));
    }
    source.open();
}

/// What is in memory is served from there while this very process refreshes it.
#[tokio::test]
async fn the_server_is_not_asked_for_what_this_process_refreshes() {
    let (server, source) = (RedisServer::start(), Arc::new(Gate::new()));
    let cache = process(&server.url(), &[]).await;
    let read = async || ask(&cache, value(1, Arc::clone(&source))).await;
    assert_eq!(read().await, (0, Outcome::Loaded));
    source.close();
    is_older_than(&server, "test:v1:value:1", 1_200).await;
    assert_eq!(read().await, (0, Outcome::Stale));
    eventually(SOON, async || source.loads() == 2).await;
    let reads = || server.commandstats().get("mget").map_or(0, |reads| reads.calls);
    let before = reads();
    for _ in 0..100 {
        assert_eq!(read().await, (0, Outcome::Stale));
    }
    assert_eq!(reads(), before);
    source.open();
}

/// Nobody may join it any more, since no lease tells what overtakes it: that is no reason for another one.
#[tokio::test]
async fn what_is_kept_in_memory_alone_is_refreshed_by_one_load_however_long_it_takes() {
    let (server, source) = (RedisServer::start(), Arc::new(Gate::new()));
    let joinable = Duration::from_secs(1);
    let cache = process_with(&server.url(), |builder| builder.max_staleness(joinable)).await;
    let read = async || ask(&cache, near(1, Arc::clone(&source))).await;
    assert_eq!(read().await, (0, Outcome::Loaded));
    source.commit();
    source.close();
    eventually(SOON, async || read().await == (0, Outcome::Stale)).await;
    let began = Instant::now();
    eventually(SOON, async || {
        assert_eq!(read().await, (0, Outcome::Stale));
        began.elapsed() > joinable.mul_f32(1.5)
    })
    .await;
    assert_eq!(source.loads(), 2);
    source.open();
    eventually(SOON, async || read().await == (1, Outcome::HitL1)).await;
    assert_eq!(source.loads(), 2);
}

/// Else a group that is kept up by refreshes alone would end all at once.
#[tokio::test]
async fn a_group_lives_as_long_as_what_is_refreshed_or_put_in_it() {
    let (server, source) = (RedisServer::start(), Arc::new(Gate::new()));
    let cache = process(&server.url(), &[]).await;
    let read = async || ask(&cache, item(1, 2, Arc::clone(&source))).await;
    let put =
        async |value| cache.scope(async { item_entry(1, 2).put(value).await }).await.expect("the server is there");
    let stamp = "test:group:item:1:*";
    let left = || server.cli(&["PTTL", stamp]).trim().parse::<i64>().expect("a number");
    assert_eq!(read().await, (0, Outcome::Loaded));
    source.commit();
    is_older_than(&server, "test:v1:item:1:2", 1_200).await;
    server.cli(&["PEXPIRE", stamp, "20000"]);
    assert_eq!(read().await, (0, Outcome::Stale));
    eventually(SOON, async || read().await == (1, Outcome::HitL1)).await;
    assert!(left() > 100_000, "after a refresh: {}", left());
    server.cli(&["PEXPIRE", stamp, "20000"]);
    put(2).await;
    assert!(left() > 100_000, "after a put: {}", left());
    assert_eq!(read().await, (2, Outcome::HitL2));
    server.cli(&["UNLINK", stamp]);
    put(3).await;
    assert_eq!(left(), -2, "no stamp is made for what is put");
    assert_eq!(read().await, (1, Outcome::Loaded));
}

/// It is not as it was, and what it is by now is not to be kept: neither here nor there.
#[tokio::test]
async fn a_refresh_that_finds_nothing_ends_the_stale_value_for_all() {
    let (server, source) = (RedisServer::start(), Arc::new(Gate::new()));
    let (cache, other) = (process(&server.url(), &[]).await, process(&server.url(), &[]).await);
    assert_eq!(cache.scope(missing(1, Arc::clone(&source))).await, Some(0));
    source.commit();
    is_older_than(&server, "test:v1:missing:1", 1_200).await;
    assert_eq!(ask(&cache, missing(1, Arc::clone(&source))).await, (Some(0), Outcome::Stale));
    eventually(SOON, async || cache.loads_in_flight() == 0).await;
    assert_eq!(server.cli(&["EXISTS", "test:v1:missing:1"]).trim(), "0");
    for cache in [&cache, &other] {
        assert_eq!(ask(cache, missing(1, Arc::clone(&source))).await, (None, Outcome::Loaded));
    }
}

/// Who cannot write there refreshes what it has in its memory; what stands there alone is loaded.
#[tokio::test]
async fn a_full_server_lets_nobody_wait_for_a_refresh() {
    let (server, source) = (RedisServer::start(), Arc::new(Gate::new()));
    let (cache, other) = (process(&server.url(), &[]).await, process(&server.url(), &[]).await);
    assert_eq!(cache.scope(value(1, Arc::clone(&source))).await, 0);
    assert_eq!(cache.scope(strict(1, Arc::clone(&source))).await, 0);
    source.commit();
    is_older_than(&server, "test:v1:value:1", 1_200).await;
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let read = async || ask(&other, value(1, Arc::clone(&source))).await;
    assert_eq!(read().await, (0, Outcome::Stale));
    eventually(SOON, async || read().await == (1, Outcome::HitL1)).await;
    assert_eq!(ask(&other, strict(1, source)).await, (1, Outcome::Loaded));
}

/// And that load may fail.
#[tokio::test]
async fn a_full_server_and_a_source_that_is_down_leave_the_stale_value() {
    let (server, source) = (RedisServer::start(), Arc::new(Gate::new()));
    let cache = process(&server.url(), &[]).await;
    let read = || cache.scope(explain(failing(1, Arc::clone(&source))));
    assert_eq!(read().await.0, Ok(0));
    source.commit();
    is_older_than(&server, "test:v1:failing:1", 1_200).await;
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    for failed in 1..=3 {
        let (value, lookups) = read().await;
        assert_eq!((value, lookups[0].outcome(), lookups.len()), (Ok(0), Outcome::Stale, 1));
        assert!(lookups[0].age() > Some(Duration::from_secs(1)), "{lookups:?}");
        let stats = cache.stats();
        let stats = stats.iter().find(|stats| stats.name() == "failing").expect("it was called");
        let counts = [Metric::LoadError, Metric::Stale, Metric::FaultL2].map(|metric| stats.count(metric));
        assert_eq!(counts, [failed, failed, failed]);
    }
    assert_eq!(source.loads(), 4);
}

/// Whoever asks meanwhile is served the value, and neither loads too nor is told how that load failed.
#[tokio::test]
async fn on_a_full_server_one_call_at_a_time_loads() {
    let (server, source) = (RedisServer::start(), Arc::new(Gate::new()));
    let cache = process(&server.url(), &[]).await;
    let read = || cache.scope(explain(failing(1, Arc::clone(&source))));
    assert_eq!(read().await.0, Ok(0));
    source.commit();
    is_older_than(&server, "test:v1:failing:1", 1_200).await;
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let answers = futures::future::join_all((0..3).map(|_| read())).await;
    for (value, lookups) in answers {
        assert_eq!((value, lookups[0].outcome()), (Ok(0), Outcome::Stale));
    }
    source.close();
    let (loads, mut call) = (source.loads(), Box::pin(read()));
    source.wait_for_load(&mut call).await;
    for _ in 0..3 {
        assert_eq!(ask(&cache, failing(1, Arc::clone(&source))).await, (Ok(0), Outcome::Stale));
    }
    source.open();
    assert_eq!(call.await.0, Ok(0));
    assert_eq!(source.loads(), loads + 1);
}

/// While the load ran, the value came to the end of what the attribute allows.
#[tokio::test]
async fn a_load_that_fails_too_late_leaves_nothing() {
    let (server, source) = (RedisServer::start(), Arc::new(Gate::new()));
    let cache = process(&server.url(), &[]).await;
    let read = || cache.scope(explain(brief(1, Arc::clone(&source))));
    assert_eq!(read().await.0, Ok(0));
    source.commit();
    let left = || server.cli(&["PTTL", "test:v1:brief:1"]).trim().parse::<u64>().expect("it is there");
    eventually(SOON, async || left() < 2_900).await;
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    source.close();
    let (mut call, began) = (Box::pin(read()), Instant::now());
    source.wait_for_load(&mut call).await;
    eventually(SOON, async || began.elapsed() > Duration::from_secs(3)).await;
    source.open();
    let (value, lookups) = call.await;
    assert_eq!((value, lookups[0].outcome()), (Err("the source is down".to_owned()), Outcome::Loaded));
}

/// The only turn is taken, and does not come back.
#[tokio::test]
async fn what_may_be_served_from_memory_waits_for_no_turn() {
    let (server, source, hung) = (RedisServer::start(), Arc::new(Gate::new()), Arc::new(Gate::new()));
    let set = |builder: Builder| builder.load_limit(1).max_staleness(Duration::from_mins(1));
    let cache = process_with(&server.url(), set).await;
    assert_eq!(cache.scope(value(1, Arc::clone(&source))).await, 0);
    is_older_than(&server, "test:v1:value:1", 1_200).await;
    server.kill();
    eventually(SOON, async || !cache.health().reaches_server()).await;
    hung.close();
    let mut first = Box::pin(cache.scope(value(2, Arc::clone(&hung))));
    hung.wait_for_load(&mut first).await;
    for _ in 0..3 {
        assert_eq!(ask(&cache, value(1, Arc::clone(&source))).await, (0, Outcome::Stale));
    }
    assert_eq!(source.loads(), 1, "it has no turn either");
    hung.open();
    assert_eq!(first.await, 0);
    eventually(SOON, async || {
        source.loads() == 2 || ask(&cache, value(1, Arc::clone(&source))).await.1 != Outcome::Stale
    })
    .await;
}
