use cache_runtime::cached;

#[cached(ttl = "5m", key = "number:<id>")]
pub fn number(id: u64) -> u64 {
    id
}

fn main() {
    number(1);
}
