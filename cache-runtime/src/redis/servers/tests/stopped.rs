//! A server that is there and does not answer.

use std::time::Instant;

use super::*;
use crate::redis::real::PATIENCE;

#[tokio::test]
async fn a_stopped_server_costs_one_timeout_and_then_nothing() {
    let real = Real::start(&[]);
    let servers = open(&real.url()).await;
    real.signal("STOP");
    let began = Instant::now();
    let together = [(); 3].map(|()| servers.run(&["GET", "a"]));
    let [one, two, three] = together;
    let replies = tokio::join!(one, two, three);
    let took = began.elapsed();
    assert!(took >= TIMEOUT && took < TIMEOUT * 2, "{took:?}");
    let replies = [replies.0, replies.1, replies.2];
    assert!(replies.iter().all(|reply| matches!(reply, Err(Fault::Timeout | Fault::Broken(_)))), "{replies:?}");
    let began = Instant::now();
    for _ in 0..1_000 {
        assert_eq!(servers.run(&["GET", "a"]).await, Err(Fault::Away));
    }
    assert!(began.elapsed() < TIMEOUT, "{:?} for a thousand", began.elapsed());
    real.signal("CONT");
    servers.until_up().await;
}

#[tokio::test]
async fn a_slow_answer_alone_opens_nothing() {
    let real = Real::start(&[]);
    let servers = open(&real.url()).await;
    let generation = *servers.generation().borrow();
    for _ in 0..3 {
        real.signal("STOP");
        let (one, two) = tokio::join!(servers.run(&["GET", "a"]), servers.run(&["GET", "a"]));
        assert_eq!((one, two), (Err(Fault::Timeout), Err(Fault::Timeout)));
        real.signal("CONT");
        until("it answers again", async || servers.run(&["GET", "a"]).await, Result::is_ok).await;
    }
    assert_eq!(*servers.generation().borrow(), generation, "no connection was made anew");
}

#[tokio::test]
async fn the_bus_and_the_ear_leave_a_stopped_server_alone_too() {
    let real = Real::start(&[]);
    let servers = open(&real.url()).await;
    real.signal("STOP");
    let ping = command(&["PING"]);
    assert_eq!(servers.ear_command(&ping, TIMEOUT).await, Err(Fault::Timeout));
    assert_eq!(servers.ear_command(&ping, TIMEOUT).await, Err(Fault::Away));
    for _ in 0..3 {
        assert_eq!(servers.bus_command(&ping).await, Err(Fault::Timeout));
    }
    assert_eq!(servers.bus_command(&ping).await, Err(Fault::Away));
    real.signal("CONT");
    servers.until_up().await;
    until("the ear comes back", async || servers.ear_command(&ping, TIMEOUT).await, Result::is_ok).await;
}

#[tokio::test]
async fn a_stopped_server_at_the_start_is_waited_for_no_longer_than_it_takes_to_try() {
    let real = Real::start(&[]);
    real.signal("STOP");
    let began = Instant::now();
    let servers = Servers::open(settings(&real.url())).await.expect("it starts blind");
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    assert_eq!(servers.run(&["GET", "a"]).await, Err(Fault::Away));
    real.signal("CONT");
    servers.until_up().await;
}

/// Nobody asks anything, as on a connection whose other end is long gone.
#[tokio::test]
async fn silence_is_noticed_before_anybody_has_to_wait() {
    let real = Real::start(&[]);
    let servers = open(&real.url()).await;
    real.signal("STOP");
    until("it is noticed", async || servers.is_up(), |is_up| !is_up).await;
    assert_eq!(servers.run(&["GET", "a"]).await, Err(Fault::Away));
    real.signal("CONT");
    servers.until_up().await;
}
