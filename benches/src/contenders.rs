//! Who takes part: one file per library.

mod cached;
mod foyer;
mod hitbox;
mod moka;
mod ours;
mod quick_cache;

use crate::contender::Hits;
use crate::memory::Memory;

/// One row of the table.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// What of "bounded, with a ttl" it has.
    pub(crate) limits: &'static str,
    /// Hits that give an `Arc<User>`.
    pub(crate) shared: Option<Box<dyn Hits>>,
    /// Hits that give a `User` of one's own.
    pub(crate) owned: Option<Box<dyn Hits>>,
    /// What entries take, measured in a cache of its own.
    pub(crate) memory: Option<fn() -> Memory>,
    /// The size of a call's future around a body of 1,152 bytes.
    pub(crate) future_size: Option<usize>,
    /// Runs of the body when 1,000 calls meet a cold key.
    pub(crate) stampede: Option<fn() -> u64>,
}

/// All contenders, the raw map first: the others are compared to it.
pub(crate) fn all() -> Vec<Peer> {
    let mut peers = quick_cache::peers();
    peers.extend(ours::peers());
    peers.extend(moka::peers());
    peers.extend(foyer::peers());
    peers.extend(cached::peers());
    peers.extend(hitbox::peers());
    peers
}
