//! Seeds of the simulation. `CACHE_SIMULATION_SEEDS` asks for more than the default; `cargo xtask simulate` runs many.

use std::time::Duration;

use cache_runtime::testing::Rule;
use cache_simulation::{Campaign, FIRST_OF_ALL, Plan, Report, minimise, run, silence_expected_panics};

/// Seeds unless more are asked for: some seconds, in a build that is not optimised.
const SEEDS: u64 = 60;

/// Seeds within which a missing rule is missed.
const MOST: u64 = 300;

fn campaign(seeds: u64, without: &[Rule]) -> Report {
    silence_expected_panics();
    let stops = !without.is_empty();
    let (without, most) = (without.to_vec(), Duration::MAX);
    Campaign { from: FIRST_OF_ALL, seeds, without, stops, most, threads: 2, talks: false }.run()
}

#[test]
fn no_seed_breaks_a_promise() {
    let seeds = std::env::var("CACHE_SIMULATION_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS);
    let report = campaign(seeds, &[]);
    let told: Vec<_> = report.failures.iter().map(|(seed, problems)| format!("seed {seed}: {}", problems[0])).collect();
    assert!(told.is_empty(), "`cargo xtask simulate --seed N` tells one of them in full:\n{}", told.join("\n"));
    assert!(report.bound.iter().all(|reads| *reads > 10 * seeds), "some promise was hardly asked about: {report:?}");
    assert!(report.counts.queued > 0 && report.counts.unanswered > 0, "nothing went wrong: {:?}", report.counts);
}

#[test]
fn while_nothing_goes_wrong_a_key_is_loaded_by_one_process_at_a_time() {
    silence_expected_panics();
    let mut alone = 0;
    for seed in FIRST_OF_ALL..FIRST_OF_ALL + SEEDS {
        let outcome = run(&Plan::of(seed, &[]).calm(), false);
        assert!(outcome.violations.is_empty(), "seed {seed}, calm: {}", outcome.violations[0]);
        alone += outcome.counts.alone;
    }
    assert!(alone > 10 * SEEDS, "{alone} loads say nothing");
}

/// Seeds that have failed, and what was wrong. Each failed until that was mended.
const FAILED: &[(u64, &str)] = &[
    (514, "`everywhere` believed a list of processes that the server had from before a failover"),
    (14_342, "the last reading came before `max_staleness` was over since the last invalidation"),
    (3_125, "`everywhere` believed it, some hundred milliseconds after the failover"),
    (10_021_326, "a bus came and went before anything was read of it: its message was missed without a gap"),
    (10_030_147, "`everywhere` believed it, in a process that had started after the failover"),
    (10_001_302, "`everywhere` took places on an evicted bus for places on the next one, the clock set back between"),
    (10_131_957, "the same"),
    (11_566_755, "the simulated `SCAN` left what was over where it was, and a clock that was set back brought it back"),
    (12_000_126, "who came after a token joined a load that was made of what its process still kept"),
    (12_005_555, "where the network is nearly too slow, no invalidation of a cluster's keys was ever done in time"),
    (12_010_680, "the same, where each slot had a wait for its replicas"),
    (4_424, "of a server that took over nothing was read that a foreign publisher had told it before"),
];

#[test]
fn what_has_failed_fails_no_more() {
    silence_expected_panics();
    for (seed, wrong) in FAILED {
        let violations = run(&Plan::of(*seed, &[]), false).violations;
        assert!(violations.is_empty(), "seed {seed}, once because {wrong}: {}", violations[0]);
    }
}

#[test]
fn a_seed_is_the_same_run_each_time() {
    // As often as it takes for a draw between two orders that no seed decides to differ.
    let traces = [(); 6].map(|()| campaign(16, &[]).trace);
    assert_eq!(traces, [traces[0]; 6]);
    let trace = |seed| run(&Plan::of(seed, &[]), false).trace;
    assert_ne!(trace(FIRST_OF_ALL), trace(FIRST_OF_ALL + 1));
}

#[test]
fn a_missing_rule_is_missed() {
    for rule in [Rule::FillToken, Rule::Fence, Rule::UnlinkFirst, Rule::Detach, Rule::Nested] {
        let report = campaign(MOST, &[rule]);
        assert!(!report.failures.is_empty(), "{MOST} seeds without {rule:?}, and nothing was noticed");
    }
}

#[test]
fn a_failure_is_told_shortly() {
    let report = campaign(MOST, &[Rule::FillToken]);
    let (seed, _) = report.failures.first_key_value().expect("it is missed");
    let plan = Plan::of(*seed, &[Rule::FillToken]);
    let told = run(&minimise(&plan), true);
    assert!(!told.violations.is_empty(), "less of it fails no more");
    assert!(told.timeline.len() < run(&plan, true).timeline.len() / 4, "{}", told.timeline.join("\n"));
}
