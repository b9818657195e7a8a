use cache_runtime::{Event, emits};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
pub struct UserUpdated {
    pub tenant: u64,
    pub id: u64,
}

#[emits(UserUpdated { tenant, id }, chace = name)]
pub async fn rename(tenant: u64, id: u64, name: &str) -> Result<(), String> {
    Err(format!("{tenant} {id} {name}"))
}

fn main() {}
