//! `updraft image verify`: would the device take this file, and start with it? Which checks there are
//! and what they say is core's affair; here the file, the key and the options are read.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use updraft_core::signature::PublicKey;
use updraft_core::verify::{Flash, Known, checks};
use updraft_core::{Chip, Inflater};

use self::report::Report;
use super::facts::{facts, of_running};
use super::flash::FlashLayout;
use crate::failure::Failure;
use crate::{files, key_file, ui};

mod report;
mod signature;

/// Arguments of `updraft image verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    updraft image verify door-1.3.0.bin --running door-1.2.0.bin --flash 4m2m\n  \
    updraft image verify gate-2.0.1.bin --chip esp32 --flash default --key public.pem\n\n\
    Exit status: 0 if the device would take the file, as far as the options let that be checked; \
    1 if it would refuse it, or not survive it; 2 if the command was called wrongly or a file cannot \
    be read. What is not checked changes nothing.")]
pub(crate) struct VerifyArgs {
    /// The file that would be sent: with its signature, compressed if that is how it is sent.
    file: PathBuf,
    /// The public key that the device checks signatures with, as PEM.
    #[arg(long, value_name = "PEM")]
    key: Option<PathBuf>,
    /// The device's chip: esp8266, esp32, esp32s3, ...
    #[arg(long, value_parser = chip)]
    chip: Option<Chip>,
    /// How the device's flash is divided. LAYOUT is one of the ESP8266 (4m2m, 1m64), a table of
    /// Arduino-ESP32 (default, minimal), or the file of a partition table.
    #[arg(long, value_name = "LAYOUT", value_parser = FlashLayout::parse)]
    flash: Option<FlashLayout>,
    /// What the device reports as free for a sketch, in bytes.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    free_space: Option<u64>,
    /// The image that the device runs.
    #[arg(long, value_name = "FILE")]
    running: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// The list goes to `out`; on standard error one line, if the device would not take the file.
pub(super) fn run(args: &VerifyArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let report = match verify(args) {
        Ok(report) => report,
        Err(failure) => return Ok(failure.end()),
    };
    if args.json {
        report.write_json(out)?;
    } else {
        report.write_text(out)?;
    }
    out.flush()?;

    let reasons: Vec<_> = report.failures().map(|reason| reason.to_string()).collect();
    if reasons.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let path = args.file.display();
    Ok(ui::failed(&anyhow!("{path} would not be taken, or not start: {}", reasons.join("; "))))
}

/// A failure is one of what was given: a file that cannot be read, a key that is none.
fn verify(args: &VerifyArgs) -> Result<Report, Failure> {
    let mut inflater = Box::new(Inflater::new());
    let key_file = args.key.as_deref().map(key_file::public).transpose()?;
    let key = key_file.as_ref().map(|key| PublicKey::from_der(key.der())).transpose();
    let key = key.map_err(Failure::usage)?;
    let running =
        args.running.as_deref().map(|path| of_running(path, &mut inflater)).transpose()?;
    let running_chip = running.as_ref().and_then(|facts| facts.chip);
    if let (Some(chip), Some(running)) = (args.chip, running_chip)
        && chip != running
    {
        return Err(Failure::usage(format_args!(
            "--chip says {chip}, --running is an image for the {running}"
        )));
    }
    if let (Some(chip), Some(flash)) = (args.chip.or(running_chip), &args.flash)
        && chip.family() != flash.family()
    {
        return Err(Failure::usage(format_args!("--flash {} is not for the {chip}", flash.name())));
    }
    let unreadable = |error| files::unreadable(&args.file, &error);
    let facts = facts(&args.file, &mut inflater).map_err(unreadable)?;

    let mut known = Known {
        chip: args.chip,
        flash: args.flash.as_ref().map(as_flash),
        free_space: args.free_space,
        running: running.as_ref(),
        ..Known::default()
    };
    let family = known.device_family(&facts);
    let found = signature::check(&args.file, &facts, family, key.as_ref()).map_err(unreadable)?;
    known.block = found.block.map(|block| block.map(|(kind, _)| kind));
    known.key = found.key;
    known.hash = found.hash;
    let checks = checks(&facts, &known).collect();
    Ok(Report::new(&args.file, &facts, key.as_ref(), found.signer(), checks))
}

fn as_flash(layout: &FlashLayout) -> Flash<'_> {
    match layout {
        FlashLayout::Esp8266(layout) => Flash::Esp8266(*layout),
        FlashLayout::Esp32 { table, .. } => Flash::Esp32(table),
    }
}

fn bytes(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "not a number of bytes, as 1044464 is".to_owned())
}

/// A chip by its name, as people write it.
pub(crate) fn chip(name: &str) -> Result<Chip, String> {
    let plain = name.to_lowercase().replace('-', "");
    Chip::from_name(&plain).ok_or_else(|| {
        let names: Vec<_> = Chip::all().map(Chip::name).collect();
        format!("not one of {}", names.join(", "))
    })
}
