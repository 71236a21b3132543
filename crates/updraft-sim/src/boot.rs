//! What starts when a device gets power or restarts: models of the boot loaders, which read the flash
//! and say which image runs, or why none.
//!
//! They are written from the formats' and boot loaders' own documents and sources. They share **no rule
//! of acceptance** with `updraft-core` or `updraft-agent`: no parser, no check, no table of theirs, only
//! common crates for digests and for inflating; from core come the names of things (a chip, a layout).
//! What they take wrongly is not seen there, and the other way round; the tests of this crate hold the
//! two against each other.
//!
//! They must not repair anything that the real ones do not.

use crate::flash::FlashError;

mod chips;
pub mod eboot;
pub mod esp32;
pub mod esp8266;
mod image;
mod inflate;

pub use self::chips::boot_loader_offset;

/// An image that has been started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// Where it stands in the flash.
    pub start: u32,
    /// Its length in bytes: what it reports as `sketch-size`.
    pub size: u32,
    /// The SHA-256 behind an image of the ESP32 family.
    pub sha256: Option<[u8; 32]>,
}

/// Why nothing starts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Dead {
    /// The power went, or a boot loader did what the flash does not.
    #[error(transparent)]
    Flash(#[from] FlashError),
    /// The boot ROM does not start the boot loader.
    #[error("the boot loader does not start: {0}")]
    BootLoader(ImageFault),
    /// The boot loader does not start the sketch, or the sketch is none.
    #[error("the sketch does not start: {0}")]
    Sketch(ImageFault),
    /// The partition table is none.
    #[error("the partition table is not one: {0}")]
    Table(&'static str),
    /// No partition holds an application that starts; what is wrong with the one tried first.
    #[error("no application starts: {0}")]
    NoApplication(ImageFault),
}

/// Why a boot loader, or a chip's ROM, does not start an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageFault {
    /// Its first byte.
    #[error("it starts with {0:02x}")]
    Magic(u8),
    /// How many segments it has.
    #[error("it has {0} segments")]
    SegmentCount(u8),
    /// A segment of such a length.
    #[error("a segment of {0} bytes")]
    SegmentLength(u32),
    /// A segment does not stand where the flash is mapped in pages.
    #[error("a segment for {0:#x} does not stand on its place of a page")]
    SegmentPlace(u32),
    /// It does not end where it would have to.
    #[error("it is longer than what holds it")]
    TooLong,
    /// The XOR of its segments.
    #[error("the checksum is wrong")]
    Checksum,
    /// The SHA-256 behind it.
    #[error("the SHA-256 is wrong")]
    Hash,
    /// The number of a chip in its header.
    #[error("it is for chip {0}")]
    Chip(u16),
    /// It begins at no instruction of its own.
    #[error("it begins at {0:#x}, where none of it is")]
    Entry(u32),
    /// The counter against going back is lower than the chip's.
    #[error("its counter against going back is {0}")]
    SecureVersion(u32),
    /// There is no such partition.
    #[error("there is no partition to start it from")]
    Nowhere,
}
