//! What the command says on standard error, and how it ends.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// Ends with exit code 2 after one line that says what is wrong with how the command was called.
pub(crate) fn wrong_usage(problem: &dyn Display) -> ExitCode {
    say(problem);
    ExitCode::from(2)
}

/// Ends with exit code 1 after one line that says what failed.
pub(crate) fn failed(problem: &anyhow::Error) -> ExitCode {
    say(&format_args!("{problem:#}"));
    ExitCode::FAILURE
}

fn say(problem: &dyn Display) {
    // Nobody is left to be told if this fails, too.
    let _ = writeln!(io::stderr(), "updraft: {problem}");
}
