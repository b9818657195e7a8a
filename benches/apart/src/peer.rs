//! `oxcache` 0.4 with its Redis backend alone.

use std::sync::Arc;
use std::time::Duration;

use harness::calls::{Calls, calls};
use harness::contender::Contender;
use harness::stage::Stage;
use harness::work::{Output, body, loads_slowly};
use harness::workload::{LoadError, TTL, User};
use oxcache::{Cache, OxCacheError, RedisBackend};
use tokio::time::timeout;

/// Who finds that another call loads, and waits only after that one has told all who wait, waits for ever.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) fn connect(stage: &Stage) -> Box<dyn Calls> {
    let cache = stage.runtime.block_on(async {
        let backend = RedisBackend::new(stage.server.url()).await.expect("the server is there, and may be without TLS");
        // Of no effect in 0.4.3: only a backend that the builder makes itself is told, and that is one in memory.
        let builder = Cache::builder().backend_arc(Arc::new(backend)).ttl(TTL);
        builder.build().await.expect("one backend is enough")
    });
    calls(Backed(cache))
}

struct Backed(Cache<String, User>);

impl Backed {
    async fn user(&self, tenant: u64, id: u64) -> Output {
        let load = || async move { body(tenant, id).await.map_err(|_| OxCacheError::NotFound(String::new())) };
        self.0.get_or(&format!("ox:v1:user:{tenant}:{id}"), load).await.map_err(|_| LoadError)
    }
}

impl Contender for Backed {
    type Output = Output;

    async fn get(&self, tenant: u64, id: u64) -> Output {
        // Only in a stampede do calls wait for each other; no time is taken there.
        if loads_slowly() {
            return timeout(PATIENCE, self.user(tenant, id)).await.unwrap_or(Err(LoadError));
        }
        self.user(tenant, id).await
    }
}
