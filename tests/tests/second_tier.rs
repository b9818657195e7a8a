//! One function, several processes, one server: what the second tier adds.

#![expect(unused_variables, reason = "keys are what tells these calls apart")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use cache_runtime::testing::ManualClock;
use cache_runtime::{Builder, Bypass, Delivery, Event, Lookup, Metric, Outcome, Token, cached, explain};
use cache_tests::Gate;
use cache_tests::eventually::eventually;
use cache_tests::fault_proxy::{Fault, FaultProxy};
use cache_tests::on_redis::{entries, process, process_with, sees};
use cache_tests::redis_server::RedisServer;
use futures::future::join_all;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct ItemChanged {
    shop: u64,
    id: u64,
}

#[derive(Event, Serialize, Deserialize)]
struct ShopClosed {
    shop: u64,
}

#[cached(
    ttl = "1m",
    key = "item:<shop>:<id>",
    invalidate_on = ["ItemChanged", "ShopClosed => item:<shop>:*"]
)]
async fn item(shop: u64, id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

#[cached(ttl = "1m", key = "strict:<id>", l1 = off)]
async fn strict(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

#[cached(ttl = "1m", key = "maybe:<id>", negative_ttl = "10s")]
async fn maybe(id: u64, #[cache(skip)] source: &Gate) -> Option<String> {
    (source.load().await > 0).then(|| "there".to_owned())
}

#[cached(ttl = "1m", key = "shared:<id>")]
async fn shared(id: u64, #[cache(skip)] source: &Gate) -> Arc<Vec<u64>> {
    Arc::new(vec![id, source.load().await])
}

#[cached(ttl = "1m", key = "near:<id>", l2 = off)]
async fn near_only(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

#[cached(ttl = "10s", stale_while_revalidate = "10s", key = "refreshed:<id>", skip(source))]
async fn refreshed(id: u64, source: Arc<Gate>) -> u64 {
    source.load().await
}

#[cached(ttl = "1m", key = "inner:<id>")]
async fn inner(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

#[cached(ttl = "1m", key = "brief:<id>", load_timeout = "50ms")]
async fn brief(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

#[cached(ttl = "1m", key = "outer:<id>")]
async fn outer(id: u64, #[cache(skip)] before: &Gate, #[cache(skip)] source: &Gate) -> u64 {
    before.load().await + inner(id, source).await
}

#[cached(ttl = "1m", key = "broken:<id>")]
async fn broken(id: u64, #[cache(skip)] source: &Gate) -> Result<u64, u64> {
    Err(source.load().await)
}

fn outcome(lookups: &[Lookup]) -> Outcome {
    lookups[0].outcome()
}

#[tokio::test]
async fn one_process_loads_and_another_reads() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let (a, b) = (process(&server.url(), &[]).await, process(&server.url(), &[]).await);
    let (value, lookups) = a.scope(explain(item(1, 2, &source))).await;
    assert_eq!((value, outcome(&lookups)), (0, Outcome::Loaded));
    let (value, lookups) = b.scope(explain(item(1, 2, &source))).await;
    assert_eq!((value, outcome(&lookups)), (0, Outcome::HitL2));
    for cache in [&a, &b] {
        let (_, lookups) = cache.scope(explain(item(1, 2, &source))).await;
        assert_eq!(outcome(&lookups), Outcome::HitL1);
    }
    assert_eq!(source.loads(), 1);
    assert_eq!(entries(&server), ["test:v1:item:1:2"]);
}

#[tokio::test]
async fn fills_are_silent() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let (a, b) = (process(&server.url(), &[]).await, process(&server.url(), &[]).await);
    let begun = server.cli(&["XLEN", "test:bus"]);
    for id in 0..20 {
        a.scope(item(1, id, &source)).await;
        b.scope(item(1, id, &source)).await;
    }
    assert_eq!(source.loads(), 20);
    assert_eq!(server.cli(&["XLEN", "test:bus"]), begun, "only invalidations go over the bus");
}

#[tokio::test]
async fn what_one_process_publishes_the_other_knows() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let (a, b) = (process(&server.url(), &[]).await, process(&server.url(), &[]).await);
    for cache in [&a, &b] {
        assert_eq!(cache.scope(item(1, 2, &source)).await, 0);
    }
    source.commit();
    let receipt = a.publish(&ItemChanged { shop: 1, id: 2 }).everywhere(Duration::from_secs(5)).await;
    assert_eq!(receipt.expect("all have applied it").delivery(), Delivery::Applied);
    assert_eq!(b.scope(item(1, 2, &source)).await, 1);
    assert_eq!(a.scope(item(1, 2, &source)).await, 1);
    assert_eq!(source.loads(), 2);
}

#[tokio::test]
async fn a_group_goes_at_once_in_every_process() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let (a, b) = (process(&server.url(), &[]).await, process(&server.url(), &[]).await);
    for id in 0..5 {
        a.scope(item(1, id, &source)).await;
        a.scope(item(2, id, &source)).await;
        b.scope(item(1, id, &source)).await;
    }
    source.commit();
    a.publish(&ShopClosed { shop: 1 }).everywhere(Duration::from_secs(5)).await.expect("all have applied it");
    for id in 0..5 {
        assert_eq!(b.scope(item(1, id, &source)).await, 1);
        assert_eq!(a.scope(item(1, id, &source)).await, 1);
        assert_eq!(b.scope(item(2, id, &source)).await, 0, "the other shop is as it was");
    }
}

#[tokio::test]
async fn a_token_carries_the_guarantee_to_another_process() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let (a, b) = (process(&server.url(), &[]).await, process(&server.url(), &[]).await);
    assert_eq!(b.scope(item(1, 2, &source)).await, 0);
    for round in 1..50 {
        source.commit();
        let receipt = a.publish(&ItemChanged { shop: 1, id: 2 }).await.expect("the server is there");
        let header = receipt.token().expect("it is applied").to_string();
        let token: Token = header.parse().expect("a token's own text");
        assert_eq!(b.after(&token).scope(item(1, 2, &source)).await, round);
    }
}

#[tokio::test]
async fn a_function_without_a_near_tier_is_strict() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let (a, b) = (process(&server.url(), &[]).await, process(&server.url(), &[]).await);
    for round in 0..50 {
        assert_eq!(b.scope(strict(1, &source)).await, round);
        let (_, lookups) = b.scope(explain(strict(1, &source))).await;
        assert_eq!(outcome(&lookups), Outcome::HitL2);
        source.commit();
        a.scope(async { strict_entry(1).invalidate().await }).await.expect("the server is there");
    }
}

#[tokio::test]
async fn a_value_that_is_put_is_there_for_all() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let (a, b) = (process(&server.url(), &[]).await, process(&server.url(), &[]).await);
    assert_eq!(b.scope(item(1, 2, &source)).await, 0);
    a.scope(async { item_entry(1, 2).put(77).await }).await.expect("the server is there");
    assert_eq!(a.scope(item(1, 2, &source)).await, 77);
    eventually(Duration::from_secs(5), async || b.scope(item(1, 2, &source)).await == 77).await;
    assert_eq!(source.loads(), 1);
    let peeked = b.scope(async { item_entry(1, 2).peek().await }).await.expect("the server is there");
    assert_eq!(peeked.expect("it is kept").into_value(), 77);
}

#[tokio::test]
async fn nothing_is_kept_for_nothing_and_for_as_long_as_it_may() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let (a, b) = (process(&server.url(), &[]).await, process(&server.url(), &[]).await);
    assert_eq!(a.scope(maybe(1, &source)).await, None);
    let (value, lookups) = b.scope(explain(maybe(1, &source))).await;
    assert_eq!((value, outcome(&lookups)), (None, Outcome::HitL2));
    let left: i64 = server.cli(&["PTTL", "test:v1:maybe:1"]).trim().parse().expect("a number");
    assert!((1..=10_000).contains(&left), "{left}");
}

#[tokio::test]
async fn an_arc_and_a_function_of_one_tier() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let (a, b) = (process(&server.url(), &[]).await, process(&server.url(), &[]).await);
    assert_eq!(*a.scope(shared(3, &source)).await, [3, 0]);
    assert_eq!(*b.scope(shared(3, &source)).await, [3, 0]);
    assert_eq!(source.loads(), 1);
    a.scope(near_only(1, &source)).await;
    b.scope(near_only(1, &source)).await;
    assert_eq!(source.loads(), 3);
    assert_eq!(entries(&server), ["test:v1:shared:3"]);
}

#[tokio::test]
async fn one_load_for_all_processes() {
    let (server, source) = (RedisServer::start(), Arc::new(Gate::new()));
    let mut callers = Vec::new();
    for _ in 0..4 {
        let cache = process(&server.url(), &[]).await;
        for _ in 0..250 {
            let (cache, source) = (cache.clone(), Arc::clone(&source));
            callers.push(tokio::spawn(async move { cache.scope(item(1, 2, &source)).await }));
        }
    }
    for caller in callers {
        assert_eq!(caller.await.expect("no panics"), 0);
    }
    assert_eq!(source.loads(), 1);
}

/// Until it is, whoever wants such an entry waits for a load that is over.
#[tokio::test]
async fn what_fails_at_one_moment_gives_its_leases_back_in_a_few_scripts() {
    const MANY: u64 = 200;
    let (server, source) = (RedisServer::start(), Gate::new());
    let cache = process_with(&server.url(), |builder| builder.lease(Duration::from_mins(1))).await;
    let scripts = || server.commandstats().get("evalsha").map_or(0, |scripts| scripts.calls);
    let before = scripts();
    join_all((0..MANY).map(|id| cache.scope(broken(id, &source)))).await;
    eventually(Duration::from_secs(10), async || entries(&server).is_empty()).await;
    let scripts = scripts() - before;
    assert!(scripts < MANY / 4, "{scripts} scripts for {MANY} leases");
}

#[tokio::test]
async fn a_copy_in_the_near_tier_does_not_begin_its_life_anew() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let (a, b) = (process(&server.url(), &[]).await, process(&server.url(), &[]).await);
    a.scope(item(1, 2, &source)).await;
    let left = || server.cli(&["PTTL", "test:v1:item:1:2"]).trim().parse::<u64>().expect("a number");
    eventually(Duration::from_secs(5), async || left() < 59_500).await;
    b.scope(item(1, 2, &source)).await;
    let (_, lookups) = b.scope(explain(item(1, 2, &source))).await;
    assert_eq!(outcome(&lookups), Outcome::HitL1);
    assert!(lookups[0].age().is_some_and(|age| age >= Duration::from_millis(500)), "{lookups:?}");
    let peeked = b.scope(async { item_entry(1, 2).peek().await }).await.expect("the server is there");
    let remaining = peeked.expect("it is kept").remaining();
    assert!(remaining <= Duration::from_millis(59_500), "{remaining:?}");
}

#[tokio::test]
async fn without_a_server_every_call_is_answered_and_later_it_is_used() {
    let (server, source) = (RedisServer::start(), Gate::new());
    server.kill();
    let builder = cache_runtime::Cache::builder("test").redis(server.url());
    let cache = builder.build().await.expect("it starts blind");
    let (value, lookups) = cache.scope(explain(item(1, 2, &source))).await;
    assert_eq!((value, outcome(&lookups)), (0, Outcome::Loaded));
    assert!(!matches!(outcome(&lookups), Outcome::Bypassed(Bypass::WriteHot)));
    source.commit();
    let receipt = cache.publish(&ItemChanged { shop: 1, id: 2 }).await.expect("it is queued");
    assert_eq!((receipt.delivery(), receipt.token()), (Delivery::Queued, None));
    server.restart();
    sees(&cache).await;
    eventually(Duration::from_secs(5), async || cache.health().queued() == 0).await;
    assert_eq!(cache.scope(item(1, 2, &source)).await, 1);
    let other = process(&server.url(), &[]).await;
    assert_eq!(other.scope(item(1, 2, &source)).await, 1);
    assert_eq!(source.loads(), 2);
}

#[tokio::test]
async fn what_was_stale_when_the_call_began_is_not_served_when_it_is_over() {
    let (server, source, clock) = (RedisServer::start(), Arc::new(Gate::new()), ManualClock::new());
    let proxy = FaultProxy::start(server.address()).expect("a port is free");
    let set = |builder: Builder| builder.clock(clock.clone()).max_staleness(Duration::from_mins(5));
    let patient = |builder: Builder| set(builder).op_timeout(Duration::from_secs(10));
    let a = process_with(&server.url_at(proxy.port()), patient).await;
    assert_eq!(a.scope(refreshed(1, Arc::clone(&source))).await, 0);
    source.commit();
    server.cli(&["DEL", "test:v1:refreshed:1"]);
    clock.advance(Duration::from_secs(15));
    // That it is gone there, it hears late.
    proxy.all().both(Fault::Hold);
    let mut call = Box::pin(a.scope(explain(refreshed(1, Arc::clone(&source)))));
    assert!(futures::poll!(call.as_mut()).is_pending(), "it looks");
    clock.advance(Duration::from_secs(10));
    proxy.heal();
    let (value, lookups) = call.await;
    assert_eq!((value, outcome(&lookups)), (1, Outcome::Loaded));
}

#[tokio::test]
async fn a_load_that_has_its_turn_does_not_wait_for_one_that_has_not() {
    let (server, before, source) = (RedisServer::start(), Gate::new(), Gate::new());
    let cache = process_with(&server.url(), |builder| builder.load_limit(1)).await;
    server.kill();
    eventually(Duration::from_secs(10), async || !cache.health().reaches_server()).await;
    before.close();
    let mut outside = Box::pin(cache.scope(outer(1, &before, &source)));
    before.wait_for_load(&mut outside).await;
    // The only turn is taken, by one who is about to need this.
    let mut inside = Box::pin(cache.scope(inner(1, &source)));
    eventually(Duration::from_secs(10), async || {
        assert!(futures::poll!(inside.as_mut()).is_pending(), "it waits for its turn");
        cache.loads_in_flight() == 2
    })
    .await;
    before.open();
    let both = tokio::time::timeout(Duration::from_secs(10), async { futures::join!(outside, inside) }).await;
    assert_eq!(both.expect("neither waits for the other"), (0, 0));
}

#[tokio::test]
async fn what_takes_longer_than_others_may_join_is_kept() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let joinable = Duration::from_millis(300);
    let cache = process_with(&server.url(), |builder| builder.max_staleness(joinable)).await;
    source.close();
    let mut first = Box::pin(cache.scope(near_only(1, &source)));
    source.wait_for_load(&mut first).await;
    let began = Instant::now();
    eventually(Duration::from_secs(10), async || began.elapsed() > joinable).await;
    let mut second = Box::pin(cache.scope(near_only(1, &source)));
    source.wait_for_load(&mut second).await;
    source.let_through(1);
    assert_eq!(first.await, 0);
    let entry = near_only_entry(1).within(&cache);
    eventually(Duration::from_secs(10), async || entry.peek().await.is_ok_and(|kept| kept.is_some())).await;
    source.open();
    assert_eq!(second.await, 0);
}

/// The one load that runs never ends.
#[tokio::test]
async fn who_waits_for_a_turn_is_neither_hung_nor_waits_for_ever() {
    let (server, hung, source) = (RedisServer::start(), Gate::new(), Gate::new());
    let set = |builder: Builder| builder.load_limit(1).load_timeout(Duration::from_secs(1));
    let cache = process_with(&server.url(), set).await;
    server.kill();
    eventually(Duration::from_secs(10), async || !cache.health().reaches_server()).await;
    hung.close();
    let mut first = Box::pin(cache.scope(outer(1, &hung, &source)));
    hung.wait_for_load(&mut first).await;
    // One leads, one follows for far longer than this function's load may take.
    let both = async { futures::join!(cache.scope(brief(1, &source)), cache.scope(brief(1, &source))) };
    let both = tokio::time::timeout(Duration::from_secs(10), both).await;
    assert_eq!((both.expect("a turn is not waited for for ever"), source.loads()), ((0, 0), 1));
    assert!(cache.stats().iter().all(|stats| stats.count(Metric::LoadTimeout) == 0), "it had not begun");
}

/// What takes the place of the old value has arrived, and the new value has not.
#[tokio::test]
async fn a_put_that_is_cut_off_half_way_holds_up_nobody() {
    const LEASE: Duration = Duration::from_secs(20);
    let (server, source) = (RedisServer::start(), Gate::new());
    let proxy = FaultProxy::start(server.address()).expect("a port is free");
    let set = |builder: Builder| builder.lease(LEASE);
    let (a, b) = (process_with(&server.url_at(proxy.port()), set).await, process_with(&server.url(), set).await);
    let pool = proxy.named("test:pool");
    pool.replies(Fault::Hold);
    let mut put = Box::pin(a.scope(async { inner_entry(1).put(77).await }));
    eventually(Duration::from_secs(1), async || {
        assert!(futures::poll!(put.as_mut()).is_pending(), "it waits for the reply");
        server.cli(&["GETRANGE", "test:v1:inner:1", "0", "0"]) == "L"
    })
    .await;
    pool.requests(Fault::CutAfter(1));
    pool.replies(Fault::Pass);
    assert_eq!(put.await.expect("the old value is gone").delivery(), Delivery::Applied);
    assert_eq!(server.cli(&["GETRANGE", "test:v1:inner:1", "0", "0"]), "L", "the value has not arrived");
    proxy.heal();
    let read = tokio::time::timeout(LEASE / 2, b.scope(inner(1, &source)));
    assert_eq!(read.await.expect("nobody loads it"), 0);
}
