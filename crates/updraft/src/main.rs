//! The `updraft` command: arguments to library calls.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

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
    match Cli::parse().command {
        Command::Serve(args) => serve::run(args),
        Command::Image(command) => {
            let mut out = io::stdout().lock();
            image::run(&command, &mut out)
                .and_then(|code| out.flush().map(|()| code).map_err(Into::into))
                .unwrap_or_else(|error| ui::failed(&error))
        }
    }
}
