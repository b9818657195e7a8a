//! One cached function, several types: no key tells apart what only `Self` does.

#[expect(dead_code, reason = "the tests of faults use all of it")]
#[path = "faults/log.rs"]
mod log;

use std::marker::PhantomData;

use async_trait::async_trait;
use cache_runtime::{Bypass, Lookup, Outcome, cached, explain};
use cache_tests::cache;
use log::Log;
use serde::{Deserialize, Serialize};

struct User;
struct Order;

trait Model: Send + Sync {
    const TABLE: &'static str;

    #[cached(ttl = "1m", key = "model:<id>")]
    async fn find(id: u64, #[cache(skip)] db: &str) -> String {
        format!("{db}/{}/{id}", Self::TABLE)
    }

    #[cached(ttl = "1m", key = "model-inline:<id>", companions = off)]
    async fn inline(id: u64) -> String {
        format!("{}/{id}", Self::TABLE)
    }

    #[cached(ttl = "1m", key = "model-outside:<id>", l1 = off)]
    async fn outside(id: u64, #[cache(skip)] _db: &str) -> String {
        format!("{}/{id}", Self::TABLE)
    }

    #[cached(ttl = "1m", key = "model-read:<id>", skip(self))]
    async fn read(&self, id: u64) -> String {
        format!("{}/{id}", Self::TABLE)
    }
}

impl Model for User {
    const TABLE: &'static str = "users";
}

impl Model for Order {
    const TABLE: &'static str = "orders";
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::unsafe_derive_deserialize, reason = "the link-time registry's, not this type's")]
struct Row<T, const N: usize> {
    label: String,
    of: PhantomData<T>,
}

impl<T: Model + Clone + 'static, const N: usize> Row<T, N> {
    #[cached(ttl = "1m", key = "row:<id>")]
    async fn find(id: u64) -> Option<Self> {
        Some(Self { label: format!("{}/{id}/{N}", T::TABLE), of: PhantomData })
    }

    #[cached(ttl = "1m", key = "row-told:<id>", companions = Self)]
    async fn told(id: u64) -> String {
        format!("{}/{id}/{N}", T::TABLE)
    }

    #[cached(ttl = "1m", key = "row-owned:<self.label>", own(self))]
    async fn owned(&self) -> String {
        format!("{}/{}/{N}", T::TABLE, self.label)
    }
}

#[async_trait]
trait Named: Sync {
    fn name(&self) -> String;

    #[cached(ttl = "1m", key = "named:<id>", skip(self))]
    async fn named(&self, id: u64) -> String {
        format!("{} {id}", self.name())
    }
}

#[async_trait]
impl Named for User {
    fn name(&self) -> String {
        "user".to_owned()
    }
}

#[async_trait]
impl Named for Order {
    fn name(&self) -> String {
        "order".to_owned()
    }
}

const REFUSED: Outcome = Outcome::Bypassed(Bypass::OtherSelf);

/// Two calls of each type: the first type is answered from the cache, the other from its body.
async fn check<T: PartialEq + std::fmt::Debug>(
    first: impl AsyncFn() -> T,
    second: impl AsyncFn() -> T,
    expected: (T, T),
    served: Outcome,
) {
    cache()
        .await
        .scope(async {
            let (answers, lookups) =
                explain(async { (first().await, second().await, first().await, second().await) }).await;
            assert_eq!((&answers.0, &answers.1), (&expected.0, &expected.1));
            assert_eq!((&answers.2, &answers.3), (&expected.0, &expected.1));
            let outcomes: Vec<_> = lookups.iter().map(Lookup::outcome).collect();
            assert_eq!(outcomes, [Outcome::Loaded, REFUSED, served, REFUSED]);
        })
        .await;
}

fn both(first: &str, second: &str) -> (String, String) {
    (first.to_owned(), second.to_owned())
}

#[tokio::test]
async fn a_default_method_is_cached_for_one_type() {
    let hit = Outcome::HitL1;
    check(
        async || User::find(1, "db").await,
        async || Order::find(1, "db").await,
        both("db/users/1", "db/orders/1"),
        hit,
    )
    .await;
    check(async || User::inline(1).await, async || Order::inline(1).await, both("users/1", "orders/1"), hit).await;
    check(async || User.read(1).await, async || Order.read(1).await, both("users/1", "orders/1"), hit).await;
    check(async || User.named(1).await, async || Order.named(1).await, both("user 1", "order 1"), hit).await;
}

#[tokio::test]
async fn so_it_is_without_the_in_process_tier() {
    let calls = (async || User::outside(1, "db").await, async || Order::outside(1, "db").await);
    check(calls.0, calls.1, both("users/1", "orders/1"), Outcome::Loaded).await;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Book;

impl Model for Book {
    const TABLE: &'static str = "books";
}

fn row<const N: usize>(label: &str) -> Row<Book, N> {
    Row { label: label.to_owned(), of: PhantomData }
}

#[tokio::test]
async fn a_method_of_a_generic_type_is_cached_for_one_instance() {
    let hit = Outcome::HitL1;
    let found = |row: Option<String>| row.expect("there is one");
    let one = async || found(Row::<Book, 1>::find(1).await.map(|row| row.label));
    let two = async || found(Row::<Book, 2>::find(1).await.map(|row| row.label));
    check(one, two, both("books/1/1", "books/1/2"), hit).await;
    let (one, two) = (async || Row::<Book, 1>::told(1).await, async || Row::<Book, 2>::told(1).await);
    check(one, two, both("books/1/1", "books/1/2"), hit).await;
    let (one, two) = (row::<1>("a"), row::<2>("a"));
    check(async || one.owned().await, async || two.owned().await, both("books/a/1", "books/a/2"), hit).await;
}

trait Loud {
    #[cached(ttl = "1m", key = "loud:<id>")]
    async fn loud(id: u64, #[cache(skip)] _db: &str) -> u64 {
        let _ = size_of::<&Self>();
        id
    }
}

impl Loud for User {}
impl Loud for Order {}
impl Loud for Book {}

#[tokio::test]
async fn it_is_told_once_for_each_function() {
    let (log, _guard) = Log::start();
    cache()
        .await
        .scope(async {
            for id in 0..3 {
                User::loud(id, "db").await;
                Order::loud(id, "db").await;
                Book::loud(id, "db").await;
            }
        })
        .await;
    let lines = log.lines("two types call one cached function");
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = format!("{:?}", lines[0]);
    let told = ["ERROR", "macro_self::User", "macro_self::Order", "loud:<id>", "`skip(Self)`", "each type"];
    assert!(told.iter().all(|part| line.contains(part)), "{line}");
}

#[tokio::test]
async fn what_tells_types_apart_may_stand_in_the_key() {
    trait Tabled {
        #[cached(ttl = "1m", key = "tabled:<table>:<id>", skip(Self))]
        async fn row_of(table: &str, id: u64) -> String {
            format!("{table}/{id}")
        }
    }
    impl Tabled for User {}
    impl Tabled for Order {}
    cache()
        .await
        .scope(async {
            let calls = async {
                for _ in 0..2 {
                    assert_eq!(User::row_of("users", 1).await, "users/1");
                    assert_eq!(Order::row_of("orders", 1).await, "orders/1");
                }
                Order::row_of("users", 1).await
            };
            let lookups = explain(calls).await.1;
            let outcomes: Vec<_> = lookups.iter().map(Lookup::outcome).collect();
            let (loaded, hit) = (Outcome::Loaded, Outcome::HitL1);
            assert_eq!(outcomes, [loaded, loaded, hit, hit, hit]);
        })
        .await;
}

#[tokio::test]
async fn an_entry_is_that_of_the_key() {
    trait Kept {
        #[cached(ttl = "1m", key = "kept:<id>")]
        async fn kept(id: u64, #[cache(skip)] _db: &str) -> u64 {
            id + size_of::<&Self>() as u64
        }
    }
    impl Kept for User {}
    impl Kept for Order {}
    cache()
        .await
        .scope(async {
            let loaded = User::kept(1, "db").await;
            let kept = Order::kept_entry(1).peek().await.expect("embedded");
            assert_eq!(kept.map(cache_runtime::Peek::into_value), Some(loaded));
            Order::kept_entry(1).put(7).await.expect("embedded");
            assert_eq!(User::kept(1, "db").await, 7);
            assert_ne!(Order::kept(1, "db").await, 7);
        })
        .await;
}

/// Which type is the first is another one in each process: here two functions with the same keys stand for that.
#[tokio::test]
async fn what_one_process_has_stored_for_one_type_is_not_served_to_another_in_the_next() {
    trait Here {
        #[cached(ttl = "1m", key = "of-type:<id>", companions = off)]
        async fn here(id: u64) -> String {
            format!("{}/{id}", std::any::type_name::<Self>())
        }
    }
    trait There {
        #[cached(ttl = "1m", key = "of-type:<id>", companions = off)]
        async fn there(id: u64) -> String {
            format!("{}/{id}", std::any::type_name::<Self>())
        }
    }
    struct User;
    struct Order;
    impl Here for User {}
    impl There for User {}
    impl There for Order {}

    let server = cache_tests::redis_server::RedisServer::start();
    let cache = cache_tests::on_redis::process(&server.url(), &[]).await;
    assert!(cache.scope(User::here(1)).await.contains("User"));
    assert!(cache.scope(Order::there(1)).await.contains("Order"));
}

/// A process that puts a value, or looks for one, may not have called the function: it puts what the next one is served, and
/// finds what that one has stored.
#[tokio::test]
async fn an_entry_is_that_of_its_type_before_anything_is_called() {
    trait Here {
        #[cached(ttl = "1m", key = "entry-of-type:<id>")]
        async fn here(id: u64, #[cache(skip)] _db: &str) -> String {
            format!("{}/{id}", std::any::type_name::<Self>())
        }
    }
    trait Putting {
        #[cached(ttl = "1m", key = "entry-of-type:<id>")]
        async fn putting(id: u64, #[cache(skip)] _db: &str) -> String {
            format!("{}/{id}", std::any::type_name::<Self>())
        }
    }
    trait Looking {
        #[cached(ttl = "1m", key = "entry-of-type:<id>")]
        async fn looking(id: u64, #[cache(skip)] _db: &str) -> String {
            format!("{}/{id}", std::any::type_name::<Self>())
        }
    }
    struct User;
    impl Here for User {}
    impl Putting for User {}
    impl Looking for User {}

    let server = cache_tests::redis_server::RedisServer::start();
    let cache = cache_tests::on_redis::process(&server.url(), &[]).await;
    cache
        .scope(async {
            User::putting_entry(1).put("put".to_owned()).await.expect("the server is there");
            let (value, lookups) = explain(User::here(1, "db")).await;
            assert_eq!((value.as_str(), lookups[0].outcome()), ("put", Outcome::HitL2));
            let stored = User::here(2, "db").await;
            let found = User::looking_entry(2).peek().await.expect("the server is there");
            assert_eq!(found.map(cache_runtime::Peek::into_value), Some(stored));
        })
        .await;
}

struct Source<F>(F);

impl<F: Fn(u64) -> u64> Source<F> {
    #[cached(ttl = "1m", key = "source:<id>", skip(self))]
    async fn get(&self, id: u64) -> u64 {
        (self.0)(id)
    }

    #[cached(ttl = "1m", key = "named-source:<id>", skip(self))]
    async fn get_named(&self, id: u64) -> u64 {
        (self.0)(id)
    }
}

/// All closures of one function have one name.
#[tokio::test]
async fn one_closure_is_not_answered_with_the_value_of_another() {
    let (log, _guard) = Log::start();
    let (one, two) = (Source(|id| id + 1), Source(|id| id + 2));
    cache()
        .await
        .scope(async {
            let calls = async { [one.get(1).await, two.get(1).await, one.get(1).await] };
            let (values, lookups) = explain(calls).await;
            assert_eq!(values, [2, 3, 2]);
            assert!(lookups.iter().all(|lookup| lookup.outcome() == REFUSED), "{lookups:?}");
        })
        .await;
    let lines = log.lines("a type with a closure in it calls a cached function");
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = format!("{:?}", lines[0]);
    assert!(["ERROR", "Source<", "source:<id>", "`skip(Self)`"].iter().all(|part| line.contains(part)), "{line}");
}

/// What is declared in a closure, as in the body of an `async fn`, has a name of its own; and a call of a closure is not the
/// first one.
#[tokio::test]
async fn what_is_declared_inside_a_closure_is_cached() {
    fn next(id: u64) -> u64 {
        id + 1
    }
    let (unnamed, named) = (Source(|id| id + 2), Source(next));
    assert!(std::any::type_name_of_val(&named).contains("{{closure}}::next"));
    cache()
        .await
        .scope(async {
            let calls = async { [unnamed.get_named(1).await, named.get_named(1).await, named.get_named(1).await] };
            let (values, lookups) = explain(calls).await;
            let outcomes: Vec<_> = lookups.iter().map(Lookup::outcome).collect();
            assert_eq!((values, &outcomes[..]), ([3, 2, 2], &[REFUSED, Outcome::Loaded, Outcome::HitL1][..]));
        })
        .await;
}
