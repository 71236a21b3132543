//! Reads images for their facts. It judges nothing, but for whether a device could run one.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use updraft_core::{Facts, Inflater, Inspector};

use crate::failure::Failure;
use crate::files;

/// Bytes read at once.
pub(super) const BLOCK: usize = 64 << 10;

/// The facts of the file at `path`.
pub(crate) fn facts(path: &Path, inflater: &mut Inflater) -> io::Result<Facts> {
    let about = fs::metadata(path)?;
    // How long a pipe is nobody knows before its end, and no pipe is read twice.
    if !about.is_file() && !about.is_dir() {
        return Err(io::Error::other("it is a pipe or a device, not a file"));
    }
    inspect(&mut File::open(path)?, about.len(), inflater)
}

/// The facts of the image that a device runs, for `--running`.
pub(super) fn of_running(path: &Path, inflater: &mut Inflater) -> Result<Facts, Failure> {
    let facts = facts(path, inflater).map_err(|error| files::unreadable(path, &error))?;
    match facts.sizes.sketch {
        Some(_) => Ok(facts),
        None => {
            Err(Failure::usage(format_args!("no device runs {}: {}", path.display(), facts.kind)))
        }
    }
}

/// The facts of the next `length` bytes.
pub(super) fn inspect(
    from: &mut impl Read,
    length: u64,
    inflater: &mut Inflater,
) -> io::Result<Facts> {
    let mut inspector = Inspector::with_inflater(length, inflater);
    let mut block = vec![0; BLOCK];
    loop {
        match from.read(&mut block)? {
            0 => return Ok(inspector.finish()),
            length => inspector.update(&block[..length]),
        }
    }
}
