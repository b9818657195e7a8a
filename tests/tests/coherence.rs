//! P1 in one process: after an invalidation returned, no call that begins later is answered with a value whose load
//! began before. By key, by event, by group and by put; while the load runs, and after.

use cache_runtime::testing::Rule;
use cache_runtime::{Cache, Event, cached};
use cache_tests::{Gate, cache, cache_without};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct StockChanged {
    shop: u64,
    item: u64,
}

#[derive(Event, Serialize, Deserialize)]
struct ShopClosed {
    shop: u64,
}

#[cached(
    ttl = "1h",
    key = "coherence-stock:<shop>:<item>",
    invalidate_on = ["StockChanged", "ShopClosed => coherence-stock:<shop>:*"]
)]
async fn stock(shop: u64, item: u64, #[cache(skip)] source: &Gate) -> u64 {
    let _ = (shop, item);
    source.load().await
}

/// How a value becomes invalid.
#[derive(Clone, Copy, Debug)]
enum By {
    Key,
    Event,
    Group,
}

async fn invalidate(cache: &Cache, by: By) {
    let receipt = match by {
        By::Key => stock_entry(1, 2).within(cache).invalidate().await,
        By::Event => cache.publish(&StockChanged { shop: 1, item: 2 }).await,
        By::Group => cache.publish(&ShopClosed { shop: 1 }).await,
    };
    assert_eq!(receipt.expect("an embedded cache invalidates at once").invalidated(), 1);
}

/// A load is overtaken: it reads version 0, version 1 is committed and invalidated, the load ends, a later call reads.
/// Returns what the overtaken call and the later one got.
async fn overtaken(cache: Cache, by: By) -> (u64, u64) {
    let source = Gate::new();
    source.close();
    let scope = cache.clone();
    let reads = scope.scope(async {
        let mut early = Box::pin(stock(1, 2, &source));
        source.wait_for_load(&mut early).await;
        source.commit();
        invalidate(&cache, by).await;
        source.open();
        let early = early.await;
        (early, stock(1, 2, &source).await)
    });
    reads.await
}

#[tokio::test]
async fn an_overtaken_load_is_not_kept() {
    for by in [By::Key, By::Event, By::Group] {
        assert_eq!(overtaken(cache().await, by).await, (0, 1), "{by:?}");
    }
}

#[tokio::test]
async fn without_detach_and_fence_it_is() {
    for by in [By::Key, By::Event, By::Group] {
        assert_eq!(overtaken(cache_without(&[Rule::Detach, Rule::Fence]).await, by).await, (0, 0), "{by:?}");
    }
}

/// A caller that comes after the invalidation, while the overtaken load still runs. Returns what it got.
async fn later_caller(cache: Cache, by: By) -> u64 {
    let source = Gate::new();
    source.close();
    let scope = cache.clone();
    let read = scope.scope(async {
        let mut early = Box::pin(stock(1, 2, &source));
        source.wait_for_load(&mut early).await;
        source.commit();
        invalidate(&cache, by).await;
        let mut later = Box::pin(stock(1, 2, &source));
        assert!(futures::poll!(&mut later).is_pending());
        source.open();
        let (_, later) = futures::join!(early, later);
        later
    });
    read.await
}

#[tokio::test]
async fn a_later_caller_does_not_join_an_overtaken_load() {
    for by in [By::Key, By::Event, By::Group] {
        assert_eq!(later_caller(cache().await, by).await, 1, "{by:?}");
    }
}

#[tokio::test]
async fn without_detach_it_does() {
    for by in [By::Key, By::Event, By::Group] {
        assert_eq!(later_caller(cache_without(&[Rule::Detach]).await, by).await, 0, "{by:?}");
    }
}

#[tokio::test]
async fn what_was_kept_before_is_not_served_after() {
    let (cache, source) = (cache().await, Gate::new());
    let scope = cache.clone();
    scope
        .scope(async {
            for (round, by) in (1..).zip([By::Key, By::Event, By::Group]) {
                let before = stock(1, 2, &source).await;
                assert_eq!(before, stock(1, 2, &source).await);
                source.commit();
                assert_eq!(before, stock(1, 2, &source).await, "nothing was invalidated yet");
                invalidate(&cache, by).await;
                assert_eq!(stock(1, 2, &source).await, round, "{by:?}");
            }
        })
        .await;
}

#[tokio::test]
async fn a_group_spares_its_neighbours() {
    let (cache, source) = (cache().await, Gate::new());
    let scope = cache.clone();
    scope
        .scope(async {
            stock(1, 2, &source).await;
            stock(3, 2, &source).await;
            cache.publish(&ShopClosed { shop: 1 }).await.expect("published");
            assert!(stock_entry(1, 2).peek().await.expect("peeked").is_none());
            assert!(stock_entry(3, 2).peek().await.expect("peeked").is_some());
        })
        .await;
}

#[tokio::test]
async fn a_put_beats_the_loads_that_began_before_it() {
    let (cache, source) = (cache().await, Gate::new());
    source.close();
    let scope = cache.clone();
    scope
        .scope(async {
            let mut early = Box::pin(stock(1, 2, &source));
            source.wait_for_load(&mut early).await;
            stock_entry(1, 2).put(77).await.expect("put");
            assert_eq!(stock(1, 2, &source).await, 77);
            source.open();
            assert_eq!(early.await, 0, "its read began before the put");
            assert_eq!(stock(1, 2, &source).await, 77, "the overtaken load was not kept");
        })
        .await;
}

#[tokio::test]
async fn a_put_is_invalidated_like_a_load() {
    let (cache, source) = (cache().await, Gate::new());
    let scope = cache.clone();
    scope
        .scope(async {
            for by in [By::Key, By::Event, By::Group] {
                stock_entry(1, 2).put(77).await.expect("put");
                assert_eq!(stock(1, 2, &source).await, 77);
                invalidate(&cache, by).await;
                assert_eq!(stock(1, 2, &source).await, 0, "{by:?}");
            }
        })
        .await;
}

#[tokio::test]
async fn a_write_hot_key_is_loaded_after_three_lost_flights() {
    let rounds = |cache: Cache| async move {
        let source = Gate::new();
        let scope = cache.clone();
        scope
            .scope(async {
                let mut rounds = 0;
                source.close();
                let mut leader = Box::pin(stock(1, 2, &source));
                source.wait_for_load(&mut leader).await;
                let mut waiter = Box::pin(stock(1, 2, &source));
                assert!(futures::poll!(&mut waiter).is_pending());
                // Each round: the flight is overtaken, and another caller leads the next one before the waiter wakes.
                while rounds < 10 {
                    rounds += 1;
                    invalidate(&cache, By::Key).await;
                    let mut next = Box::pin(stock(1, 2, &source));
                    assert!(futures::poll!(&mut next).is_pending());
                    let loads = source.loads();
                    source.let_through(1);
                    leader.await;
                    leader = next;
                    assert!(futures::poll!(&mut waiter).is_pending());
                    if source.loads() > loads {
                        break; // the waiter began to load for itself
                    }
                }
                source.open();
                futures::join!(leader, waiter);
                rounds
            })
            .await
    };
    assert_eq!(rounds(cache().await).await, 3);
    assert_eq!(rounds(cache_without(&[Rule::BoundedRetries]).await).await, 10);
}
