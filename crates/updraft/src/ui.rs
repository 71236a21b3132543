//! What the command says on standard error, how it ends, and how it writes JSON.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

use serde::Serialize;

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

/// Writes one JSON document, with an end of line behind it.
pub(crate) fn json(document: &impl Serialize, out: &mut dyn io::Write) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(&mut *out, document)?;
    writeln!(out)?;
    Ok(())
}

fn say(problem: &dyn Display) {
    // Nobody is left to be told if this fails, too.
    let _ = writeln!(io::stderr(), "updraft: {problem}");
}
