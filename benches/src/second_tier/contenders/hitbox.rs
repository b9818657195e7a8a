//! `hitbox-fn` 0.2 over `hitbox-redis`, with the value format that its guide recommends (bincode).

use std::future::{Future, IntoFuture};

use harness::calls::calls;
use harness::stage::Stage;
use harness::work::{Output, body};
use hitbox::concurrency::{BroadcastConcurrencyManager, ConcurrencyManager, NoopConcurrencyManager};
use hitbox::policy::{ConcurrencyLimit, PolicyConfig};
use hitbox_fn::prelude::{Cache, cached};
use hitbox_redis::{ConnectionMode, RedisBackend};

use super::Candidate;
use crate::contender::Contender;
use crate::workload::{LoadError, TTL, User};

pub(super) const CANDIDATES: &[Candidate] = &[
    Candidate {
        name: "hitbox-fn, hitbox-redis",
        format: "bincode",
        loads: true,
        connect: |stage| calls(Hitbox(cache(stage, NoopConcurrencyManager))),
    },
    Candidate {
        name: "hitbox-fn, `BroadcastConcurrencyManager`",
        format: "bincode",
        loads: true,
        connect: |stage| calls(Hitbox(cache(stage, BroadcastConcurrencyManager::new()))),
    },
];

fn cache<M>(stage: &Stage, concurrency: M) -> Cache<RedisBackend, M> {
    let one = ConcurrencyLimit::new(1).expect("1 lies between 1 and 255");
    let backend = RedisBackend::builder().connection(ConnectionMode::single(stage.server.url()));
    Cache::builder()
        .backend(backend.build().expect("the settings are good"))
        .policy(PolicyConfig::builder().ttl(TTL).concurrency(one).build())
        .concurrency_manager(concurrency)
        .build()
}

struct Hitbox<M>(Cache<RedisBackend, M>);

impl<M> Contender for Hitbox<M>
where
    M: ConcurrencyManager<Output> + Clone + Send + Sync + 'static,
{
    type Output = Output;

    fn get(&self, tenant: u64, id: u64) -> impl Future<Output = Output> + Send {
        stored_user(tenant, id).cache(&self.0).into_future()
    }
}

#[cached]
pub(crate) async fn stored_user(tenant: u64, id: u64) -> Result<User, LoadError> {
    body(tenant, id).await
}
