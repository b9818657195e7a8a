//! Child processes, and the numbered steps that `cargo xtask test` prints.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::workspace;

/// A command line of ours: it is printed before it runs and quoted when it fails.
pub(crate) struct Invocation {
    command: Command,
    shown: String,
}

impl Invocation {
    /// `cargo` as it was called for us, in the root of the repository.
    pub(crate) fn cargo(arguments: &[&str]) -> Self {
        let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        Self::new(&program, "cargo", arguments)
    }

    pub(crate) fn program(program: &str, arguments: &[&str]) -> Self {
        Self::new(program, program, arguments)
    }

    fn new(program: &str, shown: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(workspace::root()).stdin(Stdio::null());
        let shown = [&[shown], arguments].concat().join(" ");
        Self { command, shown }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self.shown = format!("{name}=\"{value}\" {}", self.shown);
        self
    }

    /// Runs in `folder` (relative to the root) instead of the root.
    pub(crate) fn within(mut self, folder: &str) -> Self {
        self.command.current_dir(workspace::root().join(folder));
        self.shown = format!("(cd {folder} && {})", self.shown);
        self
    }

    /// Runs with our output streams; a failure quotes the command line.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        println!("    $ {}", self.shown);
        let status =
            self.command.status().map_err(|error| Failure::work(format!("cannot start `{}`: {error}", self.shown)))?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::work(format!("`{}` failed: {status}", self.shown)))
    }

    /// Whether the command can be started and succeeds; prints nothing.
    pub(crate) fn works(mut self) -> bool {
        let status = self.command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }

    /// Gives each line of its standard output as it comes; whether it succeeds is not asked.
    pub(crate) fn lines(mut self, mut on_line: impl FnMut(&str)) -> Result<(), Failure> {
        println!("    $ {}", self.shown);
        let cannot = |error| Failure::work(format!("cannot run `{}`: {error}", self.shown));
        let mut child = self.command.stdout(Stdio::piped()).spawn().map_err(cannot)?;
        let output = child.stdout.take().expect("it was asked for");
        for line in BufReader::new(output).split(b'\n') {
            on_line(&String::from_utf8_lossy(&line.map_err(cannot)?));
        }
        child.wait().map_err(cannot).map(drop)
    }

    /// What the command writes to its standard output, if it can be started and succeeds; prints nothing.
    pub(crate) fn output(mut self) -> Option<String> {
        let output = self.command.stderr(Stdio::null()).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

type Work = Box<dyn FnOnce() -> Result<(), Failure>>;

/// Named steps that run in order and stop at the first failure.
#[derive(Default)]
pub(crate) struct Steps {
    steps: Vec<(&'static str, Work)>,
}

impl Steps {
    pub(crate) fn add(&mut self, name: &'static str, work: impl FnOnce() -> Result<(), Failure> + 'static) {
        self.steps.push((name, Box::new(work)));
    }

    /// Runs the steps. Whatever happens, the last thing printed is a summary.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let total = self.steps.len();
        let begun = Instant::now();
        let mut lines = Vec::new();
        let mut outcome = Ok(());
        for (index, (name, work)) in self.steps.into_iter().enumerate() {
            let number = format!("[{}/{total}]", index + 1);
            if outcome.is_err() {
                lines.push(format!("{number} {name}: not run"));
                continue;
            }
            println!("\n{number} {name}");
            let step_begun = Instant::now();
            outcome = work();
            let line = verdict(&format!("{number} {name}"), &outcome, step_begun.elapsed());
            println!("{line}");
            lines.push(line);
        }
        println!("\nSummary, {}:\n  {}", seconds(begun.elapsed()), lines.join("\n  "));
        outcome
    }
}

fn verdict(step: &str, outcome: &Result<(), Failure>, took: Duration) -> String {
    let took = seconds(took);
    match outcome {
        Ok(()) => format!("{step}: ok, {took}"),
        Err(failure) => format!("{step}: FAILED after {took}: {failure}"),
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::{Invocation, Steps};
    use crate::failure::Failure;

    #[test]
    fn the_first_failure_stops_the_steps_and_is_what_comes_back() {
        let ran = Rc::new(RefCell::new(Vec::new()));
        let mut steps = Steps::default();
        for (name, fails) in [("first", false), ("second", true), ("third", false)] {
            let ran = Rc::clone(&ran);
            steps.add(name, move || {
                ran.borrow_mut().push(name);
                if fails { Err(Failure::work("broken")) } else { Ok(()) }
            });
        }
        assert_eq!(steps.run().expect_err("the second step fails").to_string(), "broken");
        assert_eq!(*ran.borrow(), ["first", "second"]);
    }

    #[test]
    fn a_failed_command_is_quoted_as_one_would_type_it() {
        let failing = Invocation::cargo(&["no-such-command"]).env("SEEN", "1").within("xtask");
        let failure = failing.run().expect_err("cargo has no such command").to_string();
        assert!(failure.contains("(cd xtask && SEEN=\"1\" cargo no-such-command)"), "{failure}");
    }

    #[test]
    fn lines_are_given_as_they_come() {
        let mut lines = Vec::new();
        let told = Invocation::cargo(&["--version", "--verbose"]).lines(|line| lines.push(line.to_owned()));
        told.expect("cargo is here");
        assert!(lines.len() > 1 && lines[0].starts_with("cargo ") && lines[1].starts_with("release: "), "{lines:?}");
        Invocation::program("no-such-program", &[]).lines(|_| {}).expect_err("it is not there");
    }

    #[test]
    fn a_program_that_is_not_there_does_not_work() {
        assert!(!Invocation::program("no-such-program", &[]).works());
        assert!(Invocation::cargo(&["--version"]).works());
        assert_eq!(Invocation::program("no-such-program", &[]).output(), None);
        assert!(Invocation::cargo(&["--version"]).output().expect("cargo is here").starts_with("cargo "));
    }
}
