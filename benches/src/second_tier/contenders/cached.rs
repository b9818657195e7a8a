//! `cached` 4.1 on Redis: its attribute over both kinds of connection it has.

use std::sync::OnceLock;

use cached::AsyncRedisCache;
use cached::macros::concurrent_cached;
use harness::calls::{Calls, calls};
use harness::stage::Stage;
use harness::work::body;

use super::Candidate;
use crate::workload::{LoadError, TTL, User};

pub(super) const CANDIDATES: &[Candidate] = &[
    Candidate {
        name: "cached `#[concurrent_cached(redis = true)]`",
        format: "MessagePack",
        loads: true,
        connect: |stage| connect(stage, || calls(multiplexed)),
    },
    Candidate {
        name: "cached, the same with a connection manager",
        format: "MessagePack",
        loads: true,
        connect: |stage| connect(stage, || calls(managed)),
    },
];

/// Where the attributes' stores connect to when they are first used.
static URL: OnceLock<String> = OnceLock::new();

fn connect(stage: &Stage, calls: fn() -> Box<dyn Calls>) -> Box<dyn Calls> {
    URL.get_or_init(|| stage.server.url().to_owned());
    calls()
}

async fn store(prefix: &str, manager: bool) -> AsyncRedisCache<String, User> {
    let url = URL.get().expect("a contender is connected before it is called");
    let builder = AsyncRedisCache::builder(prefix).ttl(TTL).connection_string(url).connection_manager(manager);
    builder.build().await.expect("the server is there")
}

#[concurrent_cached(
    ty = "AsyncRedisCache<String, User>",
    create = r#"{ store("multiplexed", false).await }"#,
    key = "String",
    convert = r#"{ format!("{tenant}:{id}") }"#,
    map_error = "|_| LoadError"
)]
async fn multiplexed(tenant: u64, id: u64) -> Result<User, LoadError> {
    body(tenant, id).await
}

#[concurrent_cached(
    ty = "AsyncRedisCache<String, User>",
    create = r#"{ store("managed", true).await }"#,
    key = "String",
    convert = r#"{ format!("{tenant}:{id}") }"#,
    map_error = "|_| LoadError"
)]
async fn managed(tenant: u64, id: u64) -> Result<User, LoadError> {
    body(tenant, id).await
}
