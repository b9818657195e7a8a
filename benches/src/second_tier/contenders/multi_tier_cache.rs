//! `multi-tier-cache` 0.6 with its Redis tier alone.

use std::sync::Arc;

use harness::calls::{Calls, calls};
use harness::stage::Stage;
use harness::work::{Output, body};
use multi_tier_cache::{CacheError, CacheStrategy, CacheSystem, CacheSystemBuilder, L2Cache, TierConfig};

use super::Candidate;
use crate::contender::Contender;
use crate::workload::{LoadError, TTL};

pub(super) const CANDIDATES: &[Candidate] =
    &[Candidate { name: "multi-tier-cache `get_or_compute_typed`", format: "JSON", loads: true, connect }];

fn connect(stage: &Stage) -> Box<dyn Calls> {
    let system = stage.runtime.block_on(async {
        let tier = L2Cache::with_url(stage.server.url()).await.expect("the server is there");
        let builder = CacheSystemBuilder::new().with_tier(Arc::new(tier), TierConfig::as_l1());
        builder.build().await.expect("one tier is enough")
    });
    calls(Tier(system))
}

struct Tier(CacheSystem);

impl Contender for Tier {
    type Output = Output;

    async fn get(&self, tenant: u64, id: u64) -> Output {
        let (name, strategy) = (format!("tier:v1:user:{tenant}:{id}"), CacheStrategy::Custom(TTL));
        let load = || async move { body(tenant, id).await.map_err(|_| CacheError::NotFound) };
        let user = self.0.cache_manager().get_or_compute_typed(&name, strategy, load).await;
        user.map_err(|_| LoadError)
    }
}
