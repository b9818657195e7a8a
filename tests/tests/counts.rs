//! What is counted over a server is what happened: once, and under its own name.

#![cfg(unix)]

use std::sync::Arc;
use std::time::Duration;

use cache_runtime::testing::Recorder;
use cache_runtime::{Cache, Event, Metric, Outcome, cached, explain};
use cache_tests::Gate;
use cache_tests::eventually::eventually;
use cache_tests::fault_proxy::{Fault, FaultProxy};
use cache_tests::on_redis::{process, process_with};
use cache_tests::redis_server::RedisServer;
use serde::{Deserialize, Serialize};

/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(10);

#[derive(Event, Serialize, Deserialize)]
struct Changed {
    id: u64,
}

#[cached(ttl = "1m", key = "plain:<id>", invalidate_on = "Changed")]
async fn plain(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    let _ = id;
    source.load().await
}

#[cached(ttl = "100ms", stale_while_revalidate = "1m", key = "refreshed:<id>", skip(source))]
async fn refreshed(id: u64, source: Arc<Gate>) -> String {
    let _ = id;
    "x".repeat(usize::try_from(source.load().await).expect("it is a small number") * 1_000)
}

/// Reads until a stale value is served, and waits for its refresh.
async fn refresh(cache: &Cache, source: &Arc<Gate>) {
    eventually(SOON, async || {
        let (_, lookups) = cache.scope(explain(refreshed(1, Arc::clone(source)))).await;
        lookups[0].outcome() == Outcome::Stale
    })
    .await;
    eventually(SOON, async || cache.loads_in_flight() == 0).await;
}

#[tokio::test]
async fn an_invalidation_is_counted_once() {
    let (server, source) = (RedisServer::start(), Gate::new());
    for cache in [cache_tests::cache().await, process(&server.url(), &[]).await] {
        let recorder = Recorder::new(&cache);
        let count = || recorder.count("plain", Metric::Invalidated);
        let entry = plain_entry(1).within(&cache);
        cache.scope(plain(1, &source)).await;
        entry.invalidate().await.expect("it never fails");
        assert_eq!(count(), 1, "{cache:?}");
        entry.put(7).await.expect("it never fails");
        assert_eq!(count(), 2, "{cache:?}");
        cache.publish(&Changed { id: 1 }).await.expect("the event is JSON");
        assert_eq!(count(), 3, "{cache:?}");
    }
}

#[tokio::test]
async fn what_a_refresh_stores_is_a_fill() {
    let (server, source) = (RedisServer::start(), Arc::new(Gate::new()));
    let cache = process(&server.url(), &[]).await;
    let recorder = Recorder::new(&cache);
    cache.scope(refreshed(1, Arc::clone(&source))).await;
    assert_eq!(recorder.count("refreshed", Metric::FilledL2), 1);
    refresh(&cache, &source).await;
    let loads = recorder.loads("refreshed");
    assert!(loads > 1);
    assert_eq!(recorder.count("refreshed", Metric::FilledL2), loads);
}

#[tokio::test]
async fn a_refreshed_value_that_is_too_large_was_not_overtaken() {
    let (server, source) = (RedisServer::start(), Arc::new(Gate::new()));
    let cache = process_with(&server.url(), |builder| builder.max_value(500)).await;
    let recorder = Recorder::new(&cache);
    cache.scope(refreshed(1, Arc::clone(&source))).await;
    source.commit();
    refresh(&cache, &source).await;
    let count = |metric| recorder.count("refreshed", metric);
    assert!(count(Metric::Unstorable) > 0);
    assert_eq!(count(Metric::RefusedFill), 0);
}

#[tokio::test]
async fn a_fill_that_is_not_answered_was_not_overtaken() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let proxy = FaultProxy::start(server.address()).expect("a port is free");
    let set = |builder: cache_runtime::Builder| builder.op_timeout(Duration::from_millis(200));
    let cache = process_with(&server.url_at(proxy.port()), set).await;
    let recorder = Recorder::new(&cache);
    let count = |metric| recorder.count("plain", metric);
    source.close();
    let mut call = Box::pin(cache.scope(plain(1, &source)));
    source.wait_for_load(&mut call).await;
    proxy.named("test:pool").both(Fault::Hold);
    source.open();
    assert_eq!(call.await, 0);
    assert_eq!([Metric::FaultL2, Metric::RefusedFill, Metric::FilledL2].map(count), [1, 0, 0]);
    proxy.heal();
}

#[tokio::test]
async fn a_load_that_was_overtaken_is_refused() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let (a, b) = (process(&server.url(), &[]).await, process(&server.url(), &[]).await);
    let recorder = Recorder::new(&a);
    source.close();
    let mut call = Box::pin(a.scope(plain(1, &source)));
    source.wait_for_load(&mut call).await;
    b.publish(&Changed { id: 1 }).await.expect("the event is JSON");
    source.open();
    call.await;
    assert_eq!(recorder.count("plain", Metric::RefusedFill), 1);
}
