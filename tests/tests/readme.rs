//! The code of the README, compiled and run: every line of its Rust blocks stands here too.

#![expect(missing_docs, reason = "the README shows public items without their documentation")]

use std::time::Duration;

use cache_runtime::{Cache, Event, Token, cached, emits, explain, registry};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    name: String,
}

#[derive(Clone, Debug)]
pub struct DbError;

pub struct Db;

impl Db {
    async fn user(&self, tenant: u64, id: u64) -> Result<User, DbError> {
        std::future::ready(Ok(User { name: format!("{tenant} {id}") })).await
    }

    async fn rename(&self, _tenant: u64, _id: u64, name: &str) -> Result<(), DbError> {
        std::future::ready(if name.is_empty() { Err(DbError) } else { Ok(()) }).await
    }
}

#[derive(Event, Serialize, Deserialize)]
pub struct UserUpdated {
    pub tenant: u64,
    pub id: u64,
}

#[cached(ttl = "5m", jitter = 10, key = "user:<tenant>:<id>", invalidate_on = "UserUpdated")]
pub async fn load_user(tenant: u64, id: u64, #[cache(skip)] db: &Db) -> Result<User, DbError> {
    db.user(tenant, id).await
}

#[emits(UserUpdated { tenant, id })]
pub async fn rename_user(tenant: u64, id: u64, name: &str, db: &Db) -> Result<(), DbError> {
    db.rename(tenant, id, name).await
}

async fn use_it(db: Db) -> Result<(), Box<dyn std::error::Error>> {
    let failed = |_: DbError| "the database failed";
    let cache = Cache::builder("shop").l1_capacity(256 << 20).build().await?;
    cache.install()?;

    load_user(42, 7, &db).await.map_err(failed)?;
    load_user(42, 7, &db).await.map_err(failed)?;
    rename_user(42, 7, "Ada", &db).await.map_err(failed)?;
    load_user(42, 7, &db).await.map_err(failed)?;

    load_user_entry(42, 7).peek().await?;
    load_user_uncached(42, 7, &db).await.map_err(failed)?;
    cache.publish(&UserUpdated { tenant: 42, id: 7 }).await?;
    let mut events = cache.subscribe::<UserUpdated>();
    let (user, lookups) = explain(load_user(42, 7, &db)).await;
    println!("{}", registry());

    assert_eq!(user.map_err(failed)?.name, "42 7");
    assert_eq!(lookups.len(), 1);
    assert!(futures::FutureExt::now_or_never(events.recv()).is_none());
    let stats = cache.stats().into_iter().find(|stats| stats.name() == "load_user").ok_or("registered")?;
    assert_eq!((stats.loads(), stats.hits()), (3, 1));
    Ok(())
}

/// Not run: nobody knows whose server that is.
async fn over_redis() -> Result<Cache, cache_runtime::Error> {
    let cache = Cache::builder("shop").redis("redis://localhost").build().await?;
    Ok(cache)
}

async fn publish(cache: &Cache) -> Result<Option<String>, cache_runtime::Error> {
    cache.publish(&UserUpdated { tenant: 42, id: 7 }).everywhere(Duration::from_secs(5)).await?;

    let receipt = cache.publish(&UserUpdated { tenant: 42, id: 7 }).await?;
    let header = receipt.token().map(|token| token.to_string());
    Ok(header)
}

async fn read_after(cache: Cache, header: &str, db: Db) -> Result<User, Box<dyn std::error::Error>> {
    let failed = |_: DbError| "the database failed";
    let token: Token = header.parse()?;
    let user = cache.after(&token).scope(load_user(42, 7, &db)).await.map_err(failed)?;
    Ok(user)
}

#[tokio::test]
async fn the_code_of_the_readme_runs() {
    use_it(Db).await.expect("all of it works");
}

#[cfg(unix)]
#[tokio::test]
async fn the_code_for_several_processes_runs() {
    let (server, _compiled) = (cache_tests::RedisServer::start(), over_redis);
    let (a, b) = tokio::join!(process(&server, "a"), process(&server, "b"));
    let header = publish(&a).await.expect("the server is there").expect("it is applied");
    let user = read_after(b, &header, Db).await.expect("the database answers");
    assert_eq!(user.name, "42 7");
}

#[cfg(unix)]
async fn process(server: &cache_tests::RedisServer, name: &str) -> Cache {
    let builder = Cache::builder("shop").redis(server.url()).op_timeout(Duration::from_secs(2));
    builder.build().await.unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_line_of_the_readme_stands_here() {
    let squeeze = |text: &str| text.split_whitespace().collect::<String>();
    let here = squeeze(&include_str!("readme.rs").replace(".map_err(failed)", "").replace(",\n}", "}"));
    let mut code = false;
    for line in include_str!("../../README.md").lines() {
        let fence = line.starts_with("```");
        code = if fence { line == "```rust" && !code } else { code };
        let statement = squeeze(line.split("//").next().unwrap_or_default());
        assert!(fence || !code || here.contains(&statement), "the README's `{line}` is not compiled");
    }
}
