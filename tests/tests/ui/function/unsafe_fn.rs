use cache_runtime::cached;

#[cached(ttl = "5m", key = "number:<id>")]
pub async unsafe fn number(id: u64) -> u64 {
    id
}

fn main() {}
