//! `stale_while_revalidate` in one process: values past their ttl are served while one refresh runs, and no longer than
//! that.

#![expect(unused_variables, reason = "keys are what tells these calls apart")]

use std::sync::Arc;
use std::time::Duration;

use cache_runtime::testing::ManualClock;
use cache_runtime::{Cache, Event, Metric, Outcome, cached, explain};
use cache_tests::{Gate, eventually};
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
