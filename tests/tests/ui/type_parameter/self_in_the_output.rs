use cache_runtime::cached;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
pub struct User<T> {
    pub name: T,
}

impl<T: From<String>> User<T> {
    #[cached(ttl = "5m", key = "user:<id>", skip(Self))]
    pub async fn find(id: u64) -> Option<Self> {
        Some(Self { name: id.to_string().into() })
    }
}

fn main() {}
