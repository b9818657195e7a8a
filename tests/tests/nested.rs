//! A cached function over another one: its value is kept for all, so it is made of nothing that one process alone still
//! takes for new.
//!
//! Caches in one process stand for processes: they share nothing but the server. What the bus tells one of them is held by
//! a proxy.

#![expect(unused_variables, reason = "keys are what tells these calls apart")]

use std::future::IntoFuture;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_runtime::testing::Rule;
use cache_runtime::{Builder, Bypass, Cache, Delivery, Event, Outcome, cached, explain};
use cache_tests::Gate;
use cache_tests::fault_proxy::{Fault, FaultProxy};
use cache_tests::on_redis::{process, process_with};
use cache_tests::redis_server::RedisServer;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Changed {
    id: u64,
}

#[cached(ttl = "1m", key = "inner:<id>", invalidate_on = "Changed")]
async fn inner(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

#[cached(ttl = "1m", key = "near:<id>", l2 = off, invalidate_on = "Changed")]
async fn near(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

#[cached(ttl = "1m", key = "over-inner:<id>", l1 = off, invalidate_on = "Changed")]
async fn over_inner(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    inner(id, source).await
}

#[cached(ttl = "1m", key = "over-near:<id>:<part>", invalidate_on = "Changed => over-near:<id>:*")]
async fn over_near(id: u64, part: u64, #[cache(skip)] source: &Gate) -> u64 {
    near(id, source).await
}

/// Fails a few times, before it reads anything.
#[cached(ttl = "1m", key = "failing-over-inner:<id>", l1 = off, invalidate_on = "Changed")]
async fn failing_over_inner(
    id: u64,
    #[cache(skip)] fails: &AtomicU64,
    #[cache(skip)] before: &Gate,
    #[cache(skip)] source: &Gate,
) -> anyhow::Result<u64> {
    before.load().await;
    match fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
        Ok(_) => anyhow::bail!("the source is down"),
        Err(_) => Ok(inner(id, source).await),
    }
}

/// Over a function of another cache.
#[cached(ttl = "1m", key = "crossing:<id>", l1 = off, invalidate_on = "Changed")]
async fn crossing(id: u64, #[cache(skip)] source: &Gate, #[cache(skip)] cache: &Cache) -> u64 {
    cache.scope(inner(id, source)).await
}

/// The loads of a load that nobody keeps for others.
#[cached(ttl = "1m", key = "near-over-near:<id>", l2 = off, invalidate_on = "Changed")]
async fn near_over_near(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    near(id, source).await
}

/// A process that hears nothing of what happens from now on, and one that hears everything.
struct Two {
    server: RedisServer,
    proxy: FaultProxy,
    deaf: Cache,
    other: Cache,
}

impl Two {
    async fn start(rules: &[Rule]) -> Self {
        let server = RedisServer::start();
        let proxy = FaultProxy::start(server.address()).expect("a port is free");
        // For so long the deaf one may serve what it keeps.
        let long = |builder: Builder| builder.max_staleness(Duration::from_mins(1));
        let rules = rules.to_vec();
        let without =
            move |builder: Builder| rules.iter().fold(long(builder), |builder, rule| builder.without_rule(*rule));
        let deaf = process_with(&server.url_at(proxy.port()), without).await;
        let other = process(&server.url(), &[]).await;
        Self { server, proxy, deaf, other }
    }

    fn hold_bus(&self) {
        self.proxy.named("test:bus").both(Fault::Hold);
        self.proxy.named("test:ear").both(Fault::Hold);
    }

    async fn change(&self, source: &Gate) {
        source.commit();
        let receipt = self.other.publish(&Changed { id: 1 }).await.expect("the event is JSON");
        assert_eq!(receipt.delivery(), Delivery::Applied);
    }

    /// What a process that was not there before reads, with and without a load.
    async fn anew<T>(&self, call: impl Future<Output = T>) -> T {
        process(&self.server.url(), &[]).await.scope(call).await
    }
}

async fn made_of_what_is_kept_in_memory(rules: &[Rule]) -> (u64, u64) {
    let (two, source) = (Two::start(rules).await, Gate::new());
    assert_eq!(two.deaf.scope(inner(1, &source)).await, 0);
    two.hold_bus();
    two.change(&source).await;
    assert_eq!(two.deaf.scope(inner(1, &source)).await, 0, "it has not heard of it, and may serve it for a minute");
    let made = two.deaf.scope(over_inner(1, &source)).await;
    (made, two.anew(over_inner(1, &source)).await)
}

#[tokio::test]
async fn a_value_for_all_is_not_made_of_what_one_process_still_keeps() {
    assert_eq!(made_of_what_is_kept_in_memory(&[]).await, (1, 1));
}

#[tokio::test]
async fn without_that_rule_everybody_reads_the_old_value() {
    assert_eq!(made_of_what_is_kept_in_memory(&[Rule::Nested]).await, (0, 0));
}

#[tokio::test]
async fn nor_of_what_is_kept_in_memory_alone() {
    for (rules, expected) in [(&[][..], (1, 1)), (&[Rule::Nested][..], (0, 0))] {
        let (two, source) = (Two::start(rules).await, Gate::new());
        assert_eq!(two.deaf.scope(near(1, &source)).await, 0);
        two.hold_bus();
        two.change(&source).await;
        let made = two.deaf.scope(over_near(1, 1, &source)).await;
        assert_eq!((made, two.anew(over_near(1, 1, &source)).await), expected, "{rules:?}");
    }
}

#[tokio::test]
async fn what_is_kept_in_memory_alone_is_used_once_the_bus_has_told_that_it_is_new() {
    let (two, source) = (Two::start(&[]).await, Gate::new());
    for part in 0..10 {
        assert_eq!(two.deaf.scope(over_near(1, part, &source)).await, 0);
    }
    assert_eq!(source.loads(), 1, "it is asked of the bus, not of the source");
}

#[tokio::test]
async fn a_value_for_this_process_alone_is_as_old_as_what_it_is_made_of() {
    let (two, source) = (Two::start(&[]).await, Gate::new());
    assert_eq!(two.deaf.scope(near(1, &source)).await, 0);
    two.hold_bus();
    assert_eq!(two.deaf.scope(near_over_near(1, &source)).await, 0);
    assert_eq!(source.loads(), 1, "nobody has to be asked");
}

#[tokio::test]
async fn who_comes_after_a_token_is_given_nothing_made_of_older_values() {
    let (two, source) = (Two::start(&[]).await, Gate::new());
    assert_eq!(two.deaf.scope(near(1, &source)).await, 0);
    two.hold_bus();
    source.commit();
    let receipt = two.other.publish(&Changed { id: 1 }).await.expect("the event is JSON");
    let token = receipt.token().expect("it is applied");
    assert_eq!(two.deaf.after(&token).scope(near_over_near(1, &source)).await, 1);
}

/// How often one cache has asked its bus says nothing of another one.
#[tokio::test]
async fn nor_is_it_made_of_what_another_cache_still_keeps() {
    let (two, source) = (Two::start(&[]).await, Gate::new());
    assert_eq!(two.deaf.scope(inner(1, &source)).await, 0);
    for _ in 0..9 {
        let told = two.other.publish(&Changed { id: 2 }).everywhere(Duration::from_secs(10)).await;
        told.expect("both have heard of it");
    }
    two.hold_bus();
    two.change(&source).await;
    let young = process(&two.server.url(), &[]).await;
    assert_eq!(young.scope(crossing(1, &source, &two.deaf)).await, 1);
}

/// Of many loads that need the same value, one loads it.
#[tokio::test]
async fn what_is_kept_in_memory_alone_is_loaded_once_for_many_loads() {
    let (two, source) = (Two::start(&[]).await, Gate::new());
    source.close();
    let mut calls =
        Box::pin(futures::future::join_all((0..50).map(|part| two.deaf.scope(over_near(1, part, &source)))));
    // All of them are in their loads, and need it.
    while two.deaf.loads_in_flight() < 51 {
        assert!(futures::poll!(calls.as_mut()).is_pending(), "the gate is closed");
        tokio::task::yield_now().await;
    }
    source.open();
    assert_eq!(calls.await, [0; 50]);
    assert_eq!(source.loads(), 1);
}

/// Of three callers, whom no error can be shared with, the last one runs the body by itself.
#[tokio::test]
async fn what_runs_without_the_cache_is_not_made_of_what_is_kept_in_memory() {
    let (two, source, before, fails) = (Two::start(&[]).await, Gate::new(), Gate::new(), AtomicU64::new(2));
    assert_eq!(two.deaf.scope(inner(1, &source)).await, 0);
    two.hold_bus();
    two.change(&source).await;
    before.close();
    let call = || two.deaf.scope(failing_over_inner(1, &fails, &before, &source));
    let calls = explain(futures::future::join_all([call(), call(), call()]));
    let (answers, lookups) = futures::join!(calls, async { before.open() }).0;
    let answers: Vec<_> = answers.into_iter().map(Result::ok).collect();
    assert_eq!(answers, [None, None, Some(1)]);
    let by_itself = Outcome::Bypassed(Bypass::SourceFailing);
    assert!(lookups.iter().any(|lookup| lookup.outcome() == by_itself), "{lookups:?}");
}

/// Calls itself while something else is invalidated, of which its process knows only that it may be this.
#[cached(ttl = "1m", key = "itself:<id>")]
async fn itself(id: u64, #[cache(skip)] depth: &AtomicU64) -> u64 {
    if depth.fetch_add(1, Ordering::SeqCst) > 0 {
        return id;
    }
    inner_entry(1).invalidate().await.expect("the server is there");
    Box::pin(itself(id, depth)).await + 1
}

#[cached(ttl = "1m", key = "left:<id>")]
async fn left(id: u64, #[cache(skip)] gate: &Gate) -> u64 {
    gate.load().await;
    Box::pin(right(id, gate)).await + 1
}

#[cached(ttl = "1m", key = "right:<id>")]
async fn right(id: u64, #[cache(skip)] gate: &Gate) -> u64 {
    gate.load().await;
    if gate.loads() > 2 { id } else { Box::pin(left(id, gate)).await + 1 }
}

/// A process with one epoch for all keys: whatever is invalidated overtakes all of its loads, and not their leases.
async fn with_one_epoch(server: &RedisServer) -> Cache {
    process_with(&server.url(), |builder| builder.l1_capacity(1)).await
}

/// Far less than a load may take.
const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_load_that_waits_for_its_own_lease_is_noticed() {
    let server = RedisServer::start();
    let (cache, depth) = (with_one_epoch(&server).await, AtomicU64::new(0));
    let call = tokio::time::timeout(SOON, cache.scope(explain(itself(7, &depth))));
    let (value, lookups) = call.await.expect("it does not wait for itself");
    let outcomes: Vec<_> = lookups.iter().map(cache_runtime::Lookup::outcome).collect();
    assert_eq!((value, &*outcomes), (8, &[Outcome::Bypassed(Bypass::Reentrant), Outcome::Loaded][..]));
}

#[tokio::test]
async fn two_loads_that_wait_for_the_leases_of_each_other_are_noticed() {
    let (server, gate) = (RedisServer::start(), Gate::new());
    let cache = with_one_epoch(&server).await;
    gate.close();
    let calls = cache.scope(explain(async {
        let (mut one, mut other) = (Box::pin(left(7, &gate)), Box::pin(right(7, &gate)));
        gate.wait_for_load(&mut one).await;
        gate.wait_for_load(&mut other).await;
        inner_entry(1).invalidate().await.expect("the server is there");
        gate.open();
        futures::join!(one, other)
    }));
    let ((one, other), lookups) = tokio::time::timeout(SOON, calls).await.expect("neither waits for the other");
    assert!(one >= 7 && other >= 7);
    let noticed = |lookup: &cache_runtime::Lookup| lookup.outcome() == Outcome::Bypassed(Bypass::Reentrant);
    assert!(lookups.iter().any(noticed), "{lookups:?}");
}

/// Nothing is cached of it.
#[derive(Event, Serialize, Deserialize)]
struct Noted {
    id: u64,
}

/// How often one value is loaded that is kept in memory alone, in ten loads that are made of it, between the two fences of
/// this event: its publisher waits for a replica, and there is none.
async fn loads_while_published(event: &impl Event) -> u64 {
    let (server, source) = (RedisServer::start(), Gate::new());
    let waiting = |builder: Builder| builder.min_replicas(1).op_timeout(Duration::from_mins(1));
    let cache = process_with(&server.url(), waiting).await;
    assert_eq!(cache.scope(near(1, &source)).await, 0);
    let mut publishing = cache.publish(event).into_future();
    assert!(futures::poll!(publishing.as_mut()).is_pending(), "it waits");
    for part in 0..10 {
        assert_eq!(cache.scope(over_near(1, part, &source)).await, 0);
    }
    assert!(futures::poll!(publishing.as_mut()).is_pending(), "it still waits");
    source.loads() - 1
}

#[tokio::test]
async fn what_is_kept_in_memory_alone_is_used_while_something_else_is_made_invalid() {
    assert_eq!(loads_while_published(&Noted { id: 1 }).await, 0);
}

#[tokio::test]
async fn what_is_being_made_invalid_is_not_used() {
    assert_eq!(loads_while_published(&Changed { id: 1 }).await, 10);
}

/// What everybody shares, of what this process has in memory alone.
#[cached(ttl = "1m", key = "shared-over-near:<id>:<part>", l1 = off, invalidate_on = "Changed => shared-over-near:<id>:*")]
async fn shared_over_near(id: u64, part: u64, #[cache(skip)] source: &Gate) -> u64 {
    near(id, source).await
}

/// Of a journal that is full, whole functions are swept, while another process goes on loading.
#[tokio::test]
async fn what_is_swept_is_not_made_again_of_what_others_keep_in_memory() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let proxy = FaultProxy::start(server.address()).expect("a port is free");
    // However busy the server is: a sweep that is late is swept again, and who is not told that what it keeps is new loads.
    let patient = |builder: Builder| builder.op_timeout(Duration::from_secs(10));
    let publisher = process_with(&server.url_at(proxy.port()), |builder| patient(builder).journal(0)).await;
    let other = process_with(&server.url(), patient).await;
    let read = async |cache: &Cache| {
        let parts = (0..20).map(|part| cache.scope(shared_over_near(1, part, &source)));
        futures::future::join_all(parts).await
    };
    assert_eq!(read(&other).await, [0; 20]);
    // A sweep takes a while.
    server.cli(&["EVAL", "for i = 1, 100000 do redis.call('SET', 'test:v9:' .. i, 'x') end", "0"]);
    proxy.refuse();
    proxy.all().reset();
    source.commit();
    let receipt = publisher.publish(&Changed { id: 1 }).await.expect("the event is JSON");
    assert_eq!(receipt.delivery(), Delivery::Queued);
    proxy.accept();
    while publisher.health().queued() > 0 {
        read(&other).await;
    }
    assert_eq!(read(&process(&server.url(), &[]).await).await, [1; 20]);
}
