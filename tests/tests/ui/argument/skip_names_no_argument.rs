use cache_runtime::cached;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    pub name: String,
}

#[cached(ttl = "5m", key = "user:<tenant>:<id>", skip(bd))]
pub async fn load_user(tenant: u64, id: u64, #[cache(skip)] db: String) -> User {
    User { name: format!("user {id} of {tenant} from {db}") }
}

fn main() {}
