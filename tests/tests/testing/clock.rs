//! A clock that is moved by hand over a server that has its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_runtime::testing::{Fault, Fleet, ManualClock};
use cache_runtime::{Builder, Event, Outcome, cached, explain};
use cache_tests::eventually;
use serde::{Deserialize, Serialize};

/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(10);

#[derive(Event, Serialize, Deserialize)]
struct Risen {
    id: u64,
}

#[cached(ttl = "5m", key = "tide:<id>", invalidate_on = "Risen")]
async fn tide(id: u64, #[cache(skip)] source: &AtomicU64) -> u64 {
    let _ = id;
    source.load(Ordering::SeqCst)
}

async fn fleet(processes: usize, clock: &ManualClock, max_staleness: Duration) -> Fleet {
    let set = |builder: Builder| builder.clock(clock.clone()).max_staleness(max_staleness);
    Fleet::start_with(processes, set).await.expect("there is a redis-server")
}

#[tokio::test]
async fn who_hears_nothing_stops_serving_though_its_clock_stands_still() {
    let (clock, source) = (ManualClock::new(), AtomicU64::new(1));
    let fleet = fleet(2, &clock, Duration::from_millis(300)).await;
    for process in [0, 1] {
        assert_eq!(fleet.cache(process).scope(tide(7, &source)).await, 1);
    }
    fleet.proxy(1).named("test:bus").both(Fault::Hold);
    source.store(2, Ordering::SeqCst);
    let told = fleet.cache(0).publish(&Risen { id: 7 }).everywhere(SOON).await;
    told.expect("process 1 loses its right");
    assert_eq!(fleet.cache(1).scope(tide(7, &source)).await, 2);
    assert!(!fleet.cache(1).health().serves_near());
    fleet.proxy(1).heal();
    fleet.all_serve().await.expect("the network is mended");
}

#[tokio::test]
async fn a_clock_that_is_moved_takes_nobody_the_right_to_serve() {
    let (clock, source) = (ManualClock::new(), AtomicU64::new(1));
    let fleet = fleet(1, &clock, Duration::from_mins(1)).await;
    let cache = fleet.cache(0);
    cache.scope(tide(7, &source)).await;
    clock.advance(Duration::from_mins(4));
    assert!(cache.health().serves_near());
    let (_, lookups) = cache.scope(explain(tide(7, &source))).await;
    assert_eq!(lookups[0].outcome(), Outcome::HitL1);
}

#[tokio::test]
async fn what_is_stored_grows_old_on_the_clock_of_the_server() {
    let (clock, source) = (ManualClock::new(), AtomicU64::new(1));
    let fleet = fleet(1, &clock, Duration::from_secs(2)).await;
    let cache = fleet.cache(0);
    cache.scope(tide(7, &source)).await;
    // The server's time is not asked for again.
    fleet.proxy(0).named("test:bus").both(Fault::Hold);
    clock.advance(Duration::from_mins(5));
    let (_, lookups) = cache.scope(explain(tide(7, &source))).await;
    assert_eq!(lookups[0].outcome(), Outcome::HitL2, "its life in this process is over, in the server it is not");
    assert!(lookups[0].age().is_some_and(|age| age < SOON), "{lookups:?}");
    fleet.proxy(0).heal();
    // In this process, the rest of its life begins with the read.
    eventually(SOON, async || {
        let (_, lookups) = cache.scope(explain(tide(7, &source))).await;
        lookups[0].outcome() == Outcome::HitL1
    })
    .await;
    clock.advance(Duration::from_mins(5));
    let (_, lookups) = cache.scope(explain(tide(7, &source))).await;
    assert_eq!(lookups[0].outcome(), Outcome::HitL2);
}
