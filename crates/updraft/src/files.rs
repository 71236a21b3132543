//! Files that commands read and make. A file that is made is complete when it has its name, and takes
//! no other file's place unless that was asked for. What is in a file is not looked at.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
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
    fs::read(path).map_err(|error| unreadable(path, &error))
}

/// What is said of a file that cannot be read.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format_args!("cannot read {}: {error}", path.display()))
}

/// Makes a file.
pub(crate) fn write(
    path: &Path,
    bytes: &[u8],
    access: Access,
    existing: Existing,
) -> Result<(), Failure> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => Failure::usage(format_args!("cannot write {}: {}", path.display(), cause(&error))),
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

/// Refuses early what [`write()`] with [`Existing::Keep`] would refuse at its end.
pub(crate) fn check_free(path: &Path) -> Result<(), Failure> {
    if path.symlink_metadata().is_ok() { Err(exists(path)) } else { Ok(()) }
}

/// Whether two paths lead to one file.
pub(crate) fn is_same(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    place(one).is_some_and(|one| place(other) == Some(one))
}

/// A file without a name of its own yet, in the folder where it will have one.
fn begin(path: &Path, access: Access) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::metadata(folder)?;
    let mode = match access {
        Access::Owner => 0o600,
        Access::Usual => 0o666,
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".updraft-").permissions(Permissions::from_mode(mode));
    builder.tempfile_in(folder)
}

/// What went wrong, without the path of the file that has no name of its own: that is in every error
/// which is more than the system's.
fn cause(error: &io::Error) -> String {
    match error.get_ref() {
        None => error.to_string(),
        Some(_) => error.kind().to_string(),
    }
}

fn exists(path: &Path) -> Failure {
    Failure::usage(format_args!("{} exists already", path.display()))
}
