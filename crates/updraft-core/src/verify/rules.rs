//! The rules of the checks, one method each. Where the server asks the same, the gates hold the rule.

use super::{Check, Flash, Known, Missing, Outcome, Reason};
use crate::chip::{Chip, Family};
use crate::facts::{Facts, Fault, Kind, NotOta, OtaTarget, Signature, Verdict};
use crate::gates;
use crate::signature::{Hash, KeyKind, SignatureError};

/// What the checks look at.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) facts: &'a Facts,
    pub(super) known: &'a Known<'a>,
    /// `None` if no device could install the file: then nothing is asked of one.
    pub(super) image: Option<gates::Image>,
}

impl View<'_> {
    /// `None` if the check says nothing of this file.
    pub(super) fn outcome(&self, check: Check) -> Option<Outcome> {
        let checks = self.facts.checks;
        match check {
            Check::Kind => Some(self.kind()),
            // What it is not made for, it need not be fit for.
            _ if self.kind() != Outcome::Passed => None,
            Check::Structure => Some(self.structure()),
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

    fn structure(&self) -> Outcome {
        match self.facts.ota() {
            Err(reason @ NotOta::Trailing) => Outcome::Failed(Reason::NotOta(reason)),
            Err(reason @ NotOta::Fault(fault)) if !is_of_gzip(fault) => {
                Outcome::Failed(Reason::NotOta(reason))
            }
            _ => Outcome::Passed,
        }
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

    fn room(&self) -> Option<Outcome> {
        let (image, device) = (self.image?, self.device());
        let reason = gates::room(&image, &device)
            .filter(|reason| !matches!(reason, gates::Reason::NoRoomToInflate { .. }));
        Some(match (device.asks_for, device.filesystem_size, device.free_space) {
            (OtaTarget::Filesystem, None, _) => Outcome::NotChecked(Missing::Flash),
            (OtaTarget::Filesystem, Some(0), _) => Outcome::Failed(Reason::NoFilesystem),
            (OtaTarget::Sketch, _, None) => Outcome::NotChecked(match device.family {
                Family::Esp8266 => Missing::Room,
                Family::Esp32 => Missing::Partition,
            }),
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
        if is_esp8266 {
            return of_p256.then_some(Outcome::NotChecked(Missing::Verifier));
        }
        let hash = self.known.hash.filter(|hash| *hash != Hash::Sha256)?;
        Some(Outcome::NotChecked(Missing::Hash(hash)))
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
    pub(super) fn family(self) -> Family {
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
