//! What a cached function may return, and what is kept of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cache_runtime::{Entry, Error, Peek, cached};
use cache_tests::cache;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
}

#[derive(Debug, PartialEq)]
struct NotClone;

type Res<T> = Result<T, NotClone>;
type UserResult<T, E = String> = Result<T, E>;

static LOADS: AtomicU64 = AtomicU64::new(0);

fn user(id: u64) -> User {
    LOADS.fetch_add(1, Ordering::Relaxed);
    User { id }
}

#[cached(ttl = "5m", key = "plain:<id>")]
async fn plain(id: u64) -> User {
    user(id)
}

#[cached(ttl = "5m", key = "option:<id>")]
async fn option(id: u64) -> Option<User> {
    (id > 0).then(|| user(id))
}

#[cached(ttl = "5m", key = "result:<id>")]
async fn result(id: u64) -> Result<User, std::io::Error> {
    if id == 0 { Err(std::io::Error::other("no user")) } else { Ok(user(id)) }
}

#[cached(ttl = "5m", key = "result-option:<id>")]
async fn result_of_option(id: u64) -> Result<Option<User>, String> {
    Ok((id > 0).then(|| user(id)))
}

#[cached(ttl = "5m", key = "anyhow:<id>")]
async fn with_anyhow(id: u64) -> anyhow::Result<User> {
    anyhow::ensure!(id > 0, "no user");
    Ok(user(id))
}

#[cached(ttl = "5m", key = "res:<id>")]
async fn with_alias(id: u64) -> Res<User> {
    if id == 0 { Err(NotClone) } else { Ok(user(id)) }
}

#[cached(ttl = "5m", key = "user-result:<id>")]
async fn with_alias_of_two(id: u64) -> UserResult<Vec<User>> {
    Ok(vec![user(id)])
}

#[cached(ttl = "5m", key = "arc:<id>")]
async fn arc(id: u64) -> Arc<User> {
    Arc::new(user(id))
}

#[cached(ttl = "5m", key = "arc-result:<id>")]
async fn result_of_arc(id: u64) -> Result<Arc<User>, String> {
    Ok(Arc::new(user(id)))
}

#[cached(ttl = "5m", key = "arc-option:<id>")]
async fn option_of_arc(id: u64) -> Option<Arc<User>> {
    Some(Arc::new(user(id)))
}

#[cached(ttl = "5m", key = "arc-result-option:<id>")]
async fn result_of_option_of_arc(id: u64) -> anyhow::Result<Option<Arc<[User]>>> {
    Ok(Some(Arc::from([user(id)])))
}

#[cached(ttl = "5m", key = "nested-option:<id>", negative_ttl = "1m")]
async fn nested_option(id: u64) -> Option<Option<u64>> {
    Some((id > 0).then_some(id))
}

#[cached(ttl = "5m", key = "many:<id>")]
async fn many(id: u64) -> std::collections::BTreeMap<String, (u64, [u8; 4], Option<bool>)> {
    [(id.to_string(), (user(id).id, [1; 4], None))].into()
}

fn kept<T>(entry: Result<Option<Peek<T>>, Error>) -> T {
    entry.expect("embedded").expect("it was just loaded").into_value()
}

#[tokio::test]
async fn each_output_is_loaded_once() {
    let before = LOADS.load(Ordering::Relaxed);
    cache()
        .await
        .scope(async {
            for _ in 0..3 {
                assert_eq!(plain(1).await.id, 1);
                assert_eq!(option(1).await, Some(User { id: 1 }));
                assert_eq!(result(1).await.ok(), Some(User { id: 1 }));
                assert_eq!(result_of_option(1).await, Ok(Some(User { id: 1 })));
                assert_eq!(with_anyhow(1).await.ok(), Some(User { id: 1 }));
                assert_eq!(with_alias(1).await, Ok(User { id: 1 }));
                assert_eq!(with_alias_of_two(1).await, Ok(vec![User { id: 1 }]));
                assert_eq!(arc(1).await.id, 1);
                assert_eq!(result_of_arc(1).await.map(|user| user.id), Ok(1));
                assert_eq!(option_of_arc(1).await.map(|user| user.id), Some(1));
                let several = result_of_option_of_arc(1).await.expect("it is there");
                assert_eq!(several.map(|users| users[0].id), Some(1));
                assert_eq!(many(1).await["1"].0, 1);
            }
            assert_eq!(LOADS.load(Ordering::Relaxed) - before, 12);

            // What an entry holds is the output without its `Result`.
            let entries: (Entry<User>, Entry<Option<User>>) = (with_anyhow_entry(1), result_of_option_entry(1));
            assert_eq!(kept(entries.0.peek().await), User { id: 1 });
            assert_eq!(kept(entries.1.peek().await), Some(User { id: 1 }));
            assert_eq!(kept(with_alias_entry(1).peek().await), User { id: 1 });
            assert_eq!(kept(with_alias_of_two_entry(1).peek().await), vec![User { id: 1 }]);
            assert!(Arc::ptr_eq(&arc(1).await, &kept(arc_entry(1).peek().await)));
        })
        .await;
}

#[tokio::test]
async fn absence_and_errors_are_not_kept() {
    cache()
        .await
        .scope(async {
            assert_eq!(option(0).await, None);
            assert_eq!(result_of_option(0).await, Ok(None));
            assert!(result(0).await.is_err());
            assert!(with_anyhow(0).await.is_err());
            assert_eq!(with_alias(0).await, Err(NotClone));
            assert!(option_entry(0).peek().await.expect("embedded").is_none());
            assert!(result_of_option_entry(0).peek().await.expect("embedded").is_none());
            assert!(result_entry(0).peek().await.expect("embedded").is_none());

            // `Some(None)` is something.
            assert_eq!(nested_option(0).await, Some(None));
            assert_eq!(kept(nested_option_entry(0).peek().await), Some(None));
        })
        .await;
}
