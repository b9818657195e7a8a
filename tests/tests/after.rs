//! Tokens inside each other, and among several caches: a read has seen what all of those of its cache stand for.
//!
//! Caches in one process stand for processes. What the bus tells one of them is held by a proxy.

#![cfg(unix)]
#![expect(unused_variables, reason = "keys are what tells these calls apart")]

use std::time::Duration;

use cache_runtime::{Builder, Cache, Event, Outcome, Token, cached, explain};
use cache_tests::Gate;
use cache_tests::fault_proxy::{Fault, FaultProxy};
use cache_tests::on_redis::{process, process_with, sees};
use cache_tests::redis_server::RedisServer;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Changed {
    id: u64,
}

/// No function listens to it.
#[derive(Event, Serialize, Deserialize)]
struct Noticed {
    id: u64,
}

#[cached(ttl = "1m", key = "item:<id>", invalidate_on = "Changed")]
async fn item(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

#[cached(ttl = "1m", key = "near:<id>", l2 = off, invalidate_on = "Changed")]
async fn near(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

/// A process that hears nothing of what happens from now on, and one that hears everything.
struct Two {
    server: RedisServer,
    proxy: FaultProxy,
    deaf: Cache,
    other: Cache,
    source: Gate,
}

impl Two {
    async fn start() -> Self {
        let server = RedisServer::start();
        let proxy = FaultProxy::start(server.address()).expect("a port is free");
        // For so long the deaf one may serve what it keeps.
        let long = |builder: Builder| builder.max_staleness(Duration::from_mins(1));
        let deaf = process_with(&server.url_at(proxy.port()), long).await;
        let other = process(&server.url(), &[]).await;
        Self { server, proxy, deaf, other, source: Gate::new() }
    }

    /// The deaf one keeps the old value, and does not hear that there is a new one: what tells of that.
    async fn change(&self) -> Token {
        assert_eq!(self.deaf.scope(item(1, &self.source)).await, 0);
        self.proxy.named("test:bus").both(Fault::Hold);
        self.proxy.named("test:ear").both(Fault::Hold);
        self.source.commit();
        let token = publish(&self.other, &Changed { id: 1 }).await;
        assert_eq!(self.deaf.scope(item(1, &self.source)).await, 0, "it may serve it for a minute");
        token
    }
}

async fn publish<E: Event>(cache: &Cache, event: &E) -> Token {
    cache.publish(event).await.expect("the event is JSON").token().expect("it is applied")
}

#[tokio::test]
async fn the_token_of_an_own_write_does_not_stand_before_the_one_of_another_process() {
    let two = Two::start().await;
    let token = two.change().await;
    let written_and_read = async {
        let own = publish(&two.deaf, &Noticed { id: 1 }).await;
        two.deaf.after(&own).scope(item(1, &two.source)).await
    };
    assert_eq!(two.deaf.after(&token).scope(written_and_read).await, 1);
}

#[tokio::test]
async fn nor_does_one_that_is_applied_already() {
    let two = Two::start().await;
    let told = two.other.publish(&Noticed { id: 1 }).everywhere(Duration::from_secs(10)).await;
    let before = told.expect("both have heard of it").token().expect("it is applied");
    let token = two.change().await;
    let read = two.deaf.after(&token).scope(two.deaf.after(&before).scope(item(1, &two.source))).await;
    assert_eq!(read, 1);
}

#[tokio::test]
async fn what_is_peeked_at_has_seen_all_of_them_too() {
    let two = Two::start().await;
    let token = two.change().await;
    let own = publish(&two.deaf, &Noticed { id: 1 }).await;
    let entry = item_entry(1).within(&two.deaf);
    let peeked = two.deaf.after(&token).scope(two.deaf.after(&own).scope(entry.peek())).await;
    assert!(peeked.expect("the server answers").is_none(), "it is gone there, and may be served here");
}

#[tokio::test]
async fn a_token_outlasts_the_scope_of_another_cache() {
    for has_its_own in [false, true] {
        let two = Two::start().await;
        let away = process(&two.server.url(), &[]).await;
        let told = away.publish(&Noticed { id: 1 }).everywhere(Duration::from_secs(10)).await;
        let own = told.expect("all have heard of it").token().expect("it is applied");
        let token = two.change().await;
        let back = two.deaf.scope(item(1, &two.source));
        let read = async { if has_its_own { away.after(&own).scope(back).await } else { away.scope(back).await } };
        assert_eq!(two.deaf.after(&token).scope(read).await, 1, "{has_its_own}");
    }
}

/// Its bus is another one: it would never have applied what stands there.
#[tokio::test]
async fn a_token_is_not_for_other_caches() {
    let two = Two::start().await;
    let shop = Cache::builder("shop").redis(two.server.url()).op_timeout(Duration::from_secs(2)).build().await;
    let shop = shop.expect("the functions of this test do not contradict each other");
    sees(&shop).await;
    assert_eq!(shop.scope(item(1, &two.source)).await, 0);
    let token = two.change().await;
    let (value, lookups) = two.deaf.after(&token).scope(explain(shop.scope(item(1, &two.source)))).await;
    assert_eq!((value, lookups[0].outcome()), (0, Outcome::HitL1));
}

/// A load that is as new as it has to be for one caller is so for all.
#[tokio::test]
async fn others_join_the_load_of_a_call_that_must_see_everything() {
    let two = Two::start().await;
    let token = two.change().await;
    let loads = two.source.loads();
    two.source.close();
    let after = two.deaf.after(&token);
    let mut first = Box::pin(after.scope(near(1, &two.source)));
    two.source.wait_for_load(&mut first).await;
    let second = two.deaf.scope(explain(near(1, &two.source)));
    let (first, (second, lookups), ()) = futures::join!(first, second, async { two.source.open() });
    assert_eq!((first, second, lookups[0].outcome()), (1, 1, Outcome::Joined));
    assert_eq!(two.source.loads(), loads + 1);
}
