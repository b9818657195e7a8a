//! A slot on its way from one primary to another.

use super::{Cluster, PATIENCE};
use crate::eventually::eventually_ok;
use crate::redis_server::RedisServer;
use crate::resp::Reply;

/// A slot on its way, begun by [`Cluster::begin_migration`].
#[derive(Debug)]
pub struct Migration<'a> {
    cluster: &'a Cluster,
    slot: String,
    from: usize,
    to: usize,
}

impl<'a> Migration<'a> {
    pub(super) fn begin(cluster: &'a Cluster, slot: u16, to: &RedisServer) -> Self {
        let from = cluster.owner(slot).expect("most nodes agree, unless a failover is under way");
        let to = cluster.nodes.iter().position(|node| node.port() == to.port()).expect("it is a node of this cluster");
        let migration = Self { cluster, slot: slot.to_string(), from, to };
        // In this order: what the old one sends away, the new one must expect.
        migration.set_slot(to, &["IMPORTING", &cluster.ids[from]]);
        migration.set_slot(from, &["MIGRATING", &cluster.ids[to]]);
        migration
    }

    /// Moves the keys that are there now.
    ///
    /// # Panics
    ///
    /// If the new primary does not take one.
    pub fn move_keys(&self) {
        let source = &self.cluster.nodes[self.from];
        loop {
            let keys = source.call(&["CLUSTER", "GETKEYSINSLOT", &self.slot, "100"]);
            if keys.elements().is_empty() {
                return;
            }
            self.send(source, keys.elements());
        }
    }

    /// Moves what is left and [finishes](Self::finish).
    ///
    /// # Panics
    ///
    /// As these do.
    pub async fn complete(self) {
        self.move_keys();
        self.finish().await;
    }

    /// Names the new primary to all primaries. Returns when all nodes know.
    ///
    /// # Panics
    ///
    /// If they do not within 30 seconds, or keys are left in the old primary.
    pub async fn finish(self) {
        let id = &self.cluster.ids[self.to];
        // First who gets it: should it fail now, the old one still points to it. Then who had it, then the rest.
        let others = (0..self.cluster.nodes.len()).filter(|index| ![self.to, self.from].contains(index));
        for index in [self.to, self.from].into_iter().chain(others) {
            if self.is_primary(index) {
                self.set_slot(index, &["NODE", id]);
            }
        }
        eventually_ok(PATIENCE, || async { self.check() }).await;
    }

    fn check(&self) -> Result<(), String> {
        let slot = self.slot.parse().expect("it was a number");
        let id = &self.cluster.ids[self.to];
        let views = self.cluster.glance(&["CLUSTER", "NODES"]);
        let other = views.into_iter().find(|view| super::owner_in(view, slot) != Some(id));
        other.map_or(Ok(()), |view| Err(format!("slot {slot} has not moved for all:\n{view}")))
    }

    fn is_primary(&self, index: usize) -> bool {
        let role = super::glance(&self.cluster.nodes[index], &["INFO", "replication"]);
        role.is_ok_and(|role| role.contains("role:master"))
    }

    fn set_slot(&self, node: usize, what: &[&str]) {
        self.cluster.nodes[node].cli(&[&["CLUSTER", "SETSLOT", &self.slot], what].concat());
    }

    fn send(&self, source: &RedisServer, keys: &[Reply]) {
        let port = self.cluster.nodes[self.to].address().port().to_string();
        let mut command: Vec<&[u8]> = vec![b"MIGRATE", b"127.0.0.1", port.as_bytes(), b"", b"0", b"5000", b"KEYS"];
        command.extend(keys.iter().filter_map(Reply::bytes));
        // Or `NOKEY`: the last of them expired just now.
        let reply = source.call(&command);
        assert!(matches!(reply, Reply::Status(_)), "slot {}: {reply:?}", self.slot);
    }
}
