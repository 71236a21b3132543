//! The catalog: a plain folder of images, known by content. Its files are inspected once and then
//! recognised by their stamp (device, inode, size, times), which every request compares anew;
//! watching the folder only does the work earlier.
//!
//! It knows files, not devices: what anyone gets is decided elsewhere.

mod folder;
pub(crate) mod image;
pub(crate) mod kept;
pub(crate) mod list;
pub(crate) mod path;
pub(crate) mod watch;

use std::collections::HashSet;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::Read as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use jiff::{SignedDuration, Timestamp};
use rustc_hash::FxHashMap;
use updraft_core::{Inflater, Inspector};

use crate::catalog::folder::{Folder, Unserved};
use crate::catalog::image::Image;
use crate::catalog::kept::Kept;
use crate::catalog::list::Listing;
use crate::check_in::CheckIn;
use crate::clock::Clock;
use crate::config::CatalogConfig;
use crate::decide::Running;
use crate::digest::ByDigest;

pub(crate) use folder::Stamp;
pub(crate) use path::{BadPath, CatalogPath};

/// A folder of images and what is known of them.
pub(crate) struct Catalog {
    folder: Folder,
    rules: CatalogConfig,
    clock: Arc<dyn Clock>,
    kept: Kept,
    index: RwLock<Index>,
    /// One lock for each group of paths, so that nobody inspects a file twice at the same time.
    inspecting: Locks,
    /// The same for lists; building one takes the locks of its files.
    listing: Locks,
    /// Names a warning was given for, so that it is given once.
    warned: Mutex<HashSet<Box<str>>>,
    /// Whether the index holds what is not kept on disk yet.
    unsaved: AtomicBool,
}

/// What is known by a path. Only the names of what is really there get in, so they need no hasher that
/// withstands chosen keys.
type ByPath<V> = FxHashMap<CatalogPath, V>;

#[derive(Default)]
struct Index {
    files: ByPath<Arc<Entry>>,
    /// The same by the names that links give them, as far as there is room: links can give one file
    /// any number of names.
    aliases: ByPath<Arc<Entry>>,
    lists: ByPath<Arc<Listing>>,
    /// What was seen of files that are perhaps still being written.
    settling: ByPath<Settling>,
    by_md5: ByDigest<16, Arc<Entry>>,
    by_sha256: ByDigest<32, Arc<Entry>>,
}

/// One complete, inspected file.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) path: CatalogPath,
    /// Where it is on disk.
    location: Box<Path>,
    pub(crate) stamp: Stamp,
    pub(crate) image: Image,
    /// When the stamp was last seen to hold, in milliseconds of our clock.
    seen: AtomicI64,
}

struct Settling {
    stamp: Stamp,
    since: Timestamp,
    /// It was closed after writing, or renamed to this name, with that stamp.
    closed: bool,
}

/// How far a look-up may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Only what is known: for the threads that serve connections.
    Quick,
    /// Reading files: for threads that may wait.
    Disk,
}

/// What a look-up found.
#[derive(Debug)]
pub(crate) enum Found<T> {
    Known(T),
    /// The same look-up with [`Effort::Disk`] will tell.
    NeedsDisk,
    Absent(Absent),
}

/// Why there is nothing by that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Absent {
    #[error("there is no such file")]
    NotThere,
    #[error("such files are never served")]
    NeverServed,
    #[error("the file is still being written")]
    Settling,
    #[error("the file cannot be read")]
    Unreadable,
}

impl From<Unserved> for Absent {
    fn from(unserved: Unserved) -> Self {
        match unserved {
            Unserved::NotThere => Self::NotThere,
            Unserved::Outside => Self::NeverServed,
            Unserved::Unreadable => Self::Unreadable,
        }
    }
}

/// Names by links that are remembered, and lists; beyond that they are found out anew.
const MAX_ALIASES: usize = 1000;
const MAX_LISTS: usize = 1000;

/// Bytes read at a time while inspecting.
const BLOCK: usize = 256 * 1024;

impl Catalog {
    /// The catalog in `rules.path`; `data` is the server's own folder, never served from. What was
    /// kept there of earlier inspections is taken up again.
    pub(crate) fn open(
        rules: CatalogConfig,
        data: &Path,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Self> {
        let folder = Folder::open(&rules.path, data)?;
        Ok(Self {
            folder,
            rules,
            clock,
            kept: Kept::load(data),
            index: RwLock::default(),
            inspecting: Locks::default(),
            listing: Locks::default(),
            warned: Mutex::default(),
            unsaved: AtomicBool::new(false),
        })
    }

    /// The folder itself, as it was found at start.
    pub(crate) fn root(&self) -> &Path {
        self.folder.root()
    }

    /// The zone in which people here read dates.
    pub(crate) fn zone(&self) -> jiff::tz::TimeZone {
        self.clock.zone()
    }

    /// The file that a target's path names, if that path is clean and the file was looked at a moment
    /// ago: so most requests find theirs, and nothing is allocated for it.
    pub(crate) fn just_seen(&self, path: &str, now: Timestamp) -> Option<Arc<Entry>> {
        let entry = self.read_index().get(path::clean(path)?)?;
        self.was_just_seen(&entry, now).then_some(entry)
    }

    /// The complete file of that name, as it is `now`.
    pub(crate) fn file(
        &self,
        path: &CatalogPath,
        now: Timestamp,
        effort: Effort,
    ) -> Found<Arc<Entry>> {
        let known = match self.read_index().get(path.as_str()) {
            Some(entry) if self.was_just_seen(&entry, now) => return Found::Known(entry),
            known => known,
        };
        if !self.rules.serves(path.name()) {
            return Found::Absent(Absent::NeverServed);
        }
        let location = known.as_ref().map_or_else(
            || self.folder.location(path).into(),
            |entry| std::borrow::Cow::Borrowed(&*entry.location),
        );
        let Some(stamp) = Stamp::of_path(&location) else {
            return Found::Absent(Absent::NotThere);
        };
        match known {
            Some(entry) if entry.stamp == stamp => {
                entry.seen.store(now.as_millisecond(), Ordering::Relaxed);
                return Found::Known(entry);
            }
            _ if effort == Effort::Quick => return Found::NeedsDisk,
            _ => {}
        }
        match self.folder.real_path(path) {
            Ok(real) if real == *path => {}
            Ok(real) => return self.alias(path, &real, stamp, now),
            Err(unserved) => return Found::Absent(unserved.into()),
        }
        let _inspecting = self.inspecting.lock(path);
        if let Some(entry) = self.read_index().files.get(path).filter(|e| e.stamp == stamp) {
            return Found::Known(Arc::clone(entry));
        }
        match self.take_up(path, stamp).map_or_else(|| self.inspect(path), Ok) {
            Ok(entry) => Found::Known(entry),
            Err(absent) => Found::Absent(absent),
        }
    }

    /// The same for those who ask on nobody's behalf, and may wait.
    fn file_now(&self, path: &CatalogPath) -> Found<Arc<Entry>> {
        self.file(path, self.clock.now(), Effort::Disk)
    }

    /// The file of that name, which a link gives to the file at `real`.
    fn alias(
        &self,
        path: &CatalogPath,
        real: &CatalogPath,
        stamp: Stamp,
        now: Timestamp,
    ) -> Found<Arc<Entry>> {
        let target = match self.file(real, now, Effort::Disk) {
            Found::Known(target) if target.stamp == stamp => target,
            // Exchanged meanwhile.
            Found::Known(_) => return Found::Absent(Absent::Settling),
            absent => return absent,
        };
        let entry = Arc::new(Entry::new(path, &self.folder, stamp, target.image.clone()));
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        if index.aliases.len() >= MAX_ALIASES {
            index.aliases.clear();
        }
        index.aliases.insert(path.clone(), Arc::clone(&entry));
        Found::Known(entry)
    }

    /// Whether a file was looked at so short a time ago that looking again tells nothing new to
    /// anyone. A crowd of devices costs one look, not thousands.
    fn was_just_seen(&self, entry: &Entry, now: Timestamp) -> bool {
        let age = now.as_millisecond().saturating_sub(entry.seen.load(Ordering::Relaxed));
        age >= 0 && SignedDuration::from_millis(age) < self.rules.recheck.0
    }

    /// Opens a file that was found, for reading. `None` if another one stands there by now.
    pub(crate) fn open_entry(&self, entry: &Entry) -> Option<File> {
        let (file, stamp) = self.folder.open_file(&entry.path).ok()?;
        (stamp == entry.stamp).then_some(file)
    }

    /// What a device runs, as far as its digests tell, and under which name it is known.
    pub(crate) fn running(&self, check_in: &CheckIn) -> Option<Arc<Entry>> {
        let index = self.read_index();
        check_in
            .sketch_sha256
            .and_then(|digest| index.by_sha256.get(&digest))
            .or_else(|| check_in.sketch_md5.and_then(|digest| index.by_md5.get(&digest)))
            .cloned()
    }

    /// Takes up what was kept of a file that has not changed since.
    fn take_up(&self, path: &CatalogPath, stamp: Stamp) -> Option<Arc<Entry>> {
        let image = self.kept.get(path, stamp)?;
        Some(self.insert(path, stamp, image))
    }

    /// Reads a file from start to end. It counts only if it is complete and stays as it is meanwhile.
    fn inspect(&self, path: &CatalogPath) -> Result<Arc<Entry>, Absent> {
        let (mut file, stamp) = self.folder.open_file(path)?;
        if !self.is_complete(path, stamp) {
            return Err(Absent::Settling);
        }
        let mut inflater = Box::new(Inflater::new());
        let mut inspector = Inspector::with_inflater(stamp.size, &mut inflater);
        let mut block = vec![0; BLOCK];
        loop {
            match file.read(&mut block) {
                Ok(0) => break,
                Ok(length) => inspector.update(&block[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::warn!(file = %path, %error, "cannot read {path}");
                    return Err(Absent::Unreadable);
                }
            }
        }
        let image = Image::new(&inspector.finish());
        if Stamp::of_file(&file) != Some(stamp) {
            return Err(Absent::Settling);
        }
        tracing::debug!(file = %path, kind = image.kind, "inspected {path}");
        self.unsaved.store(true, Ordering::Release);
        Ok(self.insert(path, stamp, image))
    }

    fn insert(&self, path: &CatalogPath, stamp: Stamp, image: Image) -> Arc<Entry> {
        let entry = Arc::new(Entry::new(path, &self.folder, stamp, image));
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        // A digest stays known when its file is replaced: devices go on running the old one.
        for &md5 in &entry.image.running_md5 {
            index.by_md5.insert(md5, Arc::clone(&entry));
        }
        if let Some(sha256) = entry.image.running_sha256 {
            index.by_sha256.insert(sha256, Arc::clone(&entry));
        }
        index.settling.remove(path);
        index.files.insert(path.clone(), Arc::clone(&entry));
        entry
    }

    /// Whether a file is complete: closed after writing, renamed in, or unchanged for the settling
    /// time, by its own times or (should those lie in the future) by ours.
    fn is_complete(&self, path: &CatalogPath, stamp: Stamp) -> bool {
        let now = self.clock.now();
        let settle = self.rules.settle.0;
        if stamp.changed().is_some_and(|changed| now.duration_since(changed) >= settle) {
            return true;
        }
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        match index.settling.get(path) {
            Some(seen) if seen.stamp == stamp => {
                seen.closed || now.duration_since(seen.since) >= settle
            }
            // It was just closed, so it is our stamp that is of before: not to be forgotten.
            Some(seen) if seen.closed && now.duration_since(seen.since) < settle => false,
            _ => {
                let seen = Settling { stamp, since: now, closed: settle == SignedDuration::ZERO };
                let complete = seen.closed;
                index.settling.insert(path.clone(), seen);
                complete
            }
        }
    }

    /// Notes that a file was closed after writing or renamed to this name, and inspects it.
    fn closed(&self, path: &CatalogPath) {
        if !self.rules.serves(path.name()) {
            return;
        }
        if let Some(stamp) = Stamp::of_path(&self.folder.location(path)) {
            let seen = Settling { stamp, since: self.clock.now(), closed: true };
            let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
            index.settling.insert(path.clone(), seen);
            // Its size and date are in the list of its folder.
            index.lists.remove(&path.parent());
            if let Some(entry) = index.get(path.as_str()) {
                entry.seen.store(i64::MIN, Ordering::Relaxed);
            }
        }
        self.file_now(path);
    }

    /// Keeps what was found out since the last time; forgets files that are gone.
    pub(crate) fn save(&self) {
        if !self.unsaved.swap(false, Ordering::AcqRel) {
            return;
        }
        let entries: Vec<_> = self.read_index().files.values().cloned().collect();
        let (there, gone): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|entry| Stamp::of_path(&entry.location) == Some(entry.stamp));
        let holds =
            |path: &CatalogPath, stamp| Stamp::of_path(&self.folder.location(path)) == Some(stamp);
        if let Err(error) = self.kept.save(&there, holds) {
            tracing::warn!(%error, "cannot keep what is known of the catalog");
        }
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        index.settling.retain(|path, _| self.folder.location(path).exists());
        for entry in gone {
            if index.files.get(&entry.path).is_some_and(|now| Arc::ptr_eq(now, &entry)) {
                index.files.remove(&entry.path);
            }
        }
    }

    fn read_index(&self) -> std::sync::RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a warning about a name, once.
    fn warn_once(&self, file: &str, why: &str) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.insert(file.into()) {
            tracing::warn!(file, "{file}: {why}");
        }
    }
}

/// Locks for groups of paths.
#[derive(Default)]
struct Locks {
    groups: [Mutex<()>; 32],
    hasher: RandomState,
}

impl Locks {
    fn lock(&self, path: &CatalogPath) -> MutexGuard<'_, ()> {
        let group = self.hasher.hash_one(path) % self.groups.len() as u64;
        let group = usize::try_from(group).unwrap_or_default();
        self.groups[group].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    fn get(&self, path: &str) -> Option<Arc<Entry>> {
        self.files.get(path).or_else(|| self.aliases.get(path)).cloned()
    }
}

impl Entry {
    fn new(path: &CatalogPath, folder: &Folder, stamp: Stamp, image: Image) -> Self {
        let location = folder.location(path).into();
        Self { path: path.clone(), location, stamp, image, seen: AtomicI64::new(i64::MIN) }
    }

    /// What a device that reported one of this image's digests runs.
    pub(crate) fn as_running(&self, check_in: &CheckIn) -> Running<'_> {
        Running {
            image: &self.image,
            flash_mode: self.image.running_as(check_in).and_then(|running| running.flash_mode),
        }
    }
}
