//! Images in memory, shared by every connection that sends them, up to a number of bytes. Whatever is
//! in here has the digest it is known by: it is checked when it comes in.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use sha2::{Digest as _, Sha256};

use crate::digest;
use crate::sys::SharedBytes;

/// How many missed images are remembered; and how often images have to be missed before one may drive
/// out another again. Taking one in costs as much as sending it ten times: with more images in use than
/// there is room for, it would not pay.
const REMEMBERED: usize = 16;

/// The images in memory.
#[derive(Debug)]
pub(crate) struct ImageCache {
    limit: u64,
    images: RwLock<Images>,
    /// Counts uses: the image with the lowest number was not asked for the longest.
    uses: AtomicU64,
    missed: Mutex<Missed>,
    /// Held while an image is read, so that a crowd asking for it reads it once.
    loading: Mutex<()>,
}

#[derive(Debug)]
struct Missed {
    /// Images that were asked for lately and were not here, oldest first.
    lately: VecDeque<digest::Sha256>,
    /// How many were missed since one drove out another.
    since: usize,
}

#[derive(Debug, Default)]
struct Images {
    by_sha256: HashMap<digest::Sha256, Cached>,
    /// Of all of them, and of those that are being read.
    bytes: u64,
}

#[derive(Debug)]
struct Cached {
    image: Arc<SharedBytes>,
    used: AtomicU64,
}

impl ImageCache {
    /// A cache of at most `limit` bytes.
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            limit,
            images: RwLock::default(),
            uses: AtomicU64::new(0),
            missed: Mutex::new(Missed { lately: VecDeque::new(), since: REMEMBERED }),
            loading: Mutex::default(),
        }
    }

    /// The image with that SHA-256, if it is in memory.
    pub(crate) fn get(&self, sha256: &digest::Sha256) -> Option<Arc<SharedBytes>> {
        let images = self.images.read().unwrap_or_else(PoisonError::into_inner);
        let cached = images.by_sha256.get(sha256)?;
        cached.used.store(self.uses.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        Some(cached.image.clone())
    }

    /// Whether an image of `size` bytes that is not in memory is worth being taken in. Others have to
    /// make room only for one that was missed before not long ago, and not all the time.
    pub(crate) fn takes_in(&self, sha256: &digest::Sha256, size: u64) -> bool {
        size <= self.limit && (self.has_room(size) || self.was_missed(sha256))
    }

    /// Takes in an image of `size` bytes from its file. `None` if there is no room for it (images
    /// being sent keep theirs), or if the file does not hold what it should.
    pub(crate) fn load(
        &self,
        sha256: &digest::Sha256,
        size: u64,
        file: &File,
    ) -> Option<Arc<SharedBytes>> {
        if size > self.limit {
            return None;
        }
        let _loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = self.get(sha256) {
            return Some(image);
        }
        if !self.make_room(size) {
            return None;
        }
        let image = SharedBytes::read(file, size)
            .inspect_err(|error| tracing::debug!(%error, "cannot keep an image in memory"))
            .ok()
            .filter(|image| Sha256::digest(&**image)[..] == sha256.0)
            .map(Arc::new);
        let used = AtomicU64::new(self.uses.fetch_add(1, Ordering::Relaxed));
        let mut images = self.images.write().unwrap_or_else(PoisonError::into_inner);
        match &image {
            Some(image) => {
                let cached = Cached { image: Arc::clone(image), used };
                images.by_sha256.insert(*sha256, cached);
            }
            None => images.bytes -= size,
        }
        image
    }

    fn has_room(&self, size: u64) -> bool {
        let images = self.images.read().unwrap_or_else(PoisonError::into_inner);
        images.bytes + size <= self.limit
    }

    /// Whether others are to make room for a missed image. If not, it is remembered as missed now.
    fn was_missed(&self, sha256: &digest::Sha256) -> bool {
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        missed.since = missed.since.saturating_add(1);
        if missed.lately.contains(sha256) {
            return missed.since > REMEMBERED;
        }
        if missed.lately.len() >= REMEMBERED {
            missed.lately.pop_front();
        }
        missed.lately.push_back(*sha256);
        false
    }

    /// Drops what was not asked for the longest until `size` bytes fit, and keeps those for the image that
    /// is to come: nobody else must take them for free meanwhile. An image that is being sent
    /// would not free any memory, so it stays; if that leaves too little, all stay.
    fn make_room(&self, size: u64) -> bool {
        let mut images = self.images.write().unwrap_or_else(PoisonError::into_inner);
        let mut idle: Vec<_> = images
            .by_sha256
            .iter()
            .filter(|(_, cached)| Arc::strong_count(&cached.image) == 1)
            .map(|(sha256, cached)| (cached.used.load(Ordering::Relaxed), *sha256))
            .collect();
        let freeable: u64 = idle
            .iter()
            .filter_map(|(_, sha256)| images.by_sha256.get(sha256))
            .map(|cached| cached.image.len() as u64)
            .sum();
        if images.bytes - freeable + size > self.limit {
            return false;
        }
        idle.sort_unstable();
        for (_, sha256) in idle {
            if images.bytes + size <= self.limit {
                break;
            }
            self.missed.lock().unwrap_or_else(PoisonError::into_inner).since = 0;
            if let Some(dropped) = images.by_sha256.remove(&sha256) {
                images.bytes -= dropped.image.len() as u64;
            }
        }
        images.bytes += size;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(content: &[u8]) -> (digest::Sha256, File) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        (digest::Digest(Sha256::digest(content).into()), file)
    }

    #[test]
    fn others_make_room_for_what_is_missed_twice() {
        let cache = ImageCache::new(4);
        let ((first, first_file), (second, _)) = (file(b"aaaa"), file(b"bbbb"));
        assert!(cache.takes_in(&first, 4));
        assert!(cache.load(&first, 4, &first_file).is_some());
        assert!(!cache.takes_in(&second, 4));
        assert!(cache.takes_in(&second, 4));
        assert!(!cache.takes_in(&second, 5));
    }

    #[test]
    fn one_does_not_drive_out_the_other_all_the_time() {
        let cache = ImageCache::new(4);
        let images = [file(b"aaaa"), file(b"bbbb")];
        // As a request asks: first whether it is worth the disk, then again by the thread that may wait.
        let mut loads = 0;
        for (sha256, file) in images.iter().cycle().take(REMEMBERED * 4) {
            if cache.get(sha256).is_none() && cache.takes_in(sha256, 4) && cache.takes_in(sha256, 4)
            {
                assert!(cache.load(sha256, 4, file).is_some());
                loads += 1;
            }
        }
        assert!((2..=5).contains(&loads), "{loads}");
    }

    #[test]
    fn what_was_not_asked_for_the_longest_makes_room() {
        let cache = ImageCache::new(10);
        let images: Vec<_> = [b"aaaa", b"bbbb", b"cccc"].iter().map(|c| file(*c)).collect();
        for (sha256, file) in &images[..2] {
            assert!(cache.load(sha256, 4, file).is_some());
        }
        assert!(cache.get(&images[0].0).is_some());
        assert!(cache.load(&images[2].0, 4, &images[2].1).is_some());
        assert!(cache.get(&images[0].0).is_some());
        assert!(cache.get(&images[1].0).is_none());
    }

    #[test]
    fn an_image_being_sent_keeps_its_place() {
        let cache = ImageCache::new(6);
        let ((first, first_file), (second, second_file)) = (file(b"aaaa"), file(b"bbbb"));
        let sending = cache.load(&first, 4, &first_file);
        assert!(cache.load(&second, 4, &second_file).is_none());
        drop(sending);
        assert!(cache.load(&second, 4, &second_file).is_some());
    }

    #[test]
    fn what_has_another_digest_or_is_too_large_stays_out() {
        let cache = ImageCache::new(10);
        let (sha256, _) = file(b"aaaa");
        let (_, other) = file(b"bbbb");
        assert!(cache.load(&sha256, 4, &other).is_none());
        assert!(cache.load(&sha256, 11, &other).is_none());
        assert!(cache.get(&sha256).is_none());
        // Nor does it leave less room.
        assert!(cache.has_room(10));
    }
}
