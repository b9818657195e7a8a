use cache_runtime::cached;

#[cached(ttl = "5m", key = "numbers:<id>")]
pub async fn numbers(id: u64) -> impl Iterator<Item = u64> {
    0..id
}

fn main() {}
