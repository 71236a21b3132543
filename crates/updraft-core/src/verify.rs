//! Would a device take this file, and would the device start with it? A list of checks over the facts
//! of the file and what is known of the device. Pure: nothing is read here, and what is not known is
//! said to be not checked.

use self::rules::View;
use crate::chip::{Chip, Family};
use crate::facts::{Facts, NotOta, Revisions};
use crate::gates;
use crate::layout::Esp8266Layout;
use crate::partition::PartitionTable;
use crate::signature::{Hash, KeyKind, SignatureError};

mod rules;
mod words;

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
    /// The hash function that the signature is over, where the sketch has the choice (Arduino-ESP32).
    pub hash: Option<Hash>,
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
    /// The code on the device that checks signatures takes keys of this kind, and this hash function.
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
    /// The free space of an ESP8266; or the layout of its flash, and the running image.
    Room,
    /// The free space of an ESP32; or the layout of its flash.
    Partition,
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
    /// Which hash function the sketch chose: this one is not the usual SHA-256.
    Hash(Hash),
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
    pub const ALL: [Self; 18] = [
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
        Self::Room,
        Self::Inflate,
        Self::FlashSize,
        Self::FlashMode,
        Self::SecureVersion,
        Self::SignatureBlock,
        Self::Signature,
        Self::Verifier,
    ];
}
