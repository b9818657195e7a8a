//! Coherent caching for async Rust services.
//!
//! Annotate an async function with [`#[cached]`](macro@cached) and it answers from an in-process cache; annotate what
//! writes with [`#[emits]`](macro@emits) and the event it publishes makes exactly those values invalid, the loads
//! included that are still under way.
//!
//! ```
//! use cache_runtime::{Event, cached, emits};
//! use serde::{Deserialize, Serialize};
//!
//! # pub struct Db;
//! # #[derive(Clone, Debug)] pub struct DbError;
//! #[derive(Clone, Serialize, Deserialize)]
//! pub struct User {
//!     pub name: String,
//! }
//!
//! #[derive(Event, Serialize, Deserialize)]
//! pub struct UserUpdated {
//!     pub tenant: u64,
//!     pub id: u64,
//! }
//!
//! #[cached(ttl = "5m", jitter = 10, key = "user:<tenant>:<id>", invalidate_on = "UserUpdated")]
//! pub async fn load_user(tenant: u64, id: u64, #[cache(skip)] db: &Db) -> Result<User, DbError> {
//!     Ok(User { name: format!("user {id} of {tenant}") })
//! }
//!
//! #[emits(UserUpdated { tenant, id })]
//! pub async fn rename_user(tenant: u64, id: u64, name: &str, db: &Db) -> Result<(), DbError> {
//!     Ok(())
//! }
//! ```
//!
//! # What holds
//!
//! * After [`Cache::publish`], [`Entry::invalidate`] or [`Entry::put`] returned, no call that begins later is answered
//!   with a value whose load began before: not from a tier, and not by joining that load.
//! * One load per key at a time. A leader that fails, panics or is cancelled hands over; nobody who waits inherits a
//!   cancellation, and nobody hangs.
//! * Nothing is served past its ttl; jitter only shortens it. Errors are never kept, `None` only with `negative_ttl`.
//! * A cached function never returns a cache error and never panics because of the cache.
//!
//! Without [`Builder::redis`] a cache is embedded: one process, one tier. With it, the same functions share a second tier
//! with other processes, and other processes see an invalidation after at most [`Builder::max_staleness`].
//!
//! # Features
//!
//! `metrics` (on by default): counts through the `metrics` facade, for whatever exporter the program installs. Install it
//! before the first call of a cached function: a function that was called without an exporter stays silent. `uuid`: `Uuid`
//! in keys. `testing`: a manual clock, servers, fleets and a search for broken promises, in the module `testing`.

#![expect(
    clippy::inline_always,
    reason = "the hit path is one function to the compiler: measured, a third of its time"
)]

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod after;
mod announce;
mod buckets;
mod builder;
mod bus;
mod cache;
mod claim;
mod clock;
mod codec;
mod context;
mod current;
mod detach;
mod dice;
mod entry;
mod envelope;
mod epochs;
mod error;
mod event;
mod explain;
mod fault;
mod fill;
mod finds;
mod flight;
mod function;
mod functions;
mod hasher;
mod health;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod hostile;
mod instant;
mod journal;
mod judge;
mod key;
mod l1;
mod lease;
mod lookup;
mod metric;
mod names;
mod near;
mod node;
mod publish;
mod read;
mod receive;
mod recorder;
mod redis;
mod registry;
mod right;
mod routes;
mod rules;
mod schema;
mod second;
mod server_clock;
mod shape;
#[cfg(feature = "simulation")]
#[doc(hidden)]
pub mod simulation;
mod stats;
mod steps;
mod store;
mod stored;
mod subscribers;
mod sync;
mod tally;
#[cfg(feature = "testing")]
pub mod testing;
mod threads;
mod timer;
mod token;
mod waits;
#[cfg(test)]
mod warnings;
mod weight;
#[cfg(feature = "simulation")]
mod world;

pub use cache_macros::{Event, KeyPart, cached, emits};

pub use crate::after::After;
pub use crate::builder::Builder;
pub use crate::cache::Cache;
pub use crate::clock::{Clock, Sleep};
pub use crate::codec::Codec;
pub use crate::entry::{Entry, Peek};
pub use crate::error::{Error, Overlap};
pub use crate::event::Event;
pub use crate::explain::explain;
pub use crate::health::Health;
pub use crate::key::{KeyPart, KeyWriter};
pub use crate::lookup::{Bypass, Lookup, Outcome};
pub use crate::metric::Metric;
pub use crate::publish::{Delivery, Publish, Receipt};
pub use crate::registry::{FunctionInfo, Registry, registry};
pub use crate::second::OnFailover;
pub use crate::stats::FunctionStats;
pub use crate::subscribers::Subscription;
pub use crate::token::{InvalidToken, Token};
