//! `cargo xtask test`: what CI runs, in the order in which a mistake shows soonest.

use crate::failure::Failure;
use crate::run::{Invocation, Steps};
use crate::{model, prerequisites, simulate, tidy};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Quick,
    Full,
}

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    plan(extent(arguments)?).run()
}

fn extent(arguments: &[String]) -> Result<Extent, Failure> {
    let mut extent = Extent::Full;
    for argument in arguments {
        match argument.as_str() {
            "--quick" => extent = Extent::Quick,
            other => return Err(Failure::unknown_argument("test", other)),
        }
    }
    Ok(extent)
}

fn plan(extent: Extent) -> Steps {
    let mut steps = Steps::default();
    steps.add("what the checks need", prerequisites::ensure);
    steps.add("formatting", || Invocation::cargo(&["fmt", "--all", "--check"]).run());
    steps.add("tidy: layers, sizes, leftovers, reasons", || tidy::run(&[]));
    steps.add("clippy, every target and feature", clippy_everything);
    if extent == Extent::Full {
        steps.add("clippy, the runtime without its default features", clippy_bare_runtime);
        steps.add("documentation", documentation);
    }
    if extent == Extent::Full {
        steps.add("model: every state of the small configurations, every mutant", || model::run(&[]));
        steps.add("simulation: 20,000 seeds", || simulate::run(&[]));
        steps.add("unit tests of the runtime without its default features", test_bare_runtime);
        steps.add("tests with the features that ship", test_what_ships);
    }
    // Last, so that the closing lines of `cargo test` stay at the end of a log.
    steps.add("tests: unit, integration, UI, examples, documentation", || {
        Invocation::cargo(&["test", "--workspace", "--all-features"]).run()
    });
    steps
}

fn clippy_everything() -> Result<(), Failure> {
    let everything = ["clippy", "--workspace", "--all-targets", "--all-features"];
    Invocation::cargo(&[&everything[..], &["--", "-D", "warnings"]].concat()).run()
}

fn clippy_bare_runtime() -> Result<(), Failure> {
    let bare = ["clippy", "--package", "cache-runtime", "--no-default-features"];
    Invocation::cargo(&[&bare[..], &["--", "-D", "warnings"]].concat()).run()
}

/// Without `bincode` another codec is the default, and without `metrics` nothing is counted for exporters.
fn test_bare_runtime() -> Result<(), Failure> {
    let bare = ["test", "--package", "cache-runtime", "--no-default-features", "--features", "testing"];
    Invocation::cargo(&[&bare[..], &["--lib"]].concat()).run()
}

/// All other tests have what is for tests only compiled in, down to the hit path.
fn test_what_ships() -> Result<(), Failure> {
    let tests = ["--test", "shipped", "--test", "hits", "--test", "events"];
    Invocation::cargo(&[&["test", "--package", "cache-tests", "--no-default-features"][..], &tests].concat()).run()
}

fn documentation() -> Result<(), Failure> {
    Invocation::cargo(&["doc", "--workspace", "--no-deps", "--all-features"]).env("RUSTDOCFLAGS", "-D warnings").run()
}
