//! Events: `#[emits]` publishes after `Ok` and never otherwise; plain subscribers see what was published.

use cache_runtime::{Cache, Delivery, Event, cached, emits};
use cache_tests::{Gate, cache};
use futures::{FutureExt, StreamExt};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Event, Serialize, Deserialize)]
struct Renamed {
    id: u64,
    name: String,
}

#[cached(ttl = "1h", key = "events-name:<id>", invalidate_on = "Renamed")]
async fn name(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    let _ = id;
    source.load().await
}

/// How a writer ends.
#[derive(Clone, Copy)]
enum End {
    Ok,
    Err,
    Panic,
    Never,
}

#[emits(Renamed { id, name: format!("{name}{result}") })]
async fn rename(id: u64, name: &str, end: End) -> Result<u64, String> {
    let _ = (id, name);
    match end {
        End::Ok => Ok(3),
        End::Err => Err("refused".to_owned()),
        End::Panic => panic!("asked to"),
        End::Never => std::future::pending().await,
    }
}

async fn after(end: End) -> (bool, Vec<Renamed>) {
    let (cache, source) = (cache().await, Gate::new());
    let mut events = cache.subscribe::<Renamed>();
    let kept = cache
        .scope(async {
            name(7, &source).await;
            let write = std::panic::AssertUnwindSafe(rename(7, "x", end)).catch_unwind();
            let _cancelled_when_never = write.now_or_never();
            name_entry(7).peek().await.expect("peeked").is_some()
        })
        .await;
    let mut seen = Vec::new();
    while let Some(Some(event)) = events.next().now_or_never() {
        seen.push(Renamed { id: event.id, name: event.name.clone() });
    }
    (kept, seen)
}

#[tokio::test]
async fn an_event_is_published_after_ok() {
    assert_eq!(after(End::Ok).await, (false, vec![Renamed { id: 7, name: "x3".to_owned() }]));
}

#[tokio::test]
async fn no_event_is_published_after_an_error_a_panic_or_a_cancellation() {
    for end in [End::Err, End::Panic, End::Never] {
        assert_eq!(after(end).await, (true, Vec::new()));
    }
}

#[tokio::test]
async fn a_receipt_says_what_was_invalidated() {
    let cache = cache().await;
    let receipt = cache.publish(&Renamed { id: 7, name: String::new() }).await.expect("published");
    assert_eq!((receipt.delivery(), receipt.invalidated()), (Delivery::Applied, 1));
    let receipt = cache.publish(&Unheard {}).everywhere(std::time::Duration::from_secs(1)).await.expect("published");
    assert_eq!(receipt.invalidated(), 0, "no function listens");
}

#[derive(Event, Serialize, Deserialize)]
struct Unheard {}

#[tokio::test]
async fn subscribers_see_events_in_order_and_each_sees_all() {
    let cache = cache().await;
    let (mut one, mut other) = (cache.subscribe::<Renamed>(), cache.subscribe::<Renamed>());
    for id in 0..3 {
        cache.publish(&Renamed { id, name: String::new() }).await.expect("published");
    }
    for id in 0..3 {
        assert_eq!(one.recv().await.expect("published").id, id);
        assert_eq!(other.next().await.expect("published").id, id);
    }
    assert!(one.recv().now_or_never().is_none());
}

#[tokio::test]
async fn a_subscriber_that_is_too_slow_is_told() {
    let cache = cache().await;
    let mut slow = cache.subscribe::<Renamed>();
    for id in 0..2_000 {
        cache.publish(&Renamed { id, name: String::new() }).await.expect("published");
    }
    assert_eq!(slow.recv().await.expect("published").id, 2_000 - 1_024);
    assert_eq!(slow.missed(), 2_000 - 1_024);
}

/// Events of a mebibyte each, from whoever they are, do not wait by the gigabyte.
#[tokio::test]
async fn a_subscriber_that_is_too_slow_for_large_events_keeps_a_few() {
    let cache = cache().await;
    let (mut slow, mut fast) = (cache.subscribe::<Renamed>(), cache.subscribe::<Renamed>());
    for id in 0..40 {
        cache.publish(&Renamed { id, name: "x".repeat(1 << 20) }).await.expect("published");
        assert_eq!(fast.recv().await.expect("published").id, id);
    }
    // Of 16 MiB with their names, 15.
    assert_eq!(slow.recv().await.expect("published").id, 40 - 15);
    assert_eq!((slow.missed(), fast.missed()), (40 - 15, 0));
    // What is read is not held on to, and one is never too large.
    cache.publish(&Renamed { id: 40, name: "x".repeat(20 << 20) }).await.expect("published");
    assert_eq!(slow.recv().await.expect("published").id, 40);
    assert_eq!(slow.missed(), 40 - 1);
}

#[tokio::test]
async fn a_subscription_ends_with_its_cache() {
    let cache = cache().await;
    let mut events = cache.subscribe::<Renamed>();
    drop(cache);
    assert!(events.recv().await.is_none());
}

/// An event that cannot be serialised.
#[derive(Event, Deserialize)]
struct Broken {
    id: u64,
}

impl Serialize for Broken {
    fn serialize<S: serde::Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom(format!("{} cannot be written", self.id)))
    }
}

#[cached(ttl = "1h", key = "events-broken:<id>", invalidate_on = "Broken")]
async fn broken(id: u64) -> u64 {
    id
}

#[tokio::test]
async fn an_event_that_cannot_be_serialised_invalidates_and_is_an_error_to_its_publisher() {
    let cache: Cache = cache().await;
    cache.scope(broken(7)).await;
    assert!(cache.publish(&Broken { id: 7 }).await.is_ok(), "nobody wants a copy");
    cache.scope(broken(7)).await;
    let _events = cache.subscribe::<Broken>();
    let error = cache.publish(&Broken { id: 7 }).await.expect_err("a copy is wanted");
    assert_eq!(error.to_string(), "the event cannot be serialised: 7 cannot be written");
    assert!(broken_entry(7).within(&cache).peek().await.expect("peeked").is_none());
}
