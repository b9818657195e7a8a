//! What `docs/redis.md` lists is what the code has, and what it says is enough is enough.

#![cfg(unix)]

use std::time::Duration;

use cache_runtime::{Cache, Event, Metric, OnFailover, Outcome, cached, explain};
use cache_tests::Gate;
use cache_tests::eventually::eventually;
use cache_tests::on_redis::{process, sees};
use cache_tests::redis_server::RedisServer;
use serde::{Deserialize, Serialize};

const DOCUMENT: &str = include_str!("../../docs/redis.md");

/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(10);

/// What stands between these in the text.
fn between<'a>(text: &'a str, before: &'a str, after: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(before).skip(1).filter_map(move |rest| rest.split_once(after)).map(|(found, _)| found)
}

#[track_caller]
fn check_same(what: &str, code: impl IntoIterator<Item = String>, document: impl IntoIterator<Item = String>) {
    let sorted = |names: Vec<String>| {
        let mut names = names;
        names.sort();
        names.dedup();
        names
    };
    let (code, document) = (sorted(code.into_iter().collect()), sorted(document.into_iter().collect()));
    assert!(!code.is_empty());
    assert_eq!(code, document, "{what}: left in the code, right in the document");
}

#[test]
fn every_method_of_the_builder_is_in_the_table() {
    let builder = include_str!("../../cache-runtime/src/builder.rs");
    // Of tests, and of no interest to who runs a Redis.
    let others = ["clock", "seed", "without_rule"];
    let methods = between(builder, "    pub fn ", "(mut self").filter(|name| !others.contains(name));
    check_same("methods", methods.map(str::to_owned), between(DOCUMENT, "\n| `.", "(").map(str::to_owned));
}

#[test]
fn every_variable_is_in_the_table() {
    let environment = include_str!("../../cache-runtime/src/builder/environment.rs");
    let (table, _) = environment.split_once("];").expect("the table ends");
    let code = || between(table, "(\"CACHE_", "\"").map(str::to_owned).chain(["APP".to_owned()]);
    check_same("variables", code(), between(DOCUMENT, "| `CACHE_", "`").map(str::to_owned));
    let (before, _) = include_str!("../../cache-runtime/src/cache.rs").split_once("from_env()").expect("it is there");
    check_same("variables in its documentation", code(), between(before, "/// | `CACHE_", "`").map(str::to_owned));
}

#[test]
fn every_name_is_in_the_table() {
    let names = include_str!("../../cache-runtime/src/names.rs");
    let code = between(names, "//! | `", "`").map(|name| match name {
        "<app>:v<version>:<text>" => "shop:v1:user:42:7".to_owned(),
        "<app>:group:<text>" => "shop:group:user:42:*".to_owned(),
        "<app>:mark:{<number>}" => "shop:mark:{0}".to_owned(),
        "<app>:wake:<stripe>" => "shop:wake:0".to_owned(),
        name => name.replace("<app>", "shop"),
    });
    let document = ["shop", "{shop"]
        .into_iter()
        .flat_map(|app| between(DOCUMENT, "\n| `", "`").filter(move |name| name.starts_with(app)));
    check_same("names", code, document.map(str::to_owned));
}

#[test]
fn every_metric_of_the_document_is_counted() {
    for name in between(DOCUMENT, "`cache_", "`") {
        assert!(Metric::ALL.iter().any(|metric| metric.name() == format!("cache_{name}")), "cache_{name}");
    }
}

// The rights.

#[derive(Event, Serialize, Deserialize)]
struct UserUpdated {
    tenant: u64,
    id: u64,
}

#[derive(Event, Serialize, Deserialize)]
struct TenantPurged {
    tenant: u64,
}

#[cached(
    ttl = "1m",
    key = "user:<tenant>:<id>",
    invalidate_on = ["UserUpdated", "TenantPurged => user:<tenant>:*"]
)]
async fn user(tenant: u64, id: u64, #[cache(skip)] source: &Gate) -> u64 {
    let _ = (tenant, id);
    source.load().await
}

#[cached(ttl = "1m", key = "failing:<id>")]
async fn failing(id: u64) -> Result<u64, String> {
    Err(format!("no {id}"))
}

/// Everything that a cache asks of a server.
async fn all_of_it(a: &Cache, b: &Cache, source: &Gate) {
    let outcome = async |cache: &Cache| cache.scope(explain(user(42, 7, source))).await.1[0].outcome();
    assert_eq!([outcome(a).await, outcome(b).await], [Outcome::Loaded, Outcome::HitL2]);
    for cache in [a, b] {
        cache.publish(&UserUpdated { tenant: 42, id: 7 }).everywhere(SOON).await.expect("it is told");
        assert_eq!([outcome(a).await, outcome(b).await], [Outcome::Loaded, Outcome::HitL2]);
        cache.publish(&TenantPurged { tenant: 42 }).everywhere(SOON).await.expect("it is told");
        assert_eq!([outcome(a).await, outcome(b).await], [Outcome::Loaded, Outcome::HitL2]);
    }
    a.scope(async { user_entry(42, 7).put(5).await }).await.expect("it is put");
    eventually(SOON, async || b.scope(user(42, 7, source)).await == 5).await;
    a.scope(failing(1)).await.expect_err("it fails");
    // One waits for the load of another, and is woken.
    source.close();
    let mut load = Box::pin(a.scope(user(1, 1, source)));
    source.wait_for_load(&mut load).await;
    let mut wait = Box::pin(b.scope(user(1, 1, source)));
    eventually(SOON, async || {
        assert!(futures::poll!(wait.as_mut()).is_pending());
        b.stats().iter().any(|stats| stats.count(Metric::Waited) > 0)
    })
    .await;
    source.open();
    assert_eq!(futures::join!(load, wait), (0, 0));
}

#[tokio::test]
async fn a_hit_in_redis_is_a_hit() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let (a, b) = (process(&server.url(), &[]).await, process(&server.url(), &[]).await);
    a.scope(user(42, 7, &source)).await;
    b.scope(user(42, 7, &source)).await;
    b.scope(user(42, 7, &source)).await;
    let stats = |cache: &Cache| cache.stats().into_iter().find(|stats| stats.name() == "user").expect("it is linked");
    assert_eq!((stats(&a).hits(), stats(&a).hit_rate()), (0, 0.0));
    assert_eq!((stats(&b).hits(), stats(&b).hit_rate()), (2, 1.0));
}

#[tokio::test]
async fn a_process_that_starts_forgets_those_that_are_long_gone() {
    let server = RedisServer::start();
    let (nodes, gone) = ("{test:bus}:nodes", "00000000000000aa");
    server.cli(&["HSET", nodes, gone, "0-0 1"]);
    let _alive = process(&server.url(), &[]).await;
    eventually(SOON, async || server.cli(&["HEXISTS", nodes, gone]) == "0").await;
}

/// What was refused, besides what servers before 7.2 have no name for.
fn refused(server: &RedisServer) -> Vec<String> {
    let log = server.call(&["ACL", "LOG"]);
    let entries = log.elements().iter().map(|entry| entry.to_string().replace('\n', " "));
    entries.filter(|entry| !entry.contains("client|setinfo")).collect()
}

#[tokio::test]
async fn the_rights_of_the_document_are_enough() {
    let rules = between(DOCUMENT, "user shop on >password ", "\n").next().expect("they are there");
    let (server, source) = (RedisServer::options().user("shop", "password", rules).start(), Gate::new());
    let open = async || {
        let builder = Cache::builder("shop").redis(server.url()).on_failover(OnFailover::Cold);
        let cache = builder.op_timeout(Duration::from_secs(2)).build().await.expect("the password is right");
        sees(&cache).await;
        cache
    };
    let (a, b) = (open().await, open().await);
    all_of_it(&a, &b, &source).await;
    assert_eq!(refused(&server), Vec::<String>::new());
    assert_eq!(a.health().bus_faults() + b.health().bus_faults(), 0);
    // Cold after a restart: what is there is swept away.
    server.restart();
    server.cli(&["SET", "shop:v1:user:42:7", "from before"]);
    eventually(SOON, async || server.cli(&["EXISTS", "shop:v1:user:42:7"]) == "0").await;
    for cache in [&a, &b] {
        sees(cache).await;
    }
    assert_eq!(refused(&server), Vec::<String>::new());
}
