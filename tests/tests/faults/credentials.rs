//! The server does not let this process in, or not any more.

use cache_runtime::{Cache, Error, Metric, Outcome};
use cache_tests::eventually::eventually;
use cache_tests::redis_server::RedisServer;

use crate::log::{AWAY, BLIND, Log};
use crate::scene::{SOON, Scene, away, blind, counted, faults, publish, usual};

const REFUSED: &str = "redis: the server refuses the credentials";

#[tokio::test]
async fn wrong_when_the_process_starts() {
    let server = RedisServer::options().password("right").start();
    let right = server.url();
    let without = format!("redis://127.0.0.1:{}", server.port());
    for url in [right.replace("right", "wrong"), right.replace("//:", "//nobody:"), without] {
        let built = usual(Cache::builder("test").redis(&url)).build().await;
        let Err(Error::Redis { problem }) = built else { panic!("{url}: {built:?}") };
        assert!(problem.contains(&format!(":{}", server.port())) && !problem.contains("wrong"), "{problem}");
    }
    usual(Cache::builder("test").redis(right)).build().await.expect("this is the password");
}

#[tokio::test]
async fn changed_while_the_process_runs() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let (a, b) = scene.two().await;
    let mut client = scene.server.client().expect("the server is up");
    let mut call = |command: &[&str]| client.call(command).expect("the connection stands").ok().expect("it is allowed");
    call(&["CONFIG", "SET", "requirepass", "another"]);
    call(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    away(&a).await;
    let version = scene.change_while_away(&a).await;
    blind(&a).await;
    assert_eq!(scene.call(&a).await, (version, Outcome::Loaded));
    assert!(counted(&a, "item", Metric::FaultL2) > 0);
    eventually(SOON, async || log.lines(REFUSED).iter().any(|line| line.level == "ERROR")).await;
    // Somebody puts it right at the server; the process needs no restart.
    call(&["CONFIG", "SET", "requirepass", ""]);
    scene.ends_well(&[&a, &b], version).await;
    log.tells_once(2, &[AWAY, REFUSED]);
}

#[tokio::test]
async fn a_right_is_taken_away_while_the_process_runs() {
    let (log, _listening) = Log::start();
    let scene = Scene::start();
    let (a, b) = scene.two().await;
    // Connections that stand go on, and are refused what they ask for.
    scene.server.cli(&["ACL", "SETUSER", "default", "-evalsha", "-eval", "-set", "-mget"]);
    let version = scene.commit().await;
    publish(&a, 1).await;
    assert_eq!(scene.call(&a).await, (version, Outcome::Loaded));
    assert!(a.health().queued() > 0);
    blind(&a).await;
    eventually(SOON, async || log.lines(REFUSED).iter().any(|line| line.level == "ERROR")).await;
    assert!(faults(&a) > 0);
    eventually(SOON, async || log.lines(BLIND).len() == 2).await;
    scene.server.cli(&["ACL", "SETUSER", "default", "+@all"]);
    scene.ends_well(&[&a, &b], version).await;
    // Each connection is told for itself: two for reads and writes, one for the bus.
    log.tells_once(2 * 3, &[BLIND, REFUSED]);
}
