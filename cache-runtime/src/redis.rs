//! The second tier in Redis: connections, commands and scripts. Nothing outside of this folder knows Redis.
//!
//! ```text
//! store       what the protocol asks, as commands and scripts
//! servers     which server they go to, and what follows where it was the wrong one
//! topology    which server has which slot; scout keeps that right: asks sentinels, or the cluster's nodes
//! pool        a few connections to one server, left alone while it does not answer (breaker, deadlines)
//! link        one connection, which comes back by itself (backoff); outage is what is logged about it, looks what the
//!             sentinels said last, kin the other connections to its address
//! connection  what carries commands: pipe for reads and fills, redis-rs' own for the rest
//! session     how a connection is entered and tried out; dial makes it, tls encrypts it, target is the URL
//! ```

mod backoff;
mod batch;
// Beside it, since it is compiled for explored schedules too.
#[cfg(test)]
mod batch_tests;
mod bounded;
mod breaker;
mod connection;
mod deadlines;
mod dial;
mod hash_slot;
mod kin;
mod link;
mod looks;
mod mget;
mod outage;
mod packed;
mod pipe;
mod pool;
#[cfg(test)]
mod real;
mod refusal;
mod reply;
mod scout;
mod scripts;
mod servers;
mod session;
mod store;
mod swap;
mod target;
mod tls;
mod topology;
mod under_way;
mod wake;

pub(crate) use self::hash_slot::HashSlot;
#[cfg(any(test, fuzzing))]
pub(crate) use self::pipe::frames::{self, Frames};
#[cfg(feature = "simulation")]
pub(crate) use self::scripts::all as scripts;
pub(crate) use self::servers::{Identities, ServerSettings, Servers};
pub(crate) use self::session::Push;
pub(crate) use self::store::{Reading, Store, StoreSettings};
#[cfg(any(test, fuzzing))]
pub(crate) use self::target::Target;
