use cache_runtime::cached;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    pub name: String,
}

fn is_long(text: &String) -> bool {
    text.len() > 10
}

#[cached(ttl = "5m", key = "user:<tenant>:<id>", store_if = is_long)]
pub async fn load_user(tenant: u64, id: u64) -> User {
    User { name: format!("user {id} of {tenant}") }
}

fn main() {}
