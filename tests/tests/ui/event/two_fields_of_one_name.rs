use cache_runtime::cached;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    pub name: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Place {
    pub id: u64,
}

#[derive(cache_runtime::Event, Serialize, Deserialize)]
pub struct Moved {
    pub id: u64,
}

#[cached(ttl = "5m", key = "move:<from.id>:<to.id>", invalidate_on = "Moved")]
pub async fn distance(from: Place, to: Place) -> u64 {
    from.id + to.id
}

fn main() {}
