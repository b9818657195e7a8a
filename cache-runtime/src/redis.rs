//! The second tier in Redis: connections, commands and scripts. Nothing outside of this folder knows Redis.
//!
//! ```text
//! store     what the protocol asks, as commands and scripts
//! servers   which server it goes to: one, one behind sentinels, a cluster
//! line      some connections to one server, kept by tasks of ours; away or up
//! target    the URL, and how one connection is dialled
//! ```

mod answer;
mod batch;
mod cluster;
mod line;
mod reply;
mod scripts;
mod servers;
mod single;
mod store;
mod target;
mod wake;

pub(crate) use self::servers::{HashSlot, Identity, Push, ServerSettings, Servers};
pub(crate) use self::store::{Store, StoreSettings};
