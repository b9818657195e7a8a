//! What stands in the server is gone, or is not ours.

use std::time::Duration;

use cache_runtime::{Builder, Delivery, Metric, Outcome};
use cache_tests::eventually::eventually;
use cache_tests::on_redis::process_with;

use crate::log::{GAP, Log};
use crate::scene::{MOST, OP_TIMEOUT, SOON, Scene, counted, gaps, publish, timed};
use crate::{Changed, ShopClosed, item, offer, offer_entry, page, strict};

#[tokio::test]
async fn script_flush() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let (a, b) = scene.two().await;
    let mut version = 0;
    for id in 10..30 {
        scene.server.cli(&["SCRIPT", "FLUSH"]);
        assert_eq!(timed(&a, MOST, item(id, &scene.source)).await.1.outcome(), Outcome::Loaded);
        assert_eq!(timed(&b, MOST, item(id, &scene.source)).await.1.outcome(), Outcome::HitL2, "it was stored");
        scene.server.cli(&["SCRIPT", "FLUSH"]);
        version = scene.change(&a, Delivery::Applied).await;
    }
    assert!(a.health().serves_near());
    assert_eq!(counted(&a, "item", Metric::FaultL2), 0);
    scene.ends_well(&[&a, &b], version).await;
    gaps(&log, &[&a, &b], 0);
    log.is_quiet();
}

#[tokio::test]
async fn flushall() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let (a, b) = scene.two().await;
    scene.change(&b, Delivery::Applied).await;
    scene.ends_well(&[&a, &b], 1).await;
    scene.server.cli(&["FLUSHALL"]);
    eventually(SOON, async || a.health().gaps() > 0 && b.health().gaps() > 0).await;
    scene.ends_well(&[&a, &b], 1).await;
    // Who publishes finds the routes again, who reads finds the bus again.
    let version = scene.change(&a, Delivery::Applied).await;
    scene.ends_well(&[&a, &b], version).await;
    gaps(&log, &[&a, &b], 1);
    log.tells_once(2, &[GAP]);
}

#[tokio::test]
async fn wrong_type_at_an_entry() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let (a, b) = scene.two().await;
    let other: [&[&str]; 3] = [
        &["RPUSH", "test:v1:strict:1", "x"],
        &["HSET", "test:v1:strict:1", "x", "y"],
        &["SADD", "test:v1:strict:1", "x"],
    ];
    for command in other {
        scene.server.cli(&["DEL", "test:v1:strict:1"]);
        scene.server.cli(command);
        let before = counted(&a, "strict", Metric::Damaged);
        assert_eq!(scene.call_strict(&a).await, (0, Outcome::Loaded));
        assert_eq!(counted(&a, "strict", Metric::Damaged), before + 1, "{command:?}");
        assert_eq!(scene.call_strict(&b).await, (0, Outcome::HitL2), "a value took its place");
    }
    assert_eq!(counted(&a, "strict", Metric::FaultL2), 0);
    scene.server.cli(&["DEL", "test:v1:strict:1"]);
    scene.server.cli(other[0]);
    let version = scene.change(&a, Delivery::Applied).await;
    scene.ends_well(&[&a, &b], version).await;
    log.is_quiet();
}

#[tokio::test]
async fn wrong_type_at_a_group() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let (a, b) = (scene.near().await, scene.near().await);
    a.scope(offer(1, 1, &scene.source)).await;
    for command in [&["RPUSH", "test:group:offer:1:*", "x"][..], &["SET", "test:group:offer:1:*", "x"]] {
        scene.server.cli(&["DEL", "test:group:offer:1:*"]);
        scene.server.cli(command);
        // Without its stamp no value is used, and the next load makes a new one.
        assert_eq!(timed(&b, MOST, offer(1, 1, &scene.source)).await.0, (1, 0));
        let c = scene.near().await;
        assert_eq!(timed(&c, MOST, offer(1, 1, &scene.source)).await.1.outcome(), Outcome::HitL2);
        b.scope(async { offer_entry(1, 1).invalidate().await }).await.expect("the server is there");
    }
    let version = scene.commit().await;
    let receipt = a.publish(&ShopClosed { shop: 1 }).await.expect("the event is JSON");
    assert_eq!(receipt.delivery(), Delivery::Applied);
    eventually(SOON, async || b.scope(offer(1, 1, &scene.source)).await == (1, version)).await;
    log.is_quiet();
}

/// What was put in the place of the bus, its routes or the list of processes: how many gaps there were of it, of which each
/// was said.
async fn in_the_place_of_the_bus(command: &[&[u8]]) -> u64 {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let (a, b) = scene.two().await;
    let version = scene.change(&b, Delivery::Applied).await;
    scene.ends_well(&[&a, &b], version).await;
    scene.server.call(command).ok().expect("the server is there");
    // A publisher makes room for the bus; without the routes it waits for them.
    let version = scene.commit().await;
    publish(&a, 1).await;
    assert_eq!(scene.call(&a).await.0, version);
    scene.ends_well(&[&a, &b], version).await;
    let version = scene.change(&b, Delivery::Applied).await;
    scene.ends_well(&[&a, &b], version).await;
    let gaps = a.health().gaps() + b.health().gaps();
    assert_eq!(u64::try_from(log.lines(GAP).len()), Ok(gaps), "{:#?}", log.lines(GAP));
    if gaps == 0 {
        log.is_quiet();
    } else {
        log.tells_once(2, &[GAP]);
    }
    gaps
}

#[tokio::test]
async fn wrong_type_at_the_bus() {
    let gaps = in_the_place_of_the_bus(&[b"SET", b"test:bus", b"not ours"]).await;
    assert_eq!(gaps, 2, "all notice that something may be gone");
}

/// Who finds it first tells the server the routes again.
#[tokio::test]
async fn wrong_type_at_the_routes() {
    let gaps = in_the_place_of_the_bus(&[b"SET", b"{test:bus}:routes", b"not ours"]).await;
    assert!((1..=2).contains(&gaps), "{gaps}");
}

/// It is no text.
#[tokio::test]
async fn wrong_version_of_the_routes() {
    let gaps = in_the_place_of_the_bus(&[b"HSET", b"{test:bus}:routes", b":version", b"\xff\xfe"]).await;
    assert!((1..=2).contains(&gaps), "{gaps}");
}

#[tokio::test]
async fn wrong_type_at_the_list_of_processes() {
    assert_eq!(in_the_place_of_the_bus(&[b"SET", b"{test:bus}:nodes", b"not ours"]).await, 0);
}

/// Nobody looks at all of it.
#[tokio::test]
async fn a_message_over_a_mebibyte() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let (a, b) = scene.two().await;
    let padded = format!(r#"{{"id":1,"more":"{}"}}"#, "x".repeat(1 << 20));
    let told = scene.server.call(&["XADD", "test:bus", "*", "event", "Changed", "data", &padded]);
    told.ok().expect("the server is there");
    for cache in [&a, &b] {
        eventually(SOON, async || cache.health().flawed_messages() == 1).await;
        assert_eq!(scene.call(cache).await, (0, Outcome::HitL2), "memory is emptied, the second tier is not");
    }
    scene.ends_well(&[&a, &b], 0).await;
    gaps(&log, &[&a, &b], 0);
    log.tells_once(2, &["a message on the bus is not understood"]);
}

#[tokio::test]
async fn garbage_at_an_entry() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let (a, b) = scene.two().await;
    b.scope(strict(2, &scene.source)).await;
    let key = b"test:v1:strict:1".as_slice();
    let value = scene.server.call(&[b"GET", key]).bytes().expect("it is stored").to_vec();
    let foreign = scene.server.call(&[b"GET", b"test:v1:strict:2".as_slice()]).bytes().expect("it is stored").to_vec();
    let mut flipped = value.clone();
    *flipped.last_mut().expect("it is not empty") ^= 1;
    let garbage: [&[u8]; 7] = [b"", b"x", b"V", &[0xFF; 300], &value[..value.len() - 1], &flipped, &foreign];
    for (number, bytes) in garbage.into_iter().enumerate() {
        let before = counted(&a, "strict", Metric::Damaged);
        scene.server.call(&[b"SET".as_slice(), key, bytes]).ok().expect("the server is there");
        assert_eq!(scene.call_strict(&a).await, (0, Outcome::Loaded), "garbage number {number}");
        assert_eq!(counted(&a, "strict", Metric::Damaged), before + 1, "garbage number {number}");
        assert_eq!(scene.call_strict(&b).await, (0, Outcome::HitL2), "a value took its place");
    }
    assert_eq!(counted(&a, "strict", Metric::FaultL2), 0);
    let version = scene.change(&a, Delivery::Applied).await;
    scene.ends_well(&[&a, &b], version).await;
    log.is_quiet();
}

#[tokio::test]
async fn huge_garbage_at_an_entry() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let patient = |builder: Builder| builder.op_timeout(Duration::from_secs(10));
    let a = process_with(&scene.server.url(), patient).await;
    a.scope(strict(1, &scene.source)).await;
    let huge = vec![b'V'; 32 << 20];
    scene.server.call(&[b"SET".as_slice(), b"test:v1:strict:1", &huge]).ok().expect("the server is there");
    let (value, lookup) = timed(&a, Duration::from_secs(10), strict(1, &scene.source)).await;
    assert_eq!((value, lookup.outcome()), ((1, 0), Outcome::Loaded));
    assert_eq!(counted(&a, "strict", Metric::Damaged), 1);
    assert_eq!(scene.call_strict(&a).await, (0, Outcome::HitL2), "a value took its place");
    log.is_quiet();
}

#[tokio::test]
async fn a_value_too_large_to_be_stored() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let (a, b) = scene.two().await;
    let size = (1 << 20) + 1;
    let call = |cache| timed(cache, 2 * MOST + OP_TIMEOUT, page(1, size, &scene.source));
    for (cache, version) in [(&a, 0), (&b, 0)] {
        let ((found, text), lookup) = call(cache).await;
        assert_eq!((found, text.len(), lookup.outcome()), (version, size, Outcome::Loaded));
        assert_eq!(counted(cache, "page", Metric::Unstorable), 1);
    }
    assert_eq!(call(&a).await.1.outcome(), Outcome::HitL1, "the process keeps it");
    let version = scene.commit().await;
    a.publish(&Changed { id: 1 }).await.expect("the event is JSON");
    eventually(SOON, async || b.scope(page(1, size, &scene.source)).await.0 == version).await;
    log.is_quiet();
}
