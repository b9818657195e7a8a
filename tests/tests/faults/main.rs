//! What fails beside the cache, one by one: what a caller sees, what is logged and counted, and how it ends.
//!
//! Each test is a row of `docs/failures.md`. Two caches stand for two processes; the server is a real one, and what
//! happens to it is done to it, or to the connections through a proxy before it.

#![cfg(unix)]
#![expect(unused_variables, reason = "keys are what tells these calls apart")]

mod away;
mod connections;
mod contents;
mod credentials;
mod full;
mod in_time;
mod log;
mod measured;
mod scene;
mod slow;

use cache_runtime::{Event, cached};
use cache_tests::Gate;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Changed {
    id: u64,
}

#[derive(Event, Serialize, Deserialize)]
struct ShopClosed {
    shop: u64,
}

/// Kept in both tiers. What it returns names its key: nobody may be given another one's value.
#[cached(ttl = "1m", key = "item:<id>", invalidate_on = "Changed")]
async fn item(id: u64, #[cache(skip)] source: &Gate) -> (u64, u64) {
    (id, source.load().await)
}

/// Kept in the second tier alone.
#[cached(ttl = "1m", key = "strict:<id>", l1 = off, invalidate_on = "Changed")]
async fn strict(id: u64, #[cache(skip)] source: &Gate) -> (u64, u64) {
    (id, source.load().await)
}

/// One of a group.
#[cached(ttl = "1m", key = "offer:<shop>:<id>", invalidate_on = "ShopClosed => offer:<shop>:*")]
async fn offer(shop: u64, id: u64, #[cache(skip)] source: &Gate) -> (u64, u64) {
    (id, source.load().await)
}

/// As large as it is told to be.
#[cached(ttl = "1m", key = "page:<id>", invalidate_on = "Changed")]
async fn page(id: u64, #[cache(skip)] size: usize, #[cache(skip)] source: &Gate) -> (u64, String) {
    (source.load().await, "x".repeat(size))
}
