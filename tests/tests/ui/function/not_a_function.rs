use cache_runtime::cached;

#[cached(ttl = "5m", key = "number")]
pub struct Number(u64);

fn main() {}
