//! What an entry takes in Redis.

use std::collections::BTreeMap;

use harness::server::Server;
use harness::stage::Stage;
use harness::statistics::as_float;
use harness::work::cold;

use super::contenders::Peer;
use super::misses::loaders;
use crate::table::Table;

const ENTRIES: usize = 100;

const HEAD: &[&str] = &["contender", "format", "bytes in Redis", "of the key", "of the payload"];

/// Stores so many users with each contender, and looks at what was not there before.
pub(super) fn measure(stage: &Stage, peers: &[Peer]) -> Table {
    let mut table = Table::new(HEAD);
    for peer in loaders(peers) {
        // What a contender keeps beside its entries is there after the first one.
        peer.calls.stampede(stage, cold(), 1);
        let before = stage.server.keys();
        for _ in 0..ENTRIES {
            peer.calls.stampede(stage, cold(), 1);
        }
        let after = stage.server.keys();
        let new: Vec<&Vec<u8>> = after.difference(&before).collect();
        assert_eq!(new.len(), ENTRIES, "an entry of {} is one key", peer.name);
        let mean = |bytes: &dyn Fn(&Vec<u8>) -> usize| {
            format!("{:.0}", as_float(new.iter().map(|key| bytes(key)).sum::<usize>()) / as_float(ENTRIES))
        };
        table.row(vec![
            peer.name.to_owned(),
            peer.format.to_owned(),
            mean(&|key| stage.server.ask(&[b"MEMORY", b"USAGE", key, b"SAMPLES", b"0"])),
            mean(&|key| key.len()),
            mean(&|key| payload(&stage.server, key)),
        ]);
    }
    table
}

/// The bytes of a string, or of the names and values of a hash.
fn payload(server: &Server, key: &[u8]) -> usize {
    let kind: String = server.ask(&[b"TYPE", key]);
    if kind == "string" {
        return server.ask(&[b"STRLEN", key]);
    }
    let fields: BTreeMap<Vec<u8>, Vec<u8>> = server.ask(&[b"HGETALL", key]);
    fields.iter().map(|(name, value)| name.len() + value.len()).sum()
}
