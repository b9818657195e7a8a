//! Functions that have the same keys and keep the same type: nothing refuses them, so a warning names them.

#![cfg(unix)]

use cache_runtime::{Cache, cached};
use cache_tests::on_redis::process;
use cache_tests::redis_server::RedisServer;

use crate::log::Log;

#[path = "faults/log.rs"]
#[expect(dead_code, reason = "the tests of faults ask more of it")]
mod log;

#[cached(ttl = "1m", key = "user:<id>")]
async fn user_name(id: u64) -> Result<String, String> {
    Ok(format!("name of {id}"))
}

#[cached(ttl = "1m", key = "user:<user>")]
async fn user_mail(user: u64) -> String {
    format!("mail of {user}")
}

// None of these has an entry of the others.

#[cached(ttl = "1m", key = "user:<id>", version = 2)]
async fn user_street(id: u64) -> String {
    format!("street of {id}")
}

#[cached(ttl = "1m", key = "user:<id>", l2 = off)]
async fn user_session(id: u64) -> String {
    format!("session of {id}")
}

#[cached(ttl = "1m", key = "user:<id:hash>")]
async fn user_secret(id: u64) -> String {
    format!("secret of {id}")
}

#[tokio::test]
async fn functions_that_share_entries_are_named_once() {
    let (log, _listens) = Log::start();
    let embedded = Cache::builder("test").build().await.expect("nothing is refused");
    embedded
        .scope(async {
            assert_eq!((user_name(1).await, user_mail(1).await), (Ok("name of 1".to_owned()), "mail of 1".to_owned()));
            assert_eq!(
                (user_street(1).await, user_session(1).await),
                ("street of 1".to_owned(), "session of 1".to_owned())
            );
            assert_eq!(user_secret(1).await, "secret of 1");
        })
        .await;
    log.is_quiet();
    let server = RedisServer::start();
    let cache = process(&server.url(), &[]).await;
    process(&server.url(), &[]).await;
    let lines = log.lines("two functions have the same keys and keep the same type");
    let [line] = lines.as_slice() else { panic!("{lines:#?}") };
    let [(_, first), (_, second)] = line.fields.as_slice() else { panic!("{line:#?}") };
    assert!(first.contains("`user_name` (key `user:<id>`, tests/tests/shared_keys.rs:"), "{first}");
    assert!(second.contains("`user_mail` (key `user:<user>`, tests/tests/shared_keys.rs:"), "{second}");
    cache
        .scope(async {
            assert_eq!(user_name(1).await.as_deref(), Ok("name of 1"));
            assert_eq!(user_mail(1).await, "name of 1", "this is what it warns of");
        })
        .await;
}
