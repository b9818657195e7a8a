use cache_runtime::cached;

type Answer = Result<u64, String>;

#[cached(ttl = "5m", key = "numbers:<id>")]
pub async fn number(id: u64) -> Answer {
    Ok(id)
}

fn main() {}
