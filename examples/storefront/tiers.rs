//! Which tiers the shop has: one in the process, and with `CACHE_URL` a second one in Redis.

use std::env;

use cache_runtime::{Cache, Error};

/// Room for the pages of all products.
const L1_BYTES: u64 = 512 << 20;

/// How the caches of this run are built.
pub(crate) struct Tiers {
    app: String,
    url: Option<String>,
}

impl Tiers {
    /// A service would say `Cache::from_env()`. Here every run has a new database, so that what earlier runs left in
    /// Redis must not be found: each has a name of its own.
    pub(crate) fn from_env() -> Self {
        let url = env::var("CACHE_URL").ok().filter(|url| !url.trim().is_empty());
        Self { app: format!("storefront-{:06x}", fastrand::u32(..1 << 24)), url }
    }

    /// What this run is called in Redis; nothing without a second tier.
    pub(crate) fn name_in_redis(&self) -> Option<&str> {
        self.url.as_ref().map(|_| self.app.as_str())
    }

    /// A cache as a process has it when it starts: nothing in memory yet.
    pub(crate) async fn build(&self) -> Result<Cache, Error> {
        let builder = Cache::builder(&self.app).l1_capacity(L1_BYTES);
        match &self.url {
            // A service starts without Redis too; whoever names one here wants to see it.
            Some(url) => builder.redis(url.trim()).require_redis(true).build().await,
            None => builder.build().await,
        }
    }
}
