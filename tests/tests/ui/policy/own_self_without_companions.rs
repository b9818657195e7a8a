use cache_runtime::cached;

#[derive(Clone)]
pub struct Store;

impl Store {
    #[cached(ttl = "5m", key = "number:<id>", skip(self), own(self), companions = off)]
    pub async fn number(&self, id: u64) -> u64 {
        id
    }
}

fn main() {}
