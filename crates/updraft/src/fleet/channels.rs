//! `updraft channels`: where the channels of a product point.

use updraft_server::api::wire::{Channels, MoveChannel, MovedChannel, Reach};
use ureq::http::Method;

use super::screen::{self, Screen, or_dash};
use crate::client::{ApiArgs, Client, Path};
use crate::failure::Failure;

/// Look at the channels of a product, and move them.
#[derive(Debug, clap::Args)]
pub(crate) struct ChannelsArgs {
    #[command(flatten)]
    pub(super) api: ApiArgs,
    #[command(subcommand)]
    command: ChannelsCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ChannelsCommand {
    /// List the channels of a product.
    #[command(after_help = "Example:\n  updraft channels list door")]
    List {
        /// The product.
        product: String,
    },
    /// Point a channel to a release: its devices get it at their next check-in.
    #[command(after_help = "Example:\n  updraft channels set door stable 1.2.0")]
    Set {
        /// The product.
        product: String,
        /// The channel, made when new.
        channel: String,
        /// The version of the release.
        version: String,
        /// Ask nothing.
        #[arg(long)]
        yes: bool,
    },
}

pub(super) fn run(args: &ChannelsArgs, screen: &mut Screen<'_>) -> Result<(), Failure> {
    let client = args.api.client()?;
    match &args.command {
        ChannelsCommand::List { product } => {
            let all: Channels = client.get(&Path::of(&["products", product, "channels"]))?;
            screen.show(&all, |all, screen| {
                let rows = all.items.iter().map(|channel| {
                    let version = or_dash(channel.version.as_deref());
                    let moved = channel.moved_at.to_string();
                    [channel.name.clone(), version, moved, channel.moved_by.clone()]
                });
                screen.table(["CHANNEL", "VERSION", "MOVED", "BY"], rows)
            })
        }
        ChannelsCommand::Set { product, channel, version, yes } => {
            if !yes {
                ask(&client, product, channel, version)?;
            }
            let moved = set(&client, product, channel, version)?;
            screen.show(&moved, say)
        }
    }
}

/// Says how many devices a move reaches, and asks whether it is meant.
pub(super) fn ask(
    client: &Client,
    product: &str,
    channel: &str,
    version: &str,
) -> Result<(), Failure> {
    let path = Path::of(&["products", product, "channels", channel, "reach"]);
    // A product or channel that is new reaches nobody.
    let devices = client.find::<Reach>(&path)?.map_or(0, |reach| reach.devices);
    screen::agree(&format!("{channel} of {product} goes to {version}: {}.", in_words(devices)))
}

/// Moves a channel.
pub(super) fn set(
    client: &Client,
    product: &str,
    channel: &str,
    version: &str,
) -> Result<MovedChannel, Failure> {
    let to = MoveChannel { version: Some(version.to_owned()), ..MoveChannel::default() };
    client.change(Method::PUT, &Path::of(&["products", product, "channels", channel]), &to)
}

/// Says where a channel points now.
pub(super) fn say(moved: &MovedChannel, screen: &mut Screen<'_>) -> Result<(), Failure> {
    let version = or_dash(moved.channel.version.as_deref());
    let reach = in_words(moved.devices);
    screen.line(format_args!("{} points to {version}: {reach}", moved.channel.name))
}

fn in_words(devices: i64) -> String {
    match devices {
        1 => "1 device follows it".to_owned(),
        devices => format!("{devices} devices follow it"),
    }
}
