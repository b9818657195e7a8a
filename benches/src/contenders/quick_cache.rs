//! `quick_cache` 0.7: the map that our L1 is built on, and the measure for all others.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use quick_cache::sync::Cache;

use super::Peer;
use crate::contender::{Contender, hits};
use crate::future_size::padded;
use crate::workload::{CAPACITY, LARGE_CAPACITY, User, load, load_slowly};
use crate::{memory, stampede};

type Key = (u64, u64);

pub(crate) fn peers() -> Vec<Peer> {
    let raw = Peer {
        name: "quick_cache `get` (raw map)",
        limits: "bounded, no ttl",
        shared: Some(hits(Raw::new(|tenant, id| Arc::new(load(tenant, id))))),
        owned: Some(hits(Raw::new(load))),
        memory: Some(|| memory::of(async { Insert(Cache::new(LARGE_CAPACITY)) })),
        future_size: None,
        stampede: None,
    };
    let guarded = Peer {
        name: "quick_cache `get_or_insert_async`",
        limits: "bounded, no ttl",
        shared: Some(hits(Guarded::new(CAPACITY, ready))),
        owned: None,
        memory: None,
        future_size: Some(future_size()),
        stampede: Some(|| stampede::of(Guarded::new(CAPACITY, slow))),
    };
    vec![raw, guarded]
}

/// A warm map: `get` and nothing else.
struct Raw<V>(Cache<Key, V>);

impl<V: Clone> Raw<V> {
    fn new(load: impl Fn(u64, u64) -> V) -> Self {
        let cache = Cache::new(CAPACITY);
        for user in 0..crate::workload::USERS {
            let (tenant, id) = crate::workload::key(user);
            cache.insert((tenant, id), load(tenant, id));
        }
        Self(cache)
    }
}

impl<V: Clone + Send + Sync + 'static> Contender for Raw<V> {
    type Output = Option<V>;

    #[inline]
    async fn get(&self, tenant: u64, id: u64) -> Option<V> {
        self.0.get(&(tenant, id))
    }
}

/// For the measurement of memory: the map filled by hand.
struct Insert(Cache<Key, Arc<User>>);

impl Contender for Insert {
    type Output = Arc<User>;

    async fn get(&self, tenant: u64, id: u64) -> Arc<User> {
        if let Some(user) = self.0.get(&(tenant, id)) {
            return user;
        }
        let user = Arc::new(load(tenant, id));
        self.0.insert((tenant, id), Arc::clone(&user));
        user
    }
}

/// The map's own single-flight.
struct Guarded<L> {
    cache: Cache<Key, Arc<User>>,
    load: L,
}

impl<L> Guarded<L> {
    fn new(capacity: usize, load: L) -> Self {
        Self { cache: Cache::new(capacity), load }
    }
}

impl<L, Fut> Contender for Guarded<L>
where
    L: Fn(u64, u64) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Arc<User>, Infallible>> + Send,
{
    type Output = Result<Arc<User>, Infallible>;

    #[inline]
    async fn get(&self, tenant: u64, id: u64) -> Self::Output {
        self.cache.get_or_insert_async(&(tenant, id), (self.load)(tenant, id)).await
    }
}

async fn ready(tenant: u64, id: u64) -> Result<Arc<User>, Infallible> {
    Ok(Arc::new(load(tenant, id)))
}

async fn slow(tenant: u64, id: u64) -> Result<Arc<User>, Infallible> {
    Ok(Arc::new(load_slowly(tenant, id).await))
}

fn future_size() -> usize {
    let cache: Cache<Key, Arc<User>> = Cache::new(1);
    size_of_val(&cache.get_or_insert_async(&(1, 2), padded(1, 2)))
}
