use cache_runtime::cached;

pub struct Store;

impl Store {
    #[cached(ttl = "5m", key = "number:<id>")]
    pub async fn number(id: u64) -> u64 {
        id
    }
}

fn main() {}
