//! What subscribers hear, in this process and in others, while something is in the way.

#![cfg(unix)]

use std::time::Duration;

use cache_runtime::{Cache, Delivery, Event, Subscription};
use cache_tests::eventually::eventually;
use cache_tests::on_redis::process;
use cache_tests::redis_server::RedisServer;
use serde::{Deserialize, Serialize};

/// Nothing is cached of it.
#[derive(Debug, PartialEq, Event, Serialize, Deserialize)]
struct Noted {
    id: u64,
}

const SOON: Duration = Duration::from_secs(20);

/// Two processes of one application.
async fn two(server: &RedisServer) -> (Cache, Cache) {
    (process(&server.url(), &[]).await, process(&server.url(), &[]).await)
}

/// The id of the next note; fails if none comes.
async fn next(notes: &mut Subscription<Noted>) -> u64 {
    let note = tokio::time::timeout(SOON, notes.recv()).await.expect("it is heard");
    note.expect("the cache is there").id
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
