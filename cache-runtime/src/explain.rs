//! Why a call was fast or slow: what the cache did for every cached call inside a future.

use std::future::Future;

use crate::context::Context;
use crate::lookup::{Lookup, Watcher};

/// Runs `future` and tells, for every cached call inside it, what the cache did. Calls are listed as they end, and those
/// inside a load before it; a load that is dropped is not listed. Calls in tasks that the future spawned are not seen, nor
/// those of a refresh in the background, which is nobody's call. Inside another `explain`, both list them.
///
/// # Cancel safety
///
/// Dropping it drops `future`.
///
/// # Examples
///
/// ```
/// # use cache_runtime::{cached, explain, Outcome};
/// #[cached(ttl = "1m", key = "square:<of>")]
/// async fn square(of: u64) -> u64 {
///     of * of
/// }
///
/// # tokio_test(async {
/// let ((), lookups) = explain(async {
///     square(7).await;
///     square(7).await;
/// })
/// .await;
/// assert_eq!(lookups[0].outcome(), Outcome::Loaded);
/// assert_eq!(lookups[1].outcome(), Outcome::HitL1);
/// # });
/// # fn tokio_test(future: impl Future<Output = ()>) {
/// #     tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
/// # }
/// ```
pub async fn explain<F: Future>(future: F) -> (F::Output, Vec<Lookup>) {
    let around = Context::current();
    let watcher = Watcher::inside(around.watcher.clone());
    let output = Context { watcher: Some(watcher.clone()), ..around }.scope(future).await;
    (output, watcher.take())
}
