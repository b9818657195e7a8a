//! What a hit of the second tier costs.

use harness::calls::Calls;
use harness::stage::Stage;
use harness::work::Users;

use super::contenders::Peer;
use super::turns::{Extent, Turns, measure};
use crate::table::Table;

/// So many calls at the same time.
pub(super) const CONCURRENT: [usize; 3] = [1, 64, 512];

const HEAD: &[&str] = &[
    "contender",
    "format",
    "hits per second",
    "p50, us",
    "p99, us",
    "client, us",
    "server, us",
    "commands",
    "lookups",
    "allocations",
];

/// The hits of all contenders.
pub(super) struct Hits {
    /// For each of [`CONCURRENT`], for each contender.
    pub(super) turns: Vec<Vec<Turns>>,
    /// Allocations per hit, likewise.
    pub(super) allocations: Vec<Vec<Option<f64>>>,
}

impl Hits {
    pub(super) fn measure(stage: &Stage, peers: &[Peer], extent: Extent) -> Self {
        for peer in peers {
            peer.calls.warm(stage);
        }
        let calls: Vec<&dyn Calls> = peers.iter().map(|peer| &*peer.calls).collect();
        let turns = measure(stage, &calls, Users::Warm, &CONCURRENT, extent);
        let count = |concurrent| {
            calls.iter().map(|calls| calls.count(stage, Users::Warm, concurrent, extent.counted)).collect()
        };
        Self { turns, allocations: CONCURRENT.into_iter().map(count).collect() }
    }

    /// A table for each of [`CONCURRENT`], under a heading.
    pub(super) fn tables(&self, peers: &[Peer]) -> String {
        let places = CONCURRENT.iter().enumerate();
        let tables = places.map(|(place, at_once)| format!("### {at_once} at once\n\n{}\n", self.table(peers, place)));
        tables.collect()
    }

    fn table(&self, peers: &[Peer], place: usize) -> Table {
        let mut table = Table::new(HEAD);
        let base = &self.turns[place][0];
        for (index, peer) in peers.iter().enumerate() {
            let turns = &self.turns[place][index];
            table.row(vec![
                peer.name.to_owned(),
                peer.format.to_owned(),
                turns.compared(base, 0, |figures| figures.per_second),
                turns.compared(base, 1, |figures| figures.p50),
                turns.cell(1, |figures| figures.p99),
                turns.cell(2, |figures| figures.client),
                turns.cell(2, |figures| figures.server),
                turns.cell(2, |figures| figures.commands),
                turns.cell(2, |figures| figures.lookups),
                self.allocations[place][index].map_or_else(|| "-".to_owned(), |count| format!("{count:.1}")),
            ]);
        }
        table
    }
}
