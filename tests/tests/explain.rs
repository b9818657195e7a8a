//! What `explain` lists: every call inside it, and nothing of what goes on without it.

#![expect(unused_variables, reason = "keys are what tells these calls apart")]

use std::sync::Arc;
use std::time::Duration;

use cache_runtime::testing::ManualClock;
use cache_runtime::{Cache, Lookup, Outcome, cached, explain};
use cache_tests::{Gate, cache, eventually};

#[cached(ttl = "1h", key = "inner:<id>")]
async fn inner(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

/// Its load runs in a task of its own, and so does its refresh.
#[cached(ttl = "10s", stale_while_revalidate = "1h", key = "outer:<id>", skip(source))]
async fn outer(id: u64, source: Arc<Gate>) -> u64 {
    let of = source.loads() + 100;
    inner(of, &source).await
}

fn listed(lookups: &[Lookup]) -> Vec<(&str, Outcome)> {
    lookups.iter().map(|lookup| (lookup.key(), lookup.outcome())).collect()
}

#[tokio::test]
async fn inside_another_one_both_list_what_is_called() {
    let (cache, source) = (cache().await, Gate::new());
    let ((), around) = cache
        .scope(explain(async {
            inner(1, &source).await;
            let ((), within) = explain(async {
                inner(2, &source).await;
                let (_, innermost) = explain(inner(1, &source)).await;
                assert_eq!(listed(&innermost), [("inner:1", Outcome::HitL1)]);
            })
            .await;
            assert_eq!(listed(&within), [("inner:2", Outcome::Loaded), ("inner:1", Outcome::HitL1)]);
            inner(2, &source).await;
        }))
        .await;
    let expected = [
        ("inner:1", Outcome::Loaded),
        ("inner:2", Outcome::Loaded),
        ("inner:1", Outcome::HitL1),
        ("inner:2", Outcome::HitL1),
    ];
    assert_eq!(listed(&around), expected);
}

#[tokio::test]
async fn a_load_in_a_task_of_its_own_lists_what_it_calls_and_a_refresh_does_not() {
    let (clock, source) = (ManualClock::new(), Arc::new(Gate::new()));
    let cache = Cache::builder("test").clock(clock.clone()).build().await.expect("nothing contradicts");
    let (_, lookups) = cache.scope(explain(outer(1, Arc::clone(&source)))).await;
    assert_eq!(listed(&lookups), [("inner:100", Outcome::Loaded), ("outer:1", Outcome::Loaded)]);
    clock.advance(Duration::from_mins(1));
    let ((), lookups) = cache
        .scope(explain(async {
            outer(1, Arc::clone(&source)).await;
            eventually(Duration::from_secs(5), async || source.loads() == 2 && cache.loads_in_flight() == 0).await;
            outer(1, Arc::clone(&source)).await;
        }))
        .await;
    assert_eq!(listed(&lookups), [("outer:1", Outcome::Stale), ("outer:1", Outcome::HitL1)]);
}

/// Who has been told all that there was is told no more.
#[tokio::test]
async fn what_ends_later_is_listed_around_it_only() {
    let (cache, source) = (cache().await, Gate::new());
    source.close();
    let ((), around) = cache
        .scope(explain(async {
            let mut begun = Box::pin(inner(1, &source));
            let ((), within) = explain(source.wait_for_load(&mut begun)).await;
            assert_eq!(listed(&within), []);
            source.open();
            begun.await;
        }))
        .await;
    assert_eq!(listed(&around), [("inner:1", Outcome::Loaded)]);
}
