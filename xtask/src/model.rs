//! `cargo xtask model`: the protocol as a model, explored completely, see `tests/model`.

use crate::failure::Failure;
use crate::run::Invocation;

/// What the large run aims at.
const LARGE: &str = "500000000";

/// States of each configuration with more faults.
const MORE: &str = "1000000";

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let passed = passed(arguments)?;
    let program = ["run", "--release", "--quiet", "--package", "cache-model", "--"];
    let passed: Vec<&str> = passed.iter().map(String::as_str).collect();
    Invocation::cargo(&[&program[..], &passed].concat()).run()
}

/// The arguments of the program itself: names are its own to check.
fn passed(arguments: &[String]) -> Result<Vec<String>, Failure> {
    match arguments {
        [] => Ok(Vec::new()),
        [flag] if flag == "--large" => Ok(vec!["--states".to_owned(), LARGE.to_owned()]),
        [flag] if flag == "--more" => Ok(vec!["--more".to_owned(), MORE.to_owned()]),
        [flag, states] if matches!(flag.as_str(), "--states" | "--more") && states.parse::<usize>().is_err() => {
            Err(Failure::usage(format!("`{flag}` takes a whole number, not `{states}`")))
        }
        [flag, _] if matches!(flag.as_str(), "--states" | "--more" | "--only" | "--mutant") => Ok(arguments.to_vec()),
        [flag] if matches!(flag.as_str(), "--states" | "--only" | "--mutant") => {
            Err(Failure::usage(format!("`{flag}` takes a value")))
        }
        [other, ..] => Err(Failure::unknown_argument("model", other)),
    }
}

#[cfg(test)]
mod tests {
    use super::passed;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_number_or_a_name_may_be_given() {
        for line in ["", "--large", "--states 1000", "--more", "--more 5", "--only join", "--mutant seal"] {
            passed(&words(line)).expect(line);
        }
        assert_eq!(passed(&words("--large")).expect("it is known"), ["--states", "500000000"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_before_anything_is_built() {
        for line in ["--states", "--states many", "--more many", "--larger", "join", "--only"] {
            passed(&words(line)).expect_err(line);
        }
    }
}
