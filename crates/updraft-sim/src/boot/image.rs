//! What the images of all chips have in common, as the ROMs and boot loaders walk over it in the flash:
//! header, segments, a checksum that ends a block of 16 bytes. What a chip asks of it besides is not
//! here.

use super::ImageFault;
use crate::flash::{Flash, FlashError};

/// First byte of a header (`ESP_IMAGE_HEADER_MAGIC`).
const MAGIC: u8 = 0xE9;
/// What the XOR over the segments begins with (`ESP_ROM_CHECKSUM_INITIAL`).
const SEED: u8 = 0xEF;
/// Most segments (`ESP_IMAGE_MAX_SEGMENTS`).
const MOST_SEGMENTS: u8 = 16;

/// An image, as far as the walk went: to the end of its last segment.
pub(super) struct Walk {
    /// Where it starts in the flash.
    pub(super) start: u64,
    /// Its header.
    pub(super) header: [u8; 24],
    pub(super) segments: Vec<Segment>,
    /// Where the data of the last segment ends in the flash.
    pub(super) end: u64,
}

#[derive(Clone, Copy)]
pub(super) struct Segment {
    pub(super) address: u32,
    pub(super) length: u32,
    /// Where its data stands in the flash.
    pub(super) at: u64,
}

impl Walk {
    /// Walks over the image at `start`, whose header has so many bytes, and which must end at `limit`.
    pub(super) fn over(
        flash: &Flash,
        start: u64,
        header_length: u64,
        limit: u64,
    ) -> Result<Result<Self, ImageFault>, FlashError> {
        let mut header = [0; 24];
        if start.saturating_add(header_length) > limit {
            return Ok(Err(ImageFault::TooLong));
        }
        let in_header = usize::try_from(header_length).unwrap_or_default().min(header.len());
        flash.copy(start, &mut header[..in_header])?;
        let [magic, count, ..] = header;
        if magic != MAGIC {
            return Ok(Err(ImageFault::Magic(magic)));
        }
        if count == 0 || count > MOST_SEGMENTS {
            return Ok(Err(ImageFault::SegmentCount(count)));
        }
        let mut walk = Self { start, header, segments: Vec::new(), end: start + header_length };
        for _ in 0..count {
            let at = walk.end + 8;
            if at > limit {
                return Ok(Err(ImageFault::TooLong));
            }
            let [address, length] = words(flash, walk.end)?;
            walk.segments.push(Segment { address, length, at });
            walk.end = at + u64::from(length);
            if walk.end > limit {
                return Ok(Err(ImageFault::TooLong));
            }
        }
        Ok(Ok(walk))
    }

    /// Where the image says that it begins to run.
    pub(super) fn entry(&self) -> u32 {
        let [_, _, _, _, a, b, c, d, ..] = self.header;
        u32::from_le_bytes([a, b, c, d])
    }

    /// Where the checksum ends: with a block of 16 bytes, counted from the start of the image.
    pub(super) fn checksum_end(&self) -> u64 {
        self.start + (self.end - self.start + 1).next_multiple_of(16)
    }

    /// The XOR over the segments, and the one that stands behind them.
    pub(super) fn checksums(&self, flash: &Flash) -> Result<[u8; 2], FlashError> {
        let mut sum = SEED;
        for segment in &self.segments {
            let range = segment.at..segment.at + u64::from(segment.length);
            flash.visit(range, |piece| sum = piece.iter().fold(sum, |sum, byte| sum ^ byte))?;
        }
        let mut stored = [0];
        flash.copy(self.checksum_end() - 1, &mut stored)?;
        Ok([sum, stored[0]])
    }
}

/// Words of the flash.
pub(super) fn words<const N: usize>(flash: &Flash, at: u64) -> Result<[u32; N], FlashError> {
    let mut bytes = [[0; 4]; N];
    flash.copy(at, bytes.as_flattened_mut())?;
    Ok(bytes.map(u32::from_le_bytes))
}
