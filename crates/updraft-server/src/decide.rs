//! Decides what a device that asks for a catalog file by name gets. Pure: the check-in, the file and
//! what the device is known to run come in, a decision with its reason goes out.

use std::fmt;

use updraft_core::{Chip, Family};

use crate::catalog::image::{Image, Target};
use crate::check_in::{CheckIn, Mode};

/// The answer to a check-in, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Send the image.
    Offer(Note),
    /// The device runs it already.
    UpToDate,
    /// Do not send it: the device would refuse it, or not survive it.
    Refuse(Reason),
}

/// What a person should know of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// Nothing.
    None,
    /// The file is not recognised, so nothing speaks for or against it.
    Unrecognised,
    /// The gates are off, and this reason would have held it back.
    GateOff(Reason),
}

/// Why a device does not get a file. `Display` gives the words that the log shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The image is for the other family of chips.
    Family(Family),
    /// The image is for another chip of the same family.
    Chip {
        /// What the image is for.
        image: Chip,
        /// What the device is, known from what it runs.
        device: Chip,
    },
    /// A sketch was asked for, and this is a filesystem.
    FilesystemForSketch,
    /// A filesystem was asked for, and this is a sketch.
    SketchForFilesystem,
    /// No device could install this file: the words say why.
    NotOta(Box<str>),
    /// Only the ESP8266's boot loader inflates.
    GzipForEsp32,
    /// A filesystem image is written as it comes: nobody inflates it.
    GzipForFilesystem,
    /// It needs more room than the device has.
    TooLarge {
        /// Bytes it takes, in whole sectors on the ESP8266.
        needs: u64,
        /// Bytes the device reports as free.
        free: u64,
    },
    /// The device has no application partition to write to.
    NoOtaPartition,
    /// The inflated image would run over the compressed one while eboot reads it.
    NoRoomToInflate {
        /// Bytes the inflated image takes, in whole sectors.
        needs: u64,
        /// Where the compressed image would be staged.
        start: u64,
    },
    /// The image expects more flash than the chip has.
    FlashSize {
        /// Bytes the image's header names.
        image: u64,
        /// Bytes the device reports.
        chip: u64,
    },
    /// The signature would be checked over the rewritten flash mode and fail (error 12).
    SignedMode,
    /// The flash mode inside a gzip cannot be rewritten, and it is not the one the device runs.
    GzipMode,
}

/// What a device is known to run, by a digest it reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Running<'a> {
    /// The image.
    pub image: &'a Image,
    /// Byte 2 of its header as it stands in the device's flash; `None` on the ESP32.
    pub flash_mode: Option<u8>,
}

/// What an operator may switch off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Refuse what the device would not survive.
    pub gate: Gate,
    /// Answer 304 to a device that runs the file already.
    pub same: Same,
}

/// Whether known contradictions are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// They are.
    Closed,
    /// They are only noted (`--no-gate`).
    Open,
}

/// What a device gets that runs the file already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Same {
    /// "Not modified".
    NotModified,
    /// The file again (`--resend`).
    Resend,
}

/// Decides on a catalog file that a device asked for by name.
pub(crate) fn decide_file(
    check_in: &CheckIn,
    image: &Image,
    running: Option<Running<'_>>,
    policy: Policy,
) -> Decision {
    if policy.same == Same::NotModified && runs_already(check_in, image) {
        return Decision::UpToDate;
    }
    match (contradiction(check_in, image, running), policy.gate) {
        (Some(reason), Gate::Closed) => Decision::Refuse(reason),
        (Some(reason), Gate::Open) => Decision::Offer(Note::GateOff(reason)),
        (None, _) if image.target == Target::Unrecognised => Decision::Offer(Note::Unrecognised),
        (None, _) => Decision::Offer(Note::None),
    }
}

/// Whether the digest a device reports is one of this image. A filesystem request carries the
/// sketch's digest, which says nothing of the filesystem; and Tasmota takes a 304 for a success and
/// restarts.
fn runs_already(check_in: &CheckIn, image: &Image) -> bool {
    check_in.mode == Mode::Sketch
        && !check_in.version.as_deref().is_some_and(is_tasmota)
        && image.running_as(check_in).is_some()
}

/// Whether a version is shaped as Tasmota's: `13.4.0(tasmota)`.
fn is_tasmota(version: &str) -> bool {
    version.strip_suffix(')').and_then(|v| v.split_once('(')).is_some_and(|(numbers, name)| {
        !name.is_empty()
            && numbers.contains('.')
            && numbers.split('.').all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// The first known reason why this device must not get this file. What is not known is no reason.
fn contradiction(
    check_in: &CheckIn,
    image: &Image,
    running: Option<Running<'_>>,
) -> Option<Reason> {
    if let Target::Never(why) = &image.target {
        return Some(Reason::NotOta(why.clone()));
    }
    if let Some(family) = image.family().filter(|&family| family != check_in.family) {
        return Some(Reason::Family(family));
    }
    if let (Some(image), Some(device)) = (image.chip, running.and_then(|r| r.image.chip))
        && image != device
    {
        return Some(Reason::Chip { image, device });
    }
    if check_in.mode == Mode::Filesystem {
        return match image.target {
            Target::Sketch => Some(Reason::SketchForFilesystem),
            _ if image.is_gzip() => Some(Reason::GzipForFilesystem),
            _ => None,
        };
    }
    if image.target == Target::Filesystem {
        return Some(Reason::FilesystemForSketch);
    }
    match check_in.family {
        Family::Esp8266 => esp8266(check_in, image, running),
        Family::Esp32 => esp32(check_in, image),
    }
    .or_else(|| flash_size(check_in, image))
}

/// Flash sector of the ESP8266: updates are staged and copied in whole ones.
const SECTOR: u64 = 4096;

fn esp8266(check_in: &CheckIn, image: &Image, running: Option<Running<'_>>) -> Option<Reason> {
    let sectors = |bytes: u64| bytes.div_ceil(SECTOR).saturating_mul(SECTOR);
    if let Some(free) = check_in.free_space {
        let needs = sectors(image.size);
        if needs > free {
            return Some(Reason::TooLarge { needs, free });
        }
        if let (Some(inflated), Some(sketch)) = (image.inflated, check_in.sketch_size) {
            // free = end - sectors(sketch), and the file is staged right below end.
            let start = free.saturating_add(sectors(sketch)).saturating_sub(needs);
            let needs = sectors(inflated);
            if needs > start {
                return Some(Reason::NoRoomToInflate { needs, start });
            }
        }
    }
    let mode = running.and_then(|r| r.flash_mode)?;
    let other_mode = image.flash_mode.is_some_and(|of_image| of_image != mode);
    if other_mode && image.is_gzip() {
        return Some(Reason::GzipMode);
    }
    (other_mode && image.signed).then_some(Reason::SignedMode)
}

fn esp32(check_in: &CheckIn, image: &Image) -> Option<Reason> {
    if image.is_gzip() {
        return Some(Reason::GzipForEsp32);
    }
    let free = check_in.free_space?;
    if free == 0 {
        return Some(Reason::NoOtaPartition);
    }
    (image.size > free).then_some(Reason::TooLarge { needs: image.size, free })
}

fn flash_size(check_in: &CheckIn, image: &Image) -> Option<Reason> {
    let (image, chip) = (u64::from(image.flash_size?), check_in.chip_size?);
    (image > chip).then_some(Reason::FlashSize { image, chip })
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Family(family) => write!(f, "the image is for the {family}"),
            Self::Chip { image, device } => {
                write!(f, "the image is for the {image}, the device is a {device}")
            }
            Self::FilesystemForSketch => f.write_str("the file is a filesystem, not a sketch"),
            Self::SketchForFilesystem => f.write_str("the file is a sketch, not a filesystem"),
            Self::NotOta(why) => f.write_str(why),
            Self::GzipForEsp32 => f.write_str("an ESP32 does not inflate"),
            Self::GzipForFilesystem => f.write_str("no device inflates a filesystem image"),
            Self::TooLarge { needs, free } => {
                write!(f, "it needs {needs} bytes, the device has {free} free")
            }
            Self::NoOtaPartition => f.write_str("the device has no second application partition"),
            Self::NoRoomToInflate { needs, start } => {
                write!(f, "inflated it needs {needs} bytes, and only {start} can be overwritten")
            }
            Self::FlashSize { image, chip } => {
                write!(f, "the image expects {image} bytes of flash, the chip has {chip}")
            }
            Self::SignedMode => f.write_str(
                "the flash mode would be rewritten, and the signature would fail (error 12)",
            ),
            Self::GzipMode => {
                f.write_str("the flash mode inside the gzip differs from the running one")
            }
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offer(Note::None) => f.write_str("sent"),
            Self::Offer(Note::Unrecognised) => f.write_str("sent, though not recognised"),
            Self::Offer(Note::GateOff(reason)) => write!(f, "sent with gates off, though {reason}"),
            Self::UpToDate => f.write_str("runs it already"),
            Self::Refuse(reason) => reason.fmt(f),
        }
    }
}
