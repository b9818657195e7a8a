//! Who waits until all processes know believes nobody whom this process has not looked at.

use super::*;
use crate::rules::Rules;
use crate::second::SecondSettings;
use crate::store::Position;
use crate::testing::RedisServer;

/// Long over when anything is waited for here.
const RIGHT: Duration = Duration::from_millis(50);

async fn told(second: &Second) -> Receipt {
    let invalidation = Invalidation { fields: vec![("keys", b"a".to_vec())], ..Invalidation::default() };
    let Ok(Invalidated::At(position)) = second.store.invalidate(&invalidation, None).await else { panic!("no place") };
    second
        .store
        .probe(Some(Position::default()), Some(Position::default()), 1, RIGHT)
        .await
        .expect("the server knows who reads the bus");
    Receipt::announced(1, Some(Token::new(position, &second.id)))
}

/// Nobody reads the bus here but the test: what is looked at, and when, is what it says.
#[tokio::test]
async fn a_list_behind_another_connection_counts_when_its_server_was_looked_at() {
    let server = RedisServer::start().expect("redis-server is installed");
    let settings = SecondSettings { url: Some(server.url()), max_staleness: RIGHT, ..SecondSettings::default() };
    let second = Second::open("test", [0; 32], settings, Rules::ALL).await.expect("a server").expect("a URL");
    let receipt = told(&second).await;
    let position = receipt.token().expect("it is applied").position();
    let generations = second.store.servers().generation();
    let look = || second.set_applied(position, *generations.borrow());
    until(async || {
        look();
        waiting(&second, &receipt).await == 0
    })
    .await;
    let before = *generations.borrow();
    server.call(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).expect("the server does it");
    until(async || second.store.nodes().await.is_ok() && *generations.borrow() > before).await;
    assert_eq!(waiting(&second, &receipt).await, 1, "it may be another server");
    until(async || {
        look();
        waiting(&second, &receipt).await == 0
    })
    .await;
}

async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds().await {
        assert!(Instant::now() < deadline, "it takes too long");
        // tidy: sleep because a list has to grow old, and connections are made by tasks of their own
        timer::sleep(RIGHT).await;
    }
}
