use cache_runtime::{Event, cached};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    pub name: String,
}

#[derive(Event, Serialize, Deserialize)]
pub struct UserUpdated {
    pub tenant: u64,
    pub id: u64,
}

#[cached(ttl = "5m", key = "user:<tenant>:<id>", invalidate_on = ["UserUpdated", "UserUpdated"])]
pub async fn load_user(tenant: u64, id: u64) -> User {
    User { name: format!("user {id} of {tenant}") }
}

fn main() {}
