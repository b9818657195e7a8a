use cache_runtime::cached;

#[cached(ttl = "5m", key = "word:<text>")]
pub async fn first_word<'a>(text: &'a str) -> &'a str {
    text.split(' ').next().unwrap_or(text)
}

fn main() {}
