use cache_runtime::cached;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    pub name: String,
}

pub struct Users {
    pub tenant: f32,
}

impl Users {
    #[cached(ttl = "5m", key = "user:<self.tenant>:<id>")]
    pub async fn load(&self, id: u64) -> User {
        User { name: format!("user {id} of {}", self.tenant) }
    }
}

fn main() {}
