//! What takes part.

use std::future::Future;

/// A cache with a load behind it. The loop is compiled for each implementation: no dynamic call
/// stands between the harness and the contender.
pub trait Contender: Send + Sync + 'static {
    type Output: Send + 'static;

    /// One call as a service would write it.
    fn get(&self, tenant: u64, id: u64) -> impl Future<Output = Self::Output> + Send;
}

/// A function stands for itself: `#[cached] async fn` and the like.
impl<F, Fut> Contender for F
where
    F: Fn(u64, u64) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: Send + 'static> + Send,
{
    type Output = Fut::Output;

    #[inline]
    fn get(&self, tenant: u64, id: u64) -> impl Future<Output = Self::Output> + Send {
        self(tenant, id)
    }
}
