//! Files that commands read and make. A file that is made is complete when it has its name, and takes
//! no other file's place unless that was asked for. What is in a file is not looked at.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::failure::Failure;

/// What happens to a file that has the name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It stays, and nothing is made.
    Keep,
    /// The new one takes its place.
    Replace,
}

/// Who may read a file that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Its owner alone.
    Owner,
    /// Everybody that files are open to here (`umask`).
    Usual,
}

/// The bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path)
        .map_err(|error| Failure::usage(format_args!("cannot read {}: {error}", path.display())))
}

/// Makes a file.
pub(crate) fn write(
    path: &Path,
    bytes: &[u8],
    access: Access,
    existing: Existing,
) -> Result<(), Failure> {
    let failed = |error| {
        if error_is_existing(&error) {
            return exists(path);
        }
        Failure::usage(format_args!("cannot write {}: {error}", path.display()))
    };
    let temporary = begin(path, access).and_then(|mut file| {
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        Ok(file)
    });
    let temporary = temporary.map_err(failed)?;
    let done = match existing {
        Existing::Keep => temporary.persist_noclobber(path),
        Existing::Replace => temporary.persist(path),
    };
    done.map(drop).map_err(|error| failed(error.error))
}

/// Refuses early what [`write`] would refuse at its end.
pub(crate) fn check_free(path: &Path, existing: Existing) -> Result<(), Failure> {
    let is_there = path.symlink_metadata().is_ok();
    if is_there && existing == Existing::Keep { Err(exists(path)) } else { Ok(()) }
}

/// Whether two paths lead to one file.
pub(crate) fn is_same(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    place(one).is_some_and(|one| place(other) == Some(one))
}

/// A file without a name of its own yet, in the folder where it will have one.
fn begin(path: &Path, access: Access) -> std::io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mode = match access {
        Access::Owner => 0o600,
        Access::Usual => 0o666,
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".updraft-").permissions(Permissions::from_mode(mode));
    builder.tempfile_in(folder.unwrap_or(Path::new(".")))
}

fn error_is_existing(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::AlreadyExists
}

fn exists(path: &Path) -> Failure {
    Failure::usage(format_args!("{} exists already", path.display()))
}
