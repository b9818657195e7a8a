use cache_runtime::cached;

#[cached(ttl = "5m", key = "free:<id>")]
pub async fn number(id: u64) -> u64 {
    id
}

pub struct Store;

impl Store {
    #[cached(ttl = "5m", key = "store:<id>")]
    pub async fn number(id: u64) -> u64 {
        id + 1
    }
}

fn main() {}
