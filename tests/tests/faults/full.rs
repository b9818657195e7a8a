//! The server has no room, makes room, or takes no writes.

use std::time::Duration;

use cache_runtime::{Cache, Delivery, Metric, Outcome};
use cache_tests::eventually::eventually;
use cache_tests::on_redis::process_with;
use cache_tests::redis_server::RedisServer;

use crate::log::{AWAY, BLIND, GAP, Log};
use crate::scene::{MOST, SOON, Scene, counted, faults, gaps, publish, recovered, timed, usual};
use crate::{ShopClosed, item, offer, page, strict};

#[tokio::test]
async fn out_of_memory() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let (a, b) = scene.two().await;
    b.scope(offer(1, 1, &scene.source)).await;
    scene.server.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    scene.server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    // What is there is read, and the bus goes on.
    assert_eq!(scene.call_strict(&a).await, (0, Outcome::HitL2));
    assert_eq!(timed(&a, MOST, offer(1, 1, &scene.source)).await.1.outcome(), Outcome::HitL2);
    assert!(a.health().reaches_server() && a.health().serves_near());
    // What is not there is loaded and kept in the process alone.
    let loads = scene.source.loads();
    assert_eq!(timed(&a, MOST, item(7, &scene.source)).await.1.outcome(), Outcome::Loaded);
    assert_eq!(timed(&a, MOST, item(7, &scene.source)).await.1.outcome(), Outcome::HitL1);
    assert_eq!(timed(&b, MOST, item(7, &scene.source)).await.1.outcome(), Outcome::Loaded);
    assert_eq!(scene.source.loads(), loads + 2);
    assert!(counted(&a, "item", Metric::FaultL2) > 0);
    // Invalidations take effect.
    let version = scene.change(&a, Delivery::Applied).await;
    eventually(SOON, async || b.scope(item(1, &scene.source)).await == (1, version)).await;
    assert_eq!(b.scope(strict(1, &scene.source)).await, (1, version));
    let closed = a.publish(&ShopClosed { shop: 1 }).await.expect("the event is JSON");
    assert_eq!(closed.delivery(), Delivery::Applied);
    assert_eq!(a.scope(offer(1, 1, &scene.source)).await, (1, version));
    eventually(SOON, async || b.scope(offer(1, 1, &scene.source)).await == (1, version)).await;
    scene.server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    scene.ends_well(&[&a, &b], version).await;
    log.is_quiet();
}

#[tokio::test]
async fn evicting() {
    let (log, _listening) = Log::start();
    let scene = Scene::with(RedisServer::options().memory("3mb", "allkeys-lru"));
    let (a, b) = scene.two().await;
    let mut version = 0;
    for round in 0..40 {
        for id in 0..30 {
            let (cache, size) = (if (round + id) % 2 == 0 { &a } else { &b }, 8_000);
            let (found, text) = cache.scope(page(round * 30 + id, size, &scene.source)).await;
            assert_eq!((found, text.len()), (version, size));
        }
        version = scene.commit().await;
        let mut receipt = publish(&a, 1).await;
        // Where the routes went, it waits until they are there again.
        while receipt.delivery() == Delivery::Queued {
            recovered(&a).await;
            receipt = publish(&a, 1).await;
        }
        // The stream may go at any time: then it begins anew, and every process knows that it missed something.
        let token = receipt.token().expect("it is applied");
        assert_eq!(b.after(&token).scope(item(1, &scene.source)).await, (1, version));
        assert_eq!(b.scope(strict(1, &scene.source)).await, (1, version));
        assert_eq!(a.scope(item(1, &scene.source)).await, (1, version));
        assert_eq!(a.scope(strict(1, &scene.source)).await, (1, version));
    }
    let evicted: u64 = scene.server.info("evicted_keys").and_then(|keys| keys.parse().ok()).expect("a number");
    assert!(evicted > 100, "{evicted}");
    // No process goes on with an older value for longer than it may.
    eventually(SOON, async || b.scope(item(1, &scene.source)).await == (1, version)).await;
    // No more room than for nothing: bus and routes go, too.
    let before = [&a, &b].map(|cache| cache.health().gaps());
    scene.server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    eventually(SOON, async || scene.server.cli(&["DBSIZE"]).trim() == "0").await;
    scene.server.cli(&["CONFIG", "SET", "maxmemory", "3mb"]);
    for (cache, before) in [&a, &b].into_iter().zip(before) {
        eventually(SOON, async || cache.health().gaps() > before).await;
    }
    scene.ends_well(&[&a, &b], version).await;
    let gaps = a.health().gaps() + b.health().gaps();
    assert_eq!(u64::try_from(log.lines(GAP).len()), Ok(gaps), "each is said");
    log.tells_once(log.lines(GAP).len(), &[GAP]);
}

#[tokio::test]
async fn a_replica_that_takes_no_writes() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let primary = RedisServer::start();
    let port = primary.port().to_string();
    scene.server.cli(&["REPLICAOF", "127.0.0.1", &port]);
    eventually(SOON, async || scene.server.info("master_link_status").as_deref() == Some("up")).await;
    let builder = usual(Cache::builder("test").redis(scene.server.url()));
    let cache = builder.build().await.expect("it starts blind");
    // Whoever cannot say what makes its values invalid reads and keeps none.
    for _ in 0..3 {
        assert_eq!(scene.call(&cache).await, (0, Outcome::Loaded));
    }
    assert!(!cache.health().serves_near());
    let version = scene.change(&cache, Delivery::Queued).await;
    assert_eq!(scene.call(&cache).await, (version, Outcome::Loaded));
    let away = log.lines(AWAY);
    assert!(away.iter().all(|line| format!("{line:?}").contains("it is no primary")) && !away.is_empty(), "{away:?}");
    assert!(counted(&cache, "item", Metric::FaultL2) > 0);
    scene.server.cli(&["REPLICAOF", "NO", "ONE"]);
    scene.ends_well(&[&cache], version).await;
    log.tells_once(1, &[AWAY]);
}

#[tokio::test]
async fn a_primary_that_becomes_a_replica() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let (a, b) = scene.two().await;
    let primary = RedisServer::start();
    let port = primary.port().to_string();
    scene.server.cli(&["REPLICAOF", "127.0.0.1", &port]);
    let version = scene.change(&a, Delivery::Queued).await;
    assert_eq!(scene.call(&a).await.0, version);
    eventually(SOON, async || log.lines(BLIND).len() == 2).await;
    assert!(!a.health().serves_near());
    scene.server.cli(&["REPLICAOF", "NO", "ONE"]);
    scene.ends_well(&[&a, &b], version).await;
    // Each process notices that it was something else meanwhile.
    gaps(&log, &[&a, &b], 1);
    log.tells_once(2, &[AWAY, BLIND, GAP]);
}

#[tokio::test]
async fn a_server_that_stops_writes() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let (a, b) = scene.two().await;
    scene.server.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    assert_eq!(scene.call_strict(&b).await, (0, Outcome::HitL2));
    let version = scene.change(&a, Delivery::Queued).await;
    assert_eq!(scene.call(&a).await.0, version);
    let (value, lookup) = timed(&b, Duration::from_secs(1), item(9, &scene.source)).await;
    assert_eq!((value, lookup.outcome()), ((9, version), Outcome::Loaded));
    eventually(SOON, async || log.lines(BLIND).len() == 2).await;
    scene.server.cli(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    scene.ends_well(&[&a, &b], version).await;
    assert!(faults(&b) > 0);
    gaps(&log, &[&a, &b], 0);
    log.tells_once(2, &[BLIND]);
}

/// What too few replicas have is told, and told again.
#[tokio::test]
async fn too_few_replicas() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let a = process_with(&scene.server.url(), |builder| usual(builder).min_replicas(1)).await;
    let b = scene.near().await;
    for cache in [&a, &b] {
        assert_eq!(scene.call_strict(cache).await.0, 0);
    }
    let version = scene.change(&a, Delivery::Queued).await;
    assert_eq!(a.health().queued(), 1);
    assert_eq!(scene.call_strict(&a).await, (version, Outcome::Loaded), "it reads nothing from there");
    eventually(SOON, async || b.scope(strict(1, &scene.source)).await == (1, version)).await;
    let replica = RedisServer::start();
    replica.cli(&["REPLICAOF", "127.0.0.1", &scene.server.port().to_string()]);
    scene.ends_well(&[&a, &b], version).await;
    gaps(&log, &[&a, &b], 0);
    log.is_quiet();
}
