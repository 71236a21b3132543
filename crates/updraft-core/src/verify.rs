//! Would a device take this file, and would the device start with it? A list of checks over the facts
//! of the file and what is known of the device. Pure: nothing is read here, and what is not known is
//! said to be not checked.

use core::fmt;

use crate::chip::{Chip, Family};
use crate::facts::{Facts, Fault, Kind, NotOta, OtaTarget, Revisions, Signature, Verdict};
use crate::gates;
use crate::layout::Esp8266Layout;
use crate::partition::PartitionTable;
use crate::signature::{KeyKind, SignatureError};

/// What is known of a device, and of the signature behind the file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// Its chip.
    pub chip: Option<Chip>,
    /// How its flash is divided.
    pub flash: Option<Flash<'a>>,
    /// Bytes it reports as free for a sketch.
    pub free_space: Option<u64>,
    /// The image it runs, as it stands in its flash.
    pub running: Option<&'a Facts>,
    /// Whether a block of a secure boot sector holds by the key in it
    /// ([`Verifier::finish_sector`](crate::signature::Verifier::finish_sector)); `None` if nobody
    /// looked.
    pub block: Option<Result<KeyKind, SignatureError>>,
    /// Whether the file's signature holds by the key that the device has
    /// ([`Verifier::finish`](crate::signature::Verifier::finish)); `None` if that key is not known.
    pub key: Option<Result<KeyKind, SignatureError>>,
}

impl Known<'_> {
    /// The family of the device: by its chip or flash; else by the file, and an ESP8266 where that
    /// does not say, for only there anything but an application may be signed.
    pub fn device_family(&self, facts: &Facts) -> Family {
        let of_flash = self.flash.map(Flash::family);
        let of_chip = self.device_chip().map(Chip::family);
        of_chip.or(of_flash).or(facts.family()).unwrap_or(Family::Esp8266)
    }

    fn device_chip(&self) -> Option<Chip> {
        self.chip.or(self.running.and_then(|running| running.chip))
    }
}

/// How a flash is divided.
#[derive(Clone, Copy, Debug)]
pub enum Flash<'a> {
    /// As a linker script of the ESP8266 core says.
    Esp8266(Esp8266Layout),
    /// As a partition table says.
    Esp32(&'a PartitionTable),
}

/// One thing to check. [`Check::name`] is what scripts know it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Check {
    /// The file is of a kind that updaters install.
    Kind,
    /// The image is whole, and nothing stands behind it that does harm.
    Structure,
    /// A gzip is one that eboot inflates to what was compressed.
    Gzip,
    /// The XOR checksum of the boot loader before the application.
    BootChecksum,
    /// The XOR checksum.
    Checksum,
    /// Length and CRC-32 that `elf2bin` writes.
    Crc,
    /// The appended SHA-256.
    Hash,
    /// Lengths and places of segments, as ESP-IDF's boot loader asks for them.
    Segments,
    /// The image is for the device's chip.
    Chip,
    /// The image is for the revision of that chip.
    Revision,
    /// The device can write the file where it belongs.
    Form,
    /// The file fits where it is written to.
    Room,
    /// A gzip can be inflated without running over itself.
    Inflate,
    /// The flash is as large as the image expects: ESP8266 updaters refuse it else, an ESP32 does not
    /// get past its start.
    FlashSize,
    /// The flash mode is the running one, or can be rewritten.
    FlashMode,
    /// The anti-rollback counter is not lower than the running image's.
    SecureVersion,
    /// A block of a secure boot sector is whole, and holds by the key in it.
    SignatureBlock,
    /// The signature holds by the key that the device has.
    Signature,
    /// The code on the device that checks signatures takes keys of this kind.
    Verifier,
}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be.
    Passed,
    /// The device would refuse the file, or not survive it.
    Failed(Reason),
    /// Something is not known.
    NotChecked(Missing),
}

/// Why a check failed. `Display` gives the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// No device could install the file.
    NotOta(NotOta),
    /// This device could not.
    Device(gates::Reason),
    /// The length of a segment, counted from 0, is no multiple of four, or 16 MiB or more.
    SegmentLength(u8),
    /// A segment, counted from 0, that is read from flash in place does not stand where it is to be
    /// mapped.
    SegmentPlace(u8),
    /// The flash has no filesystem.
    NoFilesystem,
    /// The counter is lower than the running image's: a device with anti-rollback refuses it.
    SecureVersion {
        /// The image's.
        image: u32,
        /// The running one's.
        running: u32,
    },
    /// The signature does not hold.
    Signature(SignatureError),
    /// The chip's secure boot knows no keys of this kind.
    KeyOfChip {
        /// The chip.
        chip: Chip,
        /// The kind of the key.
        key: KeyKind,
    },
}

/// What would have to be known. `Display` gives the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Missing {
    /// The chip, or the running image.
    Chip,
    /// The revision of the chip, which the image asks for.
    Revision(Revisions),
    /// The free space; or the layout of the flash, and on the ESP8266 the running image, too.
    Room,
    /// The layout of the flash.
    Flash,
    /// The layout of the flash, or the running image.
    FlashSize,
    /// The running image.
    Running,
    /// The public key.
    Key,
    /// The public key, and so whether there is one: behind a gzip, an ESP8266 that checks no signature
    /// takes the signature's length for the size of what is inside.
    KeyOfGzip,
    /// What code checks signatures: that of Arduino's ESP8266 core (`SigningVerifier`) asks for
    /// signatures of 65 bytes when its key is of P-256, so it takes none. A sketch may bring another.
    Verifier,
}

/// Every check that says something of this file, with its outcome, in the order of the list.
pub fn checks<'a>(
    facts: &'a Facts,
    known: &'a Known<'a>,
) -> impl Iterator<Item = (Check, Outcome)> + 'a {
    let view = View { facts, known, image: gates::Image::new(facts).ok() };
    Check::ALL.into_iter().filter_map(move |check| Some((check, view.outcome(check)?)))
}

impl Check {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Kind,
        Self::Structure,
        Self::Gzip,
        Self::BootChecksum,
        Self::Checksum,
        Self::Crc,
        Self::Hash,
        Self::Segments,
        Self::Chip,
        Self::Revision,
        Self::Form,
        Self::Room,
        Self::Inflate,
        Self::FlashSize,
        Self::FlashMode,
        Self::SecureVersion,
        Self::SignatureBlock,
        Self::Signature,
        Self::Verifier,
    ];

    /// A short name that stays.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Structure => "structure",
            Self::Gzip => "gzip",
            Self::BootChecksum => "boot_checksum",
            Self::Checksum => "checksum",
            Self::Crc => "crc",
            Self::Hash => "hash",
            Self::Segments => "segments",
            Self::Chip => "chip",
            Self::Revision => "revision",
            Self::Form => "form",
            Self::Room => "room",
            Self::Inflate => "inflate",
            Self::FlashSize => "flash_size",
            Self::FlashMode => "flash_mode",
            Self::SecureVersion => "secure_version",
            Self::SignatureBlock => "signature_block",
            Self::Signature => "signature",
            Self::Verifier => "verifier",
        }
    }
}

/// What the checks look at.
#[derive(Clone, Copy)]
struct View<'a> {
    facts: &'a Facts,
    known: &'a Known<'a>,
    /// `None` if no device could install the file: then nothing is asked of one.
    image: Option<gates::Image>,
}

impl View<'_> {
    /// `None` if the check says nothing of this file.
    fn outcome(&self, check: Check) -> Option<Outcome> {
        let checks = self.facts.checks;
        match check {
            Check::Kind => Some(self.kind()),
            Check::Structure => self.structure(),
            Check::Gzip => self.gzip(),
            Check::BootChecksum => sum(checks.boot_checksum, NotOta::BootChecksum),
            // eboot never looks at it, and the CRC covers all that it does.
            Check::Checksum if checks.crc == Verdict::Ok => Some(Outcome::Passed),
            Check::Checksum => sum(checks.checksum, NotOta::Checksum),
            Check::Crc => sum(checks.crc, NotOta::Crc),
            Check::Hash => sum(checks.hash, NotOta::Hash),
            Check::Segments => self.segments(),
            Check::Chip => self.chip(),
            Check::Revision => self.revision(),
            Check::Form => self.form(),
            Check::Room => self.room(),
            Check::Inflate => self.inflate(),
            Check::FlashSize => self.flash_size(),
            Check::FlashMode => self.flash_mode(),
            Check::SecureVersion => self.secure_version(),
            Check::SignatureBlock => self.signature_block(),
            Check::Signature => Some(self.signature()),
            Check::Verifier => self.verifier(),
        }
    }

    fn kind(&self) -> Outcome {
        match self.facts.ota() {
            Err(
                reason @ (NotOta::Unknown
                | NotOta::PlainV1
                | NotOta::SdkV2
                | NotOta::BootLoader
                | NotOta::MergedFlash
                | NotOta::PartitionTable
                | NotOta::OtaData
                | NotOta::Zlib
                | NotOta::GzipUnread
                | NotOta::GzipOfEsp32
                | NotOta::GzipOfFilesystem
                | NotOta::GzipNotEsp8266),
            ) => Outcome::Failed(Reason::NotOta(reason)),
            _ => Outcome::Passed,
        }
    }

    fn structure(&self) -> Option<Outcome> {
        if self.facts.kind == Kind::Unknown && self.facts.fault.is_none() {
            return None;
        }
        Some(match self.facts.ota() {
            Err(reason @ NotOta::Trailing) => Outcome::Failed(Reason::NotOta(reason)),
            Err(reason @ NotOta::Fault(fault)) if !is_of_gzip(fault) => {
                Outcome::Failed(Reason::NotOta(reason))
            }
            _ => Outcome::Passed,
        })
    }

    fn gzip(&self) -> Option<Outcome> {
        self.facts.gzip?;
        Some(match self.facts.fault {
            Some(fault) if is_of_gzip(fault) => {
                Outcome::Failed(Reason::NotOta(NotOta::Fault(fault)))
            }
            _ => Outcome::Passed,
        })
    }

    /// ESP-IDF's `process_segment`.
    fn segments(&self) -> Option<Outcome> {
        let chip = self.facts.chip.filter(|chip| chip.family() == Family::Esp32)?;
        if self.facts.kind != Kind::Esp32App || self.facts.fault.is_some() {
            return None;
        }
        let page = self.facts.descriptor.map_or(MMU_PAGE, |descriptor| descriptor.mmu_page);
        for (segment, number) in self.facts.segments.iter().zip(0..) {
            if segment.length % 4 != 0 || segment.length >= SEGMENT_LIMIT {
                return Some(Outcome::Failed(Reason::SegmentLength(number)));
            }
            let is_in_place = segment.offset % page == segment.address % page;
            if chip.maps_flash_at(segment.address) && segment.length > 0 && !is_in_place {
                return Some(Outcome::Failed(Reason::SegmentPlace(number)));
            }
        }
        Some(Outcome::Passed)
    }

    fn chip(&self) -> Option<Outcome> {
        let image = self.image?;
        image.chip?;
        let device = self.device();
        let reason = gates::family(&image, &device).or_else(|| gates::chip(&image, &device));
        // Of the ESP8266 family there is one chip.
        let is_known = device.chip.is_some() || matches!(self.known.flash, Some(Flash::Esp8266(_)));
        Some(match reason {
            None if !is_known => Outcome::NotChecked(Missing::Chip),
            reason => passed_unless(reason),
        })
    }

    fn revision(&self) -> Option<Outcome> {
        self.image?;
        let revisions = self.facts.revisions?;
        let asks = revisions.min > 0 || revisions.max.is_some();
        asks.then_some(Outcome::NotChecked(Missing::Revision(revisions)))
    }

    fn form(&self) -> Option<Outcome> {
        Some(passed_unless(gates::form(&self.image?, &self.device())))
    }

    fn room(&self) -> Option<Outcome> {
        let (image, device) = (self.image?, self.device());
        let reason = gates::room(&image, &device)
            .filter(|reason| !matches!(reason, gates::Reason::NoRoomToInflate { .. }));
        Some(match (device.asks_for, device.filesystem_size, device.free_space) {
            (OtaTarget::Filesystem, None, _) => Outcome::NotChecked(Missing::Flash),
            (OtaTarget::Filesystem, Some(0), _) => Outcome::Failed(Reason::NoFilesystem),
            (OtaTarget::Sketch, _, None) => Outcome::NotChecked(Missing::Room),
            _ => passed_unless(reason),
        })
    }

    fn inflate(&self) -> Option<Outcome> {
        let (image, device) = (self.image?, self.device());
        let writes_gzip = image.inflated.is_some()
            && image.target == Some(OtaTarget::Sketch)
            && device.family == Family::Esp8266;
        if !writes_gzip {
            return None;
        }
        Some(match gates::room(&image, &device) {
            reason @ Some(gates::Reason::NoRoomToInflate { .. }) => passed_unless(reason),
            Some(_) => return None,
            None if device.sketch_size.is_none() => Outcome::NotChecked(Missing::Running),
            None if device.free_space.is_none() => Outcome::NotChecked(Missing::Room),
            None => Outcome::Passed,
        })
    }

    fn flash_size(&self) -> Option<Outcome> {
        let (image, device) = (self.image?, self.device());
        image.flash_size?;
        Some(match device.chip_size {
            None if device.family == Family::Esp8266 => Outcome::NotChecked(Missing::FlashSize),
            None => Outcome::NotChecked(Missing::Running),
            Some(_) => passed_unless(gates::flash_size(&image, &device)),
        })
    }

    fn flash_mode(&self) -> Option<Outcome> {
        let (image, device) = (self.image?, self.device());
        image.flash_mode.filter(|_| device.family == Family::Esp8266)?;
        if gates::is_mode_unproven(&image, &device) {
            return Some(Outcome::NotChecked(Missing::Running));
        }
        Some(passed_unless(gates::flash_mode(&image, &device)))
    }

    fn secure_version(&self) -> Option<Outcome> {
        self.image?;
        let image = self.facts.descriptor?.secure_version;
        let running = self.known.running?.descriptor?.secure_version;
        Some(if image < running {
            Outcome::Failed(Reason::SecureVersion { image, running })
        } else {
            Outcome::Passed
        })
    }

    fn signature_block(&self) -> Option<Outcome> {
        self.known.block.map(|result| match (result, self.facts.chip) {
            (Ok(key), Some(chip)) if is_strange(chip, key) => {
                Outcome::Failed(Reason::KeyOfChip { chip, key })
            }
            (Ok(_), _) => Outcome::Passed,
            (Err(error), _) => Outcome::Failed(Reason::Signature(error)),
        })
    }

    fn signature(&self) -> Outcome {
        let is_bare = self.facts.signature.is_none() && self.facts.sizes.trailing == 0;
        match (self.facts.signature, self.known.key) {
            (Some(Signature::Esp8266 { .. }), None) if self.facts.gzip.is_some() => {
                Outcome::NotChecked(Missing::KeyOfGzip)
            }
            (_, None) => Outcome::NotChecked(Missing::Key),
            (_, Some(Ok(_))) => Outcome::Passed,
            // The last word of a file without a signature is part of the image.
            (_, Some(Err(SignatureError::LengthWord { .. }))) if is_bare => {
                Outcome::Failed(Reason::Signature(SignatureError::Absent))
            }
            (_, Some(Err(error))) => Outcome::Failed(Reason::Signature(error)),
        }
    }

    fn verifier(&self) -> Option<Outcome> {
        let is_esp8266 = self.device().family == Family::Esp8266;
        let of_p256 = matches!(self.known.key, Some(Ok(KeyKind::P256)));
        (is_esp8266 && of_p256).then_some(Outcome::NotChecked(Missing::Verifier))
    }

    /// The device, as the gates ask for it. Of what is not known, the file's own is taken.
    fn device(&self) -> gates::Device {
        let Known { flash, running, .. } = *self.known;
        let sketch = running.and_then(|running| running.sizes.sketch);
        let flash_size = match flash {
            Some(Flash::Esp8266(layout)) => Some(layout.flash()),
            _ => running.and_then(|running| running.flash?.size),
        };
        gates::Device {
            family: self.known.device_family(self.facts),
            chip: self.known.device_chip(),
            asks_for: self.image.and_then(|image| image.target).unwrap_or(OtaTarget::Sketch),
            free_space: self.known.free_space.or(flash.and_then(|flash| flash.free_space(sketch))),
            sketch_size: sketch.map(u64::from),
            chip_size: flash_size.map(u64::from),
            filesystem_size: flash.map(Flash::filesystem_size),
            flash_mode: running.and_then(|running| running.flash).map(|flash| flash.mode.byte()),
        }
    }
}

impl Flash<'_> {
    fn family(self) -> Family {
        match self {
            Self::Esp8266(_) => Family::Esp8266,
            Self::Esp32(_) => Family::Esp32,
        }
    }

    /// Bytes of the filesystem, of the largest one if there are several.
    fn filesystem_size(self) -> u64 {
        match self {
            Self::Esp8266(layout) => layout.filesystem().len() as u64,
            Self::Esp32(table) => {
                let sizes = table.filesystems().map(|partition| partition.size);
                sizes.max().unwrap_or_default().into()
            }
        }
    }

    /// Bytes that a device could write a sketch to, beside one of `sketch` bytes that runs. Which
    /// partition runs is not known, so it is the smallest that may be written to.
    fn free_space(self, sketch: Option<u32>) -> Option<u64> {
        match self {
            Self::Esp8266(layout) => Some(layout.free_space(sketch?).into()),
            Self::Esp32(table) => {
                let slots = || table.slots().map(|slot| slot.size);
                let can_update = slots().count() > usize::from(table.factory().is_none());
                Some(slots().min().filter(|_| can_update).unwrap_or_default().into())
            }
        }
    }
}

/// What one entry of the flash cache maps, where the image does not say
/// (`SPI_FLASH_MMU_PAGE_SIZE`, ESP-IDF).
const MMU_PAGE: u32 = 0x1_0000;
/// A segment must be shorter (`SIXTEEN_MB`, ESP-IDF `esp_image_format.c`).
const SEGMENT_LIMIT: u32 = 16 << 20;

/// Whether secure boot version 2 of this chip is known to take no keys of this kind
/// (`SOC_SECURE_BOOT_V2_RSA` and `_ECC`, ESP-IDF `soc_caps.h`).
fn is_strange(chip: Chip, key: KeyKind) -> bool {
    match chip {
        Chip::Esp32 | Chip::Esp32S2 | Chip::Esp32S3 | Chip::Esp32C3 => key == KeyKind::P256,
        Chip::Esp32C2 | Chip::Esp32C5 | Chip::Esp32C61 => key != KeyKind::P256,
        _ => false,
    }
}

/// Whether a fault is one of the wrapper, not of what is in it.
fn is_of_gzip(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::GzipMethod(_)
            | Fault::GzipFlags(_)
            | Fault::GzipData
            | Fault::GzipCrc
            | Fault::GzipSize
            | Fault::GzipNoSize
            | Fault::GzipTrailing
            | Fault::GzipMembers
            | Fault::GzipTooBig
    )
}

fn sum(verdict: Verdict, reason: NotOta) -> Option<Outcome> {
    match verdict {
        Verdict::Ok => Some(Outcome::Passed),
        Verdict::Absent => None,
        Verdict::Bad => Some(Outcome::Failed(Reason::NotOta(reason))),
    }
}

fn passed_unless(reason: Option<gates::Reason>) -> Outcome {
    reason.map_or(Outcome::Passed, |reason| Outcome::Failed(Reason::Device(reason)))
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOta(reason) => reason.fmt(f),
            Self::Device(reason) => reason.fmt(f),
            Self::SegmentLength(number) => {
                write!(f, "the length of segment {number} is no multiple of four, or 16 MiB")
            }
            Self::SegmentPlace(number) => {
                write!(f, "segment {number} does not stand where it is to be mapped")
            }
            Self::NoFilesystem => f.write_str("the flash has no filesystem"),
            Self::SecureVersion { image, running } => {
                write!(f, "the secure version is {image}, the running one {running}: no way back")
            }
            Self::Signature(error) => error.fmt(f),
            Self::KeyOfChip { chip, key } => {
                write!(f, "secure boot of the {chip} takes no {key} key")
            }
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chip => f.write_str("the device's chip is not known"),
            Self::Revision(Revisions { min, max }) => {
                write!(f, "the image asks for a chip of revision {}.{}", min / 100, min % 100)?;
                match max {
                    Some(max) => write!(f, " to {}.{}", max / 100, max % 100),
                    None => f.write_str(" or later"),
                }
            }
            Self::Room => f.write_str("the free space is not known"),
            Self::Flash => f.write_str("the layout of the flash is not known"),
            Self::FlashSize => f.write_str("the size of the flash is not known"),
            Self::Running => f.write_str("the running image is not known"),
            Self::Key => f.write_str("the device's public key is not known"),
            Self::KeyOfGzip => f.write_str(
                "the device's public key is not known; one without a key would not start this",
            ),
            Self::Verifier => f.write_str(
                "the core's own verifier takes no P-256 key (it asks for 65 bytes), another may",
            ),
        }
    }
}
