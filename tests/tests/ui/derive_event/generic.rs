use cache_runtime::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
pub struct Updated<T> {
    pub id: T,
}

fn main() {}
