//! `cargo xtask simulate`: many seeds of the deterministic simulation, see `tests/simulation`.

use crate::failure::Failure;
use crate::run::Invocation;

/// What may be given with a value.
const FLAGS: &[&str] = &["--seeds", "--from", "--seed", "--threads", "--without"];

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    check(arguments)?;
    let program = ["run", "--release", "--quiet", "--package", "cache-simulation", "--bin", "simulate", "--"];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Invocation::cargo(&[&program[..], &arguments].concat()).run()
}

/// The rules have their names in the program itself.
fn check(arguments: &[String]) -> Result<(), Failure> {
    let with_values: Vec<&String> = arguments.iter().filter(|argument| *argument != "--mutants").collect();
    for pair in with_values.chunks(2) {
        match pair {
            [flag, ..] if !FLAGS.contains(&flag.as_str()) => return Err(Failure::unknown_argument("simulate", flag)),
            [flag, value] if *flag != "--without" && value.parse::<u64>().is_err() => {
                return Err(Failure::usage(format!("`{flag}` takes a whole number, not `{value}`")));
            }
            [flag] => return Err(Failure::usage(format!("`{flag}` takes a value"))),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn seeds_and_rules_may_be_given() {
        for line in ["", "--seeds 5000000 --from 1", "--seed 7 --without fence,verdict", "--mutants --seeds 500"] {
            check(&words(line)).expect(line);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_before_anything_is_built() {
        for line in ["--seeds", "--seeds many", "--sead 5", "5", "--seed 1 --without"] {
            check(&words(line)).expect_err(line);
        }
    }
}
