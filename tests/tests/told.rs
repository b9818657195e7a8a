//! What subscribers hear, in this process and in others, while something is in the way.

#![cfg(unix)]

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use cache_runtime::{Cache, Delivery, Event, Subscription, cached};
use cache_tests::cluster::Cluster;
use cache_tests::eventually::eventually;
use cache_tests::on_redis::{process, process_with};
use cache_tests::redis_server::RedisServer;
use futures::FutureExt;
use serde::{Deserialize, Deserializer, Serialize};
use tokio::runtime::Runtime;

/// Nothing is cached of it.
#[derive(Debug, PartialEq, Event, Serialize, Deserialize)]
struct Noted {
    id: u64,
}

#[derive(Event, Serialize, Deserialize)]
struct ThingChanged {
    id: u64,
}

#[cached(ttl = "1m", key = "thing:<id>", invalidate_on = "ThingChanged")]
async fn thing(id: u64) -> u64 {
    id
}

/// Whose code panics when 13 is read, and when 7 is dropped.
#[derive(Event, Serialize, Deserialize)]
struct Touchy {
    #[serde(deserialize_with = "touchy")]
    id: u64,
}

fn touchy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let id = u64::deserialize(deserializer)?;
    assert_ne!(id, 13, "asked to");
    Ok(id)
}

impl Drop for Touchy {
    fn drop(&mut self) {
        assert_ne!(self.id, 7, "asked to");
    }
}

const SOON: Duration = Duration::from_secs(20);

/// Two processes of one application.
async fn two(server: &RedisServer) -> (Cache, Cache) {
    (process(&server.url(), &[]).await, process(&server.url(), &[]).await)
}

/// The id of the next note.
async fn next(notes: &mut Subscription<Noted>) -> u64 {
    heard(notes).await.id
}

/// The next event; fails if none comes.
async fn heard<E: Event>(events: &mut Subscription<E>) -> Arc<E> {
    let event = tokio::time::timeout(SOON, events.recv()).await.expect("it is heard");
    event.expect("the cache is there")
}

/// They are more than one script can be given.
#[tokio::test]
async fn thousands_of_events_that_no_function_listens_to_do_not_block_the_journal() {
    let server = RedisServer::start();
    let (a, b) = two(&server).await;
    server.kill();
    for id in 0..2_500 {
        let receipt = a.publish(&Noted { id }).await.expect("it is kept");
        assert_eq!(receipt.delivery(), Delivery::Queued);
    }
    let mut notes = b.subscribe::<Noted>();
    server.restart();
    eventually(SOON, async || a.health().queued() == 0).await;
    a.publish(&Noted { id: 2_500 }).await.expect("it is told");
    let mut heard = 1;
    while next(&mut notes).await < 2_500 {
        heard += 1;
    }
    assert!(heard + notes.missed() > 2_500, "{heard} and {} that it was too slow for", notes.missed());
}

/// The publisher leaves while its server does not answer.
#[tokio::test]
async fn a_publisher_that_leaves_is_heard_in_its_own_process_too() {
    let server = RedisServer::start();
    let (a, b) = two(&server).await;
    let (mut at_a, mut at_b) = (a.subscribe::<Noted>(), b.subscribe::<Noted>());
    server.stop();
    assert!(a.publish(&Noted { id: 1 }).into_future().now_or_never().is_none(), "it waits for the server");
    server.resume();
    assert_eq!((next(&mut at_a).await, next(&mut at_b).await), (1, 1));
}

/// Nobody is left who could send it, or could look whether it was sent.
#[test]
fn what_is_published_after_its_runtime_is_gone_is_kept_and_heard() {
    let (server, own) = (RedisServer::start(), runtime());
    let cache = own.block_on(process(&server.url(), &[]));
    own.shutdown_background();
    runtime().block_on(async {
        let mut notes = cache.subscribe::<Noted>();
        let receipt = cache.publish(&Noted { id: 1 }).await.expect("it is kept");
        assert_eq!((receipt.delivery(), cache.health().queued()), (Delivery::Queued, 1));
        assert_eq!(next(&mut notes).await, 1);
    });
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A cache whose invalidations need a replica.
async fn replicated(url: &str) -> Cache {
    process_with(url, |builder| builder.min_replicas(1).op_timeout(Duration::from_secs(1))).await
}

/// How often the server has done it.
fn calls(server: &RedisServer, command: &str) -> u64 {
    server.commandstats().get(command).map_or(0, |statistics| statistics.calls)
}

fn messages(server: &RedisServer) -> u64 {
    server.cli(&["XLEN", "test:bus"]).parse().expect("a number")
}

/// Waits until the server was asked so many times more who has what was written.
async fn waits_again(server: &RedisServer, times: u64) {
    let before = calls(server, "wait");
    eventually(SOON, async || calls(server, "wait") >= before + times).await;
}

/// What too few replicas have is told, and once more from the journal, since nobody knows; not with each try.
async fn told_twice(url: &str, server: &RedisServer, heal: impl FnOnce()) {
    let cache = replicated(url).await;
    let before = messages(server);
    let receipt = cache.publish(&Noted { id: 1 }).await.expect("it is kept");
    assert_eq!(receipt.delivery(), Delivery::Queued);
    eventually(SOON, async || messages(server) == before + 2).await;
    waits_again(server, 300).await;
    assert_eq!((cache.health().queued(), messages(server)), (1, before + 2));
    heal();
    eventually(SOON, async || cache.health().queued() == 0).await;
    assert!(messages(server) > before + 2, "it may be that they lacked it");
}

#[tokio::test]
async fn what_waits_for_replicas_is_not_told_again_before_they_are_there() {
    let (server, replica) = (RedisServer::start(), RedisServer::start());
    let port = server.port().to_string();
    told_twice(&server.url(), &server, || _ = replica.cli(&["REPLICAOF", "127.0.0.1", &port])).await;
}

#[tokio::test]
async fn what_waits_for_replicas_in_a_cluster_is_not_told_or_unlinked_again() {
    let cluster = Cluster::start().await;
    let bus = cluster.slot_of("test:bus");
    let (primary, replica) = (cluster.primary_of(bus), cluster.replica_of(bus));
    replica.kill();
    told_twice(&cluster.url(), primary, || replica.restart()).await;
    // Others hear of what another server has, too.
    let slot = |id: &u64| cluster.slot_of(&format!("test:v1:thing:{id}"));
    let id = (0..100).find(|id| cluster.primary_of(slot(id)).port() != primary.port()).expect("there are more");
    let (other, replica) = (cluster.primary_of(slot(&id)), cluster.replica_of(slot(&id)));
    let cache = replicated(&cluster.url()).await;
    replica.kill();
    let before = messages(primary);
    let receipt = cache.publish(&ThingChanged { id }).await.expect("it is kept");
    assert_eq!(receipt.delivery(), Delivery::Queued);
    // The script of a mark, which stands before each wait, unlinks too.
    let unlinks = || {
        let statistics = other.commandstats();
        let [unlinks, marks] = ["unlink", "eval"].map(|name| statistics.get(name).map_or(0, |one| one.calls));
        unlinks - marks
    };
    eventually(SOON, async || unlinks() == 2).await;
    waits_again(other, 5).await;
    assert_eq!((unlinks(), messages(primary)), (2, before + 2));
    replica.restart();
    eventually(SOON, async || cache.health().queued() == 0).await;
    assert!(unlinks() > 2 && messages(primary) > before + 2);
}

/// One message of a foreign publisher.
fn tell_touchy(server: &RedisServer, ids: impl IntoIterator<Item = u64>) {
    let mut message = ["XADD", "test:bus", "*"].map(str::to_owned).to_vec();
    for id in ids {
        message.extend(["event", "Touchy", "data", &format!("{{\"id\":{id}}}")].map(str::to_owned));
    }
    server.call(&message);
}

#[tokio::test]
async fn events_whose_own_code_panics_do_not_end_the_reading_of_the_bus() {
    let server = RedisServer::start();
    let cache = process(&server.url(), &[]).await;
    let mut events = cache.subscribe::<Touchy>();
    tell_touchy(&server, [13, 1]);
    assert_eq!(heard(&mut events).await.id, 1);
    // As many as may wait, behind one that they push out.
    tell_touchy(&server, [7].into_iter().chain(1_000..2_024));
    tell_touchy(&server, [3]);
    while heard(&mut events).await.id != 3 {}
    assert!(events.missed() > 0, "it was pushed out");
}

/// The runtime that the cache was built on, and the cache, whose operations may take a moment.
fn built_on(server: &RedisServer) -> (Runtime, Cache) {
    let own = runtime();
    let quick = |builder: cache_runtime::Builder| builder.op_timeout(Duration::from_millis(100));
    let cache = own.block_on(process_with(&server.url(), quick));
    (own, cache)
}

/// Fails if it hangs.
async fn in_time<T>(publishing: impl IntoFuture<Output = T>) -> T {
    tokio::time::timeout(SOON, publishing.into_future()).await.expect("it does not hang")
}

#[test]
fn what_is_made_invalid_while_nobody_drives_its_runtime_is_kept_and_heard() {
    let server = RedisServer::start();
    let (own, cache) = built_on(&server);
    let before = messages(&server);
    runtime().block_on(async {
        let mut notes = cache.subscribe::<Noted>();
        let receipt = in_time(cache.publish(&Noted { id: 1 })).await.expect("it is kept");
        assert_eq!((receipt.delivery(), cache.health().queued()), (Delivery::Queued, 1));
        assert_eq!(next(&mut notes).await, 1);
        let entry = thing_entry(1).within(&cache);
        let receipt = in_time(entry.put(2)).await.expect("it is kept");
        assert_eq!((receipt.delivery(), cache.health().queued()), (Delivery::Queued, 2));
    });
    own.block_on(eventually(SOON, async || cache.health().queued() == 0));
    assert_eq!(messages(&server), before + 1, "both are told at once, and not by their tasks as well");
}

/// Nobody knows what the server has done.
#[test]
fn what_was_on_its_way_when_its_runtime_was_left_is_kept_and_heard() {
    let server = RedisServer::start();
    let (own, cache) = built_on(&server);
    let event = Noted { id: 1 };
    let mut notes = cache.subscribe::<Noted>();
    server.stop();
    let mut publishing = cache.publish(&event).into_future();
    own.block_on(async {
        for _ in 0..10 {
            assert!(futures::poll!(publishing.as_mut()).is_pending(), "the server does not answer");
            tokio::task::yield_now().await;
        }
    });
    runtime().block_on(async {
        let receipt = in_time(publishing).await.expect("it is kept");
        assert_eq!((receipt.delivery(), cache.health().queued()), (Delivery::Queued, 1));
        assert_eq!(next(&mut notes).await, 1);
    });
    server.resume();
    own.block_on(eventually(SOON, async || cache.health().queued() == 0));
}
