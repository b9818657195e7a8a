//! A group: one event ends every key that matches a pattern, whatever else stands in it.

use cache_runtime::{Cache, Error, Event, cached};
use serde::{Deserialize, Serialize};

/// One user has changed.
#[derive(Event, Serialize, Deserialize)]
struct UserUpdated {
    tenant: u64,
    id: u64,
}

/// Everything of a tenant is gone.
#[derive(Event, Serialize, Deserialize)]
struct TenantPurged {
    tenant: u64,
}

/// `UserUpdated` has both fields of the key: it ends one value. `TenantPurged` has no `id`; the
/// pattern after `=>` says which keys it ends, and `*` stands for any `id`.
#[cached(
    ttl = "5m",
    key = "user:<tenant>:<id>",
    invalidate_on = ["UserUpdated", "TenantPurged => user:<tenant>:*"]
)]
async fn user(tenant: u64, id: u64) -> String {
    println!("  (user {id} of tenant {tenant} is loaded)");
    format!("user {id} of tenant {tenant}")
}

async fn show_all(title: &str) {
    println!("{title}");
    for (tenant, id) in [(1, 1), (1, 2), (2, 1)] {
        user(tenant, id).await;
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let cache = Cache::builder("groups").build().await?;
    cache.install()?;

    show_all("at first:").await;
    show_all("then:").await;

    let receipt = cache.publish(&UserUpdated { tenant: 1, id: 2 }).await?;
    println!("UserUpdated ended {} key", receipt.invalidated());
    show_all("after an update of user 2 of tenant 1:").await;

    let receipt = cache.publish(&TenantPurged { tenant: 1 }).await?;
    println!("TenantPurged ended {} group of keys", receipt.invalidated());
    show_all("after the purge of tenant 1:").await;
    Ok(())
}
