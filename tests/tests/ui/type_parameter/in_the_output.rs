use cache_runtime::cached;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    pub name: String,
}

#[cached(ttl = "5m", key = "user:<tenant>:<id>")]
pub async fn load_user<T: From<u64>>(tenant: u64, id: u64) -> Option<T> {
    Some(T::from(tenant + id))
}

fn main() {}
