//! `updraft image`: what can be done with a firmware file on this computer.

use std::io::Write;
use std::process::ExitCode;

mod flash;
mod info;
mod verify;

/// `updraft image ...`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ImageCommand {
    /// Say what firmware files are.
    Info(info::InfoArgs),
    /// Say whether a device would take a file, and start with it.
    Verify(verify::VerifyArgs),
}

/// Runs the command; what it says goes to `out`.
pub(crate) fn run(command: &ImageCommand, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match command {
        ImageCommand::Info(args) => info::run(args, out),
        ImageCommand::Verify(args) => verify::run(args, out),
    }
}
