//! What a miss costs, with a load that returns at once, and what it asks of the server.

use harness::calls::Calls;
use harness::stage::Stage;
use harness::statistics::as_float;
use harness::work::Users;

use super::contenders::Peer;
use super::turns::{Extent, Turns, measure};
use crate::table::Table;

/// So many calls at the same time.
pub(super) const CONCURRENT: [usize; 2] = [1, 64];

const HEAD: &[&str] = &[
    "contender",
    "commands per miss",
    "misses per second at 1",
    "p50, us",
    "p99, us",
    "at 64",
    "p50, us",
    "p99, us",
    "client, us",
    "server, us",
];

/// The misses of all contenders that load.
pub(super) struct Misses {
    /// For each of [`CONCURRENT`], for each contender that loads.
    pub(super) turns: Vec<Vec<Turns>>,
    commands: Vec<String>,
}

/// Those who load.
pub(super) fn loaders(peers: &[Peer]) -> Vec<&Peer> {
    peers.iter().filter(|peer| peer.loads).collect()
}

impl Misses {
    pub(super) fn measure(stage: &Stage, peers: &[Peer], extent: Extent) -> Self {
        let calls: Vec<&dyn Calls> = loaders(peers).into_iter().map(|peer| &*peer.calls).collect();
        let turns = measure(stage, &calls, Users::Cold, &CONCURRENT, extent);
        let commands = calls.into_iter().map(|calls| commands(stage, calls, extent)).collect();
        Self { turns, commands }
    }

    pub(super) fn table(&self, peers: &[Peer]) -> Table {
        let mut table = Table::new(HEAD);
        for (index, peer) in loaders(peers).into_iter().enumerate() {
            let [(one, one_base), (many, many_base)] = [0, 1].map(|at| (&self.turns[at][index], &self.turns[at][0]));
            table.row(vec![
                peer.name.to_owned(),
                self.commands[index].clone(),
                one.compared(one_base, 0, |figures| figures.per_second),
                one.cell(0, |figures| figures.p50),
                one.cell(0, |figures| figures.p99),
                many.compared(many_base, 0, |figures| figures.per_second),
                many.cell(0, |figures| figures.p50),
                many.cell(0, |figures| figures.p99),
                many.cell(1, |figures| figures.client),
                many.cell(1, |figures| figures.server),
            ]);
        }
        table
    }
}

/// Which commands the server runs for a miss when 64 calls run at the same time, as it counts them itself.
fn commands(stage: &Stage, calls: &dyn Calls, extent: Extent) -> String {
    let before = stage.server.commands();
    let figures = calls.time(stage, Users::Cold, CONCURRENT[1], extent.turn).expect("those who load call one by one");
    let misses = figures.per_second * extent.turn.as_secs_f64();
    let after = stage.server.commands();
    let counts = after.into_iter().map(|(name, count)| (count - before.get(&name).unwrap_or(&0), name));
    let shares = counts.map(|(count, name)| (as_float(count) / misses, name));
    let shown = shares.filter(|(share, _)| *share >= 0.01).map(|(share, name)| format!("{name} {share:.2}"));
    shown.collect::<Vec<_>>().join(", ")
}
