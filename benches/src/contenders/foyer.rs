//! `foyer` 0.22, the in-memory cache with its default eviction and shards. It has no time to live.

use std::future::Future;
use std::sync::Arc;

use foyer::{Cache, CacheBuilder};

use super::Peer;
use crate::contender::{Contender, hits};
use crate::future_size::padded;
use crate::workload::{CAPACITY, LARGE_CAPACITY, LoadError, User, load, load_slowly};
use crate::{memory, stampede};

type Key = (u64, u64);

pub(crate) fn peers() -> Vec<Peer> {
    vec![Peer {
        name: "foyer `get_or_fetch`",
        limits: "bounded, no ttl",
        shared: Some(hits(GetOrFetch { cache: cache(CAPACITY), load: shared })),
        owned: Some(hits(GetOrFetch { cache: cache(CAPACITY), load: owned })),
        memory: Some(|| memory::of(async { GetOrFetch { cache: cache(LARGE_CAPACITY), load: shared } })),
        future_size: Some(future_size()),
        stampede: Some(|| stampede::of(GetOrFetch { cache: cache(CAPACITY), load: slow })),
    }]
}

fn cache<V: Clone + Send + Sync + 'static>(capacity: usize) -> Cache<Key, V> {
    CacheBuilder::new(capacity).build()
}

struct GetOrFetch<V: Clone + Send + Sync + 'static, L> {
    cache: Cache<Key, V>,
    load: L,
}

impl<V, L, Fut> Contender for GetOrFetch<V, L>
where
    V: Clone + Send + Sync + 'static,
    L: Fn(u64, u64) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<V, LoadError>> + Send + 'static,
{
    type Output = Result<V, foyer::Error>;

    /// The entry is a guard; the value is cloned out of it, as the other contenders do.
    #[inline]
    fn get(&self, tenant: u64, id: u64) -> impl Future<Output = Self::Output> + Send {
        let entry = self.cache.get_or_fetch(&(tenant, id), || (self.load)(tenant, id));
        async move { entry.await.map(|entry| entry.value().clone()) }
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
    let runtime = crate::contender::runtime(1);
    let _context = runtime.enter();
    let cache: Cache<Key, Arc<User>> = cache(1);
    size_of_val(&cache.get_or_fetch(&(1, 2), || padded(1, 2)))
}
