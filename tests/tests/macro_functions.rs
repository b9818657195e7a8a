//! `#[cached]` on free functions: whatever a signature and a body may hold.

use std::borrow::Cow;
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use cache_runtime::{Cache, cached, registry};
use cache_tests::cache;

/// Calls twice in a cache of its own, and says how many loads that took.
async fn twice<T: PartialEq + std::fmt::Debug, F: Future<Output = T>>(call: impl Fn() -> F) -> (T, u64) {
    let cache = cache().await;
    let first = cache.scope(call()).await;
    let second = cache.scope(call()).await;
    assert_eq!(first, second);
    (first, loads(&cache))
}

fn loads(cache: &Cache) -> u64 {
    cache.stats().iter().map(cache_runtime::FunctionStats::loads).sum()
}

#[cached(ttl = "5m", key = "no-arguments")]
async fn no_arguments() -> u64 {
    7
}

#[tokio::test]
async fn a_function_without_arguments() {
    assert_eq!(twice(no_arguments).await, (7, 1));
    assert_eq!(no_arguments_uncached().await, 7);
    assert_eq!(cache().await.scope(async { no_arguments_entry().key() }).await, "test:v1:no-arguments");
}

#[cached(ttl = "5m", key = "nothing:<id>")]
async fn returns_nothing(id: u64) {
    let _ = id;
}

#[tokio::test]
async fn a_function_that_returns_nothing() {
    assert_eq!(twice(|| returns_nothing(1)).await, ((), 1));
}

#[cached(ttl = "5m", key = "borrowed:<name>:<part>")]
async fn borrows<'a>(name: &'a str, part: Cow<'a, str>, #[cache(skip)] log: &mut Vec<String>) -> String {
    log.push(name.to_owned());
    format!("{name} {part}")
}

#[tokio::test]
async fn borrowed_arguments() {
    let cache = cache().await;
    let mut log = Vec::new();
    for _ in 0..3 {
        let call = borrows("a", Cow::Borrowed("b"), &mut log);
        assert_eq!(cache.scope(call).await, "a b");
    }
    assert_eq!(log, ["a"]);
    let key = cache.scope(async { borrows_entry("a", "b".into()).key() }).await;
    assert_eq!(key, "test:v1:borrowed:a:b");
}

#[cached(ttl = "5m", key = "patterns:<id>")]
async fn patterns(mut id: u64, #[cache(skip)] (a, b): (u64, u64), _: &str) -> u64 {
    id += a + b;
    id
}

#[tokio::test]
async fn patterns_as_arguments() {
    assert_eq!(twice(|| patterns(1, (2, 3), "ignored")).await, (6, 1));
    assert_eq!(patterns_uncached(1, (2, 3), "ignored").await, 6);
}

#[cached(ttl = "5m", key = "inline:<id>", companions = off)]
async fn patterns_in_an_inline_body(mut id: u64, #[cache(skip)] (a, mut b): (u64, u64), _: &str) -> u64 {
    b += a;
    id += b;
    id
}

#[tokio::test]
async fn patterns_without_companions() {
    assert_eq!(twice(|| patterns_in_an_inline_body(1, (2, 3), "ignored")).await, (6, 1));
}

#[cached(ttl = "5m", key = "raw:<type>:<match>")]
async fn r#loop(r#type: u64, r#match: &str) -> String {
    r#type.to_string() + r#match
}

#[tokio::test]
async fn raw_identifiers() {
    assert_eq!(twice(|| r#loop(1, "x")).await, ("1x".to_owned(), 1));
    assert_eq!(loop_uncached(1, "x").await, "1x");
    let key = cache().await.scope(async { loop_entry(1, "x").key() }).await;
    assert_eq!(key, "test:v1:raw:1:x");
    assert_eq!(registry().find("loop").map(|function| function.template()), Some("raw:<type>:<match>"));
}

#[cached(ttl = "5m", key = "generic:<id>", skip(context, N))]
async fn generic<C, const N: usize>(id: u64, context: &C, #[cache(skip)] suffix: impl Display) -> String
where
    C: Display + ?Sized,
{
    format!("{context}{suffix}{id}{N}")
}

#[tokio::test]
async fn generic_functions() {
    let cache = cache().await;
    let text = cache.scope(generic::<str, 3>(1, "a", 'b')).await;
    assert_eq!(text, "ab13");
    assert_eq!(cache.scope(async { generic_entry(1).key() }).await, "test:v1:generic:1");
    assert_eq!(loads(&cache), 1);
}

#[cached(ttl = "5m", key = "turbofish:<id>", skip(T))]
async fn turbofish<T: Default + Display>(id: u64) -> String {
    format!("{}{id}", T::default())
}

#[tokio::test]
async fn type_parameters_that_no_argument_mentions() {
    assert_eq!(twice(|| turbofish::<u8>(1)).await, ("01".to_owned(), 1));
}

#[cached(ttl = "5m", key = "owned-generic:<id>", skip(source))]
async fn owned_generic<S>(id: u64, source: S) -> String
where
    S: Display + Send + 'static,
{
    format!("{source}{id}")
}

#[tokio::test]
async fn generic_arguments_that_can_move() {
    assert_eq!(twice(|| owned_generic(1, 'x')).await, ("x1".to_owned(), 1));
}

#[cached(ttl = "5m", key = "early:<text>")]
async fn leaves_early(text: &str) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    if text.is_empty() {
        return Ok(0);
    }
    if text == "boxed" {
        return Err("of another type".into());
    }
    let number: u64 = text.parse()?;
    Ok(number)
}

#[cached(ttl = "5m", key = "early-inline:<text>", companions = off)]
async fn leaves_early_inline(text: &str) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    if text.is_empty() {
        return Ok(0);
    }
    if text == "boxed" {
        return Err("of another type".into());
    }
    let number: u64 = text.parse()?;
    Ok(number)
}

#[tokio::test]
async fn bodies_that_leave_early() {
    cache()
        .await
        .scope(async {
            assert_eq!(leaves_early("").await.ok(), Some(0));
            assert_eq!(leaves_early("12").await.ok(), Some(12));
            assert!(leaves_early("x").await.is_err());
            assert!(leaves_early("boxed").await.is_err());
            assert_eq!(leaves_early_inline("").await.ok(), Some(0));
            assert_eq!(leaves_early_inline("12").await.ok(), Some(12));
            assert!(leaves_early_inline("x").await.is_err());
            assert!(leaves_early_inline("boxed").await.is_err());
        })
        .await;
}

/// Documented.
#[cfg(any(test, not(test)))]
#[cached(ttl = "5m", key = "attributes:<a>:<b>:<c>:<d>:<e>:<f>:<g>:<h>")]
#[cfg(any(unix, not(unix)))]
#[must_use]
#[expect(clippy::too_many_arguments, clippy::many_single_char_names, reason = "kept on both")]
#[cfg_attr(any(test, not(test)), expect(unused_mut, reason = "kept on both"))]
#[inline]
pub async fn attributes(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, mut h: u8) -> u8 {
    a + b + c + d + e + f + g + h
}

#[cached(ttl = "5m", key = "absent:<id>")]
#[cfg(any())]
pub async fn absent(id: NoSuchType) -> NoSuchType {
    id
}

#[tokio::test]
async fn attributes_are_kept() {
    assert_eq!(twice(|| attributes(1, 1, 1, 1, 1, 1, 1, 1)).await, (8, 1));
}

mod visibility {
    use cache_runtime::cached;

    #[cached(ttl = "5m", key = "visible:<id>")]
    pub(super) async fn visible(id: u64) -> u64 {
        id
    }
}

#[tokio::test]
async fn companions_are_as_visible_as_the_function() {
    assert_eq!(twice(|| visibility::visible(1)).await, (1, 1));
    assert_eq!(visibility::visible_uncached(1).await, 1);
    let key = cache().await.scope(async { visibility::visible_entry(1).key() }).await;
    assert_eq!(key, "test:v1:visible:1");
}

#[cached(ttl = "5m", key = "fib:<n>")]
async fn fib(n: u64) -> u64 {
    if n < 2 { n } else { Box::pin(fib(n - 1)).await + Box::pin(fib(n - 2)).await }
}

/// A factor, whose products are recursive too.
#[derive(Clone)]
struct Factor(u64);

impl Factor {
    #[cached(ttl = "5m", key = "shared:<self.0>:<n>")]
    async fn shared(self: Arc<Self>, n: u64) -> u64 {
        if n == 0 { 1 } else { self.0 * Box::pin(Arc::clone(&self).shared(n - 1)).await }
    }

    #[cached(ttl = "5m", key = "moved:<self.0>:<n>", companions = off)]
    async fn moved(self, n: u64) -> u64 {
        if n == 0 { 1 } else { self.0 * Box::pin(Self::moved(self.clone(), n - 1)).await }
    }

    #[cached(ttl = "5m", key = "lent:<self.0>:<n>")]
    async fn lent(&self, n: u64) -> u64 {
        if n == 0 { 1 } else { self.0 * Box::pin(self.lent(n - 1)).await }
    }
}

#[tokio::test]
async fn functions_that_call_themselves() {
    let cache = cache().await;
    let scoped = cache.clone();
    let spawned = tokio::spawn(async move { scoped.scope(fib(50)).await });
    assert_eq!(spawned.await.expect("no panics"), 12_586_269_025);
    assert_eq!(loads(&cache), 51);
    let factor = Arc::new(Factor(3));
    assert_eq!(twice(|| Arc::clone(&factor).shared(4)).await, (81, 5));
    assert_eq!(twice(|| Factor(3).moved(4)).await, (81, 5));
    assert_eq!(twice(|| factor.lent(4)).await, (81, 5));
}

/// As `fib`, in tasks of their own: the compiler sees a type here that it knows.
fn detached_fib_of(n: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(detached_fib(n))
}

#[cached(ttl = "5m", key = "detached-fib:<n>", stale_while_revalidate = "1m")]
async fn detached_fib(n: u64) -> u64 {
    if n < 2 { n } else { detached_fib_of(n - 1).await + detached_fib_of(n - 2).await }
}

#[tokio::test]
async fn a_function_that_calls_itself_through_another() {
    assert_eq!(twice(|| detached_fib(50)).await, (12_586_269_025, 51));
}

macro_rules! cached_function {
    ($name:ident, $ttl:literal, $key:literal, $argument:ident: $type:ty) => {
        #[cached(ttl = $ttl, key = $key)]
        async fn $name($argument: $type) -> $type {
            $argument
        }
    };
}

cached_function!(made_by_a_macro, "5m", "made:<id>", id: u64);

#[tokio::test]
async fn functions_made_by_a_macro() {
    assert_eq!(twice(|| made_by_a_macro(3)).await, (3, 1));
}

#[test]
fn the_registry_points_at_the_function() {
    let function = registry().find("no_arguments").expect("linked in");
    assert_eq!(function.module(), module_path!());
    assert!(function.file().ends_with("macro_functions.rs"), "{}", function.file());
    let text = include_str!("macro_functions.rs");
    let line = text.lines().position(|line| line.starts_with("async fn no_arguments"));
    assert_eq!(function.line() as usize, line.expect("it is there") + 1);
}
