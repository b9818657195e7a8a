//! Processes of the bench's own: it starts itself again.

use std::process::{Command, ExitCode};

use super::{contenders, publishing};

/// The word that makes the program a child.
pub(crate) const WORD: &str = "l2-child";

/// This program as a child.
pub(super) fn command(words: &[&str]) -> Command {
    let program = std::env::current_exe().expect("a program knows its file");
    let mut command = Command::new(program);
    command.arg(WORD).args(words);
    command
}

/// The main function of a child.
pub(crate) fn main(words: &[&str]) -> ExitCode {
    match words {
        ["call", url, name] => contenders::serve(url, name),
        ["listen", url] => publishing::child(url),
        _ => return ExitCode::from(2),
    }
    ExitCode::SUCCESS
}
