//! What a hit of the in-process tier costs, ours beside the peers': `cargo xtask bench l1`. What the
//! second tier costs is in [`second_tier`]: `cargo xtask bench l2`.
//!
//! [`workload`] is what is read, [`contender`] the loop that all run in, [`contenders`] who takes
//! part; [`hits`], [`memory`], [`future_size`], [`stampede`] and [`build_time`] are one measurement
//! each, [`report`] puts them into a table. What is not only of this program is in [`harness`].

mod build_time;
mod contender;
mod contenders;
mod future_size;
mod hits;
mod machine;
mod memory;
mod report;
mod second_tier;
mod stampede;
mod table;
mod workload;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use contender::MODES;
use hits::Extent;
use workload::Reads;

const QUICK: Extent = Extent { repetitions: 5, turn: Duration::from_millis(10), builds: 0 };
const FULL: Extent = Extent { repetitions: 21, turn: Duration::from_millis(40), builds: 3 };

const QUICK_L2: second_tier::Extent =
    second_tier::Extent { repetitions: 3, turn: Duration::from_millis(100), counted: 10_000, stampedes: 1, events: 50 };
const FULL_L2: second_tier::Extent = second_tier::Extent {
    repetitions: 11,
    turn: Duration::from_millis(250),
    counted: 50_000,
    stampedes: 5,
    events: 500,
};

const PROFILE: &str = "profile CONTENDER MILLIONS | profile hits|misses CONTENDER CONCURRENT SECONDS";

/// What the columns mean, for whoever reads the file.
const LEGEND: &str = include_str!("legend.md");

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["l1"] => l1(FULL, "cargo xtask bench l1"),
        ["l1", "--quick"] => l1(QUICK, "cargo xtask bench l1 --quick"),
        ["l2"] => l2(FULL_L2, "cargo xtask bench l2"),
        ["l2", "--quick"] => l2(QUICK_L2, "cargo xtask bench l2 --quick"),
        [second_tier::children::WORD, words @ ..] => return second_tier::children::main(words),
        ["profile", users @ ("hits" | "misses"), contender, concurrent, seconds] => {
            return second_tier::profile(users, contender, concurrent, seconds);
        }
        ["profile", contender, millions] => return profile(contender, millions),
        _ => {
            eprintln!("usage: cache-benches l1 [--quick] | l2 [--quick] | {PROFILE}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// Hits of one contender alone, in one task, for a profiler.
fn profile(contender: &str, millions: &str) -> ExitCode {
    let peers = contenders::all();
    let found = peers.iter().find(|peer| peer.name.contains(contender));
    let Some(hits) = found.and_then(|peer| peer.shared.as_ref()) else {
        let names: Vec<_> = peers.iter().map(|peer| peer.name).collect();
        eprintln!("no contender with `Arc` outputs is called `{contender}`: {}", names.join(", "));
        return ExitCode::from(2);
    };
    let Ok(millions) = millions.parse::<usize>() else {
        eprintln!("`{millions}` is no number of millions");
        return ExitCode::from(2);
    };
    let reads = Arc::new(Reads::new());
    hits.warm();
    let one_million = || hits.time(&reads, MODES[0], 1_000_000).as_secs_f64() * 1e3;
    let times: Vec<f64> = (0..millions).map(|_| one_million()).collect();
    println!("{millions} million hits, {:.1} ns each (median of a million)", harness::statistics::median(&times));
    ExitCode::SUCCESS
}

fn l1(extent: Extent, command: &str) {
    let facts = machine::facts(command, machine::L1_PACKAGES);
    let table = report::measure(&contenders::all(), extent);
    println!("\n{table}");
    let build_times = match extent.builds {
        0 => "Build times are measured without `--quick`.\n".to_owned(),
        builds => build_time::measure(builds).to_string(),
    };
    println!("\n{build_times}");
    write("RESULTS.md", &format!("# Hits of the in-process tier\n\n{facts}\n{table}\n{LEGEND}\n{build_times}"));
}

fn l2(extent: second_tier::Extent, command: &str) {
    let facts = machine::facts(command, machine::L2_PACKAGES);
    let report = second_tier::measure(extent);
    println!("\n{report}");
    write("RESULTS-l2.md", &format!("# The second tier\n\n{facts}{report}"));
}

/// Writes a file of results beside the sources.
fn write(name: &str, text: &str) {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    match fs::write(&results, text) {
        Ok(()) => println!("written to {}", results.display()),
        Err(error) => eprintln!("cannot write {}: {error}", results.display()),
    }
}
