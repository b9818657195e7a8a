//! Mutants of the protocol that no rule of the runtime stands for, since nothing can be switched off there: each test says
//! what makes it impossible, and fails where that is changed; or does what the mutant would do.
//!
//! `cargo xtask mutants` names these tests beside those that take a rule away.

#![cfg(unix)]
#![expect(unused_variables, reason = "keys are what tells these calls apart")]

use std::pin::pin;
use std::time::Duration;

use cache_runtime::{Event, cached};
use cache_tests::Gate;
use cache_tests::eventually::eventually;
use cache_tests::on_redis::process;
use cache_tests::redis_server::RedisServer;
use serde::{Deserialize, Serialize};

const SHORT: Duration = Duration::from_secs(10);

#[derive(Event, Serialize, Deserialize)]
struct ShopClosed {
    shop: u64,
}

#[cached(ttl = "1m", key = "stamped:<shop>:<id>", invalidate_on = "ShopClosed => stamped:<shop>:*")]
async fn stamped(shop: u64, id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

/// The stamp of the first shop.
const STAMP: &str = "test:group:stamped:1:*";

/// What is stored under it.
const MEMBER: &str = "test:v1:stamped:1:2";

#[cached(ttl = "1m", key = "woken:<id>")]
async fn woken(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

/// What a process reads that was not there before.
async fn read_anew(server: &RedisServer, source: &Gate) -> u64 {
    process(&server.url(), &[]).await.scope(stamped(1, 2, source)).await
}

// Counter stamps.

/// A group is invalidated, and another of its members gives it a stamp again: a new one, or the old one.
async fn a_group_has_a_stamp_again(is_the_old_one: bool) -> u64 {
    let (server, source) = (RedisServer::start(), Gate::new());
    let cache = process(&server.url(), &[]).await;
    assert_eq!(cache.scope(stamped(1, 2, &source)).await, 0);
    server.cli(&["COPY", STAMP, "the old one"]);
    source.commit();
    cache.publish(&ShopClosed { shop: 1 }).await.expect("the event is JSON");
    cache.scope(stamped(1, 3, &source)).await;
    if is_the_old_one {
        server.cli(&["COPY", "the old one", STAMP, "REPLACE"]);
    }
    assert_eq!(server.cli(&["EXISTS", STAMP, MEMBER]).trim(), "2", "the old value is still there");
    read_anew(&server, &source).await
}

#[tokio::test]
async fn a_stamp_that_is_lost_never_comes_again() {
    assert_eq!(a_group_has_a_stamp_again(false).await, 1);
}

/// What a counter does that begins anew.
#[tokio::test]
async fn a_stamp_that_comes_again_brings_the_old_value_back() {
    assert_eq!(a_group_has_a_stamp_again(true).await, 0);
}

// Stamps that live shorter than what is stored under them.

#[tokio::test]
async fn a_stamp_outlives_what_is_stored_under_it() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let cache = process(&server.url(), &[]).await;
    cache.scope(stamped(1, 2, &source)).await;
    let remaining = |name| server.cli(&["PTTL", name]).trim().parse::<i64>().expect("a number");
    assert!(remaining(STAMP) > remaining(MEMBER), "a value would be worth nothing for the rest of its life");
    // A stamp that would go first lives longer again with the next load.
    server.cli(&["PEXPIRE", STAMP, "20000"]);
    cache.scope(stamped(1, 3, &source)).await;
    assert!(remaining(STAMP) > remaining("test:v1:stamped:1:3"));
}

/// And no more than that: it makes nothing valid.
#[tokio::test]
async fn a_stamp_that_goes_first_costs_a_load() {
    let (server, source) = (RedisServer::start(), Gate::new());
    process(&server.url(), &[]).await.scope(stamped(1, 2, &source)).await;
    assert_eq!((read_anew(&server, &source).await, source.loads()), (0, 1), "its stamp stands");
    server.cli(&["PEXPIRE", STAMP, "1"]);
    eventually(SHORT, async || server.cli(&["EXISTS", STAMP]).trim() == "0").await;
    source.commit();
    assert_eq!((read_anew(&server, &source).await, source.loads()), (1, 2), "although the old value lives");
}

// Lost wake-ups.

/// A lease goes without its holder, who would have told of it: whoever waits finds out.
#[tokio::test]
async fn who_is_not_woken_looks_by_itself() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let cache = process(&server.url(), &[]).await;
    let entry = "test:v1:woken:1";
    server.cli(&["SET", entry, "L0anotherprocesses", "PX", "600000"]);
    let mut call = pin!(cache.scope(woken(1, &source)));
    eventually(SHORT, async || {
        assert!(futures::poll!(call.as_mut()).is_pending(), "another process loads");
        server.cli(&["GETRANGE", entry, "0", "1"]).trim() == "L1"
    })
    .await;
    server.cli(&["DEL", entry]);
    let value = tokio::time::timeout(SHORT, call).await.expect("a look, long before the lease would have ended");
    assert_eq!((value, source.loads()), (0, 1));
}
