//! `moka` 0.12, the async cache, bounded and with a time to live as its guide shows.

use std::future::Future;
use std::sync::Arc;

use moka::future::Cache;

use super::Peer;
use crate::contender::{Contender, hits};
use crate::future_size::padded;
use crate::workload::{CAPACITY, LARGE_CAPACITY, LoadError, TTL, User, load, load_slowly};
use crate::{memory, stampede};

type Key = (u64, u64);

pub(crate) fn peers() -> Vec<Peer> {
    vec![Peer {
        name: "moka `try_get_with`",
        limits: "bounded, ttl",
        shared: Some(hits(TryGetWith { cache: cache(CAPACITY as u64), load: shared })),
        owned: Some(hits(TryGetWith { cache: cache(CAPACITY as u64), load: owned })),
        memory: Some(|| memory::of(async { TryGetWith { cache: cache(LARGE_CAPACITY as u64), load: shared } })),
        future_size: Some(future_size()),
        stampede: Some(|| stampede::of(TryGetWith { cache: cache(CAPACITY as u64), load: slow })),
    }]
}

fn cache<V: Clone + Send + Sync + 'static>(capacity: u64) -> Cache<Key, V> {
    Cache::builder().max_capacity(capacity).time_to_live(TTL).build()
}

struct TryGetWith<V, L> {
    cache: Cache<Key, V>,
    load: L,
}

impl<V, L, Fut> Contender for TryGetWith<V, L>
where
    V: Clone + Send + Sync + 'static,
    L: Fn(u64, u64) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<V, LoadError>> + Send,
{
    type Output = Result<V, Arc<LoadError>>;

    #[inline]
    fn get(&self, tenant: u64, id: u64) -> impl Future<Output = Self::Output> + Send {
        self.cache.try_get_with((tenant, id), (self.load)(tenant, id))
    }
}

async fn shared(tenant: u64, id: u64) -> Result<Arc<User>, LoadError> {
    Ok(Arc::new(load(tenant, id)))
}

async fn owned(tenant: u64, id: u64) -> Result<User, LoadError> {
    Ok(load(tenant, id))
}

async fn slow(tenant: u64, id: u64) -> Result<Arc<User>, LoadError> {
    Ok(Arc::new(load_slowly(tenant, id).await))
}

fn future_size() -> usize {
    let cache: Cache<Key, Arc<User>> = cache(1);
    size_of_val(&cache.try_get_with((1, 2), padded(1, 2)))
}
