//! What our contender has to reach.

use harness::statistics::as_float;

use super::contenders::{Peer, batched, ours};
use super::hits::Hits;
use super::misses::{Misses, loaders};
use super::stampede::Stampedes;
use crate::table::Table;

/// On which side of the bound the figure has to be.
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// Each bound beside what was measured.
pub(super) fn table(peers: &[Peer], hits: &Hits, misses: &Misses, stampedes: &Stampedes) -> Table {
    let own = peers.iter().position(|peer| peer.name == ours::NAME).expect("it takes part");
    let loader = loaders(peers).iter().position(|peer| peer.name == ours::NAME).expect("it loads");
    let plain = peers.iter().position(|peer| peer.name == batched::NAME).expect("it takes part");
    let hit_by = |place: usize, base: usize| {
        hits.turns[place][own].ratio(&hits.turns[place][base], |figures| figures.per_second)
    };
    let hit = |place| hit_by(place, 0);
    let (alone, among) = stampedes.of(peers, ours::NAME).map_or((0, 0), |(alone, among)| (alone.most(), among.most()));
    let rows = [
        ("p50 of a hit at 1, by that of `GET`", Bound::AtMost(1.1), {
            hits.turns[0][own].ratio(&hits.turns[0][0], |figures| figures.p50)
        }),
        ("hits per second at 64, by those of `GET`", Bound::AtLeast(1.5), hit(1)),
        ("hits per second at 512, by those of `GET`", Bound::AtLeast(2.0), hit(2)),
        ("hits per second at 64, by those of plain batching", Bound::AtLeast(0.9), hit_by(1, plain)),
        ("hits per second at 512, by those of plain batching", Bound::AtLeast(0.9), hit_by(2, plain)),
        ("allocations per hit at 1", Bound::AtMost(12.0), hits.allocations[0][own]),
        ("allocations per hit at 64", Bound::AtMost(12.0), hits.allocations[1][own]),
        ("misses per second at 64, by those of `GET` and `PSETEX`", Bound::AtLeast(0.6), {
            misses.turns[1][loader].ratio(&misses.turns[1][0], |figures| figures.per_second)
        }),
        ("loads in a stampede in one process", Bound::AtMost(1.0), Some(as_float(alone))),
        ("loads in a stampede in four", Bound::AtMost(1.0), Some(as_float(among))),
    ];
    let mut table = Table::new(&["what", "bound", "measured", "reached"]);
    for (what, bound, measured) in rows {
        let measured = measured.unwrap_or(f64::NAN);
        let (bound, reached) = match bound {
            Bound::AtLeast(least) => (format!("at least {least}"), measured >= least),
            Bound::AtMost(most) => (format!("at most {most}"), measured <= most),
        };
        let reached = if reached { "yes" } else { "no" };
        table.row(vec![what.to_owned(), bound, format!("{measured:.2}"), reached.to_owned()]);
    }
    table
}
