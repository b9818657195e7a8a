use cache_runtime::cached;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    pub name: String,
}

#[cached(ttl = 300, key = "user:<tenant>:<id>", jitter = "10%", version = "2", skip = db, l1 = on, l2 = "5m", companions = no)]
pub async fn load_user(tenant: u64, id: u64) -> User {
    User { name: format!("user {id} of {tenant}") }
}

fn main() {}
