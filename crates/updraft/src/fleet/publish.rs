//! `updraft publish`: firmware files become a release. Files that no device could ever install are refused
//! here, before they are sent; everything else the server judges.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Write as _};
use std::path::{Path as FilePath, PathBuf};

use serde_json::json;
use updraft_core::{Facts, Inflater, NotOta};
use updraft_server::api::wire::{NewRelease, Release, UploadedImage};
use ureq::http::Method;

use super::screen::Screen;
use super::{channels, releases};
use crate::client::{ApiArgs, Client, Path};
use crate::failure::Failure;
use crate::files;
use crate::image::facts;

/// Upload firmware files as one release of a product.
///
/// A release has one image for each chip, flash size and part. It moves no device by itself; --channel
/// also points that channel to it, after saying how many devices that reaches.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  updraft publish door-1.2.0.bin --product door --version 1.2.0 \
    --channel stable\n\n\
    Exit status: 0 if it was published, 1 if a file is for no device or the server refuses it, 2 if \
    something is missing or the server is not reached."
)]
pub(crate) struct PublishArgs {
    /// The files: sketches, applications, filesystems.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The product, made when new [default: what the files name].
    #[arg(long)]
    product: Option<String>,
    /// The version [default: what the files name].
    #[arg(long)]
    version: Option<String>,
    /// Point this channel to it; made when new.
    #[arg(long)]
    channel: Option<String>,
    /// What is to be said about it.
    #[arg(long, value_name = "TEXT", default_value = "")]
    notes: String,
    /// Ask nothing.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    pub(super) api: ApiArgs,
}

pub(super) fn run(args: &PublishArgs, screen: &mut Screen<'_>) -> Result<(), Failure> {
    let mut inflater = Inflater::new();
    let read = |path: &PathBuf| judged(path, &mut inflater);
    let facts = args.files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let product = named(args.product.as_deref(), "product", facts.iter().map(Facts::project))?;
    let version = named(args.version.as_deref(), "version", facts.iter().map(Facts::version))?;
    let client = args.api.client()?;
    if let Some(channel) = args.channel.as_ref().filter(|_| !args.yes) {
        channels::ask(&client, &product, channel, &version)?;
    }
    let release = release(&client, &product, &version, &args.notes, &args.files)?;
    let moved = match &args.channel {
        Some(channel) => Some(channels::set(&client, &product, channel, &version)?),
        None => None,
    };
    screen.show(&json!({ "release": release, "moved": moved }), |_, screen| {
        releases::say(&release, screen)?;
        moved.as_ref().map_or(Ok(()), |moved| channels::say(moved, screen))
    })
}

/// Uploads files and publishes them as one release.
pub(super) fn release(
    client: &Client,
    product: &str,
    version: &str,
    notes: &str,
    paths: &[PathBuf],
) -> Result<Release, Failure> {
    let images = paths.iter().map(|path| Ok(upload(client, path)?.image.sha256));
    let new = NewRelease {
        product: product.to_owned(),
        version: Some(version.to_owned()),
        notes: notes.to_owned(),
        images: images.collect::<Result<_, Failure>>()?,
    };
    client.change(Method::POST, &Path::of(&["releases"]), &new)
}

/// The facts of a file, unless no device could ever install it. What is not recognised is for the
/// server to judge.
pub(super) fn judged(path: &FilePath, inflater: &mut Inflater) -> Result<Facts, Failure> {
    let facts = facts::facts(path, inflater).map_err(|error| files::unreadable(path, &error))?;
    match facts.ota() {
        Ok(_) | Err(NotOta::Unknown) => Ok(facts),
        Err(reason) => Err(Failure::of_file(path, reason)),
    }
}

/// What was given, or what all files agree on.
fn named<'a>(
    given: Option<&str>,
    what: &str,
    found: impl Iterator<Item = Option<&'a str>>,
) -> Result<String, Failure> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let mut found = found.flatten();
    let first = found.next().ok_or_else(|| {
        Failure::usage(format_args!("no file holds a {what} of its author's choice: give --{what}"))
    })?;
    match found.find(|other| *other != first) {
        None => Ok(first.to_owned()),
        Some(other) => Err(Failure::usage(format_args!(
            "the files disagree on the {what}, {first} or {other}: give --{what}"
        ))),
    }
}

/// Sends a file; on a terminal it shows how far it is.
fn upload(client: &Client, path: &FilePath) -> Result<UploadedImage, Failure> {
    let unreadable = |error| files::unreadable(path, &error);
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let to = Path::of(&["images"]).query("name", &name);
    if !io::stderr().is_terminal() {
        return client.upload(&to, file, length);
    }
    let uploaded = client.upload(&to, Watched { file, name, sent: 0, length, shown: None }, length);
    let _ = writeln!(io::stderr());
    uploaded
}

/// A file that shows how much of it was read.
struct Watched {
    file: File,
    name: String,
    sent: u64,
    length: u64,
    /// The last number shown, in percent.
    shown: Option<u64>,
}

/// Characters of a full bar.
const BAR: usize = 30;

impl Read for Watched {
    fn read(&mut self, block: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(block)?;
        self.sent += count as u64;
        let percent = self.sent.saturating_mul(100).checked_div(self.length).unwrap_or(100);
        if self.shown.replace(percent) != Some(percent) {
            let full = usize::try_from(percent).unwrap_or(100).min(100) * BAR / 100;
            let bar = "#".repeat(full);
            // A bar that cannot be drawn is no reason not to publish.
            let _ = write!(io::stderr(), "\r{} [{bar:<BAR$}] {percent:>3}%", self.name);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_given_or_agreed_on() {
        let check = |given, found: &[Option<&str>]| {
            named(given, "version", found.iter().copied()).map_err(|failure| match failure {
                Failure::No(words) | Failure::Usage(words) => words.to_string(),
            })
        };
        assert_eq!(check(Some("2"), &[Some("1")]).unwrap(), "2");
        assert_eq!(check(None, &[None, Some("1"), Some("1")]).unwrap(), "1");
        assert!(check(None, &[None]).unwrap_err().contains("give --version"));
        assert!(check(None, &[Some("1"), Some("2")]).unwrap_err().contains("1 or 2"));
    }
}
