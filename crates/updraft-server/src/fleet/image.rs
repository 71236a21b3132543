//! Images that the server knows, and the digests by which a device tells that it runs one. What an
//! image is, core's inspection said.

use std::fmt;

use jiff::Timestamp;
use updraft_core::OtaTarget;

use crate::catalog::image::Image;
use crate::check_in::{CheckIn, Mode};
use crate::digest::{Md5, Sha256};

use super::KeyId;
use super::named::named;

named! {
    /// The part of a device that an image is for. Attempts are per part.
    pub(crate) enum Part: "kind of image" {
        /// The application.
        Sketch = "sketch",
        /// The filesystem.
        Filesystem = "filesystem",
    }
}

impl Part {
    /// The part that a check-in asks for; one that only asks for the version means the sketch.
    pub(crate) fn asked_for(check_in: &CheckIn) -> Self {
        match check_in.mode {
            Mode::Filesystem => Self::Filesystem,
            Mode::Sketch | Mode::Version => Self::Sketch,
        }
    }

    /// The same in core's words.
    pub(crate) fn target(self) -> OtaTarget {
        match self {
            Self::Sketch => OtaTarget::Sketch,
            Self::Filesystem => OtaTarget::Filesystem,
        }
    }
}

/// One image that was uploaded or lay in the catalog. It stays known when its bytes are gone, so
/// that a device which still runs it is no unknown build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredImage {
    /// What it is. Its SHA-256 is its key.
    pub image: Image,
    /// The name of the file that it came as.
    pub name: String,
    /// When it was first seen.
    pub stored_at: Timestamp,
    /// Where its bytes are.
    pub place: Place,
    /// The product's key that its signature holds under.
    pub signed_by: Option<KeyId>,
}

named! {
    /// Where the bytes of an image are.
    pub(crate) enum Place: "place of an image" {
        /// In the store of images.
        Store = "store",
        /// In the catalog's folder only.
        Catalog = "catalog",
        /// Nowhere any more.
        Gone = "gone",
    }
}

/// A digest by which a device tells what sketch it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum SketchDigest {
    /// MD5 over the sketch as it stands in flash.
    Md5(Md5),
    /// The digest appended to an ESP32 image.
    Sha256(Sha256),
}

impl SketchDigest {
    /// The digest that speaks for a check-in: an ESP32's appended one goes before the MD5.
    pub(crate) fn reported(check_in: &CheckIn) -> Option<Self> {
        let sha256 = check_in.sketch_sha256.map(Self::Sha256);
        sha256.or(check_in.sketch_md5.map(Self::Md5))
    }
}

impl fmt::Display for SketchDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Md5(md5) => md5.fmt(f),
            Self::Sha256(sha256) => sha256.fmt(f),
        }
    }
}

/// A row of the index from digests to images. Two images may share a digest: a gzip and what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunningDigest {
    /// What a device reports.
    pub digest: SketchDigest,
    /// The image that it then runs.
    pub image: Sha256,
    /// Byte 2 of the header that stands in its flash, if the digest tells.
    pub flash_mode: Option<u8>,
}

impl RunningDigest {
    /// Every row of an image.
    pub(crate) fn all(image: &Image) -> impl Iterator<Item = Self> {
        let row = |digest, flash_mode| Self { digest, image: image.sha256, flash_mode };
        let by_mode = image.running_md5.len() > 1;
        let md5 = (0..)
            .zip(&image.running_md5)
            .map(move |(mode, &md5)| row(SketchDigest::Md5(md5), Some(mode).filter(|_| by_mode)));
        md5.chain(image.running_sha256.map(|sha256| row(SketchDigest::Sha256(sha256), None)))
    }
}
