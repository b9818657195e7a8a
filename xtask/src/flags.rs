//! Command lines of flags: what is wrong with one is said before anything is built.

use crate::failure::Failure;
use crate::run::Invocation;

/// The flags that a command takes.
pub(crate) struct Flags {
    pub(crate) command: &'static str,
    /// Each takes a whole number.
    pub(crate) numbers: &'static [&'static str],
    /// Each takes a name, or several with commas between: whether there is such a one is not checked here.
    pub(crate) names: &'static [&'static str],
    /// These take nothing.
    pub(crate) switches: &'static [&'static str],
}

impl Flags {
    /// Whether the arguments make sense.
    pub(crate) fn check(&self, arguments: &[String]) -> Result<(), Failure> {
        let mut words = arguments.iter();
        while let Some(flag) = words.next() {
            let known = |flags: &[&str]| flags.contains(&flag.as_str());
            if known(self.switches) {
                continue;
            }
            if !known(self.numbers) && !known(self.names) {
                return Err(Failure::unknown_argument(self.command, flag));
            }
            let Some(value) = words.next() else { return Err(Failure::usage(format!("`{flag}` takes a value"))) };
            if known(self.numbers) && value.parse::<u64>().is_err() {
                return Err(Failure::usage(format!("`{flag}` takes a whole number, not `{value}`")));
            }
        }
        Ok(())
    }

    /// Checks the arguments, and gives them to a program of the workspace behind its own `first` words.
    pub(crate) fn run(&self, package: &str, binary: &str, first: &[&str], arguments: &[String]) -> Result<(), Failure> {
        self.check(arguments)?;
        let program = ["run", "--release", "--quiet", "--package", package, "--bin", binary, "--"];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Invocation::cargo(&[&program[..], first, &arguments].concat()).run()
    }
}

/// The value that a flag was given; of arguments that were checked.
pub(crate) fn value<'a>(arguments: &'a [String], flag: &str) -> Option<&'a str> {
    let place = arguments.iter().position(|argument| argument == flag)?;
    arguments.get(place + 1).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::{Flags, value};

    const FLAGS: Flags = Flags { command: "test", numbers: &["--seed"], names: &["--only"], switches: &["--all"] };

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn flags_come_in_any_order() {
        for line in ["", "--seed 1", "--all --only a,b --seed 1", "--only --all", "--seed 1 --all"] {
            FLAGS.check(&words(line)).expect(line);
        }
    }

    #[track_caller]
    fn check_refused(line: &str, part: &str) {
        let failure = FLAGS.check(&words(line)).expect_err(line).to_string();
        assert!(failure.contains(part), "{failure}");
    }

    #[test]
    fn what_is_wrong_is_said() {
        check_refused("--sead 1", "takes no `--sead`");
        check_refused("1", "takes no `1`");
        check_refused("--all --seed", "`--seed` takes a value");
        check_refused("--only", "`--only` takes a value");
        check_refused("--seed soon", "takes a whole number, not `soon`");
        check_refused("--seed --all", "takes a whole number, not `--all`");
    }

    #[test]
    fn a_value_is_what_follows_its_flag() {
        let arguments = words("--all --only a");
        assert_eq!(value(&arguments, "--only"), Some("a"));
        assert_eq!(value(&arguments, "--seed"), None);
    }
}
