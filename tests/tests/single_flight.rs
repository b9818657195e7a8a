//! P7 in one process: one load per key, whoever leaves, fails or panics; nobody hangs, nobody inherits a cancellation.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_runtime::testing::ManualClock;
use cache_runtime::{Bypass, Cache, Metric, Outcome, cached, explain};
use cache_tests::{Gate, cache};
use futures::FutureExt;
use futures::future::join_all;

const CALLERS: usize = 1_000;

#[cached(ttl = "1h", key = "flight-borrowed:<id>")]
async fn borrowed(id: u64, #[cache(skip)] gate: &Gate) -> u64 {
    id + gate.load().await
}

#[cached(ttl = "1h", key = "flight-owned:<id>")]
async fn owned(id: u64, #[cache(skip)] gate: Arc<Gate>) -> u64 {
    id + gate.load().await
}

/// An error that can be copied, and one that cannot.
#[derive(Clone, Debug, PartialEq)]
struct Refused;

#[cached(ttl = "1h", key = "flight-copied-error:<id>")]
async fn copied_error(id: u64, #[cache(skip)] gate: &Gate) -> Result<u64, Refused> {
    let _ = (id, gate.load().await);
    Err(Refused)
}

#[cached(ttl = "1h", key = "flight-owned-error:<id>")]
async fn owned_error(id: u64, #[cache(skip)] gate: &Gate, #[cache(skip)] fails: &AtomicU64) -> anyhow::Result<u64> {
    gate.load().await;
    match fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
        Ok(_) => anyhow::bail!("the source is down"),
        Err(_) => Ok(id),
    }
}

#[cached(ttl = "1h", key = "flight-panics:<id>")]
async fn panics(id: u64, #[cache(skip)] gate: &Gate, #[cache(skip)] panics: &AtomicU64) -> u64 {
    gate.load().await;
    assert!(panics.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err(), "asked to");
    id
}

#[cached(ttl = "1h", key = "flight-owned-panics:<id>")]
async fn owned_panics(id: u64, #[cache(skip)] gate: Arc<Gate>) -> u64 {
    gate.load().await;
    panic!("asked to {id}");
}

#[tokio::test]
async fn a_thousand_calls_on_a_cold_key_run_the_body_once() {
    let gate = Gate::new();
    gate.close();
    cache()
        .await
        .scope(async {
            let calls = join_all((0..CALLERS).map(|_| borrowed(7, &gate)));
            let (values, ()) = futures::join!(calls, async { gate.open() });
            assert!(values.iter().all(|value| *value == 7));
            assert_eq!(gate.loads(), 1);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_tasks_on_a_cold_key_run_the_body_once() {
    let (cache, gate) = (cache().await, Arc::new(Gate::new()));
    let call = |_| {
        let (cache, gate) = (cache.clone(), Arc::clone(&gate));
        tokio::spawn(async move { cache.scope(owned(7, gate)).await })
    };
    let values = join_all((0..CALLERS).map(call)).await;
    assert!(values.iter().all(|value| matches!(value, Ok(7))));
    assert_eq!(gate.loads(), 1);
    assert_eq!(cache.loads_in_flight(), 0);
}

#[tokio::test]
async fn a_cancelled_leader_hands_over_to_one_of_those_who_wait() {
    let gate = Gate::new();
    gate.close();
    cache()
        .await
        .scope(async {
            let mut leader = Box::pin(borrowed(7, &gate));
            gate.wait_for_load(&mut leader).await;
            let waiters = join_all((0..CALLERS).map(|_| borrowed(7, &gate)));
            let cancel = async {
                drop(leader);
                gate.open();
            };
            let (values, ()) = futures::join!(waiters, cancel);
            assert!(values.iter().all(|value| *value == 7));
            assert_eq!(gate.loads(), 2, "the cancelled load and one more");
        })
        .await;
}

#[tokio::test]
async fn every_leader_may_be_cancelled_in_turn() {
    let gate = Gate::new();
    gate.close();
    cache()
        .await
        .scope(async {
            let mut callers: Vec<_> = (0..50).map(|_| Box::pin(borrowed(7, &gate))).collect();
            while callers.len() > 1 {
                for caller in &mut callers {
                    assert!(futures::poll!(caller).is_pending());
                }
                drop(callers.remove(0));
            }
            gate.open();
            assert_eq!(callers.remove(0).await, 7);
            assert_eq!(gate.loads(), 50);
        })
        .await;
}

#[tokio::test]
async fn an_owned_load_goes_on_when_its_caller_leaves() {
    let gate = Arc::new(Gate::new());
    gate.close();
    cache()
        .await
        .scope(async {
            let mut leader = Box::pin(owned(7, Arc::clone(&gate)));
            gate.wait_for_load(&mut leader).await;
            let waiter = owned(7, Arc::clone(&gate));
            drop(leader);
            gate.open();
            assert_eq!(waiter.await, 7);
            assert_eq!(gate.loads(), 1);
        })
        .await;
}

#[tokio::test]
async fn an_owned_load_is_kept_although_nobody_waits() {
    let gate = Arc::new(Gate::new());
    gate.close();
    let cache = cache().await;
    cache
        .scope(async {
            let mut leader = Box::pin(owned(7, Arc::clone(&gate)));
            gate.wait_for_load(&mut leader).await;
            drop(leader);
            gate.open();
            while cache.loads_in_flight() > 0 {
                tokio::task::yield_now().await;
            }
            let (value, lookups) = explain(owned(7, Arc::clone(&gate))).await;
            assert_eq!((value, lookups[0].outcome()), (7, Outcome::HitL1));
        })
        .await;
}

#[tokio::test]
async fn an_error_goes_to_those_who_wait_now_and_is_not_kept() {
    let gate = Gate::new();
    gate.close();
    cache()
        .await
        .scope(async {
            let calls = join_all((0..CALLERS).map(|_| copied_error(7, &gate)));
            let (results, ()) = futures::join!(calls, async { gate.open() });
            assert!(results.iter().all(|result| *result == Err(Refused)));
            assert_eq!(gate.loads(), 1);
            assert_eq!(copied_error(7, &gate).await, Err(Refused));
            assert_eq!(gate.loads(), 2, "errors are never kept");
        })
        .await;
}

/// A thousand wait for a load that fails with an error that cannot be copied, and so do the next `more`.
async fn failing(more: u64) -> (usize, u64) {
    let (gate, fails) = (Gate::new(), AtomicU64::new(1 + more));
    gate.close();
    cache()
        .await
        .scope(async {
            let calls = join_all((0..CALLERS).map(|_| owned_error(7, &gate, &fails)));
            let (results, ()) = futures::join!(calls, async { gate.open() });
            (results.iter().filter(|result| result.is_ok()).count(), gate.loads())
        })
        .await
}

#[tokio::test]
async fn after_an_error_that_cannot_be_copied_one_caller_tries_again_for_all() {
    assert_eq!(failing(0).await, (CALLERS - 1, 2));
}

#[tokio::test]
async fn after_a_second_one_nobody_waits_in_line() {
    let (served, loads) = failing(u64::MAX / 2).await;
    assert_eq!((served, loads), (0, CALLERS as u64), "each gets an error of its own, all at once");
}

#[tokio::test]
async fn a_failing_source_is_asked_by_all_at_the_same_time() {
    let (gate, fails) = (Gate::new(), AtomicU64::new(u64::MAX / 2));
    gate.close();
    cache()
        .await
        .scope(async {
            let mut calls: Vec<_> = (0..CALLERS).map(|_| Box::pin(owned_error(7, &gate, &fails))).collect();
            for waves in [1, 1, CALLERS as u64 - 2] {
                let before = gate.loads();
                let mut ended = 0;
                for call in &mut calls {
                    ended += usize::from(futures::poll!(call).is_ready());
                }
                assert_eq!((gate.loads() - before, ended), (waves, 0), "no convoy: two tries, then everybody");
                if waves > 1 {
                    break;
                }
                gate.let_through(1);
                let mut leader = None;
                for (place, call) in calls.iter_mut().enumerate() {
                    if leader.is_none() && futures::poll!(call).is_ready() {
                        leader = Some(place);
                    }
                }
                drop(calls.remove(leader.expect("the leader got its error")));
            }
        })
        .await;
}

#[tokio::test]
async fn a_panic_reaches_its_own_caller_only() {
    let (gate, asked) = (Gate::new(), AtomicU64::new(1));
    gate.close();
    cache()
        .await
        .scope(async {
            let call = |_| std::panic::AssertUnwindSafe(panics(7, &gate, &asked)).catch_unwind();
            let calls = join_all((0..CALLERS).map(call));
            let (results, ()) = futures::join!(calls, async { gate.open() });
            assert_eq!(results.iter().filter(|result| result.is_err()).count(), 1);
            assert_eq!(gate.loads(), 2, "the load that panicked and one more for all");
        })
        .await;
}

#[tokio::test]
async fn a_panic_of_a_detached_load_reaches_its_caller() {
    let gate = Arc::new(Gate::new());
    cache()
        .await
        .scope(async {
            let panic = std::panic::AssertUnwindSafe(owned_panics(7, gate)).catch_unwind().await.expect_err("panics");
            assert_eq!(panic.downcast_ref::<String>().map(String::as_str), Some("asked to 7"));
        })
        .await;
}

#[cached(ttl = "1h", key = "flight-itself:<id>")]
async fn calls_itself(id: u64, #[cache(skip)] depth: &AtomicU64) -> u64 {
    if depth.fetch_add(1, Ordering::SeqCst) == 0 { Box::pin(calls_itself(id, depth)).await + 1 } else { id }
}

#[tokio::test]
async fn a_key_inside_its_own_load_is_noticed() {
    let (value, lookups) = explain(async { cache().await.scope(calls_itself(7, &AtomicU64::new(0))).await }).await;
    assert_eq!(value, 8);
    let outcomes: Vec<_> = lookups.iter().map(cache_runtime::Lookup::outcome).collect();
    assert_eq!(outcomes, [Outcome::Bypassed(Bypass::Reentrant), Outcome::Loaded], "as they end");
}

#[cached(ttl = "1h", key = "flight-left:<id>")]
async fn left(id: u64, #[cache(skip)] gate: &Gate) -> u64 {
    gate.load().await;
    Box::pin(right(id, gate)).await + 1
}

#[cached(ttl = "1h", key = "flight-right:<id>")]
async fn right(id: u64, #[cache(skip)] gate: &Gate) -> u64 {
    gate.load().await;
    if gate.loads() > 2 { id } else { Box::pin(left(id, gate)).await + 1 }
}

#[tokio::test]
async fn two_loads_that_wait_for_each_other_are_noticed() {
    let gate = Gate::new();
    gate.close();
    let cache = cache().await;
    let calls = cache.scope(async {
        let (mut one, mut other) = (Box::pin(left(7, &gate)), Box::pin(right(7, &gate)));
        gate.wait_for_load(&mut one).await;
        gate.wait_for_load(&mut other).await;
        // Now each leads its own key and, once let through, wants the other's.
        gate.open();
        let (one, other) = futures::join!(one, other);
        assert!(one >= 7 && other >= 7);
    });
    let ((), lookups) = explain(calls).await;
    let noticed = |lookup: &cache_runtime::Lookup| lookup.outcome() == Outcome::Bypassed(Bypass::Reentrant);
    assert!(lookups.iter().any(noticed), "only the load timeout ended it: {lookups:?}");
}

#[cached(ttl = "1h", key = "flight-ping:<id>")]
async fn ping(id: u64, #[cache(skip)] other: &Cache, #[cache(skip)] gate: &Gate) -> u64 {
    gate.load().await;
    other.scope(Box::pin(pong(id, &Cache::current(), gate))).await + 1
}

#[cached(ttl = "1h", key = "flight-pong:<id>")]
async fn pong(id: u64, #[cache(skip)] other: &Cache, #[cache(skip)] gate: &Gate) -> u64 {
    gate.load().await;
    if gate.loads() > 2 { id } else { other.scope(Box::pin(ping(id, &Cache::current(), gate))).await + 1 }
}

#[tokio::test]
async fn two_loads_of_two_caches_that_wait_for_each_other_are_noticed() {
    let (one, other, gate) = (cache().await, cache().await, Gate::new());
    gate.close();
    let ((), lookups) = explain(async {
        let (mut of_one, mut of_other) =
            (Box::pin(one.scope(ping(7, &other, &gate))), Box::pin(other.scope(pong(7, &one, &gate))));
        gate.wait_for_load(&mut of_one).await;
        gate.wait_for_load(&mut of_other).await;
        gate.open();
        let (one, other) = futures::join!(of_one, of_other);
        assert!(one >= 7 && other >= 7);
    })
    .await;
    let noticed = |lookup: &cache_runtime::Lookup| lookup.outcome() == Outcome::Bypassed(Bypass::Reentrant);
    assert!(lookups.iter().any(noticed), "only the load timeout ended it: {lookups:?}");
}

/// What a call tells of itself once it has ended, and not before.
#[tokio::test]
async fn a_load_is_listed_when_it_has_ended() {
    let ((cache, clock), gate) = (with_clock().await, Arc::new(Gate::new()));
    gate.close();
    let calls = cache.scope(async {
        let mut detached = Box::pin(owned(7, Arc::clone(&gate)));
        gate.wait_for_load(&mut detached).await;
        let mut lent = Box::pin(borrowed(7, &gate));
        gate.wait_for_load(&mut lent).await;
        let mut dropped = Box::pin(borrowed(8, &gate));
        gate.wait_for_load(&mut dropped).await;
        drop(dropped);
        clock.advance(Duration::from_millis(300));
        gate.open();
        (detached.await, lent.await)
    });
    let (values, lookups) = explain(calls).await;
    assert_eq!(values, (7, 7));
    let listed: Vec<_> = lookups.iter().map(|lookup| (lookup.key(), lookup.outcome(), lookup.took())).collect();
    let took = Duration::from_millis(300);
    let expected = ["flight-owned:7", "flight-borrowed:7"].map(|key| (key, Outcome::Loaded, took));
    assert_eq!(listed, expected);
}

async fn with_clock() -> (Cache, ManualClock) {
    let clock = ManualClock::new();
    let cache = Cache::builder("test").clock(clock.clone()).build().await.expect("no contradictions");
    (cache, clock)
}

#[cached(ttl = "1h", key = "flight-hung:<id>", load_timeout = "2s")]
async fn hung(id: u64, #[cache(skip)] gate: &Gate) -> u64 {
    id + gate.load().await
}

#[tokio::test]
async fn a_hung_load_loses_its_key_after_its_timeout_and_its_late_value_is_refused() {
    let ((cache, clock), gate) = (with_clock().await, Gate::new());
    gate.close();
    let scope = cache.clone();
    scope
        .scope(async {
            let mut leader = Box::pin(hung(7, &gate));
            gate.wait_for_load(&mut leader).await;
            clock.advance(Duration::from_secs(1));
            let mut waiter = Box::pin(hung(7, &gate));
            assert!(futures::poll!(&mut waiter).is_pending());
            clock.advance(Duration::from_millis(999));
            assert!(futures::poll!(&mut waiter).is_pending());
            assert_eq!(gate.loads(), 1, "the timeout counts from the load's beginning, and is not over");
            clock.advance(Duration::from_millis(1));
            gate.commit();
            assert!(futures::poll!(&mut waiter).is_pending());
            assert_eq!(gate.loads(), 2, "the waiter loads");
            gate.open();
            assert_eq!((leader.await, waiter.await), (7, 8));
            assert_eq!(hung(7, &gate).await, 8, "the late value was not kept");
        })
        .await;
}

#[tokio::test]
async fn a_hung_load_is_counted_once_however_many_follow_it() {
    let ((cache, clock), gate) = (with_clock().await, Gate::new());
    gate.close();
    let calls = cache.scope(async {
        let mut leader = Box::pin(hung(7, &gate));
        gate.wait_for_load(&mut leader).await;
        let mut waiters = Box::pin(join_all((0..10).map(|_| hung(7, &gate))));
        assert!(futures::poll!(&mut waiters).is_pending());
        clock.advance(Duration::from_secs(2));
        assert!(futures::poll!(&mut waiters).is_pending());
        assert_eq!(gate.loads(), 2, "one of them loads again");
        gate.open();
        futures::join!(leader, waiters)
    });
    assert_eq!(calls.await, (7, vec![7; 10]));
    let hung = cache.stats().into_iter().find(|stats| stats.name() == "hung").expect("it was called");
    assert_eq!(hung.count(Metric::LoadTimeout), 1);
}

#[cached(ttl = "1h", key = "flight-given-up:<id>", load_timeout = "2s")]
async fn given_up(id: u64, #[cache(skip)] gate: Arc<Gate>) -> u64 {
    id + gate.load().await
}

#[tokio::test]
async fn a_hung_detached_load_that_nobody_waits_for_is_given_up() {
    let ((cache, clock), gate) = (with_clock().await, Arc::new(Gate::new()));
    gate.close();
    cache
        .scope(async {
            let mut leader = Box::pin(given_up(7, Arc::clone(&gate)));
            gate.wait_for_load(&mut leader).await;
            drop(leader);
            let held = Arc::strong_count(&gate);
            clock.advance(Duration::from_secs(2));
            while cache.loads_in_flight() > 0 {
                tokio::task::yield_now().await;
            }
            assert!(Arc::strong_count(&gate) < held, "the load and its arguments were dropped");
        })
        .await;
}

#[test]
fn a_detached_load_outlives_the_runtime_that_ran_it() {
    let gate = Arc::new(Gate::new());
    gate.close();
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
    let (first, second) = (runtime(), runtime());
    let cache = second.block_on(cache());
    let mut call = Box::pin({
        let (cache, gate) = (cache.clone(), Arc::clone(&gate));
        async move { cache.scope(owned(7, gate)).await }
    });
    first.block_on(gate.wait_for_load(&mut call));
    first.shutdown_background();
    gate.open();
    assert_eq!(second.block_on(call), 7);
}

#[test]
fn a_cached_function_works_without_a_runtime() {
    let gate = Arc::new(Gate::new());
    let value = futures::executor::block_on(async { cache().await.scope(owned(7, Arc::clone(&gate))).await });
    assert_eq!(value, 7);
}
