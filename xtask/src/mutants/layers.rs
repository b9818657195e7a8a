//! The layers that are asked: child programs, each of which says in lines what it has found.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::list::Mutant;
use crate::failure::Failure;
use crate::run::Invocation;

/// How long the simulation looks for one rule, in seconds.
const MOST: &str = "60";

/// More seeds than it comes to in that time.
const SEEDS: &str = "1000000";

/// What a layer has found about one of its names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    /// States, seeds; of a test: one.
    pub(crate) tried: u64,
    pub(crate) seconds: f64,
    /// What went wrong without the rule, as it should; nothing, if nothing did.
    pub(crate) caught: Option<String>,
}

/// What the layers have found, by the names that they have for it.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) model: BTreeMap<String, Finding>,
    pub(crate) simulation: BTreeMap<String, Finding>,
    pub(crate) tests: BTreeMap<String, Finding>,
}

impl Findings {
    /// Asks all layers about these mutants, and tells each answer as it comes.
    pub(crate) fn of(mutants: &[&Mutant]) -> Result<Self, Failure> {
        let began = Instant::now();
        let mut findings = Self::default();
        let model: BTreeSet<&str> = mutants.iter().flat_map(|mutant| mutant.model).copied().collect();
        let rules: BTreeSet<&str> = mutants.iter().filter_map(|mutant| mutant.simulated()).collect();
        let tests: BTreeSet<&str> =
            mutants.iter().flat_map(|mutant| mutant.tests.iter().chain(mutant.pins)).copied().collect();
        if !model.is_empty() {
            let program = ["run", "--release", "--quiet", "--package", "cache-model", "--", "--lines"];
            let names = joined(&model);
            ask(&[&program[..], &[&names]].concat(), |line| {
                note(&mut findings.model, "model", began, of_model(line));
            })?;
        }
        if !rules.is_empty() {
            let program = ["run", "--release", "--quiet", "--package", "cache-simulation", "--bin", "simulate", "--"];
            let names = joined(&rules);
            let limits = ["--mutants", "--lines", "--seeds", SEEDS, "--seconds", MOST, "--without", &names];
            ask(&[&program[..], &limits].concat(), |line| {
                note(&mut findings.simulation, "simulation", began, of_simulation(line));
            })?;
        }
        for (binary, names) in by_binary(&tests) {
            let arguments = test_arguments(binary, &names);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let mut before = Instant::now();
            // Those that fail are seen by their lines, and those that are missing by theirs.
            ask(&arguments, |line| {
                let found = of_test(binary, line, before.elapsed());
                before = Instant::now();
                note(&mut findings.tests, "tests", began, found);
            })?;
        }
        Ok(findings)
    }
}

/// A number and what there are so many of.
pub(crate) fn counted(number: u64, unit: &str) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    format!("{} {unit}{}", groups.join(","), if number == 1 { "" } else { "s" })
}

fn joined(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(",")
}

/// The tests of each binary.
fn by_binary<'a>(tests: &BTreeSet<&'a str>) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut binaries: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (binary, name) in tests.iter().filter_map(|test| test.split_once("::")) {
        binaries.entry(binary).or_default().push(name);
    }
    binaries
}

/// One at a time, so that each has a time of its own.
fn test_arguments(binary: &str, names: &[&str]) -> Vec<String> {
    let target = match binary {
        "runtime" => vec!["--package", "cache-runtime", "--lib"],
        _ => vec!["--package", "cache-tests", "--test", binary],
    };
    // Not `--quiet`: that leaves out their names.
    let words = [&["test", "--all-features"][..], &target, &["--", "--exact", "--test-threads=1"], names];
    words.concat().into_iter().map(str::to_owned).collect()
}

fn ask(arguments: &[&str], on_line: impl FnMut(&str)) -> Result<(), Failure> {
    Invocation::cargo(arguments).lines(on_line)
}

fn note(found: &mut BTreeMap<String, Finding>, layer: &str, began: Instant, line: Option<(String, Finding)>) {
    let Some((name, finding)) = line else { return };
    let Finding { tried, seconds, caught } = &finding;
    let caught = caught.as_deref().unwrap_or("nothing noticed");
    let tried = match layer {
        "model" => format!("{}, ", counted(*tried, "state")),
        "simulation" => format!("{}, ", counted(*tried, "seed")),
        _ => String::new(),
    };
    println!("{:>5.0} s  {layer:<10}  {name}: {tried}{seconds:.1} s: {caught}", began.elapsed().as_secs_f64());
    found.insert(name, finding);
}

/// Mutant, configuration, states, seconds, property.
fn of_model(line: &str) -> Option<(String, Finding)> {
    let [name, _, states, seconds, property] = fields(line)?;
    finding(name, states, seconds, (!property.is_empty()).then(|| property.to_owned()))
}

/// Rule, seeds, seconds, problem.
fn of_simulation(line: &str) -> Option<(String, Finding)> {
    let [name, seeds, seconds, problem] = fields(line)?;
    finding(name, seeds, seconds, (!problem.is_empty()).then(|| problem.to_owned()))
}

fn fields<const N: usize>(line: &str) -> Option<[&str; N]> {
    line.splitn(N, '\t').collect::<Vec<_>>().try_into().ok()
}

fn finding(name: &str, tried: &str, seconds: &str, caught: Option<String>) -> Option<(String, Finding)> {
    Some((name.to_owned(), Finding { tried: tried.parse().ok()?, seconds: seconds.parse().ok()?, caught }))
}

/// `test path ... ok`: a test that passes has seen what goes wrong without the rule.
fn of_test(binary: &str, line: &str, took: Duration) -> Option<(String, Finding)> {
    let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    // What should panic says so behind its name.
    let name = name.split_once(" - ").map_or(name, |(name, _)| name);
    let caught = (result == "ok").then(|| "passes".to_owned());
    Some((format!("{binary}::{name}"), Finding { tried: 1, seconds: took.as_secs_f64(), caught }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::{Finding, by_binary, counted, of_model, of_simulation, of_test, test_arguments};

    fn found(name: &str, tried: u64, seconds: f64, caught: Option<&str>) -> (String, Finding) {
        (name.to_owned(), Finding { tried, seconds, caught: caught.map(str::to_owned) })
    }

    #[test]
    fn the_lines_of_the_model_are_read() {
        let caught = of_model("Seal\tjoin\t523\t0.1\tstrict: nothing older");
        assert_eq!(caught, Some(found("Seal", 523, 0.1, Some("strict: nothing older"))));
        assert_eq!(of_model("Seal\tjoin\t523\t0.1\t"), Some(found("Seal", 523, 0.1, None)));
        assert_eq!(of_model("    join: 523 states so far"), None);
    }

    #[test]
    fn the_lines_of_the_simulation_are_read() {
        assert_eq!(of_simulation("seal\t7\t0.5\told"), Some(found("seal", 7, 0.5, Some("old"))));
        assert_eq!(of_simulation("seal\t2000\t60.0\t"), Some(found("seal", 2_000, 60.0, None)));
        assert_eq!(of_simulation("nothing of that kind"), None);
    }

    #[test]
    fn only_a_test_that_passes_has_noticed() {
        let of = |line: &str| of_test("races", line, Duration::from_secs(2));
        assert_eq!(of("test race_1 ... ok"), Some(found("races::race_1", 1, 2.0, Some("passes"))));
        assert_eq!(of("test race_1 - should panic ... ok"), Some(found("races::race_1", 1, 2.0, Some("passes"))));
        for result in ["FAILED", "ignored"] {
            assert_eq!(of(&format!("test race_1 ... {result}")), Some(found("races::race_1", 1, 2.0, None)));
        }
        for other in ["running 3 tests", "", "test result: ok. 3 passed; 0 failed"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn numbers_are_grouped() {
        let all = [(1, "1 seed"), (523, "523 seeds"), (1_234, "1,234 seeds"), (1_163_265, "1,163,265 seeds")];
        for (number, text) in all {
            assert_eq!(counted(number, "seed"), text);
        }
    }

    #[test]
    fn the_tests_of_one_binary_are_run_by_one_command() {
        let tests = BTreeSet::from(["races::a", "races::deep::b", "runtime::bus::tests::c"]);
        let binaries = by_binary(&tests);
        assert_eq!(binaries["races"], ["a", "deep::b"]);
        let line = test_arguments("races", &binaries["races"]).join(" ");
        assert!(line.ends_with("--package cache-tests --test races -- --exact --test-threads=1 a deep::b"), "{line}");
        let line = test_arguments("runtime", &binaries["runtime"]).join(" ");
        assert!(line.ends_with("--package cache-runtime --lib -- --exact --test-threads=1 bus::tests::c"), "{line}");
    }
}
