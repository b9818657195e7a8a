use cache_runtime::cached;

pub trait Numbers {
    #[cached(ttl = "5m", key = "number:<id>", skip(self), companions = off)]
    async fn number(&self, id: u64) -> u64;
}

fn main() {}
