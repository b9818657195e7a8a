use cache_runtime::cached;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    pub name: String,
}

pub struct UserId(pub u64);

#[cached(ttl = "5m", key = "user:<id>")]
pub async fn load_user(id: UserId) -> User {
    User { name: format!("user {}", id.0) }
}

fn main() {}
