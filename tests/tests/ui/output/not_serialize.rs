use cache_runtime::cached;
use serde::Deserialize;

#[derive(Clone, Deserialize)]
pub struct User {
    pub name: String,
}

#[cached(ttl = "5m", key = "user:<id>")]
pub async fn load_user(id: u64) -> User {
    User { name: id.to_string() }
}

fn main() {}
