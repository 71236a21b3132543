//! `updraft image info`: what firmware files are, for people or as JSON. It judges nothing that the
//! facts do not say.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use updraft_core::{Inflater, Kind};

use self::plan::{Plan, Update};
use self::read::Sheet;
use super::facts::of_running;
use super::flash::FlashLayout;
use crate::ui;

mod draw;
mod inside;
mod json;
mod plan;
mod read;
mod sheet;
mod table;

/// Arguments of `updraft image info`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  updraft image info door-1.2.0.bin\n  \
    updraft image info firmware/*\n  updraft image info door-1.2.0.bin --flash 4m2m\n\n\
    Exit status: 0 if every file is one that is known, 1 if one is not, 2 if one cannot be read.")]
pub(crate) struct InfoArgs {
    /// Firmware files: sketches, applications, filesystems, dumps, partition tables, otadata, as they
    /// are or as a gzip.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The whole sheet of each file. Without this several files get a line each.
    #[arg(long)]
    long: bool,
    /// Draw what happens in the flash when each file is installed over the air. LAYOUT is one of the
    /// ESP8266 (4m2m, 1m64), a table of Arduino-ESP32 (default, minimal), or the file of a
    /// partition table, binary or CSV.
    #[arg(long, value_name = "LAYOUT", value_parser = FlashLayout::parse)]
    flash: Option<FlashLayout>,
    /// The image that the device runs. Without this: one as large as the file.
    #[arg(long, value_name = "FILE", requires = "flash")]
    running: Option<PathBuf>,
    /// Print one JSON document: an array with one object for each file.
    #[arg(long)]
    json: bool,
}

/// What can be read has its line or sheet; then one line on standard error for each problem.
pub(super) fn run(args: &InfoArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let mut inflater = Box::new(Inflater::new());
    let running = args.running.as_deref().map(|path| of_running(path, &mut inflater));
    let running = match running.transpose() {
        Ok(running) => running,
        Err(failure) => return Ok(failure.end()),
    };
    let mut sheets = Vec::new();
    let mut unread = Vec::new();
    for path in &args.files {
        match Sheet::read(path, &mut inflater) {
            Ok(sheet) => sheets.push(sheet),
            Err(error) => unread.push((path.display(), error)),
        }
    }
    let plan = |sheet: &Sheet| {
        let update = Update { new: &sheet.facts, running: running.as_ref() };
        args.flash.as_ref().map(|layout| Plan::new(update, layout))
    };
    if args.json {
        json::write(sheets.iter().map(|sheet| (sheet, plan(sheet))), out)?;
    } else if args.files.len() > 1 && !args.long && args.flash.is_none() {
        table::write(&sheets, out)?;
    } else {
        for (i, sheet) in sheets.iter().enumerate() {
            if i > 0 {
                writeln!(out)?;
            }
            sheet::write(sheet, out)?;
            if let Some(plan) = plan(sheet) {
                draw::write(&plan, out)?;
            }
        }
    }
    out.flush()?;

    let mut code = ExitCode::SUCCESS;
    let unknown: Vec<_> = sheets
        .iter()
        .filter(|sheet| sheet.facts.kind == Kind::Unknown)
        .map(|sheet| sheet.path.display().to_string())
        .collect();
    if !unknown.is_empty() {
        code = ui::failed(&anyhow!("not a firmware image: {}", unknown.join(", ")));
    }
    for (path, error) in unread {
        code = ui::wrong_usage(&format_args!("cannot read {path}: {error}"));
    }
    Ok(code)
}

/// Lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
