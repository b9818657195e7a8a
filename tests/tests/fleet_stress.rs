//! The stress of `cargo xtask stress`, short: several processes over a real server while everything goes wrong, and no read
//! older than promised. `CACHE_STRESS_SECONDS` asks for more than the default of 8. With a rule taken away it finds some.
#![cfg(unix)]

use std::path::Path;
use std::time::Duration;

use cache_runtime::testing::Rule;
use cache_tests::history::Promise;
use cache_tests::stress::{Outcome, Settings, run};

/// How long a rule may be missing until it is noticed.
const NOTICED: Duration = Duration::from_mins(1);

fn stress(time: Duration, without: &[Rule]) -> Outcome {
    let settings = Settings { time, without: without.to_vec(), talks: false, ..Settings::default() };
    println!("seed {}", settings.seed);
    let outcome = run(Path::new(env!("CARGO_BIN_EXE_stress")), &settings);
    println!("{}", outcome.table);
    outcome
}

fn seconds() -> u64 {
    std::env::var("CACHE_STRESS_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(8)
}

/// One after the other: each keeps all processors busy.
#[test]
fn no_read_is_older_than_promised_and_without_a_rule_some_are() {
    let outcome = stress(Duration::from_secs(seconds()), &[]);
    assert!(outcome.violation.is_none(), "{}", outcome.violation.unwrap_or_default());
    assert!(outcome.problems.is_empty(), "{:?}", outcome.problems);
    for (promise, reads) in Promise::ALL.iter().zip(outcome.bound) {
        assert!(reads > 100, "{reads} reads say nothing of the promise {promise:?}");
    }
    assert!(outcome.writes > 500 && outcome.dead_leaders > 0, "{}", outcome.table);
    for (what, count) in outcome.special {
        assert!(count > 0, "no {what}: {}", outcome.table);
    }
    for rule in [Rule::FillToken, Rule::Verdict, Rule::Nested] {
        let outcome = stress(NOTICED, &[rule]);
        let found = outcome.violation.unwrap_or_else(|| panic!("a minute without {rule:?}, and nothing was noticed"));
        println!("without {rule:?}, after {:.1?}: {found}", outcome.found_after.unwrap_or_default());
    }
}
