//! Measures everything and puts it into one table.

use harness::statistics::{median, ratio};

use crate::contender::{Hits, MODES};
use crate::contenders::Peer;
use crate::future_size::BODY;
use crate::hits::{self, Extent, Times};
use crate::table::Table;
use crate::workload::Reads;

const HEAD: &[&str] = &[
    "contender",
    "limits",
    "`Arc`: 1 task",
    "2 tasks",
    "64 tasks",
    "clone: 1 task",
    "2 tasks",
    "64 tasks",
    "allocations per hit: `Arc`",
    "clone",
    "future",
    "bytes per entry",
    "runs in a stampede",
];

const NONE: &str = "-";
const COUNTED_HITS: usize = 100_000;

/// Measures the contenders; the first one is what the times of the others are compared to.
pub(crate) fn measure(peers: &[Peer], extent: Extent) -> Table {
    let shared = times(peers, extent, "Arc", |peer| peer.shared.as_deref());
    let owned = times(peers, extent, "clone", |peer| peer.owned.as_deref());
    let mut table = Table::new(HEAD);
    for (index, peer) in peers.iter().enumerate() {
        progress(&format!("counts of {}", peer.name));
        let mut cells = vec![peer.name.to_owned(), peer.limits.to_owned()];
        cells.extend(time_cells(&shared, index));
        cells.extend(time_cells(&owned, index));
        cells.extend(count_cells(peer));
        table.row(cells);
    }
    table
}

/// The times of each contender that has this kind of output.
fn times<'a>(
    peers: &'a [Peer],
    extent: Extent,
    kind: &str,
    of: impl Fn(&'a Peer) -> Option<&'a dyn Hits>,
) -> Vec<Option<Times>> {
    let present: Vec<_> = peers.iter().filter_map(&of).collect();
    let measured = hits::measure(&present, extent, |repetition| {
        progress(&format!("hits, {kind}: {} of {}", repetition + 1, extent.repetitions));
    });
    let mut measured = measured.into_iter();
    peers.iter().map(|peer| of(peer).and_then(|_| measured.next())).collect()
}

fn time_cells(times: &[Option<Times>], index: usize) -> Vec<String> {
    let base = times.first().and_then(Option::as_ref);
    let cell = |mode: usize| match (&times[index], base) {
        (Some(own), Some(base)) => {
            let time = median(&own.0[mode]);
            format!("{time:.0} ({:.2}x)", ratio(&own.0[mode], &base.0[mode]))
        }
        _ => NONE.to_owned(),
    };
    (0..MODES.len()).map(cell).collect()
}

fn count_cells(peer: &Peer) -> Vec<String> {
    let reads = Reads::new();
    let allocations = |hits: &Option<Box<dyn Hits>>| {
        optional(hits.as_ref(), |hits| per_hit(hits.count(&reads, COUNTED_HITS).allocations))
    };
    vec![
        allocations(&peer.shared),
        allocations(&peer.owned),
        optional(peer.future_size, future_cell),
        optional(peer.memory, |memory| memory().cell()),
        optional(peer.stampede, |stampede| stampede().to_string()),
    ]
}

fn future_cell(size: usize) -> String {
    match size.checked_sub(BODY) {
        Some(more) => format!("{size} (+{more})"),
        None => format!("{size}, body boxed"),
    }
}

fn optional<T>(value: Option<T>, cell: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| NONE.to_owned(), cell)
}

/// Allocations per hit: a whole number, or with the digits that make it none.
fn per_hit(allocations: u64) -> String {
    let hits = COUNTED_HITS as u64;
    if allocations.is_multiple_of(hits) {
        return (allocations / hits).to_string();
    }
    let thousandths = allocations * 1_000 / hits;
    format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000)
}

/// Where the run is, on the error stream, so that the table alone is the output.
pub(crate) fn progress(what: &str) {
    eprintln!("bench: {what}");
}
