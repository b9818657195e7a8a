//! The main promises over a server, with the features that ship: rules that nobody can take away, and no steps at which
//! tests watch. Run by themselves, without `harness`; with all the others, these are the same scenes once more.

#![cfg(unix)]
#![expect(unused_variables, reason = "keys are what tells these calls apart")]

use std::time::Duration;

use cache_runtime::{Cache, Delivery, Event, Outcome, cached, explain};
use cache_tests::on_redis::{entries, process_with};
use cache_tests::redis_server::RedisServer;
use cache_tests::{Gate, eventually};
use futures::future::join_all;
use serde::{Deserialize, Serialize};

const LONG: Duration = Duration::from_secs(10);

#[derive(Event, Serialize, Deserialize)]
struct Changed {
    id: u64,
}

#[derive(Event, Serialize, Deserialize)]
struct GroupChanged {
    group: u64,
}

#[cached(ttl = "1h", key = "bounded:<id>", invalidate_on = "Changed")]
async fn bounded(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

#[cached(ttl = "1h", key = "strict:<id>", l1 = off, invalidate_on = "Changed")]
async fn strict(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

#[cached(ttl = "1h", key = "grouped:<group>:<id>", invalidate_on = "GroupChanged => grouped:<group>:*")]
async fn grouped(group: u64, id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

#[cached(ttl = "1h", key = "near:<id>", l2 = off, invalidate_on = "Changed")]
async fn near(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

async fn process(server: &RedisServer) -> Cache {
    process_with(&server.url(), |builder| builder.op_timeout(LONG)).await
}

async fn publish(cache: &Cache, event: &impl Event) {
    let receipt = cache.publish(event).await.expect("the event is JSON");
    assert_eq!(receipt.delivery(), Delivery::Applied);
}

async fn outcome(cache: &Cache, source: &Gate) -> (u64, Outcome) {
    let (value, lookups) = cache.scope(explain(bounded(1, source))).await;
    (value, lookups[0].outcome())
}

#[tokio::test]
async fn what_one_process_loads_the_other_finds_until_it_is_invalidated() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let (a, b) = (process(&server).await, process(&server).await);
    assert_eq!(outcome(&a, &source).await, (0, Outcome::Loaded));
    assert_eq!(outcome(&a, &source).await, (0, Outcome::HitL1));
    assert_eq!(outcome(&b, &source).await, (0, Outcome::HitL2));
    source.commit();
    let told = b.publish(&Changed { id: 1 }).everywhere(LONG).await.expect("both hear of it");
    assert_eq!(told.delivery(), Delivery::Applied);
    assert_eq!(outcome(&a, &source).await, (1, Outcome::Loaded));
    assert_eq!(outcome(&b, &source).await, (1, Outcome::HitL2));
}

#[tokio::test]
async fn others_hear_of_it_soon() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let (a, b) = (process(&server).await, process(&server).await);
    assert_eq!((a.scope(bounded(1, &source)).await, a.scope(near(1, &source)).await), (0, 0));
    source.commit();
    publish(&b, &Changed { id: 1 }).await;
    eventually(LONG, async || (a.scope(bounded(1, &source)).await, a.scope(near(1, &source)).await) == (1, 1)).await;
}

/// A load that was overtaken answers its caller, and is stored nowhere: of a key in both tiers, in the second alone, of a
/// group, and in the in-process tier alone.
#[tokio::test]
async fn a_load_that_was_overtaken_is_kept_nowhere() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let (a, b) = (process(&server).await, process(&server).await);
    for publisher in [&a, &b] {
        let before = source.loads();
        source.close();
        let version = a.scope(async {
            let calls = || {
                futures::future::join4(
                    bounded(1, &source),
                    strict(1, &source),
                    grouped(1, 1, &source),
                    near(1, &source),
                )
            };
            let mut late = Box::pin(calls());
            while source.loads() < before + 4 {
                assert!(futures::poll!(late.as_mut()).is_pending(), "the gate is closed");
                tokio::task::yield_now().await;
            }
            source.commit();
            publish(publisher, &Changed { id: 1 }).await;
            let told = publisher.publish(&GroupChanged { group: 1 }).everywhere(LONG).await;
            assert_eq!(told.expect("both hear of it").delivery(), Delivery::Applied);
            source.open();
            let (first, ..) = late.await;
            assert_eq!(calls().await, (first + 1, first + 1, first + 1, first + 1), "kept, though it was overtaken");
            first + 1
        });
        let version = version.await;
        let others = b.scope(futures::future::join3(bounded(1, &source), strict(1, &source), grouped(1, 1, &source)));
        assert_eq!(others.await, (version, version, version), "stored, though it was overtaken");
        publish(&a, &Changed { id: 1 }).await;
        publish(&a, &GroupChanged { group: 1 }).await;
    }
}

#[tokio::test]
async fn a_thousand_calls_are_one_load() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let (a, b) = (process(&server).await, process(&server).await);
    let calls = || join_all((0..500).map(|_| bounded(1, &source)));
    let (first, second) = futures::join!(a.scope(calls()), b.scope(calls()));
    assert_eq!(first.iter().chain(&second).sum::<u64>(), 0);
    assert_eq!(source.loads(), 1);
}

#[tokio::test]
async fn without_its_server_it_goes_on_and_what_it_invalidates_waits() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let cache = process_with(&server.url(), |builder| builder.op_timeout(Duration::from_millis(100))).await;
    assert_eq!(cache.scope(strict(1, &source)).await, 0);
    server.stop();
    source.commit();
    let receipt = cache.publish(&Changed { id: 1 }).await.expect("the event is JSON");
    assert_eq!(receipt.delivery(), Delivery::Queued);
    assert_eq!(cache.scope(strict(1, &source)).await, 1, "its own process has seen to it");
    server.resume();
    eventually(LONG, async || cache.health().queued() == 0).await;
    assert_eq!(cache.scope(strict(1, &source)).await, 1);
    assert_eq!(entries(&server).len(), 1);
}
