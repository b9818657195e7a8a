//! An output that names `Self` is another type in each `impl`, though the words are the same.

use cache_runtime::{Cache, Error, cached};

trait Loader {
    type Item;

    async fn load(&self, id: u64) -> Option<Self::Item>;
}

struct Numbers;
struct Names;

impl Loader for Numbers {
    type Item = u64;

    #[cached(ttl = "1m", key = "item:<id>", skip(self), companions = off)]
    async fn load(&self, id: u64) -> Option<Self::Item> {
        Some(id)
    }
}

impl Loader for Names {
    type Item = String;

    #[cached(ttl = "1m", key = "item:<id>", skip(self), companions = off)]
    async fn load(&self, id: u64) -> Option<Self::Item> {
        Some(id.to_string())
    }
}

#[tokio::test]
async fn functions_of_different_items_are_refused() {
    let error = Cache::builder("test").build().await.expect_err("both can render `item:7`");
    assert!(matches!(error, Error::Overlap(_)));
    let cache_less = (Numbers.load(1).await, Names.load(1).await);
    assert_eq!(cache_less, (Some(1), Some("1".to_owned())));
}
