//! `updraft image info`: the sheet of facts of each file, for people or as JSON. It judges nothing
//! that the facts do not say.

use std::fs::File;
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use updraft_core::{Facts, Inflater, Inspector, Kind};

mod json;
mod sheet;

/// Bytes read at once.
const BLOCK: usize = 64 << 10;

/// Arguments of `updraft image info`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  updraft image info door-1.2.0.bin\n\n\
    Exit status: 0 if every file is a firmware or filesystem image, 1 if one is not.")]
pub(crate) struct InfoArgs {
    /// Firmware files: sketches, applications, filesystems, as they are or as a gzip.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print one JSON document: an array with one object for each file.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &InfoArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let mut inflater = Box::new(Inflater::new());
    let mut sheets = Vec::new();
    for path in &args.files {
        let facts = inspect(path, &mut inflater)
            .with_context(|| format!("cannot read {}", path.display()))?;
        sheets.push((path.as_path(), facts));
    }
    if args.json {
        json::write(&sheets, out)?;
    } else {
        sheet::write(&sheets, out)?;
    }
    let unknown: Vec<_> = sheets
        .iter()
        .filter(|(_, facts)| facts.kind == Kind::Unknown)
        .map(|(path, _)| path.display().to_string())
        .collect();
    if !unknown.is_empty() {
        bail!("not a firmware image: {}", unknown.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

fn inspect(path: &Path, inflater: &mut Inflater) -> std::io::Result<Facts> {
    let mut file = File::open(path)?;
    let mut inspector = Inspector::with_inflater(file.metadata()?.len(), inflater);
    let mut block = vec![0; BLOCK];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(inspector.finish()),
            length => inspector.update(&block[..length]),
        }
    }
}

/// Lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
