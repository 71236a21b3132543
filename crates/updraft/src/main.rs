//! The `updraft` command: arguments to library calls.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

mod failure;
mod files;
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
    /// Look at firmware files.
    #[command(subcommand)]
    Image(image::ImageCommand),
    /// Make and name the keys that sign firmware.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // What an option takes is said in one line, as every other mistake is.
        Err(error) if error.kind() == ErrorKind::ValueValidation => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            return ui::wrong_usage(&line.strip_prefix("error: ").unwrap_or(line));
        }
        Err(error) => error.exit(),
    };
    match cli.command {
        Command::Serve(args) => serve::run(args),
        Command::Image(command) => print(|out| image::run(&command, out)),
        Command::Keys(command) => print(|out| keys::run(&command, out)),
    }
}

/// Runs what prints on standard output.
fn print(run: impl FnOnce(&mut dyn io::Write) -> anyhow::Result<ExitCode>) -> ExitCode {
    let mut out = io::stdout().lock();
    run(&mut out)
        .and_then(|code| out.flush().map(|()| code).map_err(Into::into))
        .unwrap_or_else(|error| ui::failed(&error))
}
