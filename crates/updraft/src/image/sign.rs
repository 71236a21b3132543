//! `updraft image sign`: a file with the signature behind it that a device asks for.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use getrandom::SysRng;
use serde::Serialize;
use updraft_pack::{Compressed, Form, Format, SignError, Signed};

use super::compress;
use super::output::OutputArgs;
use crate::failure::Failure;
use crate::key_file::{self, KeyName};
use crate::{files, ui};

/// Arguments of `updraft image sign`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  updraft image sign door-1.2.0.bin --key fleet.pem -o \
    door-1.2.0.signed.bin\n\n\
    Exit status: 0 if the file was made, 1 if no device would take it signed, 2 if a file cannot \
    be read or written, or the key cannot be used.")]
pub(crate) struct SignArgs {
    /// A firmware file: a sketch, its gzip, an application, a filesystem for an ESP8266.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The private key, a PEM file: RSA-2048, -3072, -4096 or P-256.
    #[arg(long, value_name = "PRIV.pem")]
    key: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
    /// Which devices check it; without this those that the image is for.
    #[arg(long, value_enum)]
    format: Option<FormatArg>,
    /// Make a gzip of the sketch first, and sign that.
    #[arg(long)]
    compress: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum FormatArg {
    /// Arduino's ESP8266 core.
    Esp8266,
    /// Arduino-ESP32 from 3.3 on.
    ArduinoEsp32,
}

pub(super) fn run(args: &SignArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match make(args) {
        Ok(made) => print(args, &made, out).map(|()| ExitCode::SUCCESS),
        Err(failure) => Ok(failure.end()),
    }
}

/// What was made.
struct Made {
    signed: Signed,
    compressed: Option<Compressed>,
    format: Format,
    key: KeyName,
}

fn make(args: &SignArgs) -> Result<Made, Failure> {
    args.output.check(&[&args.file, &args.key])?;
    let key = key_file::private(&args.key)?;
    let public = key.public().map_err(|error| key_file::wrong(&args.key, &error))?;
    let mut payload = files::read(&args.file)?;
    let refused = |error| match error {
        SignError::NoFamily => {
            let file = args.file.display();
            Failure::usage(format_args!("{file}: {error}: --format says it"))
        }
        error => Failure::of_file(&args.file, error),
    };
    let format = match args.format {
        Some(FormatArg::Esp8266) => Format::Esp8266,
        Some(FormatArg::ArduinoEsp32) => Format::ArduinoEsp32,
        None => Format::for_file(&payload).map_err(refused)?,
    };
    let mut compressed = None;
    if args.compress {
        let made = updraft_pack::compress(&payload);
        let made = made.map_err(|error| Failure::of_file(&args.file, error))?;
        payload.clone_from(&made.bytes);
        compressed = Some(made);
    }
    let signed = updraft_pack::sign(&payload, &key, format, &mut SysRng).map_err(refused)?;
    args.output.write(&signed.bytes)?;
    let key = KeyName::new(public.kind(), public.fingerprint());
    Ok(Made { signed, compressed, format, key })
}

/// Names stay, fields are only added; what is not known is `null`.
#[derive(Serialize)]
struct Report<'a> {
    path: String,
    /// `esp8266` or `arduino-esp32`.
    format: &'static str,
    key: &'a KeyName,
    /// Bytes before anything was done, if the file was compressed first.
    plain: Option<usize>,
    /// Bytes that are signed, and of the file that was made.
    payload: usize,
    size: usize,
    notes: Vec<String>,
}

fn print(args: &SignArgs, made: &Made, out: &mut dyn Write) -> anyhow::Result<()> {
    let zipped = made.compressed.as_ref().filter(|made| made.form == Form::Gzip);
    let report = Report {
        path: args.output.path().display().to_string(),
        format: match made.format {
            Format::Esp8266 => "esp8266",
            Format::ArduinoEsp32 => "arduino-esp32",
        },
        key: &made.key,
        plain: zipped.map(|made| made.plain),
        payload: made.signed.payload,
        size: made.signed.bytes.len(),
        notes: made.signed.notes.iter().map(ToString::to_string).collect(),
    };
    if args.json {
        return ui::json(&report, out);
    }
    writeln!(out, "{}", report.path)?;
    let mut line = |name, value: &str| writeln!(out, "  {name:<14}{value}");
    if let Some(made) = &made.compressed {
        line("form", &compress::in_words(made))?;
    }
    line("signature", &format!("{}, {}", made.format, report.key.kind))?;
    line("fingerprint", &report.key.fingerprint)?;
    line("size", &format!("{} bytes, {} of them signed", report.size, report.payload))?;
    report.notes.iter().try_for_each(|note| line("note", note))?;
    Ok(())
}
