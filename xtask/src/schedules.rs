//! `cargo xtask schedules`: many schedules of the parts that threads share, see `tests/tests/schedules`.

use crate::failure::Failure;
use crate::flags::{Flags, value};
use crate::run::Invocation;

const FLAGS: Flags = Flags { command: "schedules", numbers: &["--schedules"], names: &["--only"], switches: &[] };

/// Of each scenario, unless said otherwise.
const MANY: &str = "1000000";

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    FLAGS.check(arguments)?;
    let only = value(arguments, "--only").unwrap_or_default();
    let command = ["test", "--release", "--package", "cache-tests", "--test", "schedules", "--", only];
    let schedules = value(arguments, "--schedules").unwrap_or(MANY);
    Invocation::cargo(&command).env("CACHE_SCHEDULES", schedules).run()
}

#[cfg(test)]
mod tests {
    use super::FLAGS;

    #[test]
    fn a_number_and_a_scenario_may_be_given_and_nothing_else() {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for line in ["", "--schedules 5000", "--only bus::", "--only bus --schedules 1"] {
            FLAGS.check(&words(line)).expect(line);
        }
        for line in ["--schedules", "--schedules many", "bus", "--only"] {
            FLAGS.check(&words(line)).expect_err(line);
        }
    }
}
