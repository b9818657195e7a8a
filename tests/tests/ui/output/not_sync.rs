use cache_runtime::cached;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    pub visits: std::cell::Cell<u64>,
}

#[cached(ttl = "5m", key = "user:<id>")]
pub async fn load_user(id: u64) -> User {
    User { visits: id.into() }
}

fn main() {}
