//! Settings that mean nothing are refused when the cache is built, by name; the outermost that mean something work.

#![cfg(unix)]
#![expect(unused_variables, reason = "keys are what tells these calls apart")]

use std::time::Duration;

use cache_runtime::{Builder, Cache, Delivery, Error, Outcome, cached, explain};
use cache_tests::on_redis::sees;
use cache_tests::redis_server::RedisServer;

/// The longest time that can be written in an attribute, or a variable.
const LONGEST: Duration = Duration::from_hours(36_500 * 24);

#[cached(ttl = "1m", key = "answer:<of>")]
async fn answer(of: u64) -> u64 {
    42
}

/// Nobody is there: the cache starts all the same, if it is set up well.
const NOBODY: &str = "redis://127.0.0.1:1";

async fn check(builder: Builder, expected: &str) {
    match builder.build().await {
        Err(Error::Setting { name, problem }) => assert_eq!(format!("{name}: {problem}"), expected),
        other => panic!("{expected}: {other:?}"),
    }
}

fn embedded() -> Builder {
    Cache::builder("test")
}

fn on_redis() -> Builder {
    embedded().redis(NOBODY)
}

#[tokio::test]
async fn a_server_that_is_required_has_to_be_named() {
    let problem = "no server is named; name one with `.redis(url)` or `CACHE_URL`";
    check(embedded().require_redis(true), &format!("require_redis: {problem}")).await;
    check(embedded().min_replicas(1), &format!("min_replicas: {problem}")).await;
    embedded().require_redis(false).min_replicas(0).build().await.expect("nothing is asked of a server");
}

#[tokio::test]
async fn times_have_a_longest_and_a_shortest() {
    let over = LONGEST + Duration::from_nanos(1);
    check(on_redis().max_staleness(Duration::ZERO), "max_staleness: 0ns is too short; at least 50ms").await;
    check(on_redis().op_timeout(Duration::ZERO), "op_timeout: 0ns is too short; at least 1ms").await;
    check(on_redis().lease(Duration::ZERO), "lease: 0ns is too short; at least 100ms").await;
    check(embedded().load_timeout(Duration::ZERO), "load_timeout: 0ns is too short; at least 1ms").await;
    for time in [over, Duration::MAX] {
        let problem = format!("{time:?} is too long; at most 36500d");
        check(on_redis().max_staleness(time), &format!("max_staleness: {problem}")).await;
        check(on_redis().op_timeout(time), &format!("op_timeout: {problem}")).await;
        check(on_redis().lease(time), &format!("lease: {problem}")).await;
        check(embedded().load_timeout(time), &format!("load_timeout: {problem}")).await;
    }
}

#[tokio::test]
async fn numbers_have_a_largest_and_a_smallest() {
    check(on_redis().pool_size(0), "pool_size: 0 connections; 1 to 64 are allowed").await;
    check(on_redis().pool_size(65), "pool_size: 65 connections; 1 to 64 are allowed").await;
    check(on_redis().min_replicas(1_001), "min_replicas: 1001 replicas; 0 to 1000 are allowed").await;
    check(on_redis().load_limit(0), "load_limit: 0 loads; at least 1 is needed").await;
}

#[tokio::test]
async fn an_empty_secret_is_none() {
    let problem = "hash_key: the secret is empty, anybody knows it; without any, the application's name is hashed with";
    check(embedded().hash_key(b""), problem).await;
}

async fn outcome(cache: &Cache) -> Outcome {
    cache.scope(explain(answer(1))).await.1[0].outcome()
}

/// Each at its end, over a server: the tasks behind it go on.
#[tokio::test]
async fn the_outermost_settings_work() {
    let all: [fn(Builder) -> Builder; 7] = [
        |builder| builder.max_staleness(LONGEST),
        |builder| builder.op_timeout(LONGEST),
        |builder| builder.lease(LONGEST),
        |builder| builder.load_timeout(LONGEST),
        |builder| builder.pool_size(64),
        |builder| builder.load_limit(usize::MAX).journal(usize::MAX).max_value(usize::MAX).compress_over(usize::MAX),
        |builder| builder.load_limit(1).journal(0).max_value(0).compress_over(0),
    ];
    let server = RedisServer::start();
    for (number, set) in all.into_iter().enumerate() {
        let cache = set(embedded().redis(server.url()).op_timeout(Duration::from_secs(2))).build().await;
        let cache = cache.expect("that is allowed");
        sees(&cache).await;
        let entry = answer_entry(1).within(&cache);
        let invalidated = entry.invalidate().await.expect("an answer");
        assert_eq!((invalidated.delivery(), outcome(&cache).await), (Delivery::Applied, Outcome::Loaded), "{number}");
        assert_eq!(outcome(&cache).await, Outcome::HitL1, "{number}");
    }
}

#[tokio::test]
async fn an_in_process_tier_may_hold_nothing_or_everything() {
    for (bytes, second) in [(0, Outcome::Loaded), (u64::MAX, Outcome::HitL1)] {
        let cache = embedded().l1_capacity(bytes).build().await.expect("that is allowed");
        assert_eq!([outcome(&cache).await, outcome(&cache).await], [Outcome::Loaded, second], "{bytes}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let builder = Cache::builder("shop").hash_key(b"swordfish").redis("redis://me:pickerel@localhost");
    let shown = format!("{builder:?}");
    for secret in ["swordfish", "115, 119, 111", "pickerel"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert!(shown.contains("hash_key: Some(hidden)"), "that there is one is no secret: {shown}");
}
