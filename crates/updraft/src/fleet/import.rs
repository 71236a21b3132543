//! `updraft import`: devices that another system knew.

mod csv;

use std::fs;
use std::path::PathBuf;

use updraft_server::api::wire::{Import, Imported};
use ureq::http::Method;

use super::screen::Screen;
use crate::client::{ApiArgs, Path};
use crate::failure::Failure;
use crate::files;

/// Devices in one request: the server takes no more.
const BATCH: usize = 10_000;

/// Move in from another system.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    pub(super) api: ApiArgs,
    #[command(subcommand)]
    command: ImportCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ImportCommand {
    /// Bring devices in from a table.
    ///
    /// Its first line names the columns: mac, and any of family, chip, name, notes, product, channel, tags
    /// (separated by blanks). An empty cell changes nothing. Each batch of 10,000 is taken whole or not at
    /// all.
    #[command(after_help = "Example:\n  updraft import devices devices.csv")]
    Devices {
        /// The table, comma-separated.
        #[arg(value_name = "CSV")]
        file: PathBuf,
    },
}

pub(super) fn run(args: &ImportArgs, screen: &mut Screen<'_>) -> Result<(), Failure> {
    let ImportCommand::Devices { file } = &args.command;
    let text = fs::read_to_string(file).map_err(|error| files::unreadable(file, &error))?;
    let rows = csv::devices(&text).map_err(|problem| Failure::of_file(file, problem))?;
    let client = args.api.client()?;
    let path = Path::of(&["devices", "import"]);
    let mut total = Imported { new: 0, known: 0 };
    for rows in rows.chunks(BATCH) {
        let import = Import { devices: rows.to_vec() };
        let imported: Imported = client.change(Method::POST, &path, &import)?;
        total.new += imported.new;
        total.known += imported.known;
    }
    screen.show(&total, |total, screen| {
        screen.line(format_args!("{} devices are new, {} were known", total.new, total.known))
    })
}
