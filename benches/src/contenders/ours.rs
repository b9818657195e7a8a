//! This framework: annotated functions on an installed cache, coherence checks and counters on.

use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;

use cache_runtime::{Cache, cached};

use super::Peer;
use crate::contender::{Contender, hits, runtime};
use crate::future_size::padded_body;
use crate::workload::{LoadError, User, load, load_slowly, padding};
use crate::{memory, stampede};

/// Room for about 120,000 entries of the measured kind.
const BYTES: u64 = 64 << 20;

pub(crate) fn peers() -> Vec<Peer> {
    runtime(1).block_on(cache()).install().expect("nothing is installed yet");
    vec![Peer {
        name: "cache-runtime `#[cached]` (ours)",
        limits: "bounded in bytes, ttl",
        shared: Some(hits(shared)),
        owned: Some(hits(owned)),
        memory: Some(|| memory::of(async { Scoped(cache().await) })),
        future_size: Some(size_of_val(&padded(1, 2))),
        stampede: Some(|| stampede::of(slow)),
    }]
}

async fn cache() -> Cache {
    let cache = Cache::builder("benches").l1_capacity(BYTES).build().await;
    cache.expect("the functions of this program do not contradict each other")
}

/// A cache of its own, for the measurement of memory.
struct Scoped(Cache);

impl Contender for Scoped {
    type Output = Result<Arc<User>, LoadError>;

    fn get(&self, tenant: u64, id: u64) -> impl Future<Output = Self::Output> + Send {
        self.0.scope(large(tenant, id))
    }
}

#[cached(ttl = "30m", key = "user:<tenant>:<id>")]
async fn shared(tenant: u64, id: u64) -> Result<Arc<User>, LoadError> {
    Ok(Arc::new(load(tenant, id)))
}

#[cached(ttl = "30m", key = "owned:<tenant>:<id>")]
async fn owned(tenant: u64, id: u64) -> Result<User, LoadError> {
    Ok(load(tenant, id))
}

#[cached(ttl = "30m", key = "large:<tenant>:<id>")]
async fn large(tenant: u64, id: u64) -> Result<Arc<User>, LoadError> {
    Ok(Arc::new(load(tenant, id)))
}

#[cached(ttl = "30m", key = "slow:<tenant>:<id>")]
async fn slow(tenant: u64, id: u64) -> Result<Arc<User>, LoadError> {
    Ok(Arc::new(load_slowly(tenant, id).await))
}

#[cached(ttl = "30m", key = "padded:<tenant>:<id>")]
async fn padded(tenant: u64, id: u64) -> Result<Arc<User>, LoadError> {
    padded_body!(tenant, id)
}
