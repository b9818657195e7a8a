//! The server is gone, comes back with another memory, or does not move.

use std::sync::Arc;
use std::time::Duration;

use cache_runtime::{Cache, Delivery, Error, Metric, OnFailover, Outcome};
use cache_tests::eventually::eventually;
use cache_tests::on_redis::{entries, process_with};

use crate::log::{AWAY, BLIND, GAP, Log};
use crate::scene::{Load, MOST, SOON, Scene, away, blind, counted, faults, gaps, publish, recovered, timed, usual};
use crate::{item, strict};

#[tokio::test]
async fn killed_under_load() {
    let (log, _listening) = Log::start();
    let scene = Arc::new(Scene::start());
    let (a, b) = scene.two().await;
    let load = Load::start(&scene, &a, 16);
    scene.server.kill();
    away(&a).await;
    let version = scene.change_while_away(&a).await;
    load.at_least(version);
    // Its own tier as long as it may be used, then loads.
    blind(&a).await;
    assert!(matches!(scene.call(&a).await.1, Outcome::Loaded | Outcome::Joined));
    assert!(counted(&a, "item", Metric::FaultL2) > 0);
    eventually(SOON, async || log.lines(BLIND).len() == 2).await;
    scene.server.restart();
    scene.ends_well(&[&a, &b], version).await;
    assert!(load.stop().await > 1_000, "all of them were answered");
    for over in ["redis: all connections are back", "the bus is read again"] {
        eventually(SOON, async || log.lines(over).len() >= 2).await;
    }
    gaps(&log, &[&a, &b], 1);
    log.tells_once(2, &[AWAY, BLIND, GAP]);
}

#[tokio::test]
async fn killed_and_restarted_empty() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let (a, b) = scene.two().await;
    scene.server.restart_empty();
    eventually(SOON, async || a.health().gaps() > 0 && b.health().gaps() > 0).await;
    recovered(&a).await;
    // What was kept in the processes is not trusted either: it is loaded again, and stored.
    assert_eq!(scene.call(&a).await, (0, Outcome::Loaded));
    scene.ends_well(&[&a, &b], 0).await;
    gaps(&log, &[&a, &b], 1);
    assert_eq!(entries(&scene.server).len(), 2);
    // The routes are there again: who does not link the function would find them.
    let version = scene.change(&a, Delivery::Applied).await;
    scene.ends_well(&[&a, &b], version).await;
    log.tells_once(2, &[AWAY, GAP]);
}

#[tokio::test]
async fn restarted_with_an_old_snapshot() {
    let (log, _listening) = Log::start();
    let scene = Arc::new(Scene::start());
    let (a, b) = scene.two().await;
    scene.server.save();
    let version = scene.change(&a, Delivery::Applied).await;
    scene.ends_well(&[&a, &b], version).await;
    // The snapshot has the value from before. Until the process that made it invalid has seen that this is another
    // server, and repeats what it said, the old value may be read; not after.
    let load = Load::start(&scene, &a, 4);
    scene.server.restart();
    eventually(SOON, async || a.health().gaps() > 0 && b.health().gaps() > 0).await;
    scene.ends_well(&[&a, &b], version).await;
    load.stop().await;
    gaps(&log, &[&a, &b], 1);
    log.tells_once(2, &[AWAY, GAP]);
}

/// Longer than the ten seconds that are repeated: it is not the time without a server that counts.
#[tokio::test]
async fn away_for_long_and_restarted_with_an_old_snapshot() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let (a, b) = scene.two().await;
    scene.server.save();
    let version = scene.change(&a, Delivery::Applied).await;
    scene.server.kill();
    away(&a).await;
    // tidy: sleep because that it takes so long is what is tested
    tokio::time::sleep(Duration::from_secs(11)).await;
    scene.server.restart();
    eventually(SOON, async || a.health().gaps() > 0 && b.health().gaps() > 0).await;
    scene.ends_well(&[&a, &b], version).await;
    gaps(&log, &[&a, &b], 1);
    log.tells_once(2, &[AWAY, GAP]);
}

/// The process that made it invalid is gone, so that nobody repeats it: what is read then.
async fn restarted_with_what_nobody_remembers(on_failover: OnFailover) -> u64 {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let a = process_with(&scene.server.url(), |builder| usual(builder).on_failover(on_failover)).await;
    let b = scene.near().await;
    assert_eq!(scene.call_strict(&a).await, (0, Outcome::Loaded));
    scene.server.save();
    scene.change(&b, Delivery::Applied).await;
    drop(b);
    scene.server.restart();
    eventually(SOON, async || a.health().gaps() > 0).await;
    recovered(&a).await;
    eventually(SOON, async || scene.call_strict(&a).await.1 == Outcome::HitL2).await;
    gaps(&log, &[&a], 1);
    // The other one may have seen the end of it, too.
    log.tells_once(2, &[AWAY, GAP]);
    scene.call_strict(&a).await.0
}

#[tokio::test]
async fn restarted_with_an_old_snapshot_that_nobody_corrects() {
    assert_eq!(restarted_with_what_nobody_remembers(OnFailover::Replay).await, 0, "the snapshot is believed");
    assert_eq!(restarted_with_what_nobody_remembers(OnFailover::Cold).await, 1, "it is not");
}

#[tokio::test]
async fn stopped_and_continued() {
    let (log, _listening) = Log::start();
    let scene = Arc::new(Scene::start());
    let (a, b) = scene.two().await;
    let load = Load::start(&scene, &a, 16);
    scene.server.stop();
    away(&a).await;
    let version = scene.change_while_away(&a).await;
    load.at_least(version);
    // While it is left alone it costs nothing.
    let ((_, found), lookup) = timed(&a, MOST, strict(1, &scene.source)).await;
    assert_eq!((found, lookup.outcome()), (version, Outcome::Loaded));
    blind(&a).await;
    eventually(SOON, async || log.lines(BLIND).len() == 2).await;
    scene.server.resume();
    scene.ends_well(&[&a, &b], version).await;
    assert!(load.stop().await > 1_000, "all of them were answered");
    assert!(counted(&a, "strict", Metric::FaultL2) > 0);
    gaps(&log, &[&a, &b], 0);
    log.tells_once(2, &[AWAY, BLIND]);
}

#[tokio::test]
async fn stopped_while_nobody_calls() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let (a, b) = scene.two().await;
    scene.server.stop();
    // The bus notices by itself.
    blind(&a).await;
    assert!(a.health().bus_faults() > 0);
    eventually(SOON, async || log.lines(BLIND).len() == 2).await;
    let version = scene.change(&a, Delivery::Queued).await;
    scene.server.resume();
    scene.ends_well(&[&a, &b], version).await;
    gaps(&log, &[&a, &b], 0);
    log.tells_once(2, &[AWAY, BLIND]);
}

#[tokio::test]
async fn loading() {
    let (log, _listening) = Log::start();
    let scene = Arc::new(Scene::start());
    let (a, b) = scene.two().await;
    for id in 100..300 {
        a.scope(item(id, &scene.source)).await;
    }
    scene.server.save();
    let load = Load::start(&scene, &a, 8);
    scene.server.restart_loading(Duration::from_millis(10));
    away(&a).await;
    let version = scene.change_while_away(&a).await;
    load.at_least(version);
    assert!(scene.server.info("loading").is_some_and(|loading| loading == "1"), "it still loads");
    scene.ends_well(&[&a, &b], version).await;
    load.stop().await;
    assert!(counted(&a, "strict", Metric::FaultL2) > 0);
    gaps(&log, &[&a, &b], 1);
    log.tells_once(2, &[AWAY, GAP]);
}

#[tokio::test]
async fn away_when_the_process_starts() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    scene.server.kill();
    let cache = usual(Cache::builder("test").redis(scene.server.url())).build().await.expect("it starts blind");
    assert!(!cache.health().reaches_server() && !cache.health().serves_near());
    assert_eq!(scene.call(&cache).await, (0, Outcome::Loaded));
    let version = scene.change_while_away(&cache).await;
    scene.server.restart();
    scene.ends_well(&[&cache], version).await;
    assert!(faults(&cache) > 0);
    log.tells_once(1, &[AWAY]);
}

#[tokio::test]
async fn away_although_it_is_required() {
    let scene = Scene::start();
    scene.server.kill();
    let built = usual(Cache::builder("test").redis(scene.server.url())).require_redis(true).build().await;
    let Err(Error::Redis { problem }) = built else { panic!("it is not there: {built:?}") };
    assert!(problem.starts_with(&format!("127.0.0.1:{}: ", scene.server.port())), "{problem}");
}

#[tokio::test]
async fn more_is_invalidated_than_the_journal_holds() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let (_, b) = scene.two().await;
    let url = scene.server.url();
    let small = process_with(&url, |builder| usual(builder).journal(8)).await;
    for id in 0..50 {
        b.scope(item(id, &scene.source)).await;
    }
    scene.server.stop();
    away_by_calls(&scene, &small).await;
    let version = scene.commit().await;
    for id in 0..50 {
        assert_eq!(publish(&small, id).await.delivery(), Delivery::Queued);
    }
    assert!(small.health().queued() <= 8 + 3, "{}", small.health());
    scene.server.resume();
    recovered(&small).await;
    // What was widened names keys that no event tells of: processes that keep them hear of all.
    for id in 0..50 {
        assert_eq!(small.scope(item(id, &scene.source)).await, (id, version));
        eventually(SOON, async || b.scope(item(id, &scene.source)).await == (id, version)).await;
    }
    assert_eq!(log.lines(FULL).len(), 1);
    log.tells_once(3, &[AWAY, FULL]);
}

const FULL: &str = "the journal is full";

/// Calls until the server is known to be away.
async fn away_by_calls(scene: &Scene, cache: &Cache) {
    eventually(SOON, async || {
        timed(cache, MOST, strict(1, &scene.source)).await;
        !cache.health().reaches_server()
    })
    .await;
}
