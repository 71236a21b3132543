//! Filesystem images: what tells each filesystem from other data, and erased flash. There is no file
//! in them, and a device would format some of them anew.

use updraft_core::FilesystemKind;

use crate::error::BuildError;
use crate::image::length_word;

/// Bytes of a page of SPIFFS on these chips.
const SPIFFS_PAGE: u32 = 256;
/// `SPIFFS_MAGIC` (spiffs `spiffs_nucleus.h`).
const SPIFFS_MAGIC: u32 = 0x2014_0529;
/// Where a block of SPIFFS keeps its magic: the last but one entry of its lookup page.
const SPIFFS_MAGIC_OFFSET: usize = 252;

/// An empty filesystem of `count` blocks of `block` bytes: 4096 for `LittleFS` and FAT, 4096 or 8192
/// for SPIFFS.
pub fn filesystem(kind: FilesystemKind, block: usize, count: usize) -> Result<Vec<u8>, BuildError> {
    let max = u32::MAX as usize;
    let length = block.checked_mul(count).filter(|&length| length <= max);
    let length = length.ok_or(BuildError::TooLong { length: usize::MAX, max })?;
    // The marks below need so much.
    if block < 512 || count == 0 {
        return Err(BuildError::Blocks { block, count });
    }
    let mut image = vec![0xFF; length];
    let words = [length_word(block)?, length_word(count)?];
    match kind {
        FilesystemKind::LittleFs => littlefs(&mut image, words),
        FilesystemKind::Spiffs => spiffs(&mut image, block, count),
        FilesystemKind::Fat => fat(&mut image, words),
    }
    Ok(image)
}

/// The superblock (littlefs `SPEC.md`): revision, tag, name; tag, version 2.1, the blocks.
fn littlefs(image: &mut [u8], [block, count]: [[u8; 4]; 2]) {
    image[..8].copy_from_slice(&[2, 0, 0, 0, 0xF0, 0x0F, 0xFF, 0xF7]);
    image[8..16].copy_from_slice(b"littlefs");
    image[16..20].copy_from_slice(&0x1800_20E0_u32.to_le_bytes());
    image[20..24].copy_from_slice(&0x0002_0001_u32.to_le_bytes());
    image[24..28].copy_from_slice(&block);
    image[28..32].copy_from_slice(&count);
}

/// The magic of each block, which counts the blocks behind it (`SPIFFS_USE_MAGIC_LENGTH`).
fn spiffs(image: &mut [u8], block: usize, count: usize) {
    for (left, block) in (1..=count).rev().zip(image.chunks_exact_mut(block)) {
        let left = u32::from_le_bytes(length_word(left).unwrap_or_default());
        let [low, high, ..] = (SPIFFS_MAGIC ^ SPIFFS_PAGE ^ left).to_le_bytes();
        block[SPIFFS_MAGIC_OFFSET..SPIFFS_MAGIC_OFFSET + 2].copy_from_slice(&[low, high]);
    }
}

/// The boot sector (Microsoft's FAT specification): a jump, the sizes, 55 AA.
fn fat(image: &mut [u8], [[low, high, ..], count]: [[u8; 4]; 2]) {
    image[..512].fill(0);
    image[..11].copy_from_slice(b"\xEB\xFE\x90MSDOS5.0");
    image[11..17].copy_from_slice(&[low, high, 1, 1, 0, 1]);
    match count {
        [low, high, 0, 0] => image[19..21].copy_from_slice(&[low, high]),
        count => image[32..36].copy_from_slice(&count),
    }
    image[510..512].copy_from_slice(&[0x55, 0xAA]);
}

#[cfg(test)]
mod tests {
    use updraft_core::{Kind, OtaTarget};

    use super::*;
    use crate::image::inspect;

    #[test]
    fn every_filesystem_is_recognised() {
        let check = |kind, block, count| {
            let image = filesystem(kind, block, count).unwrap();
            assert_eq!(image.len(), block * count);
            let facts = inspect(&image);
            assert_eq!(facts.kind, Kind::Filesystem(kind), "{block} {count}");
            assert_eq!(facts.ota(), Ok(OtaTarget::Filesystem), "{kind:?} {block} {count}");
        };
        check(FilesystemKind::LittleFs, 4096, 2);
        check(FilesystemKind::LittleFs, 4096, 16);
        check(FilesystemKind::LittleFs, 8192, 250);
        check(FilesystemKind::Spiffs, 4096, 16);
        check(FilesystemKind::Spiffs, 8192, 20);
        check(FilesystemKind::Fat, 4096, 16);
        check(FilesystemKind::Fat, 512, 0x1_0000);
    }

    #[test]
    fn impossible_blocks_are_refused() {
        let kind = FilesystemKind::LittleFs;
        assert_eq!(filesystem(kind, 16, 2), Err(BuildError::Blocks { block: 16, count: 2 }));
        assert_eq!(filesystem(kind, 4096, 0), Err(BuildError::Blocks { block: 4096, count: 0 }));
        assert!(filesystem(kind, 4096, usize::MAX / 2).is_err());
    }
}
