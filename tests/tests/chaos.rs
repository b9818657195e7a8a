//! The run of `cargo xtask chaos`, short, over one topology after the other. Asked for by `--ignored`: `CACHE_CHAOS_SECONDS`
//! for all three together, 90 unless said otherwise.
#![cfg(unix)]

use std::path::Path;
use std::time::Duration;

use cache_runtime::testing::Rule;
use cache_tests::chaos::{Report, Settings, Topology, run, table};
use cache_tests::history::Promise;

fn chaos(seconds: u64, without: &[Rule]) -> Vec<Report> {
    let settings =
        Settings { time: Duration::from_secs(seconds), without: without.to_vec(), talks: false, ..Settings::default() };
    println!("seed {}", settings.seed);
    let reports = run(Path::new(env!("CARGO_BIN_EXE_stress")), &settings);
    println!("{}", table(&reports));
    reports
}

fn seconds() -> u64 {
    std::env::var("CACHE_CHAOS_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(90)
}

#[test]
#[ignore = "a minute and a half with a dozen servers: `cargo xtask chaos` is the same, longer"]
fn no_read_is_older_than_promised_while_servers_fail_over() {
    for report in chaos(seconds(), &[]) {
        let topology = report.topology;
        assert!(report.outcome.violation.is_none(), "{topology}: {}", report.outcome.violation.unwrap_or_default());
        assert!(report.outcome.problems.is_empty(), "{topology}: {:?}", report.outcome.problems);
        for (promise, reads) in Promise::ALL.iter().zip(report.outcome.bound) {
            assert!(reads > 100, "{topology}: {reads} reads say nothing of the promise {promise:?}");
        }
        for (what, count) in report.outcome.special {
            assert!(count > 0, "{topology}: no {what}: {}", report.outcome.table);
        }
        assert!(report.faults > 100 && report.outcome.writes > 500, "{topology}: {}", report.outcome.table);
    }
}

#[test]
#[ignore = "up to three minutes with a dozen servers"]
fn without_the_fence_older_reads_are_found_on_each_topology() {
    let reports = chaos(180, &[Rule::Fence]);
    let found = reports.iter().filter(|report| report.outcome.violation.is_some()).map(|report| report.topology);
    assert_eq!(found.collect::<Vec<_>>(), Topology::ALL);
}
