use cache_runtime::{Event, emits};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
pub struct UserUpdated {
    pub tenant: u64,
    pub id: u64,
}

#[emits(UserUpdated { tenant: result, id: 1 })]
pub async fn rename(result: u64) -> Result<(), String> {
    Err(format!("{result}"))
}

fn main() {}
