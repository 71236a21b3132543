//! Releases, the images in them, and the channels that point to one.

use jiff::Timestamp;
use updraft_core::Chip;

use crate::digest::Sha256;

use super::{ChannelName, Part, ProductName};

/// Number of a release's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ReleaseKey(pub(crate) i64);

/// A version of a product. What is in it never changes once it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Release {
    /// Its row.
    pub key: ReleaseKey,
    /// Of this product.
    pub product: ProductName,
    /// Its version, as the publisher wrote it.
    pub version: String,
    /// A text that sorts as the version does: `version::sort_key`.
    pub sort_key: String,
    /// Withdrawn: offered to no device any more.
    pub yanked: Option<Yank>,
    /// What the publisher wrote about it.
    pub notes: String,
    /// When it was published.
    pub published_at: Timestamp,
    /// By whom: a token's or a person's name.
    pub published_by: String,
}

/// The withdrawal of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Yank {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// Why, in the words of who did it.
    pub why: String,
}

/// One image of a release. A release has one for each part, chip, flash size and form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReleaseImage {
    /// The release.
    pub release: ReleaseKey,
    /// What it is for.
    pub part: Part,
    /// The chip it is for; `None`: any, as for a filesystem.
    pub chip: Option<Chip>,
    /// Bytes of flash that it expects; `None`: any.
    pub flash_size: Option<u32>,
    /// The image. Whether it is a gzip, its facts say.
    pub image: Sha256,
}

/// A product's named pointer to one release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Channel {
    /// The product.
    pub product: ProductName,
    /// Its name.
    pub name: ChannelName,
    /// The release it points to; `None`: nothing yet.
    pub release: Option<ReleaseKey>,
    /// When it was moved there.
    pub moved_at: Timestamp,
    /// By whom.
    pub moved_by: String,
}
