//! The `updraft` command: arguments to library calls.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

mod image;
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
        Command::Image(command) => {
            let mut out = io::stdout().lock();
            image::run(&command, &mut out)
                .and_then(|code| out.flush().map(|()| code).map_err(Into::into))
                .unwrap_or_else(|error| ui::failed(&error))
        }
    }
}
