//! The code of `docs/testing.md`, compiled and run: every line of its Rust blocks stands here too.

use std::collections::BTreeMap;
use std::error::Error;
use std::future::ready;
use std::sync::Mutex;
use std::time::Duration;

use cache_runtime::testing::coherence::Mistake;
use cache_runtime::testing::{Coherence, Fault, Fleet, History, ManualClock, Recorder, assert_coherent};
use cache_runtime::{Cache, Delivery, Event, Outcome, cached, emits, explain};
use serde::{Deserialize, Serialize};

#[derive(Debug, Default)]
struct Db(Mutex<BTreeMap<u64, u64>>);

#[derive(Clone, Debug)]
struct DbError;

impl std::fmt::Display for DbError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("the database failed")
    }
}

impl Error for DbError {}

impl Db {
    async fn stock(&self, item: u64) -> Result<u64, DbError> {
        let found = self.0.lock().map_err(|_| DbError)?.get(&item).copied();
        ready(found.ok_or(DbError)).await
    }

    async fn set_stock(&self, item: u64, count: u64) -> Result<(), DbError> {
        self.0.lock().map_err(|_| DbError)?.insert(item, count);
        ready(Ok(())).await
    }
}

fn database() -> Db {
    Db(Mutex::new(BTreeMap::from([(7, 1)])))
}

#[derive(Event, Serialize, Deserialize)]
struct StockChanged {
    item: u64,
}

#[cached(ttl = "5m", key = "stock:<item>", invalidate_on = "StockChanged")]
async fn stock(item: u64, #[cache(skip)] db: &Db) -> Result<u64, DbError> {
    db.stock(item).await
}

#[emits(StockChanged { item })]
async fn set_stock(item: u64, count: u64, db: &Db) -> Result<(), DbError> {
    db.set_stock(item, count).await
}

#[tokio::test]
async fn loads_are_counted() -> Result<(), Box<dyn Error>> {
    let db = database();
    let cache = Cache::builder("test").build().await?;
    let recorder = Recorder::new(&cache);
    cache.scope(async { stock(7, &db).await }).await?;
    cache.scope(async { stock(7, &db).await }).await?;
    assert_eq!((recorder.loads("stock"), recorder.hits("stock")), (1, 1));

    let (_, lookups) = cache.scope(explain(stock(7, &db))).await;
    assert_eq!(lookups[0].outcome(), Outcome::HitL1);
    Ok(())
}

#[tokio::test]
async fn time_passes() -> Result<(), Box<dyn Error>> {
    let db = database();
    let clock = ManualClock::new();
    let cache = Cache::builder("test").clock(clock.clone()).build().await?;
    cache.scope(stock(7, &db)).await?;
    clock.advance(Duration::from_mins(5));
    let (_, lookups) = cache.scope(explain(stock(7, &db))).await;
    assert_eq!(lookups[0].outcome(), Outcome::Loaded);
    Ok(())
}

#[tokio::test]
async fn a_fleet_has_a_network_that_fails() -> Result<(), Box<dyn Error>> {
    let db = database();
    let fleet = Fleet::start(2).await?;
    fleet.cache(0).scope(stock(7, &db)).await?;
    let (_, lookups) = fleet.cache(1).scope(explain(stock(7, &db))).await;
    assert_eq!(lookups[0].outcome(), Outcome::HitL2);

    fleet.proxy(1).named("test:bus").both(Fault::Hold); // it hears of nothing
    fleet.cache(0).scope(set_stock(7, 3, &db)).await?;
    let event = StockChanged { item: 7 };
    fleet.cache(0).publish(&event).everywhere(Duration::from_secs(10)).await?;
    assert_eq!(fleet.cache(1).scope(stock(7, &db)).await?, 3); // but knows that

    fleet.proxy(1).heal();
    fleet.all_serve().await?;
    Ok(())
}

#[tokio::test]
async fn a_history_is_checked() -> Result<(), Box<dyn Error>> {
    let db = database();
    let fleet = Fleet::start(2).await?;
    let history = History::new(Duration::from_secs(2));
    let writing = history.write(0, 7, 4); // process 0 writes version 4 of key 7
    fleet.cache(0).scope(set_stock(7, 4, &db)).await?;
    writing.committed();
    let reading = history.read(0, 7);
    reading.saw(fleet.cache(0).scope(stock(7, &db)).await?);
    history.check()?;

    let writing = history.write(0, 7, 5);
    db.set_stock(7, 5).await?;
    let receipt = fleet.cache(0).publish(&StockChanged { item: 7 }).await?;
    match receipt.delivery() {
        Delivery::Applied => writing.committed(),
        _ => writing.queued(),
    }

    let writing = history.write(0, 7, 6);
    db.set_stock(7, 6).await?;
    let event = StockChanged { item: 7 };
    fleet.cache(0).publish(&event).everywhere(Duration::from_secs(10)).await?;
    writing.everywhere();
    let reading = history.read(1, 7);
    let (count, lookups) = fleet.cache(1).scope(explain(stock(7, &db))).await;
    reading.explained(&lookups).saw(count?);
    history.check()?;
    Ok(())
}

#[tokio::test]
async fn a_service_is_searched() {
    let db = database();
    let read = async |item| stock(item, &db).await.expect("the database is there");
    let write = async |item, version| set_stock(item, version, &db).await.expect("the database is there");
    assert_coherent(read, write).await;
}

#[tokio::test]
async fn a_fleet_is_searched() -> Result<(), Box<dyn Error>> {
    let db = database();
    let read = async |item| stock(item, &db).await.expect("the database is there");
    let write = async |item, version| set_stock(item, version, &db).await.expect("the database is there");
    let summary = Coherence::new().fleet(3).check(read, write).await?;
    println!("{summary}");
    assert!(summary.faults() > 10 && summary.close_reads() > 100, "it was not much of a search: {summary}");
    Ok(())
}

#[test]
fn every_line_of_the_guide_stands_here() {
    let squeeze = |text: &str| text.split_whitespace().collect::<String>();
    let here = squeeze(include_str!("guide.rs"));
    let mut code = false;
    for line in include_str!("../../../docs/testing.md").lines() {
        let fence = line.starts_with("```");
        code = if fence { line == "```rust" && !code } else { code };
        assert!(fence || !code || here.contains(&squeeze(line)), "the guide's `{line}` is not compiled");
    }
}

#[test]
fn every_mistake_is_in_the_guide() {
    let (guide, table) = (include_str!("../../../docs/testing.md"), "\n| `");
    let named: Vec<_> = guide.split(table).skip(1).filter_map(|line| line.split('`').next()).collect();
    for mistake in [
        Mistake::AnnouncedEarly,
        Mistake::NotAnnounced,
        Mistake::AnnouncedOther { announced: Vec::new(), read: String::new() },
        Mistake::AnnouncedLate,
        Mistake::SharedEntry { entry: String::new() },
        Mistake::SourceLags,
        Mistake::NotCached,
        Mistake::Cache,
    ] {
        let name = format!("{mistake:?}");
        let name = name.split(' ').next().expect("it has a name");
        assert!(named.contains(&name), "{name} is not in {named:?}");
    }
}
