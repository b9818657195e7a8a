//! What users write and no example shows.

use std::fmt::Display;
use std::sync::Arc;

use cache_runtime::{Event, cached, emits};
use cache_tests::cache;
use serde::{Deserialize, Serialize};

#[cached(ttl = "1m", key = "underscored:<_id>")]
async fn underscored(_id: u64) -> u64 {
    1
}

#[cached(ttl = "1m", key = "underscored-field:<_pair.0>:<_pair.1:hash>")]
async fn underscored_field(_pair: (u64, u64)) -> u64 {
    2
}

#[tokio::test]
async fn an_argument_that_the_body_leaves_alone_stands_in_the_key() {
    cache()
        .await
        .scope(async {
            assert_eq!(underscored(7).await, 1);
            assert_eq!(underscored_entry(7).key(), "test:v1:underscored:7");
            assert_eq!(underscored_field((7, 8)).await, 2);
            assert!(underscored_field_entry((7, 8)).key().starts_with("test:v1:underscored-field:7:"));
        })
        .await;
}

#[cached(ttl = "1m", key = "declared:<id>", skip(N))]
async fn declared<const N: usize, T: Display>(id: u64, #[cache(skip)] text: &T) -> String {
    format!("{id}{text}{N}")
}

#[tokio::test]
async fn parameters_keep_the_order_of_their_declaration() {
    let answer = cache().await.scope(declared::<3, u8>(1, &2)).await;
    assert_eq!(answer, "123");
}

#[derive(Clone)]
struct Counter {
    count: u64,
}

#[deny(warnings)]
impl Counter {
    #[cached(ttl = "1m", key = "counter:<self.count>")]
    async fn by_value(mut self) -> u64 {
        self.count += 1;
        self.count
    }

    #[cached(ttl = "1m", key = "counter-boxed:<id>", skip(self))]
    async fn boxed(mut self: Box<Self>, mut id: u64) -> u64 {
        id += 1;
        self.count += id;
        self.count
    }

    #[cached(ttl = "1m", key = "counter-inline:<self.count>", companions = off)]
    async fn inline(mut self) -> u64 {
        self.count += 1;
        self.count
    }
}

#[tokio::test]
async fn a_receiver_may_be_changed() {
    let counter = Counter { count: 1 };
    cache()
        .await
        .scope(async {
            assert_eq!(counter.clone().by_value().await, 2);
            assert_eq!(counter.clone().by_value_entry().key(), "test:v1:counter:1");
            assert_eq!(Box::new(counter.clone()).boxed(1).await, 3);
            assert_eq!(counter.inline().await, 2);
        })
        .await;
}

trait Database: Send + Sync + 'static {
    type Error: Send + 'static;

    fn get(&self, id: u64) -> Result<u64, Self::Error>;
}

struct Doubling;

impl Database for Doubling {
    type Error = String;

    fn get(&self, id: u64) -> Result<u64, String> {
        if id == 0 { Err("nothing".to_owned()) } else { Ok(id * 2) }
    }
}

trait Loader {
    type Error;

    async fn load(&self, id: u64) -> Result<u64, Self::Error>;
}

#[async_trait::async_trait]
trait BoxedLoader {
    type Error;

    async fn load_boxed(&self, id: u64) -> Result<u64, Self::Error>;
}

struct Repository<D> {
    shop: u64,
    database: D,
}

impl<D: Database> Loader for Repository<D> {
    type Error = D::Error;

    #[cached(ttl = "1m", key = "loader:<self.shop>:<id>", companions = off)]
    async fn load(&self, id: u64) -> Result<u64, D::Error> {
        self.database.get(id)
    }
}

#[async_trait::async_trait]
impl<D: Database> BoxedLoader for Repository<D> {
    type Error = D::Error;

    #[cached(ttl = "1m", key = "boxed-loader:<self.shop>:<id>")]
    async fn load_boxed(&self, id: u64) -> Result<u64, D::Error> {
        self.database.get(id)
    }
}

#[tokio::test]
async fn an_error_may_be_that_of_a_parameter() {
    let repository = Repository { shop: 1, database: Doubling };
    cache()
        .await
        .scope(async {
            for _ in 0..2 {
                assert_eq!(repository.load(3).await, Ok(6));
                assert_eq!(repository.load_boxed(3).await, Ok(6));
                assert!(repository.load(0).await.is_err());
            }
        })
        .await;
}

/// Where a variable is bound, a constant or static of its name is a pattern of its own.
mod lower_case {
    #![allow(non_upper_case_globals, dead_code, reason = "so they are called")]

    use cache_runtime::{Event, KeyPart, cached, emits};
    use serde::{Deserialize, Serialize};

    static function: u64 = 1;
    static part0: u64 = 1;
    static owned_text: u64 = 1;
    const shape: u64 = 1;
    const lookup: u64 = 1;
    const value: u64 = 1;
    const miss: u64 = 1;
    const event: u64 = 1;
    const key: u64 = 1;
    const cache: u64 = 1;
    const output: u64 = 1;
    const events: u64 = 1;
    const kept: u64 = 1;
    const error: u64 = 1;
    const outcome: u64 = 1;
    const this: u64 = 1;
    const argument2: u64 = 1;
    const field0: u64 = 1;

    #[derive(Event, Serialize, Deserialize)]
    pub(super) struct Named {
        pub id: u64,
    }

    #[derive(Clone, Copy, KeyPart)]
    pub(super) enum Kind {
        One(u64),
        Two,
    }

    #[cached(
        ttl = "1m",
        key = "lower-case:<id>:<text:hash>:<kind>",
        invalidate_on = "Named => lower-case:<id>:*",
        own(text),
        cache = cache_runtime::Cache::current(),
        store_if = |_| true
    )]
    pub(super) async fn free(id: u64, #[cache(skip)] (a, b): (u64, u64), text: &str, kind: Kind) -> u64 {
        let kind = matches!(kind, Kind::Two);
        id + a + b + function + shape + text.len() as u64 + u64::from(kind)
    }

    #[cached(ttl = "1m", key = "lower-case-inline:<id>", companions = off)]
    pub(super) async fn inline(id: u64, #[cache(skip)] (a, b): (u64, u64)) -> u64 {
        id + a + b
    }

    #[emits(Named { id })]
    pub(super) async fn emitting(id: u64) -> u64 {
        id
    }
}

#[tokio::test]
async fn constants_may_have_the_names_of_variables() {
    cache()
        .await
        .scope(async {
            for _ in 0..2 {
                assert_eq!(lower_case::free(1, (2, 3), "abc", lower_case::Kind::One(7)).await, 11);
                assert_eq!(lower_case::free(1, (2, 3), "abc", lower_case::Kind::Two).await, 12);
                assert_eq!(lower_case::inline(1, (2, 3)).await, 6);
            }
            assert_eq!(lower_case::emitting(1).await, 1);
        })
        .await;
}

#[derive(Event, Serialize, Deserialize)]
struct Generated {
    r#gen: u64,
}

#[cached(ttl = "1m", key = "generated:<gen>:<of.gen>", invalidate_on = "Generated => generated:<gen>:*")]
async fn generated(r#gen: u64, of: Generated) -> u64 {
    r#gen + of.r#gen
}

macro_rules! methods {
    ($this:ident, $number:expr) => {
        #[cached(ttl = "1m", key = "made:<self.count>:<id>", own(self))]
        async fn made(&$this, id: u64) -> u64 {
            $number + id
        }

        #[emits(Generated { r#gen: $number })]
        async fn emitting($this) -> u64 {
            $number
        }
    };
}

impl Counter {
    methods!(self, self.count);
}

#[tokio::test]
async fn names_of_other_editions_and_other_macros() {
    let counter = Counter { count: 1 };
    cache()
        .await
        .scope(async {
            assert_eq!(generated(1, Generated { r#gen: 2 }).await, 3);
            assert_eq!(generated_entry(1, Generated { r#gen: 2 }).key(), "test:v1:generated:1:2");
            assert_eq!(counter.made(1).await, 2);
            assert_eq!(counter.made(1).await, 2);
            assert_eq!(counter.emitting().await, 1);
        })
        .await;
}

mod math {
    #![expect(unused_qualifications, reason = "a path that is not seen through")]

    #[cache_runtime::cached(ttl = "1m", key = "fib:<n>")]
    pub(super) async fn fib(n: u64) -> u64 {
        if n < 2 { n } else { Box::pin(crate::math::fib(n - 1)).await + Box::pin(super::math::fib(n - 2)).await }
    }
}

struct Tree {
    id: u64,
    children: Vec<Arc<Tree>>,
}

impl Tree {
    #[cached(ttl = "1m", key = "sum:<self.id>")]
    async fn sum(self: Arc<Self>) -> u64 {
        let mut all = self.id;
        for child in &self.children {
            all += Box::pin(Arc::clone(child).sum()).await;
        }
        all
    }
}

#[tokio::test]
async fn a_function_may_call_itself_by_any_path_and_on_any_value() {
    let leaf = |id| Arc::new(Tree { id, children: Vec::new() });
    let tree = Arc::new(Tree { id: 1, children: vec![leaf(2), leaf(3)] });
    cache()
        .await
        .scope(async {
            assert_eq!(math::fib(10).await, 55);
            assert_eq!(tree.sum().await, 6);
        })
        .await;
}
