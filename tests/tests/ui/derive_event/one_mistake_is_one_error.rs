use cache_runtime::{Event, cached};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
pub struct UserUpdated(pub u64);

#[cached(ttl = "5m", key = "users", invalidate_on = "UserUpdated => users*")]
pub async fn users() -> u64 {
    1
}

fn main() {}
