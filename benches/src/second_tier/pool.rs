//! How many connections a pool should have.

use harness::calls::Calls;
use harness::stage::Stage;
use harness::work::Users;

use super::contenders::{Peer, ours};
use super::turns::{Extent, measure};
use crate::table::Table;

const SIZES: [usize; 4] = [1, 2, 3, 4];

const HEAD: &[&str] = &[
    "connections",
    "",
    "hits per second at 1",
    "p99, us",
    "at 64",
    "p99, us",
    "at 512",
    "p99, us",
    "misses per second at 64",
    "p99, us",
];

/// Our hits and misses over pools of each size, compared to the plain client in the same turns.
pub(super) fn table(stage: &Stage, plain: &Peer, extent: Extent) -> Table {
    let pools: Vec<Box<dyn Calls>> = SIZES.into_iter().map(|size| ours::with_pool(stage, size)).collect();
    let calls: Vec<&dyn Calls> = std::iter::once(&plain.calls).chain(&pools).map(|calls| &**calls).collect();
    let mut turns = measure(stage, &calls, Users::Warm, &super::hits::CONCURRENT, extent);
    turns.extend(measure(stage, &calls, Users::Cold, &[64], extent));
    let mut table = Table::new(HEAD);
    let names = std::iter::once(plain.name.to_owned()).chain(SIZES.map(|size| format!("{size}")));
    for (index, name) in names.enumerate() {
        let figures = turns.iter().flat_map(|turns| {
            let (own, base) = (&turns[index], &turns[0]);
            [own.compared(base, 0, |figures| figures.per_second), own.cell(0, |figures| figures.p99)]
        });
        table.row([name, String::new()].into_iter().chain(figures).collect());
    }
    table
}
