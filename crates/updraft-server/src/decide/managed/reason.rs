//! Every reason why a device on a managed path gets nothing, with its stable name and its words. API,
//! log, dashboard and command line all show these.

use std::fmt;

use jiff::Timestamp;
use updraft_core::{Chip, gates};

use crate::fleet::{ChannelName, Counts, Part, ProductName};

/// Why a device gets nothing now: to it, "no update".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// There are too many devices that nobody knows: this one was not registered.
    RegistryFull,
    /// A person has to let it in first.
    Pending,
    /// Two modules seem to use its identity.
    Conflict,
    /// A person blocked it.
    Blocked,
    /// A person works on it.
    HandsOff,
    /// It asked not to be sent anything.
    Asked,
    /// Nothing says which product it is.
    NoProduct {
        /// What it seems to run.
        suggestion: Option<ProductName>,
    },
    /// It asks for another product than its own.
    ProductMismatch {
        /// The product that it asks for.
        asked: ProductName,
        /// Its own.
        registered: ProductName,
    },
    /// Its channel points to no release.
    NothingReleased(ChannelName),
    /// The release that it is tied to is not there.
    PinGone,
    /// The release is withdrawn.
    Yanked(String),
    /// It runs a build that nobody published.
    UnknownBuild(Build),
    /// Somebody keeps flashing it.
    FoughtOver,
    /// A version that it must not skip was never published, or was withdrawn.
    FloorMissing(String),
    /// Whether it would skip that version nobody can tell.
    FloorUnknown(String),
    /// The release has no such image.
    NoImage(Part),
    /// The release has images for several chips, and which one this is is not known.
    ChipUnknown(Vec<Chip>),
    /// The image would not be taken, or not survived.
    Device(gates::Reason),
    /// No device could install it.
    NotOta(Box<str>),
    /// Its bytes are not there any more.
    Gone,
    /// The release has only a gzip for it, and it must not be sent one.
    OnlyGzip(NoGzip),
    /// The product demands a signature.
    Unsigned,
    /// The signature is of another key than the product's.
    WrongKey,
    /// It would be taken to a lower version.
    Downgrade {
        /// What it runs.
        from: String,
        /// What it would be sent.
        to: String,
    },
    /// The image came to nothing too often.
    AttemptsExhausted,
    /// The last downloads died.
    BackingOff {
        /// Until then.
        until: Timestamp,
    },
    /// It was sent all of it, and has not restarted yet.
    Settling,
    /// It is being sent the image, elsewhere.
    Downloading,
    /// It was sent this filesystem already.
    FilesystemSent,
}

/// Why an unknown build stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Build {
    /// The product lets all of them stay.
    Kept,
    /// It reports no version.
    NoVersion,
    /// It has changes that are in no commit.
    Dirty,
    /// Its version cannot be compared.
    Unordered,
    /// Its version is not lower.
    NotLower,
}

/// Why a device is sent no gzip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoGzip {
    /// Only an ESP8266 inflates, and only sketches.
    CannotInflate,
    /// The product or a person says so.
    Never,
    /// It never confirmed one, and nobody said that it can.
    Unproven,
    /// The flash mode inside cannot be compared with the running one.
    ModeUnknown,
    /// The flash mode inside is another one.
    Mode,
    /// There is no room to inflate it.
    Room,
    /// It is not signed by the product's key.
    Unsigned,
}

/// Why a device is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Devices that nobody knows are not let in.
    Closed,
    /// Its identity is one that anybody can claim, and the product is private.
    Private,
    /// It did not show what the product asks for.
    Credentials,
    /// There is no such product.
    NoSuchProduct,
}

impl Hold {
    /// Whether it is in the ordinary course of things: nobody need look at it.
    pub(crate) fn is_usual(&self) -> bool {
        matches!(
            self,
            Self::HandsOff
                | Self::Asked
                | Self::NothingReleased(_)
                | Self::BackingOff { .. }
                | Self::Settling
                | Self::Downloading
                | Self::FilesystemSent
        )
    }

    /// Its stable name.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::RegistryFull => "registry_full",
            Self::Pending => "pending",
            Self::Conflict => "conflict",
            Self::Blocked => "blocked",
            Self::HandsOff => "hands_off",
            Self::Asked => "asked",
            Self::NoProduct { .. } => "no_product",
            Self::ProductMismatch { .. } => "product_mismatch",
            Self::NothingReleased(_) => "nothing_released",
            Self::PinGone => "pin_gone",
            Self::Yanked(_) => "yanked",
            Self::UnknownBuild(_) => "unknown_build",
            Self::FoughtOver => "fought_over",
            Self::FloorMissing(_) => "floor_missing",
            Self::FloorUnknown(_) => "floor_unknown",
            Self::NoImage(_) => "no_image",
            Self::ChipUnknown(_) => "chip_unknown",
            Self::Device(reason) => device_name(reason),
            Self::NotOta(_) => "not_ota",
            Self::Gone => "image_gone",
            Self::OnlyGzip(_) => "only_gzip",
            Self::Unsigned => "unsigned",
            Self::WrongKey => "wrong_key",
            Self::Downgrade { .. } => "downgrade",
            Self::AttemptsExhausted => "attempts_exhausted",
            Self::BackingOff { .. } => "backing_off",
            Self::Settling => "settling",
            Self::Downloading => "downloading",
            Self::FilesystemSent => "filesystem_sent",
        }
    }
}

fn device_name(reason: &gates::Reason) -> &'static str {
    use gates::Reason;
    match reason {
        Reason::Family(_) => "wrong_family",
        Reason::Chip { .. } => "wrong_chip",
        Reason::FilesystemForSketch | Reason::SketchForFilesystem => "wrong_kind",
        Reason::GzipForEsp32 | Reason::GzipForFilesystem => "gzip",
        Reason::TooLarge { .. } | Reason::FilesystemTooLarge { .. } => "too_large",
        Reason::NoOtaPartition => "no_ota_partition",
        Reason::NoRoomToInflate { .. } => "no_room_to_inflate",
        Reason::FlashSize { .. } => "flash_size",
        Reason::SignedMode => "signed_mode",
        Reason::GzipMode => "gzip_mode",
        _ => "device",
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::RegistryFull => "too many unknown devices are registered; this one is not",
            Self::Pending => "it waits to be accepted",
            Self::Conflict => "two modules seem to use its identity",
            Self::Blocked => "it is blocked",
            Self::HandsOff => "hands off: somebody works on it",
            Self::Asked => "it asked for nothing now (hold=1)",
            Self::NoProduct { suggestion: None } => "nothing says which product it is",
            Self::NoProduct { suggestion: Some(product) } => {
                return write!(f, "nothing says which product it is; it seems to run {product}");
            }
            Self::ProductMismatch { asked, registered } => {
                return write!(f, "it asks for {asked}, but belongs to {registered}");
            }
            Self::NothingReleased(channel) => {
                return write!(f, "its channel {channel} points to no release");
            }
            Self::PinGone => "the release that it is pinned to does not exist in its product",
            Self::Yanked(version) => return write!(f, "{version} was yanked"),
            Self::UnknownBuild(build) => return build.fmt(f),
            Self::FoughtOver => {
                "somebody keeps flashing it: twice within a day it ran something else after a \
                 confirmation"
            }
            Self::FloorMissing(floor) => {
                return write!(f, "it must not skip {floor}, and that is not to be had");
            }
            Self::FloorUnknown(floor) => {
                return write!(f, "it must not skip {floor}, and its version cannot be compared");
            }
            Self::NoImage(part) => return write!(f, "the release has no {part} image"),
            Self::ChipUnknown(chips) => {
                f.write_str("which chip it is is not known, and the release has images for ")?;
                let mut chips = chips.iter().map(|chip| chip.name());
                f.write_str(chips.next().unwrap_or("several"))?;
                return chips.try_for_each(|chip| write!(f, ", {chip}"));
            }
            Self::Device(reason) => return reason.fmt(f),
            Self::NotOta(why) => return f.write_str(why),
            Self::Gone => "the image is not there any more",
            Self::OnlyGzip(why) => return write!(f, "the release has only a gzip, and {why}"),
            Self::Unsigned => "the image is not signed, and the product demands it",
            Self::WrongKey => "the image is not signed by the product's key",
            Self::Downgrade { from, to } => {
                return write!(f, "it runs {from}, and {to} is lower");
            }
            Self::AttemptsExhausted => {
                let most = Counts::MOST_TRIES;
                return write!(f, "it came to nothing {most} times; retry lets it try again");
            }
            Self::BackingOff { until } => {
                return write!(f, "its downloads died; the next one not before {until:.0}");
            }
            Self::Settling => "all of it arrived, and the device has not restarted yet",
            Self::Downloading => "it is being sent already, to another address",
            Self::FilesystemSent => "it was sent this filesystem already; retry sends it again",
        };
        f.write_str(words)
    }
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self {
            Self::Kept => "which this product keeps",
            Self::NoVersion => "which reports no version",
            Self::Dirty => "with changes that are in no commit",
            Self::Unordered => "whose version cannot be compared",
            Self::NotLower => "whose version is not lower",
        };
        write!(f, "it runs a build that nobody published, {why}; adopt lets it be replaced")
    }
}

impl fmt::Display for NoGzip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CannotInflate => "nobody there inflates it",
            Self::Never => "it is to be sent none",
            Self::Unproven => "it never proved to take one",
            Self::ModeUnknown => "its running flash mode is not known",
            Self::Mode => "the flash mode inside is another than the running one",
            Self::Room => "there is no room to inflate it",
            Self::Unsigned => "it is not signed by the product's key",
        })
    }
}

impl Refusal {
    /// Its stable name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Private => "private",
            Self::Credentials => "credentials",
            Self::NoSuchProduct => "no_such_product",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "unknown devices are not let in",
            Self::Private => "the product is private, and anybody can claim its identity",
            Self::Credentials => "it did not show what the product asks for",
            Self::NoSuchProduct => "there is no such product",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use updraft_core::Family;

    use super::*;

    #[test]
    fn every_reason_has_its_own_name_and_words() {
        let product = || "door".parse().unwrap();
        let until = Timestamp::from_second(1_800_000_000).unwrap();
        let holds = [
            Hold::RegistryFull,
            Hold::Pending,
            Hold::Conflict,
            Hold::Blocked,
            Hold::HandsOff,
            Hold::Asked,
            Hold::NoProduct { suggestion: Some(product()) },
            Hold::ProductMismatch { asked: product(), registered: "temp".parse().unwrap() },
            Hold::NothingReleased(ChannelName::stable()),
            Hold::PinGone,
            Hold::Yanked("1.1.0".into()),
            Hold::UnknownBuild(Build::Dirty),
            Hold::FoughtOver,
            Hold::FloorMissing("1.1.0".into()),
            Hold::FloorUnknown("1.1.0".into()),
            Hold::NoImage(Part::Filesystem),
            Hold::ChipUnknown(vec![Chip::Esp32, Chip::Esp32S3]),
            Hold::Device(gates::Reason::Family(Family::Esp32)),
            Hold::Device(gates::Reason::Chip { image: Chip::Esp32, device: Chip::Esp32S3 }),
            Hold::Device(gates::Reason::TooLarge { needs: 2, free: 1 }),
            Hold::Device(gates::Reason::NoOtaPartition),
            Hold::Device(gates::Reason::FlashSize { image: 2, chip: 1 }),
            Hold::Device(gates::Reason::SignedMode),
            Hold::NotOta("a boot loader".into()),
            Hold::Gone,
            Hold::OnlyGzip(NoGzip::Unproven),
            Hold::Unsigned,
            Hold::WrongKey,
            Hold::Downgrade { from: "1.1.0".into(), to: "1.0.0".into() },
            Hold::AttemptsExhausted,
            Hold::BackingOff { until },
            Hold::Settling,
            Hold::Downloading,
            Hold::FilesystemSent,
        ];
        let names: BTreeSet<&str> = holds.iter().map(Hold::name).collect();
        let words: BTreeSet<String> = holds.iter().map(Hold::to_string).collect();
        assert_eq!((names.len(), words.len()), (holds.len(), holds.len()), "{words:#?}");
        for words in words {
            assert!(!words.ends_with('.') && !words.is_empty(), "{words}");
        }
    }

    #[test]
    fn some_words() {
        let check = |hold: Hold, words: &str| assert_eq!(hold.to_string(), words);
        check(
            Hold::ChipUnknown(vec![Chip::Esp32, Chip::Esp32S3]),
            "which chip it is is not known, and the release has images for esp32, esp32s3",
        );
        check(
            Hold::UnknownBuild(Build::NotLower),
            "it runs a build that nobody published, whose version is not lower; adopt lets it be \
             replaced",
        );
        check(
            Hold::BackingOff { until: Timestamp::from_second(1_800_000_000).unwrap() },
            "its downloads died; the next one not before 2027-01-15T08:00:00Z",
        );
    }
}
