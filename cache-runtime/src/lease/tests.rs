//! Leases whose holders left.

use super::*;
use crate::rules::Rules;
use crate::second::{Second, SecondSettings};
use crate::store::{Leased, Over, Slot};
use crate::testing::RedisServer;

/// A caller may leave, or give up, before what asks for its lease has arrived.
#[tokio::test]
async fn a_lease_that_is_taken_after_it_was_given_back_is_given_back_once_more() {
    let server = RedisServer::start().expect("redis-server is installed");
    let settings =
        SecondSettings { url: Some(server.url()), lease: Duration::from_secs(3), ..SecondSettings::default() };
    let second = Second::open("test", [0; 32], settings, Rules::ALL).await.expect("a server").expect("a URL");
    let (entry, token, life) = ("test:v1:late:1", Token::fresh(), Duration::from_mins(1));
    let before = scripts(&server);
    drop(second.keeper.hold(entry, token, None));
    // It is given back by a task, which finds nothing.
    until(async || scripts(&server) > before).await;
    let answer = second.store.lease(entry, &Over::Nothing, &[], life, token).await;
    assert!(matches!(answer, Ok(Leased::Taken(_))), "{answer:?}");
    let began = Instant::now();
    until(async || matches!(second.store.read(entry, &[]).await.map(|seen| seen.slot), Ok(Slot::Empty))).await;
    assert!(began.elapsed() < Duration::from_millis(1_500), "it ran out by itself");
}

/// How many scripts the server has run.
fn scripts(server: &RedisServer) -> u64 {
    let stats = server.call(&["INFO", "commandstats"]).expect("the server answers");
    let stats = String::from_utf8_lossy(stats.bytes().unwrap_or_default()).into_owned();
    let calls = stats.split("cmdstat_evalsha:calls=").nth(1).and_then(|rest| rest.split(',').next());
    calls.map_or(0, |calls| calls.parse().expect("a number"))
}

async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds().await {
        assert!(Instant::now() < deadline, "it takes too long");
        // tidy: sleep because leases are given back by a task of its own
        timer::sleep(Duration::from_millis(10)).await;
    }
}
