//! What `cargo xtask stress` has found, each as small as it can be.
#![cfg(unix)]
#![expect(unused_variables, reason = "keys are what tells these calls apart")]

use std::time::{Duration, Instant};

use cache_runtime::testing::Rule;
use cache_runtime::{Builder, Cache, Delivery, Error, Event, cached};
use cache_tests::on_redis::{process, process_with, sees};
use cache_tests::{Fault, FaultProxy, Gate, RedisServer, eventually};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Changed {
    id: u64,
}

#[cached(ttl = "1m", key = "item:<id>", invalidate_on = "Changed")]
async fn item(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

/// How long a right to serve lasts where a process has to grow old: longer than what happens meanwhile.
const RIGHT: Duration = Duration::from_secs(6);

/// A process in doubt waits this long, and not until the others' rights are over.
const PATIENCE: Duration = Duration::from_millis(300);

/// It has been there for longer than any right that was in force before it.
async fn grow_old(cache: &Cache) {
    cache.publish(&Changed { id: 99 }).everywhere(5 * RIGHT).await.expect("nothing is in doubt any more");
}

/// In the snapshot, the right of every process is long over, and they are known for ever.
fn save_ended_rights(server: &RedisServer) {
    for node in server.cli(&["HKEYS", "{test:bus}:nodes"]).lines() {
        server.cli(&["HSET", "{test:bus}:nodes", node, if node == ":since" { "1" } else { "0-0 1" }]);
    }
    server.save();
}

/// The server loses who reads the bus, and with it a process that still serves what it has.
#[tokio::test]
async fn everywhere_waits_for_processes_that_the_server_has_forgotten() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let proxy = FaultProxy::start(server.address()).expect("a port is free");
    let set = |builder: Builder| builder.max_staleness(RIGHT);
    let a = process_with(&server.url_at(proxy.port()), set).await;
    let b = process_with(&server.url(), set).await;
    grow_old(&b).await;
    assert_eq!(a.scope(item(1, &source)).await, 0);
    for name in ["test:bus", "test:ear"] {
        proxy.named(name).both(Fault::Hold);
    }
    server.cli(&["FLUSHALL"]);
    source.commit();
    let published = b.publish(&Changed { id: 1 }).everywhere(PATIENCE).await;
    assert_eq!(a.scope(item(1, &source)).await, 0, "it has not heard of it, and may serve");
    assert!(matches!(published, Err(Error::NotEverywhere { .. })), "{published:?}");
}

/// The server comes back with an old snapshot, in which the right of a process that still serves is long over.
#[tokio::test]
async fn everywhere_waits_for_processes_whose_right_the_server_has_forgotten() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let proxy = FaultProxy::start(server.address()).expect("a port is free");
    let set = |builder: Builder| builder.max_staleness(RIGHT);
    let a = process_with(&server.url_at(proxy.port()), set).await;
    let b = process_with(&server.url(), set).await;
    grow_old(&b).await;
    assert_eq!(a.scope(item(1, &source)).await, 0);
    save_ended_rights(&server);
    for name in ["test:bus", "test:ear"] {
        proxy.named(name).both(Fault::Hold);
    }
    let gaps = b.health().gaps();
    server.restart();
    source.commit();
    eventually(Duration::from_secs(10), async || b.health().gaps() > gaps && b.health().reaches_server()).await;
    let published = b.publish(&Changed { id: 1 }).everywhere(PATIENCE).await;
    assert_eq!(a.scope(item(1, &source)).await, 0, "it has not heard of it, and may serve");
    assert!(matches!(published, Err(Error::NotEverywhere { .. })), "{published:?}");
}

/// The same, but who waits has started after it and knows of no other server. The simulation found that.
#[tokio::test]
async fn everywhere_waits_in_a_process_that_has_just_started() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let proxy = FaultProxy::start(server.address()).expect("a port is free");
    let set = |builder: Builder| builder.max_staleness(Duration::from_mins(5));
    let a = process_with(&server.url_at(proxy.port()), set).await;
    assert_eq!(a.scope(item(1, &source)).await, 0);
    save_ended_rights(&server);
    for name in ["test:bus", "test:ear"] {
        proxy.named(name).both(Fault::Hold);
    }
    server.restart();
    let b = process_with(&server.url(), set).await;
    source.commit();
    let published = b.publish(&Changed { id: 1 }).everywhere(PATIENCE).await;
    assert_eq!(a.scope(item(1, &source)).await, 0, "it has not heard of it, and may serve");
    assert!(matches!(published, Err(Error::NotEverywhere { .. })), "{published:?}");
}

/// The same, but who waits has been there for long, and reaches a server only now.
#[tokio::test]
async fn everywhere_waits_in_a_process_that_has_just_found_a_server() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let (proxy, blind) = (FaultProxy::start(server.address()), FaultProxy::start(server.address()));
    let (proxy, blind) = (proxy.expect("a port is free"), blind.expect("a port is free"));
    let set = |builder: Builder| builder.max_staleness(RIGHT);
    blind.refuse();
    let url = server.url_at(blind.port());
    let b = Cache::builder("test").redis(url).max_staleness(RIGHT).build().await.expect("it starts blind");
    let built = Instant::now();
    let a = process_with(&server.url_at(proxy.port()), set).await;
    assert_eq!(a.scope(item(1, &source)).await, 0);
    eventually(2 * RIGHT, async || built.elapsed() > RIGHT).await;
    save_ended_rights(&server);
    for name in ["test:bus", "test:ear"] {
        proxy.named(name).both(Fault::Hold);
    }
    server.restart();
    blind.accept();
    sees(&b).await;
    source.commit();
    let published = b.publish(&Changed { id: 1 }).everywhere(PATIENCE).await;
    assert_eq!(a.scope(item(1, &source)).await, 0, "it has not heard of it, and may serve");
    assert!(matches!(published, Err(Error::NotEverywhere { .. })), "{published:?}");
}

/// A process that has never reached the server knows its own routes all the same.
#[tokio::test]
async fn an_event_counts_in_a_process_that_starts_blind() {
    let (server, source) = (RedisServer::start(), Gate::new());
    server.kill();
    let cache = Cache::builder("test").redis(server.url()).build().await.expect("it starts blind");
    source.close();
    let mut before = Box::pin(cache.scope(item(1, &source)));
    source.wait_for_load(&mut before).await;
    source.commit();
    let receipt = cache.publish(&Changed { id: 1 }).await.expect("it is queued");
    assert_eq!((receipt.delivery(), receipt.invalidated()), (Delivery::Queued, 1));
    let mut after = Box::pin(cache.scope(item(1, &source)));
    source.wait_for_load(&mut after).await;
    source.open();
    assert_eq!((before.await, after.await), (0, 1));
}

/// What another process reads when a put arrives that was given up, after an invalidation of that other process.
async fn late_put(rules: &[Rule]) -> u64 {
    let (server, source) = (RedisServer::start(), Gate::new());
    let proxy = FaultProxy::start(server.address()).expect("a port is free");
    let set = |builder: Builder| {
        let builder = builder.op_timeout(Duration::from_millis(100)).lease(Duration::from_millis(300));
        rules.iter().fold(builder, |builder, rule| builder.without_rule(*rule))
    };
    let a = process_with(&server.url_at(proxy.port()), set).await;
    let b = process(&server.url(), &[]).await;
    let held = proxy.named("test:pool").connections()[0].number;
    proxy.matching(move |connection| connection.number == held).requests(Fault::Hold);
    eventually(Duration::from_secs(5), async || {
        let receipt = item_entry(1).within(&a).put(0).await.expect("it is queued");
        receipt.delivery() == Delivery::Queued
    })
    .await;
    // Over the other connection, as an invalidation.
    eventually(Duration::from_secs(5), async || a.health().queued() == 0).await;
    source.commit();
    let receipt = item_entry(1).within(&b).invalidate().await.expect("the server is there");
    assert_eq!(receipt.delivery(), Delivery::Applied);
    let told = server.cli(&["XLEN", "test:bus"]);
    proxy.heal();
    eventually(Duration::from_secs(5), async || server.cli(&["XLEN", "test:bus"]) != told).await;
    b.scope(item(1, &source)).await
}

/// Nobody knows what became of a put: it is given up, and must not put its value over what has happened since.
#[tokio::test]
async fn a_put_that_arrives_late_puts_nothing() {
    assert_eq!(late_put(&[]).await, 1);
}

#[tokio::test]
async fn without_the_token_it_puts_the_old_value() {
    assert_eq!(late_put(&[Rule::FillToken]).await, 0);
}
