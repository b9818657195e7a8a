//! The server is well, the way there is not.

use std::sync::Arc;
use std::time::Duration;

use cache_runtime::{Builder, Delivery, Metric, Outcome};
use cache_tests::Gate;
use cache_tests::eventually::eventually;
use cache_tests::fault_proxy::Fault;
use cache_tests::on_redis::process_with;
use futures::future::join_all;

use crate::log::{AWAY, BLIND, Log};
use crate::scene::{Load, MOST, SOON, Scene, away, blind, counted, faults, gaps, recovered, timed};
use crate::{item, strict};

/// A lease that a process loses is given back by it sooner.
const LEASE: Duration = Duration::from_secs(6);

/// The reply to a read of one entry that is not there.
const NOTHING_THERE: &str = "*1\r\n_\r\n";

/// What stood when it began is silent for ever; new connections are well.
#[tokio::test]
async fn half_open() {
    let (log, _listening) = Log::start();
    let scene = Arc::new(Scene::start());
    let (a, b) = scene.two().await;
    let load = Load::start(&scene, &a, 4);
    let last = scene.proxy.connections().iter().map(|connection| connection.number).max().expect("it is connected");
    scene.proxy.matching(move |connection| connection.number <= last).both(Fault::Drop);
    let version = scene.change(&b, Delivery::Applied).await;
    eventually(SOON, async || scene.proxy.connections().iter().any(|connection| connection.number > last)).await;
    scene.ends_well(&[&a, &b], version).await;
    assert!(counted(&a, "strict", Metric::FaultL2) > 0);
    load.stop().await;
    gaps(&log, &[&a, &b], 0);
    log.tells_once(1, &[AWAY]);
}

/// One of the two connections over which it is asked is silent for ever; the other, and new ones, are well.
#[tokio::test]
async fn one_half_open() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let (a, b) = scene.two().await;
    let silent = scene.proxy.named("test:pool").connections()[0].number;
    scene.proxy.matching(move |connection| connection.number == silent).both(Fault::Drop);
    let mut late = 0;
    for _ in 0..40 {
        let (value, lookup) = timed(&a, MOST, strict(1, &scene.source)).await;
        assert_eq!(value, (1, 0));
        late += usize::from(lookup.outcome() != Outcome::HitL2);
    }
    // Three, and what a busy machine adds.
    assert!((1..=5).contains(&late), "{late} of 40, of which each second one goes over it");
    scene.ends_well(&[&a, &b], 0).await;
    assert!(counted(&a, "strict", Metric::FaultL2) > 0);
    log.tells_once(1, &[AWAY]);
}

#[tokio::test]
async fn bus_alone_cut() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let (a, b) = scene.two().await;
    for name in ["test:bus", "test:ear"] {
        scene.proxy.named(name).keep_cut();
    }
    let version = scene.change(&b, Delivery::Applied).await;
    assert_eq!(scene.call_strict(&a).await.0, version, "the second tier knows");
    blind(&a).await;
    assert!(a.health().bus_faults() > 0);
    eventually(SOON, async || log.lines(BLIND).len() == 1).await;
    // From here on nothing old, although it hears of nothing: it goes on from the second tier.
    for id in 1..10 {
        b.scope(item(id, &scene.source)).await;
        let (value, lookup) = timed(&a, MOST, item(id, &scene.source)).await;
        assert_eq!((value, lookup.outcome()), ((id, version), Outcome::HitL2));
    }
    let newer = scene.change(&b, Delivery::Applied).await;
    assert_eq!(scene.call(&a).await.0, newer);
    // It can tell others.
    let newest = scene.change(&a, Delivery::Applied).await;
    eventually(SOON, async || b.scope(item(1, &scene.source)).await == (1, newest)).await;
    scene.proxy.heal();
    scene.ends_well(&[&a, &b], newest).await;
    gaps(&log, &[&a, &b], 0);
    log.tells_once(1, &[AWAY, BLIND]);
}

#[tokio::test]
async fn pool_alone_cut() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let (a, b) = scene.two().await;
    scene.proxy.named("test:pool").keep_cut();
    eventually(SOON, async || !a.health().reaches_server()).await;
    // It hears all that others say, so its own tier is right.
    assert_eq!(scene.call(&a).await, (0, Outcome::HitL1));
    let version = scene.change(&b, Delivery::Applied).await;
    eventually(SOON, async || scene.call(&a).await.0 == version).await;
    assert_eq!(scene.call_strict(&a).await, (version, Outcome::Loaded));
    assert!(counted(&a, "strict", Metric::FaultL2) > 0);
    let newer = scene.change_while_away(&a).await;
    scene.proxy.heal();
    scene.ends_well(&[&a, &b], newer).await;
    gaps(&log, &[&a, &b], 0);
    log.tells_once(1, &[AWAY]);
}

/// The server has given the lease, and its answer never comes: nobody else is to wait for that lease.
#[tokio::test]
async fn a_lease_that_nobody_knows_of() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let url = scene.server.url_at(scene.proxy.port());
    let set = |builder: Builder| builder.pool_size(1).lease(LEASE);
    let (a, b) = (process_with(&url, set).await, scene.near().await);
    scene.proxy.named("test:pool").replies(Fault::CutAfter(NOTHING_THERE.len() + 1));
    assert_eq!(timed(&a, MOST, strict(5, &scene.source)).await.0, (5, 0));
    assert_eq!(scene.server.cli(&["GETRANGE", "test:v1:strict:5", "0", "0"]), "L", "it was given");
    scene.proxy.heal();
    let (value, lookup) = timed(&b, LEASE / 2, strict(5, &scene.source)).await;
    assert_eq!((value, lookup.outcome()), ((5, 0), Outcome::Loaded));
    assert_eq!(timed(&a, MOST, strict(5, &scene.source)).await.1.outcome(), Outcome::HitL2);
    assert!(faults(&a) > 0);
    log.tells_once(1, &[AWAY]);
}

/// One lease is held while many are owed, over a way that is slow: one after the other would take three of its lives.
#[tokio::test]
async fn a_lease_that_is_held_while_others_are_owed() {
    const OWED: u64 = 300;
    let (log, _listening) = Log::start();
    let (scene, hung) = (Scene::start(), Gate::new());
    let a = scene.distant().await;
    let pool = scene.proxy.named("test:pool");
    let left = || scene.server.cli(&["PTTL", "test:v1:item:1"]).trim().parse::<i64>().expect("a number");
    scene.source.close();
    hung.close();
    let owed = join_all((0..OWED).map(|id| a.scope(strict(id, &scene.source))));
    let course = async {
        eventually(SOON, async || scene.source.loads() + hung.loads() == OWED + 1).await;
        pool.keep_cut();
        away(&a).await;
        scene.source.open();
        eventually(SOON, async || a.health().leases() == 1).await;
        scene.proxy.heal();
        pool.replies(Fault::Delay(Duration::from_millis(20)));
        for _ in 0..2 {
            eventually(SOON, async || left() < 1_500).await;
            eventually(SOON, async || left() > 1_500).await;
        }
        hung.open();
    };
    futures::join!(a.scope(item(1, &hung)), owed, course);
    assert!(counted(&a, "strict", Metric::FaultL2) > 0);
    log.tells_once(1, &[AWAY]);
}

#[tokio::test]
async fn all_cut_for_a_moment() {
    let (log, _listening) = Log::start();
    let scene = Arc::new(Scene::start());
    let (a, b) = scene.two().await;
    let load = Load::start(&scene, &a, 4);
    scene.proxy.all().cut();
    let version = scene.change(&b, Delivery::Applied).await;
    recovered(&a).await;
    scene.ends_well(&[&a, &b], version).await;
    scene.proxy.all().reset();
    scene.ends_well(&[&a, &b], version).await;
    assert_eq!(a.scope(strict(1, &scene.source)).await, (1, version));
    gaps(&log, &[&a, &b], 0);
    load.stop().await;
    assert!(faults(&a) > 0);
    // It was cut twice.
    log.tells_once(2, &[AWAY]);
}
