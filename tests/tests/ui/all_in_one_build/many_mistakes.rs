use cache_runtime::cached;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    pub name: String,
}

#[cached(ttl = "5", jitter = 101, key = "user:<tennant>", verison = 2, invalidate_on = "UserUpdated ->")]
pub async fn load_user(tenant: u64, id: u64, db: &str) -> User {
    User { name: format!("user {id} of {tenant} from {db}") }
}

fn main() {}
