//! Is a service coherent? A search runs its cached function and its writer at random, with pauses
//! where races live, and explains the first read that is older than promised.
//!
//! Here it searches a service that is right, and the same service with three mistakes that tests
//! seldom find. In your crate the search is one test: `assert_coherent(read, write).await`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use cache_runtime::testing::{Coherence, Incoherence};
use cache_runtime::{Cache, Event, cached, emits};
use serde::{Deserialize, Serialize};

// The service.

/// How many of an item are in stock has changed.
#[derive(Event, Serialize, Deserialize)]
struct StockChanged {
    item: u64,
}

/// What stands for the database.
static STOCK: Mutex<BTreeMap<u64, u64>> = Mutex::new(BTreeMap::new());

#[cached(ttl = "5m", key = "stock:<item>", invalidate_on = "StockChanged")]
async fn stock(item: u64) -> u64 {
    table().get(&item).copied().unwrap_or_default()
}

/// The event is announced after the commit: the attribute sees to it.
#[emits(StockChanged { item })]
async fn set_stock(item: u64, count: u64) -> Result<(), DbError> {
    commit(item, count).await
}

#[derive(Debug)]
struct DbError;

async fn commit(item: u64, count: u64) -> Result<(), DbError> {
    // A database takes its time.
    tokio::task::yield_now().await;
    table().insert(item, count);
    Ok(())
}

fn table() -> MutexGuard<'static, BTreeMap<u64, u64>> {
    STOCK.lock().expect("nobody panics with the table in hand")
}

// Its mistakes.

/// Announced by hand, and too early: whoever loads before the commit keeps the old count.
async fn set_stock_after_the_event(item: u64, count: u64) -> Result<(), DbError> {
    announce(item).await;
    commit(item, count).await
}

/// A second way to write, of which the author of the event never heard.
async fn correct_stock(item: u64, count: u64) -> Result<(), DbError> {
    commit(item, count).await
}

/// The count of one shelf, under a key that leaves out the shelf.
#[cached(ttl = "5m", key = "shelf:<item>", invalidate_on = "StockChanged")]
async fn stock_of_shelf(item: u64, #[cache(skip)] shelf: u64) -> u64 {
    table().get(&place(item, shelf)).copied().unwrap_or_default()
}

async fn set_stock_of_shelf(item: u64, shelf: u64, count: u64) -> Result<(), DbError> {
    commit(place(item, shelf), count).await?;
    announce(item).await;
    Ok(())
}

fn place(item: u64, shelf: u64) -> u64 {
    1_000 + item * 10 + shelf
}

async fn announce(item: u64) {
    let published = Cache::current().publish(&StockChanged { item }).await;
    published.expect("the event can be written down");
}

// Its search: `read` tells which version it saw, `write` commits a version and announces it.

async fn search<W: AsyncFn(u64, u64) -> Result<(), DbError>>(write: W) -> Result<(), Incoherence> {
    let write = async |item, version| write(item, version).await.expect("the database is there");
    Coherence::new().check(stock, write).await.map(drop)
}

async fn search_shelves() -> Result<(), Incoherence> {
    let read = async |key| stock_of_shelf(key / 2, key % 2).await;
    let write = async |key, version| {
        set_stock_of_shelf(key / 2, key % 2, version).await.expect("the database is there");
    };
    Coherence::new().check(read, write).await.map(drop)
}

fn tell(title: &str, found: &Result<(), Incoherence>) {
    match found {
        Ok(()) => println!("{title}: coherent"),
        // `{found}` is the whole story, with a timeline and the seed.
        Err(found) => println!("{title}: {}", found.mistake()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tell("the service", &search(set_stock).await);
    tell("announced before the commit", &search(set_stock_after_the_event).await);
    tell("not announced", &search(correct_stock).await);
    tell("the key leaves out the shelf", &search_shelves().await);
}
