//! Caches over one real server: each stands for a process.

use std::time::Duration;

#[cfg(feature = "harness")]
use cache_runtime::testing::Rule;
use cache_runtime::{Builder, Cache};

use crate::eventually::eventually;
use crate::redis_server::RedisServer;

/// A cache over this server, with some rules of the protocol taken away.
///
/// # Panics
///
/// If it cannot be built, or does not find the bus within seconds.
#[cfg(feature = "harness")]
pub async fn process(url: &str, rules: &[Rule]) -> Cache {
    process_with(url, |builder| rules.iter().fold(builder, |builder, rule| builder.without_rule(*rule))).await
}

/// A cache over this server, set up like this.
///
/// # Panics
///
/// If it cannot be built, or does not find the bus within seconds.
pub async fn process_with(url: &str, set: impl FnOnce(Builder) -> Builder) -> Cache {
    let builder = Cache::builder("test").redis(url).op_timeout(Duration::from_secs(2));
    let cache = set(builder).build().await.expect("the functions of this test do not contradict each other");
    sees(&cache).await;
    cache
}

/// Waits until the cache may serve from its in-process tier.
///
/// # Panics
///
/// If it takes too long.
pub async fn sees(cache: &Cache) {
    eventually(Duration::from_secs(10), async || cache.health().serves_near()).await;
}

/// The names of all entries of the application `test` on this server.
///
/// # Panics
///
/// If the server does not answer.
#[must_use]
pub fn entries(server: &RedisServer) -> Vec<String> {
    let reply = server.cli(&["KEYS", "test:v*"]);
    reply.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}
