//! Names and words for checks, reasons and what is missing. They decide nothing.

use core::fmt;

use super::{Check, Missing, Reason};
use crate::facts::Revisions;

impl Check {
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

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOta(reason) => reason.fmt(f),
            Self::Device(reason) => reason.fmt(f),
            Self::SegmentLength(number) => {
                write!(
                    f,
                    "the length of segment {number} is no multiple of four, or is 16 MiB or more"
                )
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
            Self::Partition => f.write_str("the size of the partition is not known"),
            Self::Flash => f.write_str("the layout of the flash is not known"),
            Self::FlashSize => f.write_str("the size of the flash is not known"),
            Self::Running => f.write_str("the running image is not known"),
            Self::Key => f.write_str("the device's public key is not known"),
            Self::KeyOfGzip => f.write_str(
                "the device's public key is not known; one without a key would not start this",
            ),
            Self::Hash(hash) => write!(f, "only sketches that chose {hash} take the signature"),
            Self::Verifier => f.write_str(
                "the core's own verifier takes no P-256 key (it asks for 65 bytes), another may",
            ),
        }
    }
}
