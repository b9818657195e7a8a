//! Who takes part: one file per library.

pub(super) mod batched;
mod cached;
mod fred;
mod hitbox;
mod multi_tier_cache;
pub(super) mod ours;
mod oxcache;
mod redis;

use harness::calls::Calls;
use harness::remote;
use harness::stage::Stage;

use crate::workload::{TTL, User};

/// One row of the tables.
pub(super) struct Peer {
    pub(super) name: &'static str,
    /// How it encodes values.
    pub(super) format: &'static str,
    /// Whether a call for what is not stored loads and stores it.
    pub(super) loads: bool,
    pub(super) calls: Box<dyn Calls>,
}

/// A contender before it is connected.
struct Candidate {
    name: &'static str,
    format: &'static str,
    loads: bool,
    connect: fn(&Stage) -> Box<dyn Calls>,
}

impl Candidate {
    fn connected(&self, stage: &Stage) -> Peer {
        Peer { name: self.name, format: self.format, loads: self.loads, calls: (self.connect)(stage) }
    }
}

/// The plain client first: the others are compared to it.
const CANDIDATES: [&[Candidate]; 7] = [
    redis::CANDIDATES,
    batched::CANDIDATES,
    ours::CANDIDATES,
    fred::CANDIDATES,
    cached::CANDIDATES,
    hitbox::CANDIDATES,
    multi_tier_cache::CANDIDATES,
];

/// Who never takes part, and why.
const ABSENT: &[&str] =
    &["cached with `redis_async_cache`: its hits come from a cache in the client, not from the second tier"];

/// Who can take part.
fn candidates() -> impl Iterator<Item = &'static Candidate> {
    CANDIDATES.into_iter().chain([oxcache::candidates()]).flatten()
}

/// Who does not take part, and why.
pub(super) fn absent() -> impl Iterator<Item = &'static str> {
    oxcache::absent().iter().chain(ABSENT).copied()
}

/// All contenders, connected.
pub(super) fn all(stage: &Stage) -> Vec<Peer> {
    candidates().map(|candidate| candidate.connected(stage)).collect()
}

/// The first contender whose name has this in it, connected.
pub(super) fn by_name(stage: &Stage, name: &str) -> Option<Peer> {
    candidates().find(|candidate| candidate.name.contains(name)).map(|candidate| candidate.connected(stage))
}

pub(super) fn names() -> Vec<&'static str> {
    candidates().map(|candidate| candidate.name).collect()
}

/// A child: the calls of one contender, for its parent.
pub(super) fn serve(url: &str, name: &str) {
    let stage = Stage::at(url);
    let peer = by_name(&stage, name).expect("the parent names a contender");
    remote::serve(&stage, &*peer.calls);
}

/// How long an entry lives, in milliseconds.
fn lifetime_millis() -> u64 {
    u64::try_from(TTL.as_millis()).expect("a short time")
}

/// What clients without a format of their own store.
fn encoded(user: &User) -> Vec<u8> {
    bincode::serde::encode_to_vec(user, bincode::config::standard()).expect("a user can be encoded")
}

fn decoded(bytes: &[u8]) -> User {
    let config = bincode::config::standard().with_limit::<{ 1 << 20 }>();
    bincode::serde::decode_from_slice(bytes, config).expect("what is stored is a user").0
}
