//! How to test a service whose functions are cached: each test has a cache of its own, moves the
//! clock by hand, and asks what every call did.
//!
//! The checks at the end are the tests; in your crate they stand under `#[cfg(test)]`, each with
//! `#[tokio::test]`. Here `main` runs the same ones.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use cache_runtime::testing::ManualClock;
use cache_runtime::{Cache, Delivery, Event, Outcome, cached, emits, explain};
use serde::{Deserialize, Serialize};

// The service.

/// The exchange rate of a currency has changed.
#[derive(Event, Serialize, Deserialize)]
struct RateChanged {
    currency: String,
}

/// What stands for the database; it counts how often it is read.
#[derive(Default)]
struct Rates {
    cents: Mutex<BTreeMap<String, u32>>,
    reads: AtomicU32,
}

#[cached(ttl = "5m", key = "rate:<currency>", invalidate_on = "RateChanged")]
async fn rate(currency: &str, #[cache(skip)] rates: &Rates) -> Result<u32, UnknownCurrency> {
    rates.reads.fetch_add(1, Ordering::SeqCst);
    rates.cents().get(currency).copied().ok_or(UnknownCurrency)
}

#[emits(RateChanged { currency: currency.to_owned() })]
async fn set_rate(currency: &str, cents: u32, rates: &Rates) -> Result<(), UnknownCurrency> {
    *rates.cents().get_mut(currency).ok_or(UnknownCurrency)? = cents;
    Ok(())
}

#[derive(Debug, PartialEq)]
struct UnknownCurrency;

impl Rates {
    fn of_the_day() -> Self {
        Self { cents: Mutex::new(BTreeMap::from([("EUR".into(), 108)])), ..Self::default() }
    }

    fn cents(&self) -> MutexGuard<'_, BTreeMap<String, u32>> {
        self.cents.lock().expect("nobody panics with the rates in hand")
    }
}

// Its tests.

/// What a test needs: a cache that no other test sees, the clock it lives by, and data.
async fn fresh() -> (Cache, ManualClock, Rates) {
    let clock = ManualClock::new();
    let cache = Cache::builder("test").clock(clock.clone()).build().await;
    (cache.expect("a cache without a server needs nothing"), clock, Rates::of_the_day())
}

/// What the cache did for one call.
async fn outcome_of<T>(call: impl Future<Output = T>) -> Outcome {
    let (_, lookups) = explain(call).await;
    lookups[0].outcome()
}

#[cfg_attr(test, tokio::test)]
async fn a_rate_is_read_once() {
    let (cache, _, rates) = fresh().await;
    let inside = cache.scope(async {
        assert_eq!(outcome_of(rate("EUR", &rates)).await, Outcome::Loaded);
        assert_eq!(outcome_of(rate("EUR", &rates)).await, Outcome::HitL1);
    });
    inside.await;
    assert_eq!(rates.reads.load(Ordering::SeqCst), 1);
}

#[cfg_attr(test, tokio::test)]
async fn a_rate_is_kept_for_five_minutes() {
    let (cache, clock, rates) = fresh().await;
    let inside = cache.scope(async {
        assert_eq!(outcome_of(rate("EUR", &rates)).await, Outcome::Loaded);
        clock.advance(Duration::from_secs(299));
        assert_eq!(outcome_of(rate("EUR", &rates)).await, Outcome::HitL1);
        clock.advance(Duration::from_secs(1));
        assert_eq!(outcome_of(rate("EUR", &rates)).await, Outcome::Loaded);
    });
    inside.await;
}

#[cfg_attr(test, tokio::test)]
async fn a_new_rate_is_seen_at_once() {
    let (cache, _, rates) = fresh().await;
    let inside = cache.scope(async {
        assert_eq!(rate("EUR", &rates).await, Ok(108));
        assert_eq!(set_rate("EUR", 117, &rates).await, Ok(()));
        assert_eq!(rate("EUR", &rates).await, Ok(117));
    });
    inside.await;
}

#[cfg_attr(test, tokio::test)]
async fn a_failure_ends_nothing_and_is_not_kept() {
    let (cache, _, rates) = fresh().await;
    let inside = cache.scope(async {
        assert_eq!(rate("XXX", &rates).await, Err(UnknownCurrency));
        assert_eq!(set_rate("XXX", 1, &rates).await, Err(UnknownCurrency));
        assert_eq!(outcome_of(rate("XXX", &rates)).await, Outcome::Loaded);
    });
    inside.await;
}

/// A test that only needs a value in its place puts it there.
#[cfg_attr(test, tokio::test)]
async fn a_test_may_put_a_value() {
    let (cache, _, rates) = fresh().await;
    let inside = cache.scope(async {
        let put = rate_entry("EUR").put(99).await;
        assert!(put.is_ok_and(|receipt| receipt.delivery() == Delivery::Applied));
        assert_eq!(rate("EUR", &rates).await, Ok(99));
    });
    inside.await;
    assert_eq!(rates.reads.load(Ordering::SeqCst), 0);
}

#[cfg(not(test))]
#[tokio::main]
async fn main() {
    a_rate_is_read_once().await;
    println!("a rate is read once");
    a_rate_is_kept_for_five_minutes().await;
    println!("a rate is kept for five minutes");
    a_new_rate_is_seen_at_once().await;
    println!("a new rate is seen at once");
    a_failure_ends_nothing_and_is_not_kept().await;
    println!("a failure ends nothing and is not kept");
    a_test_may_put_a_value().await;
    println!("a test may put a value");
}
