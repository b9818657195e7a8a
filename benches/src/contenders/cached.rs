//! `cached` 4.1: its two attributes for functions, bounded and with a time to live.

use std::hint::black_box;
use std::sync::Arc;

use cached::macros::{cached, concurrent_cached};

use super::Peer;
use crate::contender::hits;
use crate::future_size::padded_body;
use crate::workload::{LoadError, User, load, load_slowly, padding};
use crate::{memory, stampede};

pub(crate) fn peers() -> Vec<Peer> {
    vec![
        Peer {
            name: "cached `#[cached]`",
            limits: "bounded, ttl",
            shared: Some(hits(plain::shared)),
            owned: Some(hits(plain::owned)),
            memory: Some(|| memory::of(async { plain::large })),
            future_size: Some(size_of_val(&plain::padded(1, 2))),
            stampede: Some(|| stampede::of(plain::slow)),
        },
        Peer {
            name: "cached `#[cached(sync_writes = \"by_key\")]`",
            limits: "bounded, ttl",
            shared: Some(hits(by_key::shared)),
            owned: Some(hits(by_key::owned)),
            memory: Some(|| memory::of(async { by_key::large })),
            future_size: Some(size_of_val(&by_key::padded(1, 2))),
            stampede: Some(|| stampede::of(by_key::slow)),
        },
        Peer {
            name: "cached `#[concurrent_cached]`",
            limits: "bounded, ttl",
            shared: Some(hits(concurrent::shared)),
            owned: Some(hits(concurrent::owned)),
            memory: Some(|| memory::of(async { concurrent::large })),
            future_size: Some(size_of_val(&concurrent::padded(1, 2))),
            stampede: Some(|| stampede::of(concurrent::slow)),
        },
        Peer {
            name: "cached `#[concurrent_cached]`, unbounded",
            limits: "unbounded, no ttl",
            shared: Some(hits(unbounded::shared)),
            owned: Some(hits(unbounded::owned)),
            memory: Some(|| memory::of(async { unbounded::large })),
            future_size: Some(size_of_val(&unbounded::padded(1, 2))),
            stampede: Some(|| stampede::of(unbounded::slow)),
        },
    ]
}

/// The same functions under each form of the attribute. Every module is what a user would write;
/// the literals are those of [`crate::workload`], which attributes cannot name.
macro_rules! functions {
    ($name:ident, $attribute:ident, ($($limits:tt)*), ($($large:tt)*)) => {
        mod $name {
            use super::*;

            #[$attribute($($limits)*)]
            pub(super) async fn shared(tenant: u64, id: u64) -> Result<Arc<User>, LoadError> {
                Ok(Arc::new(load(tenant, id)))
            }

            #[$attribute($($limits)*)]
            pub(super) async fn owned(tenant: u64, id: u64) -> Result<User, LoadError> {
                Ok(load(tenant, id))
            }

            #[$attribute($($large)*)]
            pub(super) async fn large(tenant: u64, id: u64) -> Result<Arc<User>, LoadError> {
                Ok(Arc::new(load(tenant, id)))
            }

            #[$attribute($($limits)*)]
            pub(super) async fn slow(tenant: u64, id: u64) -> Result<Arc<User>, LoadError> {
                Ok(Arc::new(load_slowly(tenant, id).await))
            }

            #[$attribute($($limits)*)]
            pub(super) async fn padded(tenant: u64, id: u64) -> Result<Arc<User>, LoadError> {
                padded_body!(tenant, id)
            }
        }
    };
}

functions!(plain, cached, (max_size = 20_000, ttl_secs = 1_800), (max_size = 120_000, ttl_secs = 1_800));
functions!(
    by_key,
    cached,
    (max_size = 20_000, ttl_secs = 1_800, sync_writes = "by_key"),
    (max_size = 120_000, ttl_secs = 1_800, sync_writes = "by_key")
);
functions!(
    concurrent,
    concurrent_cached,
    (max_size = 20_000, ttl_secs = 1_800),
    (max_size = 120_000, ttl_secs = 1_800)
);
functions!(unbounded, concurrent_cached, (), ());
