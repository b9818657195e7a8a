use cache_runtime::{Event, emits};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
pub struct UserUpdated {
    pub tenant: u64,
    pub id: u64,
}

#[emits(UserUpdated { tenant, id: *id })]
pub async fn rename(tenant: u64, id: &mut u64) -> Result<(), String> {
    Err(format!("{tenant} {id}"))
}

fn main() {}
