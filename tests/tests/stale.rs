//! `stale_while_revalidate` in one process: values past their ttl are served while one refresh runs, and no longer than
//! that.

#![expect(unused_variables, reason = "keys are what tells these calls apart")]

use std::sync::Arc;
use std::time::Duration;

use cache_runtime::testing::ManualClock;
use cache_runtime::{Cache, Event, Metric, Outcome, cached, explain};
use cache_tests::{Gate, eventually};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Changed {
    id: u64,
}

#[cached(ttl = "10s", stale_while_revalidate = "30s", key = "value:<id>", invalidate_on = "Changed", skip(source))]
async fn value(id: u64, source: Arc<Gate>) -> u64 {
    source.load().await
}

#[cached(ttl = "10s", stale_while_revalidate = "30s", key = "failing:<id>", skip(source))]
async fn failing(id: u64, source: Arc<Gate>) -> Result<u64, String> {
    match source.load().await {
        1 => Err("the source is down".to_owned()),
        version => Ok(version),
    }
}

#[cached(ttl = "10s", stale_while_revalidate = "30s", key = "follower:<id>", skip(source, turn))]
async fn follower(id: u64, source: Arc<Gate>, turn: Arc<Gate>) -> u64 {
    // Only its refresh calls the one that it is called by.
    if turn.loads() > 0 { boxed_leader(id, source, turn).await } else { 0 }
}

/// Of a type that is known without that of what it calls.
fn boxed_leader(id: u64, source: Arc<Gate>, turn: Arc<Gate>) -> BoxFuture<'static, u64> {
    Box::pin(leader(id, source, turn))
}

#[cached(ttl = "1s", key = "leader:<id>", skip(source, turn))]
async fn leader(id: u64, source: Arc<Gate>, turn: Arc<Gate>) -> u64 {
    turn.load().await;
    let found = follower(id, Arc::clone(&source), turn).await;
    found + 1 + source.load().await
}

#[cached(ttl = "10s", stale_while_revalidate = "30s", key = "missing:<id>", skip(source))]
async fn missing(id: u64, source: Arc<Gate>) -> Option<u64> {
    Some(source.load().await).filter(|version| *version == 0)
}

#[cached(ttl = "10s", stale_while_revalidate = "30s", key = "refused:<id>", store_if = is_first, skip(source))]
async fn refused(id: u64, source: Arc<Gate>) -> u64 {
    source.load().await
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what `store_if` takes")]
fn is_first(version: &u64) -> bool {
    *version == 0
}

struct World {
    cache: Cache,
    clock: ManualClock,
    source: Arc<Gate>,
}

impl World {
    async fn new() -> Self {
        let clock = ManualClock::new();
        let cache = Cache::builder("test").clock(clock.clone()).build().await.expect("nothing contradicts");
        Self { cache, clock, source: Arc::new(Gate::new()) }
    }

    async fn read(&self) -> (u64, Outcome) {
        let (value, lookups) = self.cache.scope(explain(value(1, Arc::clone(&self.source)))).await;
        (value, lookups[0].outcome())
    }

    async fn quiet(&self) {
        eventually(Duration::from_secs(5), async || self.cache.loads_in_flight() == 0).await;
    }
}

#[tokio::test]
async fn a_value_past_its_ttl_is_served_while_one_refresh_runs() {
    let world = World::new().await;
    assert_eq!(world.read().await, (0, Outcome::Loaded));
    world.clock.advance(Duration::from_secs(15));
    world.source.commit();
    world.source.close();
    for _ in 0..100 {
        assert_eq!(world.read().await, (0, Outcome::Stale));
    }
    eventually(Duration::from_secs(5), async || world.source.loads() == 2).await;
    world.source.open();
    world.quiet().await;
    assert_eq!(world.read().await, (1, Outcome::HitL1));
    assert_eq!(world.source.loads(), 2);
    let stats = world.cache.stats().into_iter().find(|stats| stats.name() == "value").expect("it was called");
    assert_eq!(stats.count(Metric::Stale), 100);
}

#[tokio::test]
async fn past_the_stale_time_it_is_loaded() {
    let world = World::new().await;
    world.read().await;
    world.source.commit();
    world.clock.advance(Duration::from_secs(40));
    assert_eq!(world.read().await, (1, Outcome::Loaded));
}

#[tokio::test]
async fn what_is_invalid_is_not_served_as_stale() {
    let world = World::new().await;
    world.read().await;
    world.clock.advance(Duration::from_secs(15));
    world.source.commit();
    world.cache.publish(&Changed { id: 1 }).await.expect("the event is JSON");
    assert_eq!(world.read().await, (1, Outcome::Loaded));
}

#[tokio::test]
async fn a_refresh_that_is_overtaken_is_not_kept() {
    let world = World::new().await;
    world.read().await;
    world.clock.advance(Duration::from_secs(15));
    world.source.close();
    assert_eq!(world.read().await, (0, Outcome::Stale));
    eventually(Duration::from_secs(5), async || world.source.loads() == 2).await;
    world.source.commit();
    world.cache.publish(&Changed { id: 1 }).await.expect("the event is JSON");
    world.source.open();
    world.quiet().await;
    assert_eq!(world.read().await, (1, Outcome::Loaded));
}

#[tokio::test]
async fn a_refresh_that_fails_leaves_the_stale_value() {
    let world = World::new().await;
    let read = || world.cache.scope(failing(1, Arc::clone(&world.source)));
    assert_eq!(read().await, Ok(0));
    world.clock.advance(Duration::from_secs(15));
    world.source.commit();
    assert_eq!(read().await, Ok(0));
    world.quiet().await;
    assert_eq!(read().await, Ok(0), "its refresh failed");
    world.source.commit();
    eventually(Duration::from_secs(5), async || read().await == Ok(2)).await;
}

/// It is not as it was, and what it is by now is not to be kept.
#[tokio::test]
async fn a_refresh_that_finds_nothing_to_keep_ends_the_stale_value() {
    let world = World::new().await;
    let found = || world.cache.scope(missing(1, Arc::clone(&world.source)));
    let kept = || world.cache.scope(refused(1, Arc::clone(&world.source)));
    assert_eq!((found().await, kept().await), (Some(0), 0));
    world.clock.advance(Duration::from_secs(15));
    world.source.commit();
    assert_eq!((found().await, kept().await), (Some(0), 0), "they are served while they are refreshed");
    world.quiet().await;
    assert_eq!((found().await, kept().await), (None, 1));
}

#[tokio::test]
async fn a_refresh_needs_no_caller() {
    let world = World::new().await;
    world.read().await;
    world.clock.advance(Duration::from_secs(15));
    world.source.commit();
    assert_eq!(world.read().await.1, Outcome::Stale);
    eventually(Duration::from_secs(5), async || world.read().await == (1, Outcome::HitL1)).await;
}

#[tokio::test]
async fn what_is_served_past_its_ttl_is_as_old_as_it_is() {
    let world = World::new().await;
    world.read().await;
    world.clock.advance(Duration::from_secs(15));
    world.source.close();
    let (_, lookups) = world.cache.scope(explain(value(1, Arc::clone(&world.source)))).await;
    assert_eq!((lookups[0].outcome(), lookups[0].age()), (Outcome::Stale, Some(Duration::from_secs(15))));
}

/// A load does not wait for the refresh that it has begun, so that may wait for the load.
#[tokio::test]
async fn a_refresh_may_follow_the_load_that_it_was_begun_by() {
    let (world, turn) = (World::new().await, Arc::new(Gate::new()));
    assert_eq!(world.cache.scope(follower(1, Arc::clone(&world.source), Arc::clone(&turn))).await, 0);
    world.clock.advance(Duration::from_secs(15));
    world.source.close();
    let call = leader(1, Arc::clone(&world.source), Arc::clone(&turn));
    let mut load = Box::pin(world.cache.scope(explain(call)));
    world.source.wait_for_load(&mut load).await;
    // The refresh follows, or has found that nothing can be waited for.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    world.source.open();
    assert_eq!(load.await.0, 1);
    world.quiet().await;
    assert_eq!(turn.loads(), 1, "the refresh has the value of the load");
}
