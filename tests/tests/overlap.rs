//! `build()` refuses functions that can render the same key but keep different types, and names both.

use cache_runtime::{Cache, Error, cached};

#[cached(ttl = "1m", key = "user:<id>")]
async fn load_user(id: u64) -> u64 {
    id
}

#[cached(ttl = "1m", key = "user:<name>")]
async fn load_user_by_name(name: &str) -> String {
    name.to_owned()
}

#[cached(ttl = "1m", key = "user:<name>", version = 2)]
async fn another_version(name: &str) -> Vec<u8> {
    name.into()
}

#[tokio::test]
async fn overlapping_templates_of_different_outputs_are_refused() {
    assert_eq!(load_user_uncached(1).await, 1);
    assert_eq!(load_user_by_name_uncached("x").await, "x");
    assert_eq!(another_version_uncached("x").await, b"x");
    let error = Cache::builder("test").build().await.expect_err("both can render `user:7`");
    assert!(matches!(error, Error::Overlap(_)));
    let message = error.to_string();
    assert!(message.contains("`load_user` (key `user:<id>`, tests/tests/overlap.rs:"), "{message}");
    assert!(message.contains("`load_user_by_name` (key `user:<name>`, tests/tests/overlap.rs:"), "{message}");
    assert!(!message.contains("another_version"), "{message}");
}
