//! `#[cached]` on methods: inherent, of trait impls, of traits, with `#[async_trait]`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use cache_runtime::cached;
use cache_tests::cache;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default)]
struct Users {
    tenant: u64,
    loads: Arc<AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::unsafe_derive_deserialize, reason = "the link-time registry's, not this type's")]
struct User {
    name: String,
}

impl Users {
    fn of(tenant: u64) -> Self {
        Self { tenant, ..Self::default() }
    }

    fn load_now(&self, id: u64) -> u64 {
        self.loads.fetch_add(1, Ordering::Relaxed);
        self.tenant * 100 + id
    }

    fn loads(&self) -> u64 {
        self.loads.load(Ordering::Relaxed)
    }

    #[cached(ttl = "5m", key = "by-reference:<self.tenant>:<id>")]
    async fn by_reference(&self, id: u64) -> u64 {
        self.load_now(id)
    }

    #[cached(ttl = "5m", key = "skipped:<id>", skip(self))]
    async fn skipped(&self, id: u64) -> u64 {
        self.load_now(id)
    }

    #[cached(ttl = "5m", key = "marked:<id>")]
    async fn marked(#[cache(skip)] &self, id: u64) -> u64 {
        self.load_now(id)
    }

    #[cached(ttl = "5m", key = "by-arc:<self.tenant>:<id>")]
    async fn by_arc(self: &Arc<Self>, id: u64) -> u64 {
        self.load_now(id)
    }

    #[cached(ttl = "5m", key = "by-owned-arc:<self.tenant>:<id>")]
    async fn by_owned_arc(self: Arc<Self>, id: u64) -> u64 {
        self.load_now(id)
    }

    #[cached(ttl = "5m", key = "by-value:<self.tenant>:<id>")]
    async fn by_value(self, id: u64) -> u64 {
        self.load_now(id)
    }

    #[cached(ttl = "5m", key = "by-mutable:<id>", skip(self))]
    async fn by_mutable(&mut self, id: u64) -> u64 {
        self.tenant += 1;
        self.load_now(id)
    }

    #[cached(ttl = "5m", key = "owning:<self.tenant>:<name>", own(self, name, extra))]
    async fn owning(&self, name: &str, #[cache(skip)] extra: &[u64]) -> u64 {
        self.load_now(name.len() as u64 + extra.iter().sum::<u64>())
    }

    #[cached(ttl = "5m", key = "owning-arc:<self.tenant>:<id>", own(self))]
    async fn owning_arc(self: &Arc<Self>, id: u64) -> u64 {
        self.load_now(id)
    }

    #[cached(ttl = "5m", key = "without-companions:<self.tenant>:<id>", companions = off)]
    async fn without_companions(&self, id: u64) -> u64 {
        self.load_now(id)
    }

    #[cached(ttl = "5m", key = "hashed:<self.tenant:hash>:<name:hash>:<name>")]
    async fn hashed(&self, name: &str) -> u64 {
        self.load_now(name.len() as u64)
    }
}

impl User {
    #[cached(ttl = "5m", key = "find:<id>")]
    async fn find(id: u64) -> Result<Self, String> {
        if id == 0 { Err("no user".to_owned()) } else { Ok(Self { name: id.to_string() }) }
    }

    #[cached(ttl = "5m", key = "find-inline:<id>", companions = off)]
    async fn find_inline(id: u64) -> Option<Self> {
        Some(Self { name: id.to_string() })
    }

    #[cached(ttl = "5m", key = "only-in-the-body:<id>")]
    async fn only_in_the_body(id: u64) -> String {
        Self::label(id)
    }

    #[cached(ttl = "5m", key = "told:<id>", companions = Self)]
    async fn told(id: u64) -> u64 {
        id
    }

    fn label(id: u64) -> String {
        format!("user {id}")
    }
}

#[tokio::test]
async fn inherent_methods() {
    let (one, two) = (Arc::new(Users::of(1)), Arc::new(Users::of(2)));
    cache()
        .await
        .scope(async {
            for _ in 0..2 {
                assert_eq!(one.by_reference(3).await, 103);
                assert_eq!(two.by_reference(3).await, 203);
                assert_eq!(one.by_arc(3).await, 103);
                assert_eq!(Arc::clone(&one).by_owned_arc(3).await, 103);
                assert_eq!(Users::clone(&one).by_value(3).await, 103);
                assert_eq!(one.owning("abc", &[1, 2]).await, 106);
                assert_eq!(one.owning_arc(4).await, 104);
                assert_eq!(one.without_companions(3).await, 103);
                assert_eq!(one.hashed("abc").await, 103);
            }
            assert_eq!((one.loads(), two.loads()), (8, 1));
            assert_eq!(one.by_reference_entry(3).key(), "test:v1:by-reference:1:3");
            assert_eq!(Arc::clone(&one).by_owned_arc_entry(3).key(), "test:v1:by-owned-arc:1:3");
            assert_eq!(one.owning_entry("abc").key(), "test:v1:owning:1:abc");
            assert_eq!(one.by_reference_uncached(3).await, 103);
        })
        .await;
}

#[tokio::test]
async fn a_skipped_receiver_is_no_part_of_the_identity() {
    let (one, two) = (Users::of(1), Users::of(2));
    cache()
        .await
        .scope(async {
            assert_eq!(one.skipped(3).await, 103);
            assert_eq!(two.skipped(3).await, 103);
            assert_eq!(Users::skipped_entry(3).key(), "test:v1:skipped:3");
            assert_eq!(one.marked(3).await, 103);
            assert_eq!(two.marked(3).await, 103);
            let mut three = Users::of(2);
            assert_eq!(three.by_mutable(1).await, 301);
            assert_eq!(three.by_mutable(1).await, 301);
        })
        .await;
}

#[tokio::test]
async fn functions_of_a_type() {
    cache()
        .await
        .scope(async {
            assert_eq!(User::find(1).await, Ok(User { name: "1".to_owned() }));
            assert!(User::find(0).await.is_err());
            assert_eq!(User::find_entry(1).key(), "test:v1:find:1");
            let kept = User::find_entry(1).peek().await.expect("embedded");
            assert_eq!(kept.map(cache_runtime::Peek::into_value), Some(User { name: "1".to_owned() }));
            assert_eq!(User::find_inline(1).await.map(|user| user.name).as_deref(), Some("1"));
            assert_eq!(User::only_in_the_body(1).await, "user 1");
            assert_eq!(User::told(1).await, 1);
            assert_eq!(User::told_uncached(1).await, 1);
        })
        .await;
}

trait Numbers {
    async fn number(&self, id: u64) -> u64;

    #[cached(ttl = "5m", key = "default-number:<id>", skip(self))]
    async fn default_number(&self, id: u64) -> u64 {
        self.number(id).await + 1
    }

    #[cached(ttl = "5m", key = "default-inline:<id>", skip(self), companions = off)]
    async fn default_inline(&self, id: u64) -> u64 {
        self.number(id).await + 2
    }
}

impl Numbers for Users {
    #[cached(ttl = "5m", key = "number:<self.tenant>:<id>", companions = off)]
    async fn number(&self, id: u64) -> u64 {
        self.load_now(id)
    }
}

#[tokio::test]
async fn methods_of_traits() {
    let users = Users::of(1);
    cache()
        .await
        .scope(async {
            for _ in 0..2 {
                assert_eq!(users.number(3).await, 103);
                assert_eq!(users.default_number(3).await, 104);
                assert_eq!(users.default_inline(3).await, 105);
            }
            assert_eq!(Users::default_number_entry(3).key(), "test:v1:default-number:3");
        })
        .await;
    assert_eq!(users.loads(), 1);
}

#[async_trait]
trait Names {
    async fn name(&self, id: u64, suffix: &str) -> Result<String, String>;

    #[cached(ttl = "5m", key = "default-name:<id>", skip(self))]
    async fn default_name(&self, id: u64) -> Option<String> {
        if id == 0 {
            return None;
        }
        self.name(id, "?").await.ok()
    }
}

#[async_trait]
impl Names for Users {
    #[cached(ttl = "5m", key = "name:<self.tenant>:<id>:<suffix>")]
    async fn name(&self, id: u64, suffix: &str) -> Result<String, String> {
        let number = self.load_now(id);
        if number == 100 {
            return Err("no name".to_owned());
        }
        Ok(format!("{number}{suffix}"))
    }
}

#[tokio::test]
async fn methods_of_async_trait() {
    let users: Arc<dyn Names + Send + Sync> = Arc::new(Users::of(1));
    let call = async move {
        for _ in 0..2 {
            assert_eq!(users.name(3, "!").await.as_deref(), Ok("103!"));
            assert_eq!(users.default_name(3).await.as_deref(), Some("103?"));
            assert_eq!(users.default_name(0).await, None);
            assert!(users.name(0, "!").await.is_err());
        }
    };
    let cache = cache().await;
    let scoped = async move {
        cache.scope(call).await;
        cache.stats().iter().filter(|stats| stats.name() == "name").map(cache_runtime::FunctionStats::hits).sum::<u64>()
    };
    // The futures can move between threads.
    assert_eq!(tokio::spawn(scoped).await.expect("no panic"), 1);
}

struct Repository<S> {
    shop: u64,
    source: S,
}

impl<S: Numbers> Repository<S> {
    #[cached(ttl = "5m", key = "price:<self.shop>:<id>")]
    async fn price(&self, id: u64) -> u64 {
        self.source.number(id).await
    }
}

#[tokio::test]
async fn methods_of_generic_types() {
    let repository = Repository { shop: 9, source: Users::of(1) };
    cache()
        .await
        .scope(async {
            assert_eq!(repository.price(3).await, 103);
            assert_eq!(repository.price(3).await, 103);
            assert_eq!(repository.price_entry(3).key(), "test:v1:price:9:3");
        })
        .await;
    assert_eq!(repository.source.loads(), 1);
}
