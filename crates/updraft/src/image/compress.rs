//! `updraft image compress`: the gzip of a sketch that an ESP8266's boot loader inflates.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;
use updraft_pack::{Compressed, Form};

use super::output::OutputArgs;
use crate::failure::Failure;
use crate::{files, ui};

/// Arguments of `updraft image compress`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  updraft image compress door-1.2.0.bin -o door-1.2.0.bin.gz\n\n\
    Exit status: 0 if the file was made, 1 if no device would inflate it, 2 if a file cannot be \
    read or written."
)]
pub(crate) struct CompressArgs {
    /// An ESP8266 sketch.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &CompressArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match make(args) {
        Ok(compressed) => print(args, &compressed, out).map(|()| ExitCode::SUCCESS),
        Err(failure) => Ok(failure.end()),
    }
}

fn make(args: &CompressArgs) -> Result<Compressed, Failure> {
    args.output.check(&[&args.file])?;
    let sketch = files::read(&args.file)?;
    let compressed = updraft_pack::compress(&sketch);
    let compressed = compressed.map_err(|error| Failure::of_file(&args.file, error))?;
    args.output.write(&compressed.bytes)?;
    Ok(compressed)
}

/// Names stay, fields are only added.
#[derive(Serialize)]
struct Report {
    path: String,
    /// `gzip`, or `plain` if that is not smaller.
    form: &'static str,
    /// Bytes of the sketch, and of the file that was made.
    plain: usize,
    size: usize,
    notes: Vec<String>,
}

fn print(args: &CompressArgs, made: &Compressed, out: &mut dyn Write) -> anyhow::Result<()> {
    let report = Report {
        path: args.output.path().display().to_string(),
        form: match made.form {
            Form::Gzip => "gzip",
            Form::Plain => "plain",
        },
        plain: made.plain,
        size: made.bytes.len(),
        notes: made.notes.iter().map(ToString::to_string).collect(),
    };
    if args.json {
        return ui::json(&report, out);
    }
    writeln!(out, "{}", report.path)?;
    writeln!(out, "  {:<14}{}", "form", in_words(made))?;
    writeln!(out, "  {:<14}{} bytes", "size", report.size)?;
    for note in &report.notes {
        writeln!(out, "  {:<14}{note}", "note")?;
    }
    Ok(())
}

/// What was gained.
pub(super) fn in_words(made: &Compressed) -> String {
    let Compressed { plain, .. } = made;
    match made.form {
        Form::Plain => format!("plain: no gzip is smaller than {plain} bytes"),
        Form::Gzip => {
            let (saved, percent) = (made.saved(), made.saved() * 100 / plain);
            format!("gzip, {saved} of {plain} bytes saved ({percent} %)")
        }
    }
}
