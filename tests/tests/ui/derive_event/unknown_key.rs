use cache_runtime::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
#[event(nam = "user.updated")]
pub struct UserUpdated {
    pub id: u64,
}

fn main() {}
