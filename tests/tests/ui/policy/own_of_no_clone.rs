use cache_runtime::cached;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    pub name: String,
}

pub struct Db(u64);

#[cached(ttl = "5m", key = "number:<id>", own(db))]
pub async fn number(id: u64, #[cache(skip)] db: &Db) -> u64 {
    id + db.0
}

fn main() {}
