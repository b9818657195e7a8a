//! What subscribers hear, in this process and in others, while something is in the way.

#![cfg(unix)]

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use cache_runtime::{Cache, Delivery, Event, Subscription};
use cache_tests::eventually::eventually;
use cache_tests::on_redis::process;
use cache_tests::redis_server::RedisServer;
use futures::FutureExt;
use serde::{Deserialize, Deserializer, Serialize};
use tokio::runtime::Runtime;

/// Nothing is cached of it.
#[derive(Debug, PartialEq, Event, Serialize, Deserialize)]
struct Noted {
    id: u64,
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
    while next(&mut notes).await < 2_499 {}
    eventually(SOON, async || a.health().queued() == 0).await;
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
