use cache_runtime::cached;

pub trait Numbers {
    fn number(&self, id: u64) -> impl Future<Output = u64>;
}

pub struct Store;

impl Numbers for Store {
    #[cached(ttl = "5m", key = "number:<id>", skip(self))]
    async fn number(&self, id: u64) -> u64 {
        id
    }
}

fn main() {}
