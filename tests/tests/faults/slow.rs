//! The server, or the way there, takes its time.

use std::time::{Duration, Instant};

use cache_runtime::{Delivery, Metric, Outcome, explain};
use cache_tests::eventually::eventually;
use cache_tests::fault_proxy::Fault;
use cache_tests::on_redis::process_with;
use futures::future::join_all;

use crate::log::{AWAY, BLIND, Log};
use crate::scene::{MAX_STALENESS, SOON, Scene, counted, gaps, timed};
use crate::strict;

const OP_TIMEOUT: Duration = Duration::from_millis(500);

const BELOW: Duration = Duration::from_millis(250);

const ABOVE: Duration = Duration::from_millis(800);

/// The operation timeout, and what a busy machine adds.
const MOST: Duration = Duration::from_millis(1_500);

#[tokio::test]
async fn slower_than_usual() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let b = scene.near().await;
    let url = scene.server.url_at(scene.proxy.port());
    let a = process_with(&url, |builder| builder.op_timeout(OP_TIMEOUT).max_staleness(Duration::from_secs(5))).await;
    b.scope(strict(1, &scene.source)).await;
    scene.proxy.all().replies(Fault::Delay(BELOW));
    let (value, lookup) = timed(&a, MOST, strict(1, &scene.source)).await;
    assert_eq!((value, lookup.outcome()), ((1, 0), Outcome::HitL2), "it is waited for");
    assert!(lookup.took() >= BELOW);
    // A miss takes a read, a lease and a fill: more than one operation's time, which is all a call has.
    let (value, lookup) = timed(&a, MOST, strict(2, &scene.source)).await;
    assert_eq!((value, lookup.outcome()), ((2, 0), Outcome::Loaded));
    assert!(counted(&a, "strict", Metric::FaultL2) > 0);
    let version = scene.change(&a, Delivery::Applied).await;
    assert_eq!(b.scope(strict(1, &scene.source)).await, (1, version));
    assert!(a.health().reaches_server());
    scene.proxy.heal();
    scene.ends_well(&[&a, &b], version).await;
    log.is_quiet();
}

#[tokio::test]
async fn too_slow() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let (a, b) = (
        process_with(&scene.server.url_at(scene.proxy.port()), |builder| {
            builder.op_timeout(OP_TIMEOUT).max_staleness(MAX_STALENESS)
        })
        .await,
        scene.near().await,
    );
    b.scope(strict(1, &scene.source)).await;
    scene.proxy.all().replies(Fault::Delay(ABOVE));
    let version = scene.change(&a, Delivery::Queued).await;
    for _ in 0..10 {
        let (value, lookup) = timed(&a, MOST, strict(1, &scene.source)).await;
        assert_eq!((value, lookup.outcome()), ((1, version), Outcome::Loaded));
    }
    eventually(SOON, async || !log.lines(BLIND).is_empty()).await;
    assert!(!a.health().serves_near());
    eventually(SOON, async || !log.lines(AWAY).is_empty()).await;
    // It is tried again and again, and left alone as long as it is too slow.
    let (begun, mut took) = (Instant::now(), Vec::new());
    eventually(SOON, async || {
        let (value, lookup) = timed(&a, MOST, strict(1, &scene.source)).await;
        assert_eq!(value, (1, version));
        took.push(lookup.took());
        begun.elapsed() > 4 * ABOVE
    })
    .await;
    took.sort_unstable();
    assert!(took[took.len() * 9 / 10] < OP_TIMEOUT / 2, "{took:?}");
    assert!(counted(&a, "strict", Metric::FaultL2) > 0);
    // It was done all the same: that no reply came in time does not tell.
    eventually(SOON, async || b.scope(strict(1, &scene.source)).await == (1, version)).await;
    scene.proxy.heal();
    scene.ends_well(&[&a, &b], version).await;
    gaps(&log, &[&a, &b], 0);
    log.tells_once(1, &[AWAY, BLIND]);
}

#[tokio::test]
async fn many_callers_of_one_key() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let b = scene.near().await;
    let a = process_with(&scene.server.url_at(scene.proxy.port()), |builder| builder).await;
    b.scope(strict(1, &scene.source)).await;
    let loads = scene.source.loads();
    scene.proxy.all().replies(Fault::Delay(Duration::from_millis(20)));
    let calls = async || {
        for _ in 0..5 {
            let (value, lookups) = a.scope(explain(strict(1, &scene.source))).await;
            assert_eq!(value, (1, 0));
            // Who came while a read was under way is answered by the next one, all of them at once.
            assert!(matches!(lookups[0].outcome(), Outcome::HitL2 | Outcome::Joined), "{lookups:?}");
        }
    };
    join_all((0..200).map(|_| calls())).await;
    assert_eq!(scene.source.loads(), loads, "nobody loads what is stored");
    log.is_quiet();
}
