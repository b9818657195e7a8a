//! Why a command did not succeed.

use std::fmt;
use std::process::ExitCode;

/// Why a command did not succeed; the process exits with [`Failure::exit_code`].
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line makes no sense: exit code 2.
    Usage(String),
    /// The work failed: exit code 1.
    Work(String),
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    pub(crate) fn work(message: impl Into<String>) -> Self {
        Self::Work(message.into())
    }

    /// The usage error for an argument that `command` does not take.
    pub(crate) fn unknown_argument(command: &str, argument: &str) -> Self {
        Self::usage(format!("`cargo xtask {command}` takes no `{argument}`; `cargo xtask` lists what there is"))
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Work(_) => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) | Self::Work(message) => out.write_str(message),
        }
    }
}
