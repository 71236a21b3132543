//! The commands that look at a fleet and change it, by the API of its server: one file for each noun.

use std::io::Write;
use std::process::ExitCode;

mod channels;
mod devices;
mod import;
mod products;
mod publish;
mod releases;
mod screen;
mod tokens;

use screen::Screen;

/// Commands that a server answers.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum FleetCommand {
    Publish(publish::PublishArgs),
    Devices(devices::DevicesArgs),
    Products(products::ProductsArgs),
    Channels(channels::ChannelsArgs),
    Releases(releases::ReleasesArgs),
    Tokens(tokens::TokensArgs),
    Import(import::ImportArgs),
}

/// Runs the command; what it says goes to `out`.
pub(crate) fn run(command: &FleetCommand, out: &mut dyn Write) -> ExitCode {
    let done = match command {
        FleetCommand::Publish(args) => publish::run(args, &mut Screen::new(out, args.api.json)),
        FleetCommand::Devices(args) => devices::run(args, &mut Screen::new(out, args.api.json)),
        FleetCommand::Products(args) => products::run(args, &mut Screen::new(out, args.api.json)),
        FleetCommand::Channels(args) => channels::run(args, &mut Screen::new(out, args.api.json)),
        FleetCommand::Releases(args) => releases::run(args, &mut Screen::new(out, args.api.json)),
        FleetCommand::Tokens(args) => tokens::run(args, &mut Screen::new(out, args.api.json)),
        FleetCommand::Import(args) => import::run(args, &mut Screen::new(out, args.api.json)),
    };
    done.map_or_else(crate::failure::Failure::end, |()| ExitCode::SUCCESS)
}
