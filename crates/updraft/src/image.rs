//! `updraft image`: what can be done with a firmware file on this computer.

use std::io::Write;
use std::process::ExitCode;

mod compress;
pub(crate) mod facts;
mod flash;
mod info;
mod output;
mod sign;
mod verify;

pub(crate) use self::flash::FlashLayout;
pub(crate) use self::verify::chip;

/// `updraft image ...`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ImageCommand {
    /// Say what firmware files are.
    Info(info::InfoArgs),
    /// Say whether a device would take a file, and start with it.
    Verify(verify::VerifyArgs),
    /// Sign a firmware file for devices that install nothing else.
    Sign(sign::SignArgs),
    /// Make an ESP8266 sketch smaller, in the form that the device's boot loader inflates.
    Compress(compress::CompressArgs),
}

/// Runs the command; what it says goes to `out`.
pub(crate) fn run(command: &ImageCommand, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match command {
        ImageCommand::Info(args) => info::run(args, out),
        ImageCommand::Verify(args) => verify::run(args, out),
        ImageCommand::Sign(args) => sign::run(args, out),
        ImageCommand::Compress(args) => compress::run(args, out),
    }
}
