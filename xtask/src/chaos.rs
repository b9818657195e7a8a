//! `cargo xtask chaos`: the long run over one server, sentinels and a cluster, see `tests/src/chaos.rs`.

use crate::failure::Failure;
use crate::flags::Flags;

/// The rules and topologies have their names in the program itself.
const FLAGS: Flags = Flags {
    command: "chaos",
    numbers: &["--minutes", "--seconds", "--seed"],
    names: &["--topology", "--without"],
    switches: &[],
};

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    FLAGS.run("cache-tests", "stress", &["chaos"], arguments)
}

#[cfg(test)]
mod tests {
    use super::FLAGS;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn times_seeds_and_names_may_be_given() {
        for line in ["", "--minutes 5", "--topology cluster --seed 1 --without fence,verdict", "--seconds 30"] {
            FLAGS.check(&words(line)).expect(line);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_before_anything_is_built() {
        for line in ["--minutes", "--minutes soon", "--processes 5", "5", "--seed 1 --topology"] {
            FLAGS.check(&words(line)).expect_err(line);
        }
    }
}
