//! `updraft releases`: what was published.

use updraft_server::api::wire::{Release, Yank};
use ureq::http::Method;

use super::screen::{Screen, or_dash};
use crate::client::{ApiArgs, Client, Path};
use crate::failure::Failure;

/// Look at the releases of a product, and take one back.
#[derive(Debug, clap::Args)]
pub(crate) struct ReleasesArgs {
    #[command(flatten)]
    pub(super) api: ApiArgs,
    #[command(subcommand)]
    command: ReleasesCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ReleasesCommand {
    /// List the releases of a product.
    #[command(after_help = "Example:\n  updraft releases list door")]
    List {
        /// The product.
        product: String,
    },
    /// Show a release with its images.
    #[command(after_help = "Example:\n  updraft releases show door 1.2.0")]
    Show {
        /// The product.
        product: String,
        /// The version.
        version: String,
    },
    /// Take a release back: no device is offered it any more.
    #[command(after_help = "Example:\n  updraft releases yank door 1.2.0 --reason \"loses wifi\"")]
    Yank {
        /// The product.
        product: String,
        /// The version.
        version: String,
        /// Why.
        #[arg(long, required_unless_present = "undo")]
        reason: Option<String>,
        /// Give it again, after all.
        #[arg(long, conflicts_with = "reason")]
        undo: bool,
    },
}

pub(super) fn run(args: &ReleasesArgs, screen: &mut Screen<'_>) -> Result<(), Failure> {
    let client = args.api.client()?;
    match &args.command {
        ReleasesCommand::List { product } => {
            let all: Vec<Release> = client.all(&Path::of(&["products", product, "releases"]))?;
            screen.show(&all, |all, screen| {
                let rows = all.iter().map(|release| {
                    [
                        release.id.to_string(),
                        release.version.clone(),
                        release.published_at.to_string(),
                        release.published_by.clone(),
                        or_dash(release.yanked.as_ref().map(|yanked| &yanked.reason)),
                    ]
                });
                screen.table(["ID", "VERSION", "PUBLISHED", "BY", "TAKEN BACK"], rows)
            })
        }
        ReleasesCommand::Show { product, version } => {
            let id = find(&client, product, version)?.id.to_string();
            let release: Release = client.get(&Path::of(&["releases", &id]))?;
            screen.show(&release, say)
        }
        ReleasesCommand::Yank { product, version, reason, undo: _ } => {
            let id = find(&client, product, version)?.id.to_string();
            let yank = Yank { reason: reason.clone() };
            let path = Path::of(&["releases", &id, "yank"]);
            let release: Release = client.change(Method::POST, &path, &yank)?;
            screen.show(&release, say)
        }
    }
}

/// The release of a product that has this version.
fn find(client: &Client, product: &str, version: &str) -> Result<Release, Failure> {
    let all: Vec<Release> = client.all(&Path::of(&["products", product, "releases"]))?;
    all.into_iter()
        .find(|release| release.version == version)
        .ok_or_else(|| Failure::no(anyhow::anyhow!("{product} has no release {version}")))
}

/// Says what a release is.
pub(super) fn say(release: &Release, screen: &mut Screen<'_>) -> Result<(), Failure> {
    screen.line(format_args!("{} {}", release.product, release.version))?;
    let published = format!("{} by {}", release.published_at, release.published_by);
    screen.field("  published", Some(published))?;
    screen.field("  notes", Some(&release.notes).filter(|notes| !notes.is_empty()))?;
    screen.field("  taken back", release.yanked.as_ref().map(|yanked| &yanked.reason))?;
    for image in release.images.iter().flatten() {
        let chip = image.chip.as_deref().unwrap_or("any chip");
        let words = format!("{}, {chip}, {} bytes", image.image.name, image.image.size);
        screen.field(&format!("  {}", image.part), Some(words))?;
    }
    Ok(())
}
