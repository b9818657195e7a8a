//! `cargo xtask bench`: the measurements in `benches/`, two workspaces of their own.

use crate::failure::Failure;
use crate::run::{Invocation, Steps};

const BENCHES: &str = "benches";

/// The peer that cannot be in one lock file with the others has a workspace and a program of its own.
const APART: &str = "benches/apart";

/// Tells the program of the benches where that one is.
const APART_VARIABLE: &str = "CACHE_BENCHES_APART";

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
    let mut measuring = Invocation::cargo(&[&command[..], flags].concat());
    if tier == "l2" {
        measuring = measuring.env(APART_VARIABLE, &build_apart()?);
    }
    measuring.within(BENCHES).run()
}

/// Builds the program of the peer apart. Where cargo has put it.
fn build_apart() -> Result<String, Failure> {
    let mut program = None;
    let command = ["build", "--release", "--message-format", "json-render-diagnostics"];
    let build = Invocation::cargo(&command).within(APART);
    build.lines(|line| program = executable(line).map(str::to_owned).or(program.take()))?;
    program.ok_or_else(|| Failure::work(format!("`{APART}` cannot be built")))
}

/// The path of the program that a line of cargo's tells of, if it does.
fn executable(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(r#""executable":""#)?;
    rest.split_once('"').map(|(path, _)| path)
}

fn check() -> Result<(), Failure> {
    let mut steps = Steps::default();
    steps.add("formatting of the benches", || everywhere(&["fmt", "--all", "--check"]));
    steps.add("clippy of the benches", || {
        everywhere(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
    });
    steps.add("tests of the benches", || everywhere(&["test", "--workspace"]));
    steps.run()
}

/// In both workspaces of the benches.
fn everywhere(arguments: &[&str]) -> Result<(), Failure> {
    [BENCHES, APART].into_iter().try_for_each(|folder| Invocation::cargo(arguments).within(folder).run())
}

#[cfg(test)]
mod tests {
    use super::executable;

    #[test]
    fn cargo_tells_where_a_program_is() {
        let program = r#"{"reason":"compiler-artifact","executable":"/target/release/a","fresh":true}"#;
        assert_eq!(executable(program), Some("/target/release/a"));
        assert_eq!(executable(r#"{"reason":"compiler-artifact","executable":null,"fresh":true}"#), None);
    }
}
