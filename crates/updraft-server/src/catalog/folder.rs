//! The folder on disk: what lies in it and nothing else, links and the server's own data included.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::catalog::path::CatalogPath;

/// A folder whose files may be served.
#[derive(Debug)]
pub(super) struct Folder {
    /// Resolved once, at start.
    root: PathBuf,
    /// The server's own folder, which is never served from, resolved.
    data: Option<PathBuf>,
}

/// What tells one state of a file from any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    pub(crate) size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Why a path is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unserved {
    NotThere,
    /// It is there, but not in the folder: a link leads out, or into the server's own data.
    Outside,
    Unreadable,
}

impl Folder {
    pub(super) fn open(path: &Path, data: &Path) -> io::Result<Self> {
        let root = path.canonicalize()?;
        if !root.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        fs::read_dir(&root)?;
        Ok(Self { root, data: data.canonicalize().ok() })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where a path is on disk, links not followed.
    pub(super) fn location(&self, path: &CatalogPath) -> PathBuf {
        self.root.join(path.relative())
    }

    /// Opens a regular file for reading, and says which one it is.
    pub(super) fn open_file(&self, path: &CatalogPath) -> Result<(File, Stamp), Unserved> {
        let Found { file: found, metadata, .. } = self.find(path)?;
        if !metadata.is_file() {
            return Err(Unserved::NotThere);
        }
        let file = File::open(own_path(&found)).map_err(|_| Unserved::Unreadable)?;
        Ok((file, Stamp::new(&metadata)))
    }

    /// The names in a sub-folder, in no order, and the folder's stamp from before they were read.
    pub(super) fn names(&self, path: &CatalogPath) -> Result<(Vec<String>, Stamp), Unserved> {
        let Found { file: found, metadata, .. } = self.find(path)?;
        if !metadata.is_dir() {
            return Err(Unserved::NotThere);
        }
        let entries = fs::read_dir(own_path(&found)).map_err(|_| Unserved::Unreadable)?;
        let names = entries
            .filter_map(|entry| match entry.ok()?.file_name().into_string() {
                Ok(name) => Some(name),
                Err(name) => {
                    tracing::debug!("{}: not a UTF-8 name", name.display());
                    None
                }
            })
            .collect();
        Ok((names, Stamp::new(&metadata)))
    }

    /// Whether a path is a sub-folder that may be shown.
    pub(super) fn is_folder(&self, path: &CatalogPath) -> bool {
        self.find(path).is_ok_and(|found| found.metadata.is_dir())
    }

    /// The path by which a file really lies in the folder: another one, if links lead to it.
    pub(super) fn real_path(&self, path: &CatalogPath) -> Result<CatalogPath, Unserved> {
        self.find(path).map(|found| found.path)
    }

    /// Finds what a path leads to, links followed, without opening it for anything (`O_PATH`: even a
    /// device or a pipe stays untouched), and makes sure that it is in the folder. The check is made
    /// on what was found, so nobody can exchange a link in between.
    fn find(&self, path: &CatalogPath) -> Result<Found, Unserved> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_CLOEXEC)
            .open(self.location(path))
            .map_err(|error| match error.kind() {
                io::ErrorKind::PermissionDenied => Unserved::Unreadable,
                _ => Unserved::NotThere,
            })?;
        let real = fs::read_link(own_path(&file)).map_err(|_| Unserved::Unreadable)?;
        if self.data.as_ref().is_some_and(|data| real.starts_with(data)) {
            return Err(Unserved::Outside);
        }
        // A link inside the folder may also lead to a name that would not be served itself.
        let path = real
            .strip_prefix(&self.root)
            .ok()
            .and_then(|inner| CatalogPath::from_bytes(inner.as_os_str().as_bytes()).ok())
            .ok_or(Unserved::Outside)?;
        let metadata = file.metadata().map_err(|_| Unserved::Unreadable)?;
        Ok(Found { file, metadata, path })
    }
}

/// What a path leads to.
struct Found {
    /// Opened for nothing but to hold it.
    file: File,
    metadata: Metadata,
    /// Where it really lies.
    path: CatalogPath,
}

/// The path by which a process reaches a file it has found: opening it opens that very file.
fn own_path(found: &File) -> PathBuf {
    format!("/proc/self/fd/{}", found.as_raw_fd()).into()
}

impl Stamp {
    fn new(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// The stamp of what stands at a path now, links followed.
    pub(crate) fn of_path(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|metadata| Self::new(&metadata))
    }

    /// The stamp of an open file now.
    pub(crate) fn of_file(file: &File) -> Option<Self> {
        file.metadata().ok().map(|metadata| Self::new(&metadata))
    }

    /// When the content was last written.
    pub(crate) fn modified(&self) -> Timestamp {
        timestamp(self.modified).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// When content or name last changed in any way.
    pub(super) fn changed(&self) -> Option<Timestamp> {
        timestamp(self.modified.max(self.changed))
    }
}

fn timestamp((seconds, nanoseconds): (i64, i64)) -> Option<Timestamp> {
    Timestamp::new(seconds, i32::try_from(nanoseconds).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Place {
        dir: tempfile::TempDir,
        folder: Folder,
    }

    /// `fw/` is the catalog, `fw/data/` the server's own folder, `fw-secret/` somebody else's.
    fn place() -> Place {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["fw/sub", "fw/data", "fw/.git", "fw-secret"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
            fs::write(dir.path().join(folder).join("x.bin"), folder).unwrap();
        }
        let folder = Folder::open(&dir.path().join("fw"), &dir.path().join("fw/data")).unwrap();
        Place { dir, folder }
    }

    fn open(place: &Place, path: &str) -> Result<String, Unserved> {
        let path = CatalogPath::from_target(path).unwrap();
        let (file, _) = place.folder.open_file(&path)?;
        Ok(io::read_to_string(file).unwrap())
    }

    #[test]
    fn files_in_the_folder_are_opened() {
        let place = place();
        assert_eq!(open(&place, "sub/x.bin").unwrap(), "fw/sub");
        assert_eq!(open(&place, "sub"), Err(Unserved::NotThere));
        assert_eq!(open(&place, "none.bin"), Err(Unserved::NotThere));
    }

    #[test]
    fn links_inside_are_followed_and_links_outside_are_not() {
        let place = place();
        let root = place.dir.path();
        symlink("sub/x.bin", root.join("fw/inside.bin")).unwrap();
        symlink(root.join("fw/sub/x.bin"), root.join("fw/absolute.bin")).unwrap();
        symlink(root.join("fw-secret/x.bin"), root.join("fw/outside.bin")).unwrap();
        symlink("../fw-secret", root.join("fw/secret")).unwrap();
        symlink("data/x.bin", root.join("fw/own.bin")).unwrap();
        symlink(".git/x.bin", root.join("fw/hidden.bin")).unwrap();
        assert_eq!(open(&place, "inside.bin").unwrap(), "fw/sub");
        assert_eq!(open(&place, "absolute.bin").unwrap(), "fw/sub");
        for path in ["outside.bin", "secret/x.bin", "own.bin", "data/x.bin", "hidden.bin"] {
            assert_eq!(open(&place, path), Err(Unserved::Outside), "{path}");
        }
    }

    #[test]
    fn a_folder_reached_through_a_link_is_a_folder() {
        let place = place();
        symlink(place.dir.path().join("fw"), place.dir.path().join("link")).unwrap();
        let folder =
            Folder::open(&place.dir.path().join("link/."), Path::new("/nonexistent")).unwrap();
        let (mut names, _) = folder.names(&CatalogPath::root()).unwrap();
        names.sort();
        assert_eq!(names, [".git", "data", "sub"]);
    }

    #[test]
    fn every_change_changes_the_stamp() {
        let place = place();
        let file = place.dir.path().join("fw/sub/x.bin");
        let before = Stamp::of_path(&file).unwrap();
        assert_eq!(Stamp::of_path(&file), Some(before));
        fs::write(place.dir.path().join("fw/new"), "fw/sub").unwrap();
        fs::rename(place.dir.path().join("fw/new"), &file).unwrap();
        assert_ne!(Stamp::of_path(&file), Some(before));
    }
}
