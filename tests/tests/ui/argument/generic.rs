use cache_runtime::cached;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    pub name: String,
}

#[cached(ttl = "5m", key = "user:<tenant>:<id>")]
pub async fn load_user<T: Into<u64>>(tenant: T, id: impl Into<u64>) -> User {
    User { name: format!("user {} of {}", id.into(), tenant.into()) }
}

fn main() {}
