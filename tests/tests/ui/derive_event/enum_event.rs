use cache_runtime::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
pub enum UserChanged {
    Updated { id: u64 },
    Removed { id: u64 },
}

fn main() {}
