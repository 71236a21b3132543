//! The `updraft` command: arguments to library calls.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

mod client;
mod device;
mod failure;
mod files;
mod fleet;
mod image;
mod key_file;
mod keys;
mod serve;
mod ui;

/// Firmware over the air for ESP8266 and ESP32 devices.
#[derive(Debug, clap::Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Serve(serve::ServeArgs),
    Device(device::DeviceArgs),
    #[command(flatten)]
    Fleet(Box<fleet::FleetCommand>),
    /// Look at firmware files, sign them, make them smaller.
    #[command(subcommand)]
    Image(image::ImageCommand),
    /// Make and name the keys that sign firmware.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misread(&error),
    };
    match cli.command {
        Command::Serve(args) => serve::run(args),
        Command::Device(args) => device::run(&args),
        Command::Fleet(command) => print(|out| Ok(fleet::run(&command, out))),
        Command::Image(command) => print(|out| image::run(&command, out)),
        Command::Keys(command) => print(|out| keys::run(&command, out)),
    }
}

/// What was wrong with the arguments, in one line as every other mistake; or the help that was asked
/// for.
fn misread(error: &clap::Error) -> ExitCode {
    let text = error.to_string();
    let lines = text.lines().take_while(|line| !line.is_empty()).map(str::trim);
    let words = lines.collect::<Vec<_>>().join(" ");
    let problem = words.strip_prefix("error: ").unwrap_or(&words);
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => error.exit(),
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => ui::wrong_usage(&problem),
        _ => ui::wrong_usage(&format_args!("{problem}; --help says more")),
    }
}

/// Runs what prints on standard output; an error is that nothing more can be printed.
fn print(run: impl FnOnce(&mut dyn io::Write) -> anyhow::Result<ExitCode>) -> ExitCode {
    let mut out = io::stdout().lock();
    let result = run(&mut out).and_then(|code| {
        out.flush()?;
        Ok(code)
    });
    result.unwrap_or_else(|error| {
        ui::wrong_usage(&format_args!("cannot write to standard output: {error:#}"))
    })
}
