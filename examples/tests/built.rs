//! The examples that cargo built for this test run.

use std::env::{self, consts};
use std::process::{Command, Output};

/// A command that runs the example of this name.
#[track_caller]
pub(crate) fn example(name: &str) -> Command {
    let test = env::current_exe().expect("a running program has a path");
    let built = test.ancestors().nth(2).expect("a test lies in `target/<profile>/deps`");
    let program = built.join("examples").join(name).with_extension(consts::EXE_EXTENSION);
    assert!(program.exists(), "`{name}` is not built; run `cargo test --package cache-examples`, without `--test`");
    let mut command = Command::new(program);
    // What is in the tester's environment is not what is tested.
    command.env_remove("CACHE_URL");
    command
}

/// Runs the example to its end.
#[track_caller]
pub(crate) fn run(name: &str, arguments: &[&str]) -> Output {
    let output = example(name).args(arguments).output();
    output.unwrap_or_else(|error| panic!("`{name}` does not start: {error}"))
}

/// What was written, as text.
#[track_caller]
pub(crate) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("the examples write text")
}
