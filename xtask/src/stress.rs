//! `cargo xtask stress`: the long run over a real Redis, see `tests/src/stress.rs`.

use crate::failure::Failure;
use crate::flags::Flags;

/// The rules have their names in the program itself.
const FLAGS: Flags = Flags {
    command: "stress",
    numbers: &["--minutes", "--seconds", "--processes", "--seed"],
    names: &["--without"],
    switches: &[],
};

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    FLAGS.run("cache-tests", "stress", &[], arguments)
}

#[cfg(test)]
mod tests {
    use super::FLAGS;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn times_numbers_and_rules_may_be_given() {
        for line in ["", "--minutes 5", "--processes 4 --seed 1 --without fence,verdict"] {
            FLAGS.check(&words(line)).expect(line);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_before_anything_is_built() {
        for line in ["--minutes", "--minutes soon", "--minute 5", "5", "--seed 1 --without"] {
            FLAGS.check(&words(line)).expect_err(line);
        }
    }
}
