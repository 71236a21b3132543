//! What a device would not take, or not survive: the rules that the server's gate and
//! `updraft image verify` share. Pure. What is not known is no reason, and no rule knows a policy.

use core::fmt;

use crate::chip::{Chip, Family};
use crate::facts::{Facts, NotOta, OtaTarget};

/// What the rules need of one file that could be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// Where it can be installed; `None` if it was not recognised: perhaps encrypted.
    pub target: Option<OtaTarget>,
    /// The chip it is for, where the bytes say so.
    pub chip: Option<Chip>,
    /// Length of the file in bytes, with its signature.
    pub size: u64,
    /// Length in bytes once inflated; `None` if it is no gzip.
    pub inflated: Option<u64>,
    /// Flash size in bytes that the image's header names.
    pub flash_size: Option<u32>,
    /// Byte 2 of the image's header.
    pub flash_mode: Option<u8>,
    /// Whether a signature stands behind it.
    pub signed: bool,
}

/// What is known of a device that asks for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its family.
    pub family: Family,
    /// Its chip.
    pub chip: Option<Chip>,
    /// Where it would write the file.
    pub asks_for: OtaTarget,
    /// Bytes it reports as free for a sketch.
    pub free_space: Option<u64>,
    /// Bytes of the sketch that it runs.
    pub sketch_size: Option<u64>,
    /// Bytes of its flash.
    pub chip_size: Option<u64>,
    /// Bytes of its filesystem, which no device reports.
    pub filesystem_size: Option<u64>,
    /// Byte 2 of the image header in its flash.
    pub flash_mode: Option<u8>,
}

/// Why a device must not get a file. `Display` gives the words that people are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The image is for the other family of chips.
    Family(Family),
    /// The image is for another chip of the same family.
    Chip {
        /// What the image is for.
        image: Chip,
        /// What the device is.
        device: Chip,
    },
    /// A sketch was asked for, and this is a filesystem.
    FilesystemForSketch,
    /// A filesystem was asked for, and this is a sketch.
    SketchForFilesystem,
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
    /// It is longer than the filesystem it would replace.
    FilesystemTooLarge {
        /// Bytes it takes.
        needs: u64,
        /// Bytes of the filesystem.
        has: u64,
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

/// A rule: why this device must not get this image.
pub type Rule = fn(&Image, &Device) -> Option<Reason>;

/// Every rule, in the order in which reasons are given.
pub const RULES: [Rule; 6] = [family, chip, form, room, flash_mode, flash_size];

/// The first reason why this device must not get this image.
pub fn contradiction(image: &Image, device: &Device) -> Option<Reason> {
    RULES.iter().find_map(|rule| rule(image, device))
}

/// Whether the image would have to be in the flash mode that the device runs, as nobody can rewrite
/// it, and that mode is not known.
pub fn is_mode_unproven(image: &Image, device: &Device) -> bool {
    writes_sketch(device, Family::Esp8266) && image.is_fixed() && device.flash_mode.is_none()
}

impl Image {
    /// What the rules need of `facts`; an error if no device could install it.
    pub fn new(facts: &Facts) -> Result<Self, NotOta> {
        let target = match facts.ota() {
            Ok(target) => Some(target),
            Err(NotOta::Unknown) => None,
            Err(never) => return Err(never),
        };
        Ok(Self {
            target,
            chip: facts.chip,
            size: facts.sizes.file,
            inflated: facts.inflated(),
            flash_size: facts.flash.and_then(|flash| flash.size),
            flash_mode: facts.flash.map(|flash| flash.mode.byte()),
            signed: facts.signature.is_some(),
        })
    }

    /// Whether the device cannot rewrite the flash mode in it.
    fn is_fixed(&self) -> bool {
        self.inflated.is_some() || self.signed
    }
}

/// The image is for this family of chips.
pub fn family(image: &Image, device: &Device) -> Option<Reason> {
    let family = image.chip?.family();
    (family != device.family).then_some(Reason::Family(family))
}

/// The image is for this chip.
pub fn chip(image: &Image, device: &Device) -> Option<Reason> {
    let (image, device) = (image.chip?, device.chip?);
    (image != device).then_some(Reason::Chip { image, device })
}

/// The file is what was asked for, in a form that the device can write.
pub fn form(image: &Image, device: &Device) -> Option<Reason> {
    let is_gzip = image.inflated.is_some();
    match (device.asks_for, image.target) {
        (OtaTarget::Filesystem, Some(OtaTarget::Sketch)) => Some(Reason::SketchForFilesystem),
        (OtaTarget::Filesystem, _) => is_gzip.then_some(Reason::GzipForFilesystem),
        (OtaTarget::Sketch, Some(OtaTarget::Filesystem)) => Some(Reason::FilesystemForSketch),
        (OtaTarget::Sketch, _) => {
            (is_gzip && device.family == Family::Esp32).then_some(Reason::GzipForEsp32)
        }
    }
}

/// The image fits where it is written to, and a gzip has room to inflate.
pub fn room(image: &Image, device: &Device) -> Option<Reason> {
    if device.asks_for == OtaTarget::Filesystem {
        let (needs, has) = (image.size, device.filesystem_size?);
        return (needs > has).then_some(Reason::FilesystemTooLarge { needs, has });
    }
    let free = device.free_space?;
    match device.family {
        Family::Esp32 if free == 0 => Some(Reason::NoOtaPartition),
        Family::Esp32 => {
            (image.size > free).then_some(Reason::TooLarge { needs: image.size, free })
        }
        Family::Esp8266 => {
            let needs = sectors(image.size);
            if needs > free {
                return Some(Reason::TooLarge { needs, free });
            }
            // free = end - sectors(sketch), and the file is staged right below end.
            let end = free.saturating_add(sectors(device.sketch_size?));
            let (start, needs) = (end.saturating_sub(needs), sectors(image.inflated?));
            (needs > start).then_some(Reason::NoRoomToInflate { needs, start })
        }
    }
}

/// The flash mode in the image is the one that the device runs, if it cannot be rewritten.
pub fn flash_mode(image: &Image, device: &Device) -> Option<Reason> {
    let is_other = image.flash_mode? != device.flash_mode?;
    let matters = writes_sketch(device, Family::Esp8266) && image.is_fixed();
    let reason = if image.inflated.is_some() { Reason::GzipMode } else { Reason::SignedMode };
    (matters && is_other).then_some(reason)
}

/// The chip has as much flash as the image expects.
pub fn flash_size(image: &Image, device: &Device) -> Option<Reason> {
    let (image, chip) = (u64::from(image.flash_size?), device.chip_size?);
    let matters = device.asks_for == OtaTarget::Sketch;
    (matters && image > chip).then_some(Reason::FlashSize { image, chip })
}

fn writes_sketch(device: &Device, family: Family) -> bool {
    device.asks_for == OtaTarget::Sketch && device.family == family
}

/// Bytes in whole flash sectors: the ESP8266 stages and copies no less.
fn sectors(bytes: u64) -> u64 {
    bytes.div_ceil(4096).saturating_mul(4096)
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Family(family) => write!(f, "the image is for the {family}"),
            Self::Chip { image, device } => {
                write!(f, "the image is for the {image}, the device is an {device}")
            }
            Self::FilesystemForSketch => f.write_str("the file is a filesystem, not a sketch"),
            Self::SketchForFilesystem => f.write_str("the file is a sketch, not a filesystem"),
            Self::GzipForEsp32 => f.write_str("an ESP32 does not inflate"),
            Self::GzipForFilesystem => f.write_str("no device inflates a filesystem image"),
            Self::TooLarge { needs, free } => {
                write!(f, "it needs {needs} bytes, the device has {free} free")
            }
            Self::FilesystemTooLarge { needs, has } => {
                write!(f, "it needs {needs} bytes, the filesystem has {has}")
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

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: Image = Image {
        target: Some(OtaTarget::Sketch),
        chip: Some(Chip::Esp8266),
        size: 400_000,
        inflated: None,
        flash_size: Some(4 << 20),
        flash_mode: Some(2),
        signed: false,
    };
    const DEVICE: Device = Device {
        family: Family::Esp8266,
        chip: None,
        asks_for: OtaTarget::Sketch,
        free_space: Some(1_695_744),
        sketch_size: Some(400_000),
        chip_size: Some(4 << 20),
        filesystem_size: None,
        flash_mode: Some(2),
    };
    const ESP32: Device =
        Device { family: Family::Esp32, free_space: Some(0x14_0000), flash_mode: None, ..DEVICE };

    fn check(image: Image, device: Device, expected: Option<Reason>) {
        assert_eq!(contradiction(&image, &device), expected, "{image:?} {device:?}");
    }

    #[test]
    fn each_rule_has_its_own_reason() {
        let for_esp32 = |chip| Image { chip: Some(chip), ..IMAGE };
        let filesystem =
            Image { target: Some(OtaTarget::Filesystem), chip: None, flash_size: None, ..IMAGE };
        let gzip = Image { inflated: Some(500_000), ..IMAGE };
        let unknown_gzip = Image { target: None, chip: None, flash_size: None, ..gzip };
        let wants_filesystem = Device { asks_for: OtaTarget::Filesystem, ..DEVICE };

        check(IMAGE, DEVICE, None);
        check(for_esp32(Chip::Esp32), ESP32, None);
        check(filesystem, wants_filesystem, None);
        check(IMAGE, ESP32, Some(Reason::Family(Family::Esp8266)));
        check(for_esp32(Chip::Esp32), DEVICE, Some(Reason::Family(Family::Esp32)));
        let (image, device) = (Chip::Esp32S3, Chip::Esp32C3);
        let c3 = Device { chip: Some(device), ..ESP32 };
        check(for_esp32(image), c3, Some(Reason::Chip { image, device }));
        check(filesystem, DEVICE, Some(Reason::FilesystemForSketch));
        let small = Device { filesystem_size: Some(399_999), ..wants_filesystem };
        let too_large = Reason::FilesystemTooLarge { needs: 400_000, has: 399_999 };
        check(filesystem, small, Some(too_large));
        check(filesystem, Device { filesystem_size: Some(400_000), ..small }, None);
        check(IMAGE, wants_filesystem, Some(Reason::SketchForFilesystem));
        check(unknown_gzip, wants_filesystem, Some(Reason::GzipForFilesystem));
        check(unknown_gzip, ESP32, Some(Reason::GzipForEsp32));
        let one_partition = Device { free_space: Some(0), ..ESP32 };
        check(for_esp32(Chip::Esp32), one_partition, Some(Reason::NoOtaPartition));
        let small = Device { chip_size: Some(1 << 20), ..DEVICE };
        check(IMAGE, small, Some(Reason::FlashSize { image: 4 << 20, chip: 1 << 20 }));
        let other_mode = Device { flash_mode: Some(3), ..DEVICE };
        check(gzip, other_mode, Some(Reason::GzipMode));
        check(Image { signed: true, ..IMAGE }, other_mode, Some(Reason::SignedMode));
        check(IMAGE, other_mode, None);
    }

    #[test]
    fn room_is_counted_in_sectors_on_the_esp8266_and_in_bytes_on_the_esp32() {
        let device = Device { free_space: Some(491_520), ..DEVICE };
        check(Image { size: 491_520, ..IMAGE }, device, None);
        let too_large = Reason::TooLarge { needs: 495_616, free: 491_520 };
        check(Image { size: 491_521, ..IMAGE }, device, Some(too_large));
        let image = Image { chip: Some(Chip::Esp32), size: 0x14_0000, ..IMAGE };
        check(image, ESP32, None);
        let too_large = Reason::TooLarge { needs: 0x14_0001, free: 0x14_0000 };
        check(Image { size: 0x14_0001, ..image }, ESP32, Some(too_large));
    }

    #[test]
    fn a_gzip_must_have_room_to_inflate() {
        // 4m3m: one MiB for both. The old sketch takes 401,408 bytes in sectors, 647,168 are free;
        // staged at 1,048,576 - 303,104 = 745,472.
        let device = Device { free_space: Some(647_168), ..DEVICE };
        let gzip = |inflated| Image { size: 300_000, inflated: Some(inflated), ..IMAGE };
        check(gzip(745_472), device, None);
        let no_room = Reason::NoRoomToInflate { needs: 749_568, start: 745_472 };
        check(gzip(745_473), device, Some(no_room));
        check(gzip(745_473), Device { sketch_size: None, ..device }, None);
    }

    #[test]
    fn what_is_not_known_is_no_reason() {
        let image = Image {
            target: None,
            chip: None,
            size: u64::MAX,
            inflated: None,
            flash_size: None,
            flash_mode: None,
            signed: true,
        };
        let device = Device {
            free_space: None,
            sketch_size: None,
            chip_size: None,
            flash_mode: None,
            ..DEVICE
        };
        check(image, device, None);
        assert!(is_mode_unproven(&image, &device));
        assert!(!is_mode_unproven(&image, &Device { flash_mode: Some(2), ..device }));
        assert!(!is_mode_unproven(&image, &ESP32));
        assert!(!is_mode_unproven(&Image { signed: false, ..image }, &device));
    }
}
