//! What is cached, and what ends it. Each value is the number of a price: the first, the second, ..

use std::io;
use std::time::Duration;

use cache_runtime::{Event, cached};
use serde::{Deserialize, Serialize};
use tokio::time;

use crate::database::Database;

/// An item has another price.
#[derive(Event, Serialize, Deserialize)]
pub(crate) struct PriceChanged {
    pub(crate) item: u32,
}

/// Served from memory: another process may be behind, by `max_staleness` at most.
#[cached(ttl = "1m", key = "price:<item>", invalidate_on = "PriceChanged")]
pub(crate) async fn price(item: u32, #[cache(skip)] database: &Database) -> io::Result<u64> {
    database.price(item)
}

/// Never served from memory: no process is ever behind.
#[cached(ttl = "1m", key = "total:<item>", l1 = off, invalidate_on = "PriceChanged")]
pub(crate) async fn total(item: u32, #[cache(skip)] database: &Database) -> io::Result<u64> {
    database.price(item)
}

/// Takes a while to make, and says when it begins.
#[cached(ttl = "1m", key = "report:<item>", invalidate_on = "PriceChanged")]
pub(crate) async fn report(item: u32, #[cache(skip)] database: &Database) -> io::Result<u64> {
    println!("loading {item}");
    let price = database.price(item);
    time::sleep(Duration::from_millis(200)).await;
    price
}
