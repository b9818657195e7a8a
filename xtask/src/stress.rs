//! `cargo xtask stress`: the long run over a real Redis, see `tests/src/stress.rs`.

use crate::failure::Failure;
use crate::run::Invocation;

/// What may be given; each takes a value.
const FLAGS: &[&str] = &["--minutes", "--seconds", "--processes", "--seed", "--without"];

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    check(arguments)?;
    let program = ["run", "--release", "--quiet", "--package", "cache-tests", "--bin", "stress", "--"];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Invocation::cargo(&[&program[..], &arguments].concat()).run()
}

/// The rules have their names in the program itself.
fn check(arguments: &[String]) -> Result<(), Failure> {
    for pair in arguments.chunks(2) {
        match pair {
            [flag, ..] if !FLAGS.contains(&flag.as_str()) => return Err(Failure::unknown_argument("stress", flag)),
            [flag, value] if flag != "--without" && value.parse::<u64>().is_err() => {
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
    fn times_numbers_and_rules_may_be_given() {
        for line in ["", "--minutes 5", "--processes 4 --seed 1 --without fence,verdict"] {
            check(&words(line)).expect(line);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_before_anything_is_built() {
        for line in ["--minutes", "--minutes soon", "--minute 5", "5", "--seed 1 --without"] {
            check(&words(line)).expect_err(line);
        }
    }
}
