//! What a device runs, by the digest that it reports; its version counts where that says nothing.

use std::cmp::Ordering;
use std::fmt;

use updraft_core::Chip;

use crate::check_in::CheckIn;
use crate::digest::Md5;
use crate::fleet::{
    Edition, KnownChip, KnownFrom, Line, Published, RunningDigest, SketchDigest, StoredImage,
    Version,
};

/// What a device runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Runs<'a> {
    /// An image that is known.
    Image {
        /// The image, or one of several with this digest.
        image: &'a StoredImage,
        /// All that have it.
        all: &'a [RunningDigest],
        /// Its product's release that has it.
        edition: Option<&'a Edition>,
        /// The version that it reports.
        reported: Option<&'a str>,
    },
    /// A build that nobody published.
    Unknown {
        /// Its digest.
        digest: SketchDigest,
        /// The version that it reports.
        reported: Option<&'a str>,
    },
    /// It reports no digest, so its version counts.
    Version(&'a str),
    /// It reports nothing.
    Nothing,
}

impl<'a> Runs<'a> {
    /// What a device runs that checks in, as a device of a product.
    pub(super) fn new(
        check_in: &'a CheckIn,
        published: &'a Published,
        line: Option<&'a Line>,
    ) -> Self {
        let reported = check_in.version.as_deref();
        let Some(digest) = SketchDigest::reported(check_in) else {
            return reported.map_or(Self::Nothing, Self::Version);
        };
        let all = published.running(check_in);
        let edition = line.and_then(|line| line.edition_with(all));
        let in_edition = |row: &&RunningDigest| {
            edition.is_some_and(|edition| edition.images.iter().any(|i| i.image == row.image))
        };
        let row = all.iter().find(in_edition).or(all.first());
        match row.and_then(|row| published.image(&row.image)) {
            Some(image) => Self::Image { image, all, edition, reported },
            None => Self::Unknown { digest, reported },
        }
    }

    /// Whether it is this release.
    pub(super) fn is(&self, edition: &Edition, line: &Line) -> bool {
        match self {
            Self::Image { all, .. } => edition.runs_as(all),
            Self::Version(text) => {
                *text == edition.release.version
                    || line.version(text).order(&edition.version).is_some_and(Ordering::is_eq)
            }
            Self::Unknown { .. } | Self::Nothing => false,
        }
    }

    /// Its version, as far as anything tells: the release's, else the image's, else what it reports.
    pub(super) fn version_text(&self) -> Option<&'a str> {
        match *self {
            Self::Image { image, edition, reported, .. } => edition
                .map(|edition| edition.release.version.as_str())
                .or(image.image.version.as_deref())
                .or(reported),
            Self::Unknown { reported, .. } => reported,
            Self::Version(text) => Some(text),
            Self::Nothing => None,
        }
    }

    /// The same, to be compared.
    pub(super) fn version(&self, line: &Line) -> Option<Version> {
        self.version_text().map(|text| line.version(text))
    }

    /// The version of the image that it runs, if it reports another one.
    pub(super) fn differs(&self, line: &Line) -> Option<(&'a str, &'a str)> {
        let Self::Image { edition: Some(edition), reported: Some(reported), .. } = *self else {
            return None;
        };
        let version = edition.release.version.as_str();
        let is_same = reported == version
            || line.version(reported).order(&edition.version).is_some_and(Ordering::is_eq);
        (!is_same).then_some((reported, version))
    }

    /// Byte 2 of the image header in its flash, as its digest betrays it.
    pub(crate) fn flash_mode(&self) -> Option<u8> {
        match self {
            Self::Image { all, .. } => all.iter().find_map(|row| row.flash_mode),
            _ => None,
        }
    }

    /// The chip that the image it runs is made for.
    pub(crate) fn chip(&self) -> Option<KnownChip> {
        let chip: Option<Chip> = match self {
            Self::Image { image, .. } => image.image.chip,
            _ => None,
        };
        chip.map(|chip| KnownChip { chip, from: KnownFrom::Digest })
    }

    /// MD5 of the file that it runs.
    pub(super) fn md5(&self) -> Option<Md5> {
        match self {
            Self::Image { image, .. } => Some(image.image.md5),
            _ => None,
        }
    }
}

impl fmt::Display for Runs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image { edition: Some(edition), .. } => {
                write!(f, "runs {} {}", edition.release.product, edition.release.version)
            }
            Self::Image { image, edition: None, .. } => {
                write!(f, "runs {}, which is no release of its product", image.name)
            }
            Self::Unknown { digest, reported } => {
                write!(f, "runs an unknown build with digest {digest}, ")?;
                match reported {
                    Some(version) => write!(f, "which says it is {version}"),
                    None => f.write_str("which reports no version"),
                }
            }
            Self::Version(version) => write!(f, "says it runs {version}, without a digest"),
            Self::Nothing => f.write_str("does not say what it runs"),
        }
    }
}
