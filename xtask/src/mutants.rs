//! `cargo xtask mutants`: the protocol without one of its rules at a time, and which layer notices.

mod layers;
mod list;
mod matrix;

use std::time::Instant;

use crate::failure::Failure;
use crate::flags::{self, Flags};
use layers::Findings;
use list::{MUTANTS, Mutant};
use matrix::Matrix;

const FLAGS: Flags = Flags { command: "mutants", numbers: &[], names: &["--only"], switches: &[] };

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    FLAGS.check(arguments)?;
    let mutants = asked(flags::value(arguments, "--only"))?;
    let began = Instant::now();
    let findings = Findings::of(&mutants)?;
    let matrix = Matrix::new(&mutants, &findings);
    println!("\n{}", matrix.told());
    let (killed, all, took) = (matrix.killed(), mutants.len(), began.elapsed().as_secs_f64());
    println!("{killed} of {all} mutants killed, {took:.0} s");
    let problems = matrix.problems();
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure::work(format!("the matrix is not what it should be:\n  {}", problems.join("\n  "))))
}

/// All, or those that somebody calls so.
fn asked(only: Option<&str>) -> Result<Vec<&'static Mutant>, Failure> {
    let Some(name) = only else { return Ok(MUTANTS.iter().collect()) };
    let mutants: Vec<_> = MUTANTS.iter().filter(|mutant| mutant.is_called(name)).collect();
    if mutants.is_empty() {
        let names: Vec<_> = MUTANTS.iter().map(|mutant| mutant.name.replace(' ', "-")).collect();
        return Err(Failure::usage(format!("there is no mutant `{name}`: {}", names.join(", "))));
    }
    Ok(mutants)
}

#[cfg(test)]
mod tests {
    use super::{FLAGS, MUTANTS, asked};

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn one_mutant_may_be_asked_for() {
        for line in ["", "--only seal"] {
            FLAGS.check(&words(line)).expect(line);
        }
        for line in ["--only", "seal", "--without seal"] {
            FLAGS.check(&words(line)).expect_err(line);
        }
    }

    #[test]
    fn an_unknown_mutant_is_a_usage_error_that_lists_them() {
        let failure = asked(Some("sael")).expect_err("there is none").to_string();
        assert!(failure.contains("`sael`") && failure.contains("no-seal"), "{failure}");
    }

    #[test]
    fn without_a_name_all_are_asked_for() {
        assert_eq!(asked(None).expect("all").len(), MUTANTS.len());
        assert_eq!(asked(Some("no-seal")).expect("it is there").len(), 1);
        // Two mutants take the same rule away.
        assert_eq!(asked(Some("fill-token")).expect("it is there").len(), 2);
    }
}
