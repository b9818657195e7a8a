//! The servers of a run, whatever their topology.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::settings::Topology;
use crate::cluster::{Cluster, SLOTS};
use crate::fault_proxy::FaultProxy;
use crate::history::{Nanos, now};
use crate::redis_server::RedisServer;
use crate::resp::Reply;
use crate::sentinels::Sentinels;
use crate::stress::{APP, Function, Place, RECORDS};

/// The servers of a run.
pub(super) struct World {
    pub(super) servers: Servers,
    /// Those that have slots of their own.
    shards: Vec<Shard>,
    /// The shard that fails over in good order, counted from 1.
    orderly: AtomicUsize,
    /// The server whose proxy is not the network's to heal, counted from 1.
    reserved: AtomicUsize,
    /// Whether it goes on.
    is_over: AtomicBool,
}

/// What stands there.
pub(super) enum Servers {
    Standalone { server: RedisServer, proxy: FaultProxy },
    Sentinel(Sentinels),
    Cluster(Cluster),
}

/// A primary and who may take over from it.
struct Shard {
    /// A key of it.
    mark: String,
    slot: u16,
    /// Which places have entry or stamp there, by their numbers.
    keys: Arc<[bool]>,
    /// When it was last emptied.
    emptied: AtomicU64,
    /// The index of its primary, as it was last seen.
    primary: AtomicUsize,
}

/// Slots of a primary, in the order in which they were given out.
const SHARE: u16 = SLOTS.div_ceil(3);

impl World {
    pub(super) async fn start(topology: Topology) -> Self {
        let servers = match topology {
            Topology::Standalone => {
                let server = RedisServer::start();
                let proxy = FaultProxy::start(server.address()).expect("a port is free");
                Servers::Standalone { server, proxy }
            }
            Topology::Sentinel => Servers::Sentinel(Sentinels::start_behind_proxies().await),
            Topology::Cluster => Servers::Cluster(Cluster::start_behind_proxies().await),
        };
        let shards = servers.shards();
        let (orderly, reserved) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { servers, shards, orderly, reserved, is_over: AtomicBool::new(false) }
    }

    /// What the processes are told to connect to; they take turns.
    pub(super) fn urls(&self) -> Vec<String> {
        match &self.servers {
            Servers::Standalone { server, proxy } => vec![server.url(), server.url_at(proxy.port())],
            Servers::Sentinel(sentinels) => vec![sentinels.url()],
            Servers::Cluster(cluster) => vec![cluster.url()],
        }
    }

    pub(super) fn proxies(&self) -> &[FaultProxy] {
        match &self.servers {
            Servers::Standalone { proxy, .. } => std::slice::from_ref(proxy),
            Servers::Sentinel(sentinels) => sentinels.proxies(),
            Servers::Cluster(cluster) => cluster.proxies(),
        }
    }

    /// The servers with data.
    pub(super) fn stores(&self) -> &[RedisServer] {
        match &self.servers {
            Servers::Standalone { server, .. } => std::slice::from_ref(server),
            Servers::Sentinel(sentinels) => sentinels.stores(),
            Servers::Cluster(cluster) => cluster.nodes(),
        }
    }

    /// How many primaries there are.
    pub(super) fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Asks for the index of the primary of a shard, if it is agreed on.
    pub(super) fn find_primary(&self, shard: usize) -> Option<usize> {
        match &self.servers {
            Servers::Standalone { .. } => Some(0),
            Servers::Sentinel(sentinels) => sentinels.find_primary(),
            Servers::Cluster(cluster) => cluster.find_primary_of(self.shards[shard].slot),
        }
    }

    /// The index of the primary of a shard, as it was last seen.
    pub(super) fn primary(&self, shard: usize) -> usize {
        self.shards[shard].primary.load(Ordering::SeqCst)
    }

    /// This one is its primary now.
    pub(super) fn set_primary(&self, shard: usize, primary: usize) {
        self.shards[shard].primary.store(primary, Ordering::SeqCst);
    }

    /// A slot of this shard that never moves.
    pub(super) fn slot(&self, shard: usize) -> u16 {
        self.shards[shard].slot
    }

    /// The key of its mark.
    pub(super) fn mark(&self, shard: usize) -> &str {
        &self.shards[shard].mark
    }

    /// The places that have something there.
    pub(super) fn keys(&self, shard: usize) -> Arc<[bool]> {
        Arc::clone(&self.shards[shard].keys)
    }

    /// The shard of a name that is not on its way.
    pub(super) fn shard_of(&self, name: &str) -> usize {
        match &self.servers {
            Servers::Standalone { .. } | Servers::Sentinel(_) => 0,
            Servers::Cluster(_) => shard_of(name),
        }
    }

    /// The shard that has the bus.
    pub(super) fn bus_shard(&self) -> usize {
        self.shard_of(&format!("{APP}:bus"))
    }

    /// FLUSHALL on the primary of a shard.
    pub(super) fn empty(&self, shard: usize) {
        self.set_emptied(shard);
        self.call(shard, &["FLUSHALL"]);
    }

    /// What a shard holds from here on is new.
    pub(super) fn set_emptied(&self, shard: usize) {
        self.shards[shard].emptied.store(now(), Ordering::SeqCst);
    }

    /// When a shard was last emptied; 0 for never.
    pub(super) fn emptied(&self, shard: usize) -> Nanos {
        self.shards[shard].emptied.load(Ordering::SeqCst)
    }

    /// A command on the primary of a shard, if it can be had at once. A connection for each: it may be killed too.
    pub(super) fn call(&self, shard: usize, words: &[&str]) -> Option<Reply> {
        let server = &self.stores()[self.primary(shard)];
        server.client_within(Duration::from_millis(250)).and_then(|mut client| client.call(words)).ok()
    }

    /// While it lasts, a new primary of this shard has all that the old one had.
    pub(super) fn set_orderly(&self, shard: Option<usize>) {
        self.orderly.store(shard.map_or(0, |shard| shard + 1), Ordering::SeqCst);
    }

    pub(super) fn is_orderly(&self, shard: usize) -> bool {
        self.orderly.load(Ordering::SeqCst) == shard + 1
    }

    /// While it lasts, nobody else touches the proxy of this server.
    pub(super) fn reserve(&self, server: Option<usize>) {
        self.reserved.store(server.map_or(0, |server| server + 1), Ordering::SeqCst);
    }

    pub(super) fn is_reserved(&self, server: usize) -> bool {
        self.reserved.load(Ordering::SeqCst) == server + 1
    }

    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Waits so long, or until it is over.
    pub(super) fn wait(&self, span: Duration) {
        let end = Instant::now() + span;
        while !self.is_over() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            // tidy: sleep because things go wrong at random times
            thread::sleep(left.min(Duration::from_millis(50)));
        }
    }
}

impl Servers {
    fn shards(&self) -> Vec<Shard> {
        match self {
            Self::Standalone { .. } | Self::Sentinel(_) => vec![Shard::new("mark".to_owned(), 0, |_| true)],
            Self::Cluster(cluster) => (0..3).map(|shard| shard_in(cluster, shard)).collect(),
        }
    }
}

impl Shard {
    fn new(mark: String, primary: usize, has: impl Fn(Place) -> bool) -> Self {
        let (slot, keys) = (slot_of(&mark), places().map(has).collect());
        Self { mark, slot, keys, emptied: AtomicU64::new(0), primary: AtomicUsize::new(primary) }
    }
}

fn shard_in(cluster: &Cluster, shard: usize) -> Shard {
    let mut marks = (0..).map(|number| format!("mark:{number}"));
    let mark = marks.find(|mark| shard_of(mark) == shard).expect("there are many numbers");
    assert_eq!(slot_of(&mark), cluster.slot_of(&mark), "of {mark}");
    Shard::new(mark, shard, |place| place.all_names(APP).iter().any(|name| shard_of(name) == shard))
}

fn shard_of(name: &str) -> usize {
    usize::from(slot_of(name) / SHARE)
}

/// CRC-16/XMODEM of what stands between the first braces, or of all.
pub(super) fn slot_of(name: &str) -> u16 {
    let tag = name.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let hashed = tag.filter(|tag| !tag.is_empty()).unwrap_or(name);
    let crc = hashed.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 })
    });
    crc % SLOTS
}

/// All places.
pub(super) fn all_keys() -> Arc<[bool]> {
    places().map(|_| true).collect()
}

/// In the order of their numbers.
fn places() -> impl Iterator<Item = Place> {
    Function::ALL.into_iter().flat_map(|function| (0..RECORDS).map(move |record| Place { function, record }))
}
