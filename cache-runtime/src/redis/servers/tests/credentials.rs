//! Credentials: right, wrong, and wrong later.

use super::events::Log;
use super::*;

#[tokio::test]
async fn wrong_credentials_are_an_error_at_once() {
    let real = Real::start(&["--requirepass", "right"]);
    let url = |login: &str| format!("redis://{login}127.0.0.1:{}", real.port);
    for login in ["", ":wrong@", "nobody:right@"] {
        let problem = refused(&url(login)).await;
        assert!(problem.contains("NOAUTH") || problem.contains("WRONGPASS"), "{problem}");
        assert!(!problem.contains("right"), "{problem}");
    }
    let servers = open(&url(":right@")).await;
    assert!(servers.run(&["GET", "a"]).await.is_ok());
    drop(open(&url("default:right@")).await);
}

#[tokio::test]
async fn a_url_that_means_nothing_is_an_error() {
    assert!(refused("redis://a,b").await.starts_with("`redis`: one server has one host"));
    assert!(refused("rediss://h?ca=/nowhere").await.contains("/nowhere"));
}

#[tokio::test]
async fn credentials_that_go_wrong_later_are_told_once_and_may_become_right_again() {
    let real = Real::start(&[]);
    let log = Log::start();
    let servers = open(&format!("redis://:first@127.0.0.1:{}", real.port)).await;
    real.cli(&["CONFIG", "SET", "requirepass", "second"]);
    let second = |words: &[&str]| real.cli(&[&["-a", "second"], words].concat());
    second(&["CLIENT", "KILL", "TYPE", "normal"]);
    until("it is noticed", async || servers.run(&["GET", "a"]).await, |reply| *reply == Err(Fault::Away)).await;
    until("it is told", async || log.lines("ERROR"), |lines| !lines.is_empty()).await;
    let tries = async || log.lines("DEBUG").iter().filter(|line| line.contains("not connected")).count();
    until("it is tried often", tries, |tries| *tries >= 12).await;
    let errors = log.lines("ERROR");
    assert!(errors.len() == 1 && errors[0].contains("WRONGPASS"), "{errors:?}");
    assert!(!log.lines("").iter().any(|line| line.contains("first")), "no secret is told");
    second(&["CONFIG", "SET", "requirepass", "first"]);
    servers.until_up().await;
}

#[tokio::test]
async fn a_user_who_may_not_do_something_is_told_once() {
    let real = Real::start(&[]);
    real.cli(&["ACL", "SETUSER", "app", "on", ">p", "~*", "&*", "+@all", "-set", "-role", "-script"]);
    let log = Log::start();
    let servers = open(&format!("redis://app:p@127.0.0.1:{}", real.port)).await;
    for _ in 0..6 {
        let refused = servers.run(&["SET", "a", "1"]).await;
        assert!(matches!(refused, Err(Fault::Refused(Refusal::Credentials, _))), "{refused:?}");
    }
    assert!(servers.run(&["GET", "a"]).await.is_ok());
    // Once for each connection.
    assert_eq!(log.lines("ERROR").len(), 2);
}
