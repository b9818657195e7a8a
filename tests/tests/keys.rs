//! Identity: distinct arguments have distinct keys, in both forms, whatever they hold; equal ones share a value.

#![expect(clippy::option_option, reason = "a key part of its own: `Some(None)` differs from `None`")]

use std::borrow::Cow;

use cache_runtime::{KeyPart, cached};
use cache_tests::cache;
use proptest::prelude::*;
use uuid::Uuid;

#[derive(Clone, Copy, Debug, KeyPart)]
struct Tenant(u64);

#[derive(Clone, Debug, PartialEq, Eq, Hash, KeyPart)]
enum Scope {
    All,
    Of(String),
    Between(u8, Option<u8>),
}

#[cached(ttl = "1h", key = "keys-text:<a>:<b>")]
async fn text(a: &str, b: String) -> (String, String) {
    (a.to_owned(), b)
}

#[cached(ttl = "1h", key = "keys-mixed:<number>/<scope>/<pair>/<maybe>")]
async fn mixed(number: i8, scope: Scope, pair: (u8, String), maybe: Option<Option<String>>) -> String {
    format!("{number:?} {scope:?} {pair:?} {maybe:?}")
}

#[cached(ttl = "1h", key = "keys-hash:<secret:hash>:<id>")]
async fn hashed(secret: &str, id: u64) -> (String, u64) {
    (secret.to_owned(), id)
}

#[cached(ttl = "1h", key = "keys-kinds:<tenant>:<id>:<letter>:<flag>:<name>")]
async fn kinds(tenant: Tenant, id: Uuid, letter: char, flag: bool, name: Cow<'static, str>) -> u64 {
    tenant.0 + id.as_u64_pair().1 + u64::from(letter) + u64::from(flag) + name.len() as u64
}

fn awkward() -> impl Strategy<Value = String> {
    prop_oneof!["[:a%*{}\\[\\]\n!,()\u{0}]{0,6}", any::<String>(), "a{0,40}", Just(String::new())]
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        Just(Scope::All),
        awkward().prop_map(Scope::Of),
        any::<(u8, Option<u8>)>().prop_map(|(a, b)| Scope::Between(a, b))
    ]
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_call_gets_the_value_of_its_own_arguments(
        texts in proptest::collection::vec((awkward(), awkward()), 1..20),
        mixes in proptest::collection::vec(
            (-2..2_i8, scope(), (0..2_u8, awkward()), proptest::option::of(proptest::option::of(awkward()))),
            1..20,
        ),
    ) {
        run(async {
            cache().await.scope(async {
                for _ in 0..2 {
                    for (a, b) in &texts {
                        assert_eq!(text(a, b.clone()).await, (a.clone(), b.clone()));
                        assert_eq!(hashed(a, 7).await, (a.clone(), 7));
                    }
                    for (number, scope, pair, maybe) in &mixes {
                        let expected = format!("{number:?} {scope:?} {pair:?} {maybe:?}");
                        assert_eq!(mixed(*number, scope.clone(), pair.clone(), maybe.clone()).await, expected);
                    }
                }
            }).await;
        });
    }

    #[test]
    fn the_texts_of_distinct_arguments_are_distinct(
        a in (awkward(), awkward()),
        b in (awkward(), awkward()),
        scopes in (scope(), scope()),
    ) {
        let key = |pair: &(String, String)| text_entry(&pair.0, pair.1.clone()).key();
        prop_assert_eq!(key(&a) == key(&b), a == b);
        let key = |scope: &Scope| mixed_entry(1, scope.clone(), (1, String::new()), None).key();
        prop_assert_eq!(key(&scopes.0) == key(&scopes.1), scopes.0 == scopes.1);
        let key = |pair: &(String, String)| hashed_entry(&pair.0, 7).key();
        prop_assert_eq!(key(&a) == key(&b), a.0 == b.0);
    }
}

#[test]
fn a_megabyte_in_a_key_is_one_more_key() {
    run(async {
        cache()
            .await
            .scope(async {
                let (long, longer) = ("x".repeat(1 << 20), "x".repeat((1 << 20) + 1));
                for _ in 0..2 {
                    assert_eq!(text(&long, String::new()).await.0.len(), 1 << 20);
                    assert_eq!(text(&longer, String::new()).await.0.len(), (1 << 20) + 1);
                }
            })
            .await;
    });
}

#[test]
fn a_key_reads_like_its_template() {
    run(async {
        let cache = cache().await;
        let key = text_entry("a b", "ü:*".to_owned()).within(&cache).key();
        assert_eq!(key, "test:v1:keys-text:a%20b:%C3%BC%3A%2A");
        let id = Uuid::from_u128(7);
        let key = kinds_entry(Tenant(3), id, '-', true, "x".into()).within(&cache).key();
        assert_eq!(key, "test:v1:keys-kinds:3:00000000-0000-0000-0000-000000000007:-:true:x");
        let key = mixed_entry(-1, Scope::Between(1, None), (2, "b".into()), Some(None)).within(&cache).key();
        assert_eq!(key, "test:v1:keys-mixed:-1/Between(1,!)/(2,b)/!!");
    });
}

#[test]
fn a_hashed_part_shows_nothing_and_depends_on_the_secret() {
    run(async {
        let other = cache_runtime::Cache::builder("test").hash_key(b"secret").build().await.expect("built");
        let (first, second) = (cache().await, other);
        let key = |cache| hashed_entry("me@example.com", 7).within(cache).key();
        assert!(!key(&first).contains("example") && key(&first).ends_with(":7"), "{}", key(&first));
        assert_ne!(key(&first), key(&second));
    });
}

#[test]
fn an_entry_that_changes_its_cache_changes_the_beginning_of_its_key() {
    run(async {
        let build = async |app: &str| cache_runtime::Cache::builder(app).build().await.expect("built");
        let (short, long) = (build("a").await, build("a-much-longer-name").await);
        let entry = kinds_entry(Tenant(3), Uuid::from_u128(7), '-', true, "x".into()).within(&long);
        let text = "keys-kinds:3:00000000-0000-0000-0000-000000000007:-:true:x";
        assert_eq!(entry.key(), format!("a-much-longer-name:v1:{text}"));
        let entry = entry.within(&short);
        assert_eq!(entry.key(), format!("a:v1:{text}"));
        assert_eq!(entry.within(&long).key(), format!("a-much-longer-name:v1:{text}"));
    });
}

#[test]
fn every_kind_of_key_part_is_served_from_the_tier() {
    run(async {
        let cache = cache().await;
        let call = || kinds(Tenant(3), Uuid::from_u128(7), 'x', true, Cow::Borrowed("name"));
        assert_eq!(cache.scope(call()).await, cache.scope(call()).await);
        let stats = cache.stats().into_iter().find(|stats| stats.name() == "kinds").expect("registered");
        assert_eq!((stats.loads(), stats.hits()), (1, 1));
    });
}
