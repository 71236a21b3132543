//! Recognises filesystem images by their first block.

use crate::facts::{Blocks, FilesystemKind};
use crate::window::{Window, half_word, word};

/// Page size of every SPIFFS that these chips' tools make.
const SPIFFS_PAGE: u32 = 256;
/// `SPIFFS_MAGIC` (spiffs `spiffs_nucleus.h`).
const SPIFFS_MAGIC: u32 = 0x2014_0529;
/// Where a SPIFFS block keeps its magic: in the last but one entry of its lookup page.
const SPIFFS_MAGIC_OFFSET: u16 = 252;
/// Block sizes in use: a flash sector, and what Arduino takes for a big filesystem on the ESP8266.
const SPIFFS_BLOCKS: [u16; 2] = [4096, 8192];

/// A filesystem, and what its own first block says of its blocks.
pub(super) struct Found {
    pub(super) kind: FilesystemKind,
    pub(super) blocks: Blocks,
}

impl Found {
    /// How long it says that it is.
    pub(super) fn length(&self) -> u64 {
        u64::from(self.blocks.size).saturating_mul(u64::from(self.blocks.count))
    }
}

/// Keeps what is needed to recognise a filesystem as it passes.
#[derive(Clone, Debug)]
pub(super) struct Filesystem {
    /// First 512 bytes: a LittleFS superblock, SPIFFS lookup page or FAT boot sector.
    head: Window<512>,
    /// The magic of the second SPIFFS block, for each size of blocks.
    second: [Window<2>; SPIFFS_BLOCKS.len()],
}

impl Filesystem {
    pub(super) fn new() -> Self {
        Self {
            head: Window::at(0),
            second: SPIFFS_BLOCKS.map(|block| Window::at(u64::from(block + SPIFFS_MAGIC_OFFSET))),
        }
    }

    pub(super) fn update(&mut self, offset: u64, chunk: &[u8]) {
        self.head.update(offset, chunk);
        for window in &mut self.second {
            window.update(offset, chunk);
        }
    }

    /// The first bytes, as far as they have passed.
    pub(super) fn head(&self) -> &[u8] {
        self.head.passed()
    }

    /// The filesystem that a stream of `length` bytes holds.
    pub(super) fn find(&self, length: u64) -> Option<Found> {
        let head = self.head.full()?;
        littlefs(head).or_else(|| self.spiffs(head, length)).or_else(|| fat(head))
    }

    /// SPIFFS mixes the number of blocks into the magic of each block, counted down
    /// (`SPIFFS_USE_MAGIC_LENGTH`); 16 bits of it are kept.
    fn spiffs(&self, head: &[u8], length: u64) -> Option<Found> {
        SPIFFS_BLOCKS.into_iter().zip(&self.second).find_map(|(block, second)| {
            let count = u32::try_from(length / u64::from(block)).ok()?;
            let magic = |left: u32| ((SPIFFS_MAGIC ^ SPIFFS_PAGE ^ left) & 0xFFFF) as u16;
            let fits = length.is_multiple_of(u64::from(block))
                && half_word(head, usize::from(SPIFFS_MAGIC_OFFSET))? == magic(count)
                && half_word(second.full()?, 0)? == magic(count.checked_sub(1)?);
            fits.then_some(Found {
                kind: FilesystemKind::Spiffs,
                blocks: Blocks { size: block.into(), count },
            })
        })
    }
}

/// The superblock (littlefs `SPEC.md`): revision, tag, name at 8; tag at 16; version, block size and
/// number of blocks from 20 on.
fn littlefs(head: &[u8]) -> Option<Found> {
    let blocks = Blocks { size: word(head, 24)?, count: word(head, 28)? };
    let is_littlefs = head.get(8..16)? == b"littlefs";
    is_littlefs.then_some(Found { kind: FilesystemKind::LittleFs, blocks })
}

/// The boot sector (Microsoft's FAT specification): a jump, the sector size at 11, one or two tables
/// at 16, the number of sectors at 19 or, if it needs more bits, at 32; 55 AA at 510.
fn fat(head: &[u8]) -> Option<Found> {
    let sector = half_word(head, 11)?;
    let count = match half_word(head, 19)? {
        0 => word(head, 32)?,
        count => u32::from(count),
    };
    let is_fat = *head.first()? == 0xEB
        && *head.get(2)? == 0x90
        && matches!(sector, 512 | 1024 | 2048 | 4096)
        && matches!(head.get(16)?, 1 | 2)
        && count > 0
        && head.get(510..512)? == [0x55, 0xAA];
    let blocks = Blocks { size: sector.into(), count };
    is_fat.then_some(Found { kind: FilesystemKind::Fat, blocks })
}
