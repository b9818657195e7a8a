//! `cargo xtask bench`: the measurements in `benches/`, a workspace of its own.

use crate::failure::Failure;
use crate::run::{Invocation, Steps};

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [tier @ ("l1" | "l2"), rest @ ..] => measure(tier, rest),
        ["check"] => check(),
        ["check", other, ..] | [other, ..] => Err(Failure::unknown_argument("bench", other)),
        [] => Err(Failure::usage("say what to measure: `cargo xtask bench l1|l2 [--quick]`")),
    }
}

fn measure(tier: &str, flags: &[&str]) -> Result<(), Failure> {
    if let Some(other) = flags.iter().find(|flag| **flag != "--quick") {
        return Err(Failure::unknown_argument(&format!("bench {tier}"), other));
    }
    let command = ["run", "--release", "--", tier];
    Invocation::cargo(&[&command[..], flags].concat()).within("benches").run()
}

fn check() -> Result<(), Failure> {
    let mut steps = Steps::default();
    steps.add("formatting of the benches", || Invocation::cargo(&["fmt", "--all", "--check"]).within("benches").run());
    steps.add("clippy of the benches", || {
        let arguments = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
        Invocation::cargo(&arguments).within("benches").run()
    });
    steps.add("tests of the benches", || Invocation::cargo(&["test", "--workspace"]).within("benches").run());
    steps.run()
}
