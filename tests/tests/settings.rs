//! Settings that mean nothing are refused when the cache is built, by name.

use cache_runtime::{Builder, Cache, Error};

async fn check(builder: Builder, expected: &str) {
    match builder.build().await {
        Err(Error::Setting { name, problem }) => assert_eq!(format!("{name}: {problem}"), expected),
        other => panic!("{expected}: {other:?}"),
    }
}

fn embedded() -> Builder {
    Cache::builder("test")
}

#[tokio::test]
async fn a_server_that_is_required_has_to_be_named() {
    let problem = "no server is named; name one with `.redis(url)` or `CACHE_URL`";
    check(embedded().require_redis(true), &format!("require_redis: {problem}")).await;
    check(embedded().min_replicas(1), &format!("min_replicas: {problem}")).await;
    embedded().require_redis(false).min_replicas(0).build().await.expect("nothing is asked of a server");
}
