//! Knows the catalog before anyone asks: one scan at start, then the kernel tells what was closed
//! after writing or renamed in. Without any of this every answer would be the same, only later.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use crate::catalog::image::Target;
use crate::catalog::path::CatalogPath;
use crate::catalog::{Absent, Catalog, Found};

/// Sub-folders nested deeper are served, but not scanned or watched.
const MAX_DEPTH: usize = 16;
/// How often what was found out is kept, at most.
const HOUSEKEEPING: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };

/// The thread that scans and watches. Dropping it stops it and keeps what is known.
pub(crate) struct Watcher {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

/// Tells the thread to stop, and wakes it for that.
struct Stop {
    asked: AtomicBool,
    wake: OwnedFd,
}

impl Stop {
    fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }
}

impl Watcher {
    /// Starts scanning, then watching.
    pub(crate) fn start(catalog: Arc<Catalog>) -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let stop = Arc::new(Stop { asked: AtomicBool::new(false), wake });
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new().name("catalog".into()).spawn(move || {
            Watch::new(&catalog, &stopped).run();
            catalog.save();
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.asked.store(true, Ordering::Release);
        // Should this fail, it stops at its next housekeeping.
        let _ = rustix::io::write(&self.stop.wake, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            // A panic there was reported when it happened.
            drop(thread.join());
        }
    }
}

struct Watch<'c> {
    catalog: &'c Catalog,
    stop: &'c Stop,
    /// `None` where the kernel watches nothing (or no more) for us.
    inotify: Option<OwnedFd>,
    folders: HashMap<i32, CatalogPath>,
    /// Files that were not complete when they were looked at.
    settling: Vec<CatalogPath>,
}

impl<'c> Watch<'c> {
    fn new(catalog: &'c Catalog, stop: &'c Stop) -> Self {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
            .inspect_err(|error| tracing::warn!(%error, "cannot watch the catalog"))
            .ok();
        Self { catalog, stop, inotify, folders: HashMap::new(), settling: Vec::new() }
    }

    fn run(mut self) {
        self.scan(CatalogPath::root());
        self.report();
        while !self.stop.is_asked() {
            self.catalog.save();
            self.wait();
            self.read_events();
            if !self.settling.is_empty() {
                let settling = std::mem::take(&mut self.settling);
                self.inspect_all(settling);
                if self.settling.is_empty() {
                    self.report();
                }
            }
        }
    }

    /// Says what the catalog holds.
    fn report(&self) {
        let index = self.catalog.read_index();
        let files = index.files.len();
        let of_target = |target| index.files.values().filter(|e| e.image.target == target).count();
        let (sketches, unrecognised) = (of_target(Target::Sketch), of_target(Target::Unrecognised));
        tracing::info!(
            files,
            sketches,
            unrecognised,
            settling = self.settling.len(),
            "catalog {}: {sketches} of {files} files are firmware for updates over the air{}",
            self.catalog.root().display(),
            match self.settling.len() {
                0 => String::new(),
                settling => format!(", {settling} more may still be being written"),
            },
        );
    }

    fn wait(&self) {
        // Without a watch this is just a pause. EINTR and the like only make it shorter.
        let wake = PollFd::new(&self.stop.wake, PollFlags::IN);
        let _ = match &self.inotify {
            Some(inotify) => {
                poll(&mut [wake, PollFd::new(inotify, PollFlags::IN)], Some(&HOUSEKEEPING))
            }
            None => poll(&mut [wake], Some(&HOUSEKEEPING)),
        };
    }

    fn read_events(&mut self) {
        for event in self.pending() {
            match event {
                Event::Closed(path) => self.catalog.closed(&path),
                Event::NewFolder(path) => self.scan(path),
                Event::Overflow => self.scan(CatalogPath::root()),
            }
        }
    }

    fn pending(&mut self) -> Vec<Event> {
        let Some(inotify) = &self.inotify else { return Vec::new() };
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut reader = Reader::new(inotify, &mut buffer);
        let mut events = Vec::new();
        while let Ok(event) = reader.next() {
            let flags = event.events();
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                events.push(Event::Overflow);
            } else if flags.contains(ReadFlags::IGNORED) {
                self.folders.remove(&event.wd());
            } else if let Some(path) = event
                .file_name()
                .and_then(|name| name.to_str().ok())
                .zip(self.folders.get(&event.wd()))
                .and_then(|(name, folder)| folder.child(name).ok())
            {
                if flags.contains(ReadFlags::ISDIR) {
                    events.push(Event::NewFolder(path));
                } else if flags.intersects(ReadFlags::CLOSE_WRITE | ReadFlags::MOVED_TO) {
                    events.push(Event::Closed(path));
                }
            }
        }
        events
    }

    /// Watches a folder and all below it, and inspects every file there.
    fn scan(&mut self, from: CatalogPath) {
        let mut files = Vec::new();
        let mut folders = vec![from];
        while let Some(folder) = folders.pop() {
            // Watched before it is read, so that nothing falls between.
            self.watch(&folder);
            let Ok((names, _)) = self.catalog.folder.names(&folder) else { continue };
            for path in names.iter().filter_map(|name| folder.child(name).ok()) {
                if path.as_str().split('/').count() <= MAX_DEPTH
                    && !self.catalog.folder.location(&path).is_symlink()
                    && self.catalog.folder.is_folder(&path)
                {
                    folders.push(path);
                } else if self.catalog.rules.serves(path.name()) {
                    files.push(path);
                }
            }
        }
        self.inspect_all(files);
    }

    /// Inspects files on all cores; notes those that are not complete yet.
    fn inspect_all(&mut self, files: Vec<CatalogPath>) {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(files.len());
        let queue = Mutex::new(files);
        let settling = Mutex::new(Vec::new());
        let work = || {
            while !self.stop.is_asked() {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let Some(path) = next else { break };
                if let Found::Absent(Absent::Settling) = self.catalog.file_now(&path) {
                    settling.lock().unwrap_or_else(PoisonError::into_inner).push(path);
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
        self.settling.extend(settling.into_inner().unwrap_or_else(PoisonError::into_inner));
    }

    fn watch(&mut self, folder: &CatalogPath) {
        let Some(inotify) = &self.inotify else { return };
        let flags = WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_TO
            | WatchFlags::CREATE
            | WatchFlags::ONLYDIR;
        match inotify::add_watch(inotify, self.catalog.folder.location(folder), flags) {
            Ok(watch) => drop(self.folders.insert(watch, folder.clone())),
            Err(Errno::NOSPC) => {
                tracing::warn!(
                    "the kernel watches no more folders for this user (fs.inotify.max_user_watches); \
                     new files count once they are unchanged for a while"
                );
                self.inotify = None;
            }
            Err(error) => tracing::debug!(folder = %folder, %error, "cannot watch {folder}"),
        }
    }
}

enum Event {
    Closed(CatalogPath),
    NewFolder(CatalogPath),
    Overflow,
}
