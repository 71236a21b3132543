//! How a command that makes files fails: the two kinds of no, told apart by the exit code.

use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;

use anyhow::anyhow;

use crate::ui;

/// Why nothing was made.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The answer is no: exit code 1.
    No(anyhow::Error),
    /// It was not asked right, or a file cannot be read or written: exit code 2.
    Usage(anyhow::Error),
}

impl Failure {
    /// The answer is no.
    pub(crate) fn no(reason: impl Into<anyhow::Error>) -> Self {
        Self::No(reason.into())
    }

    /// The answer is no, for what is in this file.
    pub(crate) fn of_file(path: &Path, reason: impl Display) -> Self {
        Self::No(anyhow!("{}: {reason}", path.display()))
    }

    /// It was not asked right.
    pub(crate) fn usage(problem: impl Display) -> Self {
        Self::Usage(anyhow!("{problem}"))
    }

    /// Says it, and gives the exit code.
    pub(crate) fn end(self) -> ExitCode {
        match self {
            Self::No(reason) => ui::failed(&reason),
            Self::Usage(problem) => ui::wrong_usage(&format_args!("{problem:#}")),
        }
    }
}
