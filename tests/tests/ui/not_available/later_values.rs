use cache_runtime::cached;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    pub name: String,
}

#[cached(ttl_with = lifetime, key = "users:<tenant>:<ids>", batch = ids)]
pub async fn load_users(tenant: u64, ids: Vec<u64>) -> Vec<User> {
    ids.iter().map(|id| User { name: format!("user {id} of {tenant}") }).collect()
}

fn main() {}
