//! `hitbox-fn` 0.2 over `hitbox-moka`, with the value format that its guide recommends (bincode).
//!
//! It keeps bytes and decodes them on every hit, so there is no `Arc` output to measure.

use std::future::Future;

use hitbox::concurrency::{BroadcastConcurrencyManager, ConcurrencyManager, NoopConcurrencyManager};
use hitbox::policy::{ConcurrencyLimit, PolicyConfig};
use hitbox_backend::format::BincodeFormat;
use hitbox_fn::prelude::{Cache, cached};
use hitbox_moka::MokaBackend;

use super::Peer;
use crate::contender::{Contender, hits};
use crate::workload::{CAPACITY, LARGE_CAPACITY, LoadError, TTL, User, load, load_slowly};
use crate::{memory, stampede};

type Output = Result<User, LoadError>;
type Backend = MokaBackend<BincodeFormat>;

pub(crate) fn peers() -> Vec<Peer> {
    vec![
        Peer {
            name: "hitbox-fn",
            limits: "bounded, ttl",
            shared: None,
            owned: Some(hits(Owned(cache(CAPACITY as u64, NoopConcurrencyManager)))),
            memory: Some(|| memory::of(async { Owned(cache(LARGE_CAPACITY as u64, NoopConcurrencyManager)) })),
            future_size: None,
            stampede: Some(|| stampede::of(Slow(cache(CAPACITY as u64, NoopConcurrencyManager)))),
        },
        Peer {
            name: "hitbox-fn, `BroadcastConcurrencyManager`",
            limits: "bounded, ttl",
            shared: None,
            owned: Some(hits(Owned(cache(CAPACITY as u64, BroadcastConcurrencyManager::new())))),
            memory: None,
            future_size: None,
            stampede: Some(|| stampede::of(Slow(cache(CAPACITY as u64, BroadcastConcurrencyManager::new())))),
        },
    ]
}

fn cache<M>(capacity: u64, concurrency: M) -> Cache<Backend, M> {
    let one = ConcurrencyLimit::new(1).expect("1 lies between 1 and 255");
    Cache::builder()
        .backend(MokaBackend::builder().max_entries(capacity).value_format(BincodeFormat).build())
        .policy(PolicyConfig::builder().ttl(TTL).concurrency(one).build())
        .concurrency_manager(concurrency)
        .build()
}

struct Owned<M>(Cache<Backend, M>);

impl<M> Contender for Owned<M>
where
    M: ConcurrencyManager<Output> + Clone + Send + Sync + 'static,
{
    type Output = Output;

    #[inline]
    fn get(&self, tenant: u64, id: u64) -> impl Future<Output = Output> + Send {
        load_user(tenant, id).cache(&self.0).into_future()
    }
}

struct Slow<M>(Cache<Backend, M>);

impl<M> Contender for Slow<M>
where
    M: ConcurrencyManager<Output> + Clone + Send + Sync + 'static,
{
    type Output = Output;

    fn get(&self, tenant: u64, id: u64) -> impl Future<Output = Output> + Send {
        load_user_slowly(tenant, id).cache(&self.0).into_future()
    }
}

#[cached]
pub(crate) async fn load_user(tenant: u64, id: u64) -> Output {
    Ok(load(tenant, id))
}

#[cached]
pub(crate) async fn load_user_slowly(tenant: u64, id: u64) -> Output {
    Ok(load_slowly(tenant, id).await)
}
