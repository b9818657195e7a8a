//! What hits, misses and invalidations cost over Redis, ours beside the peers': `cargo xtask bench l2`.
//!
//! [`harness`] has what is read and the loop that all run in; [`turns`] is who runs when, [`contenders`] who takes part;
//! [`hits`], [`misses`], [`pool`], [`stampede`], [`publishing`] and [`space`] are one measurement each, [`targets`] what
//! ours has to reach. [`children`] are more processes.

pub(crate) mod children;
mod contenders;
mod hits;
mod misses;
mod pool;
mod publishing;
mod space;
mod stampede;
mod targets;
mod turns;

use std::process::ExitCode;
use std::time::Duration;

use harness::stage::Stage;
use harness::work::Users;
pub(crate) use turns::Extent;

/// What the columns mean, for whoever reads the file.
const LEGEND: &str = include_str!("second_tier/legend.md");

/// Measures everything; the report, in Markdown.
pub(crate) fn measure(extent: Extent) -> String {
    let stage = Stage::start();
    let peers = contenders::all(&stage);
    // While there are few keys to look through.
    let space = space::measure(&stage, &peers);
    let hits = hits::Hits::measure(&stage, &peers, extent);
    let pool = pool::table(&stage, &peers[0], extent);
    let misses = misses::Misses::measure(&stage, &peers, extent);
    let stampedes = stampede::Stampedes::measure(&stage, &peers, extent);
    let publishing = publishing::measure(&stage, extent);
    let absent = contenders::absent().map(|absent| format!("- {absent}\n")).collect::<Vec<_>>().concat();
    format!(
        "- server: {}\n- {} turns of {} ms each\n\n## Bounds\n\n{}\n## Hits\n\n{}## Misses\n\n{}\n\
         ## Stampedes\n\n{}\n## Publishing\n\n{publishing}\n## Bytes per entry\n\n{space}\n## Connections\n\n{pool}\n\
         ## What was measured\n\n{LEGEND}\n## Not taking part\n\n{absent}",
        stage.server.version(),
        extent.repetitions,
        extent.turn.as_millis(),
        targets::table(&peers, &hits, &misses, &stampedes),
        hits.tables(&peers),
        misses.table(&peers),
        stampedes.table(&peers),
    )
}

/// Calls of one contender alone, for a profiler: what each second of them shows.
pub(crate) fn profile(users: &str, name: &str, concurrent: &str, seconds: &str) -> ExitCode {
    let users = if users == "misses" { Users::Cold } else { Users::Warm };
    let (Ok(concurrent), Ok(seconds)) = (concurrent.parse(), seconds.parse::<usize>()) else {
        eprintln!("`{concurrent}` and `{seconds}` are to be numbers");
        return ExitCode::from(2);
    };
    let stage = Stage::start();
    let Some(peer) = contenders::by_name(&stage, name) else {
        eprintln!("no contender is called `{name}`: {}", contenders::names().join(", "));
        return ExitCode::from(2);
    };
    peer.calls.warm(&stage);
    for _ in 0..seconds {
        println!("{:?}", peer.calls.time(&stage, users, concurrent, Duration::from_secs(1)));
    }
    println!("{:?} allocations per call", peer.calls.count(&stage, users, concurrent, 10_000));
    ExitCode::SUCCESS
}
