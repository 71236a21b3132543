//! `updraft image info`: the sheet of facts of each file, for people or as JSON. It judges nothing
//! that the facts do not say.

use std::fs::File;
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::anyhow;
use updraft_core::{Facts, Inflater, Inspector, Kind};

use crate::ui;

mod json;
mod sheet;

/// Bytes read at once.
const BLOCK: usize = 64 << 10;

/// Arguments of `updraft image info`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  updraft image info door-1.2.0.bin\n\n\
    Exit status: 0 if every file is a firmware or filesystem image, 1 if one is not, 2 if one \
    cannot be read.")]
pub(crate) struct InfoArgs {
    /// Firmware files: sketches, applications, filesystems, as they are or as a gzip.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print one JSON document: an array with one object for each file.
    #[arg(long)]
    json: bool,
}

/// What can be read has its sheet; then one line on standard error for each problem.
pub(super) fn run(args: &InfoArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let mut inflater = Box::new(Inflater::new());
    let mut sheets = Vec::new();
    let mut unread = Vec::new();
    for path in &args.files {
        match inspect(path, &mut inflater) {
            Ok(facts) => sheets.push((path.as_path(), facts)),
            Err(error) => unread.push((path.display(), error)),
        }
    }
    if args.json {
        json::write(&sheets, out)?;
    } else {
        sheet::write(&sheets, out)?;
    }
    out.flush()?;

    let mut code = ExitCode::SUCCESS;
    let unknown: Vec<_> = sheets
        .iter()
        .filter(|(_, facts)| facts.kind == Kind::Unknown)
        .map(|(path, _)| path.display().to_string())
        .collect();
    if !unknown.is_empty() {
        code = ui::failed(&anyhow!("not a firmware image: {}", unknown.join(", ")));
    }
    for (path, error) in unread {
        code = ui::wrong_usage(&format_args!("cannot read {path}: {error}"));
    }
    Ok(code)
}

/// The facts of one file.
pub(super) fn inspect(path: &Path, inflater: &mut Inflater) -> std::io::Result<Facts> {
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
