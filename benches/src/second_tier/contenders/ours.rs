//! This framework over Redis: annotated functions on an installed cache, used as its users do.

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use cache_runtime::{Builder, Cache, cached};
use harness::calls::{Calls, calls};
use harness::stage::Stage;
use harness::work::{Output, body};

use super::Candidate;
use crate::contender::Contender;
use crate::workload::{LoadError, User};

/// The contender that has bounds to keep.
pub(in crate::second_tier) const NAME: &str = "cache-runtime `#[cached]` (ours)";

pub(super) const CANDIDATES: &[Candidate] = &[Candidate { name: NAME, format: "bincode", loads: true, connect }];

fn connect(stage: &Stage) -> Box<dyn Calls> {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let cache = stage.runtime.block_on(cache(builder(stage)));
        cache.install().expect("nothing is installed yet");
    });
    calls(stored)
}

/// The calls over a pool of so many connections, of a cache of its own.
pub(in crate::second_tier) fn with_pool(stage: &Stage, connections: usize) -> Box<dyn Calls> {
    calls(Scoped(stage.runtime.block_on(cache(builder(stage).pool_size(connections)))))
}

/// As patient as the plain client is, so that both do the same in a bad moment of the machine.
pub(in crate::second_tier) fn builder(stage: &Stage) -> Builder {
    Cache::builder("benches").redis(stage.server.url()).op_timeout(Duration::from_millis(500))
}

/// A cache that has found its bus.
pub(in crate::second_tier) async fn cache(builder: Builder) -> Cache {
    let cache = builder.build().await.expect("the functions of this program do not contradict each other");
    while !cache.health().serves_near() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    cache
}

struct Scoped(Cache);

impl Contender for Scoped {
    type Output = Output;

    fn get(&self, tenant: u64, id: u64) -> impl Future<Output = Output> + Send {
        self.0.scope(stored(tenant, id))
    }
}

#[cached(ttl = "30m", key = "stored:<tenant>:<id>", l1 = off)]
async fn stored(tenant: u64, id: u64) -> Result<User, LoadError> {
    body(tenant, id).await
}
