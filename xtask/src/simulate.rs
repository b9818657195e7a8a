//! `cargo xtask simulate`: many seeds of the deterministic simulation, see `tests/simulation`.

use crate::failure::Failure;
use crate::flags::Flags;

/// The rules have their names in the program itself.
const FLAGS: Flags = Flags {
    command: "simulate",
    numbers: &["--seeds", "--from", "--seed", "--threads", "--seconds"],
    names: &["--without"],
    switches: &["--mutants"],
};

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    FLAGS.run("cache-simulation", "simulate", &[], arguments)
}

#[cfg(test)]
mod tests {
    use super::FLAGS;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn seeds_and_rules_may_be_given() {
        for line in ["", "--seeds 5000000 --from 1", "--seed 7 --without fence,verdict", "--mutants --seeds 500"] {
            FLAGS.check(&words(line)).expect(line);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_before_anything_is_built() {
        for line in ["--seeds", "--seeds many", "--sead 5", "5", "--seed 1 --without"] {
            FLAGS.check(&words(line)).expect_err(line);
        }
    }
}
