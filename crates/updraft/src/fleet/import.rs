//! `updraft import`: devices and firmware that another system knew.

mod csv;
mod firmware;
mod php;

use std::fs;
use std::path::PathBuf;

use updraft_server::api::wire::{Import, ImportRow, Imported};
use ureq::http::Method;

use super::screen::Screen;
use crate::client::{ApiArgs, Client, Path};
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
    /// Bring in the table of the PHP script that the ESP8266 core documents, with its firmware.
    ///
    /// Each device is tied to the version that the script names for it: `devices pin NAME` without a version
    /// frees it. Files are `<name>.bin` in the folder `bin` beside the script.
    #[command(after_help = "Example:\n  updraft import php /var/www/arduino.php")]
    Php {
        /// The script.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The folder of firmware [default: `bin` beside the script].
        #[arg(long, value_name = "DIR")]
        bin: Option<PathBuf>,
    },
    /// Publish the files of a folder that are called `<product>-<version>.bin`. No device is moved.
    #[command(after_help = "Example:\n  updraft import folder firmware")]
    Folder {
        /// The folder.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
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
    let client = args.api.client();
    match &args.command {
        ImportCommand::Php { file, bin } => {
            let text = fs::read_to_string(file).map_err(|error| files::unreadable(file, &error))?;
            let table = php::table(&text).map_err(|problem| Failure::of_file(file, problem))?;
            let bin = bin.clone().unwrap_or_else(|| file.with_file_name("bin"));
            firmware::php(&client?, &table, &bin, screen)
        }
        ImportCommand::Folder { folder } => firmware::folder(&client?, folder, screen),
        ImportCommand::Devices { file } => {
            let text = fs::read_to_string(file).map_err(|error| files::unreadable(file, &error))?;
            let rows = csv::devices(&text).map_err(|problem| Failure::of_file(file, problem))?;
            let total = devices(&client?, &rows)?;
            screen.show(&total, |total, screen| {
                let Imported { new, known } = total;
                screen.line(format_args!("{new} devices are new, {known} were known"))
            })
        }
    }
}

/// Brings devices in.
fn devices(client: &Client, rows: &[ImportRow]) -> Result<Imported, Failure> {
    let path = Path::of(&["devices", "import"]);
    let mut total = Imported { new: 0, known: 0 };
    for rows in rows.chunks(BATCH) {
        let import = Import { devices: rows.to_vec() };
        let imported: Imported = client.change(Method::POST, &path, &import)?;
        total.new += imported.new;
        total.known += imported.known;
    }
    Ok(total)
}
