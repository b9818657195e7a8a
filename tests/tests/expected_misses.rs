//! A function that finds nothing most of the time takes its leases without having looked: what stands there all the same is
//! found with the same command.
#![cfg(unix)]
#![expect(unused_variables, reason = "keys are what tells these calls apart")]

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use cache_runtime::{Cache, Event, Outcome, cached, explain};
use cache_tests::Gate;
use cache_tests::eventually::eventually;
use cache_tests::on_redis::process;
use cache_tests::redis_server::RedisServer;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct ShopClosed {
    shop: u64,
}

#[cached(ttl = "1m", key = "alone:<id>", l1 = off)]
async fn alone(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

#[cached(ttl = "1m", key = "item:<shop>:<id>", l1 = off, invalidate_on = "ShopClosed => item:<shop>:*")]
async fn grouped(shop: u64, id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

#[cached(ttl = "1s", stale_while_revalidate = "1h", key = "aging:<id>", l1 = off, skip(source))]
async fn aging(id: u64, source: Arc<Gate>) -> u64 {
    source.load().await
}

/// Many calls that find nothing.
async fn miss(cache: &Cache, ids: Range<u64>, source: &Gate) {
    for id in ids {
        let (_, lookups) = cache.scope(explain(alone(id, source))).await;
        assert_eq!(lookups[0].outcome(), Outcome::Loaded);
    }
}

/// A cache that expects to find nothing.
async fn pessimist(server: &RedisServer, source: &Gate) -> Cache {
    let cache = process(&server.url(), &[]).await;
    miss(&cache, 1_000_000..1_000_030, source).await;
    assert_eq!(reads(server, source, async || miss(&cache, 1_000_030..1_000_050, source).await).await, 0);
    cache
}

/// How many `MGET`s were sent meanwhile: each fill has another one in its script.
async fn reads(server: &RedisServer, source: &Gate, work: impl AsyncFnOnce()) -> u64 {
    let count = || -> u64 {
        let stats = server.cli(&["INFO", "commandstats"]);
        let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_mget:calls="));
        line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
    };
    let (reads, loads) = (count(), source.loads());
    work().await;
    count() - reads - (source.loads() - loads)
}

#[tokio::test]
async fn what_is_never_found_is_not_looked_for() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let cache = pessimist(&server, &source).await;
    assert_eq!(source.loads(), 50);
    // The stamps of a group are read before the load and after it, whatever is expected.
    let looks = reads(&server, &source, async || {
        for id in 0..50 {
            cache.scope(grouped(1, id, &source)).await;
        }
    });
    assert_eq!(looks.await, 100);
}

#[tokio::test]
async fn what_stands_there_is_found_and_expected_again() {
    let (server, source) = (RedisServer::start(), Gate::new());
    miss(&process(&server.url(), &[]).await, 0..60, &source).await;
    let (cache, loads) = (pessimist(&server, &source).await, source.loads());
    let found = async |ids: Range<u64>| {
        for id in ids {
            let (_, lookups) = cache.scope(explain(alone(id, &source))).await;
            assert_eq!(lookups[0].outcome(), Outcome::HitL2);
        }
    };
    assert_eq!(reads(&server, &source, async || found(0..5).await).await, 0);
    found(5..30).await;
    assert_eq!(reads(&server, &source, async || found(30..60).await).await, 30);
    assert_eq!(source.loads(), loads);
}

/// What is past its lifetime is a value all the same.
#[tokio::test]
async fn who_finds_stale_values_looks_for_them_again() {
    let (server, source) = (RedisServer::start(), Arc::new(Gate::new()));
    let cache = process(&server.url(), &[]).await;
    let ask = async |ids: Range<u64>, expected| {
        for id in ids {
            let (_, lookups) = cache.scope(explain(aging(id, Arc::clone(&source)))).await;
            assert_eq!(lookups[0].outcome(), expected);
        }
    };
    ask(0..50, Outcome::Loaded).await;
    let is_stale =
        || server.cli(&["PTTL", "test:v1:aging:49"]).trim().parse::<u64>().is_ok_and(|left| left < 3_599_800);
    eventually(Duration::from_secs(10), async || is_stale()).await;
    source.close();
    ask(0..30, Outcome::Stale).await;
    eventually(Duration::from_secs(10), async || source.loads() == 80).await;
    assert_eq!(reads(&server, &source, async || ask(0..30, Outcome::Stale).await).await, 30);
    source.open();
}

#[tokio::test]
async fn a_server_without_room_for_a_lease_still_serves_what_it_has() {
    let (server, source) = (RedisServer::start(), Gate::new());
    miss(&process(&server.url(), &[]).await, 0..1, &source).await;
    let (cache, loads) = (pessimist(&server, &source).await, source.loads());
    server.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let (_, lookups) = cache.scope(explain(alone(0, &source))).await;
    assert_eq!(lookups[0].outcome(), Outcome::HitL2);
    assert_eq!(source.loads(), loads);
    cache.scope(alone(1, &source)).await;
    assert_eq!(source.loads(), loads + 1, "a call is answered by its load");
}

#[tokio::test]
async fn whatever_else_stands_there_is_replaced() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let cache = pessimist(&server, &source).await;
    server.cli(&["SET", "test:v1:alone:0", "garbage"]);
    server.cli(&["RPUSH", "test:v1:alone:1", "a list"]);
    server.cli(&["SET", "test:v1:alone:2", &format!("V0{}", "x".repeat(100))]);
    miss(&cache, 0..3, &source).await;
    let loads = source.loads();
    for id in 0..3 {
        let (_, lookups) = cache.scope(explain(alone(id, &source))).await;
        assert_eq!(lookups[0].outcome(), Outcome::HitL2);
    }
    assert_eq!(source.loads(), loads);
}

#[tokio::test]
async fn the_load_of_another_process_is_waited_for() {
    let (server, source) = (RedisServer::start(), Arc::new(Gate::new()));
    let (a, b) = (process(&server.url(), &[]).await, pessimist(&server, &source).await);
    let loads = source.loads();
    source.close();
    let call = |cache: Cache| {
        let source = Arc::clone(&source);
        tokio::spawn(async move { cache.scope(alone(0, &source)).await })
    };
    let first = call(a);
    eventually(Duration::from_secs(10), async || source.loads() > loads).await;
    let second = call(b);
    let waits = || server.cli(&["GET", "test:v1:alone:0"]).starts_with("L1");
    eventually(Duration::from_secs(10), async || waits()).await;
    source.open();
    let (first, second) = (first.await.expect("no panic"), second.await.expect("no panic"));
    assert_eq!((first, second, source.loads()), (0, 0, loads + 1));
}
