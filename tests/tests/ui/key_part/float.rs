use cache_runtime::cached;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    pub name: String,
}

#[cached(ttl = "5m", key = "near:<latitude>:<longitude>")]
pub async fn near(latitude: f64, longitude: f64) -> User {
    User { name: format!("{latitude} {longitude}") }
}

fn main() {}
