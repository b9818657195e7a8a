//! P8: nothing is served past what the attribute says, on a clock that the test moves. And what is not kept at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_runtime::testing::ManualClock;
use cache_runtime::{Cache, Metric, Outcome, cached, explain};

#[derive(Default)]
struct Source(AtomicU64);

impl Source {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

async fn with_clock() -> (Cache, ManualClock) {
    let clock = ManualClock::new();
    let cache = Cache::builder("test").clock(clock.clone()).seed(7).build().await.expect("no contradictions");
    (cache, clock)
}

const SECOND: Duration = Duration::from_secs(1);

#[cached(ttl = "10s", key = "life-plain:<id>")]
async fn plain(id: u64, #[cache(skip)] source: &Source) -> u64 {
    let _ = id;
    source.next()
}

#[cached(ttl = "100s", jitter = 20, key = "life-jitter:<id>")]
async fn jittered(id: u64, #[cache(skip)] source: &Source) -> u64 {
    let _ = id;
    source.next()
}

#[cached(ttl = "1h", key = "life-l1:<id>", l1 = "10s")]
async fn short_l1(id: u64, #[cache(skip)] source: &Source) -> u64 {
    let _ = id;
    source.next()
}

#[cached(ttl = "1h", key = "life-off:<id>", l1 = off)]
async fn no_l1(id: u64, #[cache(skip)] source: &Source) -> u64 {
    let _ = id;
    source.next()
}

#[cached(ttl = "1h", key = "life-none:<id>")]
async fn absent(id: u64, #[cache(skip)] source: &Source) -> Result<Option<u64>, String> {
    let _ = id;
    Ok((source.next() > 1).then_some(9))
}

#[cached(ttl = "1h", key = "life-none-behind:<id>")]
async fn absent_behind_an_arc(id: u64, #[cache(skip)] source: &Source) -> Result<Arc<Option<u64>>, String> {
    let _ = id;
    Ok(Arc::new((source.next() > 1).then_some(9)))
}

#[cached(ttl = "1h", key = "life-negative-behind:<id>", negative_ttl = "5s")]
async fn absent_behind_an_arc_for_a_while(id: u64, #[cache(skip)] source: &Source) -> Arc<Option<u64>> {
    let _ = id;
    Arc::new((source.next() > 0).then_some(9))
}

#[cached(ttl = "1h", key = "life-negative:<id>", negative_ttl = "5s")]
async fn absent_for_a_while(id: u64, #[cache(skip)] source: &Source) -> Option<u64> {
    let _ = id;
    (source.next() > 0).then_some(9)
}

#[cached(ttl = "1h", key = "life-veto:<id>", store_if = is_even)]
async fn even_only(id: u64, #[cache(skip)] source: &Source) -> Result<u64, String> {
    let _ = id;
    Ok(source.next())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what `store_if` takes")]
fn is_even(value: &u64) -> bool {
    value.is_multiple_of(2)
}

#[tokio::test]
async fn a_value_is_served_until_its_ttl_and_not_at_it() {
    let ((cache, clock), source) = (with_clock().await, Source::default());
    cache
        .scope(async {
            assert_eq!(plain(1, &source).await, 0);
            clock.advance(Duration::from_millis(9_999));
            let (value, lookups) = explain(plain(1, &source)).await;
            assert_eq!((value, lookups[0].outcome()), (0, Outcome::HitL1));
            assert_eq!(lookups[0].age(), Some(Duration::from_millis(9_999)));
            clock.advance(Duration::from_millis(1));
            assert_eq!(plain(1, &source).await, 1);
        })
        .await;
}

#[tokio::test]
async fn a_hit_does_not_prolong_life() {
    let ((cache, clock), source) = (with_clock().await, Source::default());
    cache
        .scope(async {
            for second in 0..100 {
                assert_eq!(plain(1, &source).await, second / 10);
                clock.advance(SECOND);
            }
        })
        .await;
}

#[tokio::test]
async fn jitter_only_shortens() {
    let ((cache, clock), source) = (with_clock().await, Source::default());
    cache
        .scope(async {
            for id in 0..200 {
                jittered(id, &source).await;
            }
            let mut remaining = Vec::new();
            for id in 0..200 {
                let peek = jittered_entry(id).peek().await.expect("peeked").expect("kept");
                remaining.push(peek.remaining().as_secs());
                assert!(peek.age() < SECOND / 2, "{:?}", peek.age());
            }
            assert!(remaining.iter().all(|left| (79..=100).contains(left)), "{remaining:?}");
            assert!(remaining.iter().any(|left| *left < 84) && remaining.iter().any(|left| *left > 96));
            clock.advance(100 * SECOND);
            assert!(jittered_entry(3).peek().await.expect("peeked").is_none());
        })
        .await;
}

#[tokio::test]
async fn the_in_process_tier_can_be_shorter_or_off() {
    let ((cache, clock), source) = (with_clock().await, Source::default());
    cache
        .scope(async {
            assert_eq!((short_l1(1, &source).await, short_l1(1, &source).await), (0, 0));
            clock.advance(10 * SECOND);
            assert_eq!(short_l1(1, &source).await, 1);
            assert_eq!((no_l1(1, &source).await, no_l1(1, &source).await), (2, 3));
        })
        .await;
}

#[tokio::test]
async fn none_is_kept_only_with_a_negative_ttl() {
    let ((cache, clock), source) = (with_clock().await, Source::default());
    cache
        .scope(async {
            assert_eq!(absent(1, &source).await, Ok(None));
            assert_eq!(absent(1, &source).await, Ok(None));
            assert_eq!((absent(1, &source).await, absent(1, &source).await), (Ok(Some(9)), Ok(Some(9))));
            assert_eq!(source.next(), 3);

            let source = Source::default();
            assert_eq!(absent_for_a_while(1, &source).await, None);
            clock.advance(Duration::from_millis(4_999));
            assert_eq!(absent_for_a_while(1, &source).await, None);
            clock.advance(Duration::from_millis(1));
            assert_eq!(absent_for_a_while(1, &source).await, Some(9));
            clock.advance(60 * SECOND);
            assert_eq!(absent_for_a_while(1, &source).await, Some(9), "kept for the ttl, not the negative one");
        })
        .await;
}

#[tokio::test]
async fn so_is_none_behind_an_arc() {
    let ((cache, clock), source) = (with_clock().await, Source::default());
    cache
        .scope(async {
            for expected in [None, None, Some(9), Some(9)] {
                assert_eq!(absent_behind_an_arc(1, &source).await.as_deref(), Ok(&expected));
            }
            assert_eq!(source.next(), 3);

            let source = Source::default();
            assert_eq!(*absent_behind_an_arc_for_a_while(1, &source).await, None);
            clock.advance(Duration::from_millis(4_999));
            assert_eq!(*absent_behind_an_arc_for_a_while(1, &source).await, None);
            clock.advance(Duration::from_millis(1));
            assert_eq!(*absent_behind_an_arc_for_a_while(1, &source).await, Some(9));
        })
        .await;
}

#[tokio::test]
async fn a_veto_is_heard() {
    let ((cache, _clock), source) = (with_clock().await, Source::default());
    cache
        .scope(async {
            assert_eq!(source.next(), 0);
            assert_eq!(even_only(1, &source).await, Ok(1));
            assert_eq!(even_only(1, &source).await, Ok(2));
            assert_eq!(even_only(1, &source).await, Ok(2));
        })
        .await;
    let stats = cache.stats().into_iter().find(|stats| stats.name() == "even_only").expect("registered");
    assert_eq!((stats.loads(), stats.hits(), stats.count(Metric::NotKept)), (2, 1, 1));
}

#[cached(ttl = "1h", key = "life-large:<id>")]
async fn large(id: u64) -> String {
    let _ = id;
    "x".repeat(10_000)
}

#[tokio::test]
async fn the_in_process_tier_is_bounded_in_bytes() {
    let cache = Cache::builder("test").l1_capacity(1 << 20).build().await.expect("no contradictions");
    cache
        .scope(async {
            for id in 0..1_000 {
                assert_eq!(large(id).await.len(), 10_000);
            }
        })
        .await;
    assert!(cache.l1_bytes() <= 1 << 20, "{}", cache.l1_bytes());
    assert!((50..=104).contains(&cache.l1_entries()), "{}", cache.l1_entries());
}

#[tokio::test]
async fn a_value_larger_than_the_tier_is_given_and_not_kept() {
    let cache = Cache::builder("test").l1_capacity(4_096).build().await.expect("no contradictions");
    assert_eq!(cache.scope(large(1)).await.len(), 10_000);
    assert_eq!(cache.l1_entries(), 0);
}
