use cache_runtime::cached;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    pub name: String,
}

#[cached(ttl = "5m", key = "user:<tenant>:<id>", stale_if_error = "1h", soft_timeout = "100ms", early_refresh, audit = 1)]
pub async fn load_user(tenant: u64, id: u64) -> User {
    User { name: format!("user {id} of {tenant}") }
}

fn main() {}
