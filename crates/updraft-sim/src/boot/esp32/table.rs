//! The partition table, as the boot loader reads it (`esp_partition_table_verify`,
//! `bootloader_utility_load_partition_table`): what can be started, and otadata.

use md5::{Digest as _, Md5};

use super::Slot;
use crate::flash::{Flash, FlashError};

/// Bytes of a table, and of a record.
const LENGTH: usize = 0xC00;
const RECORD: usize = 32;
/// What records begin with: one of a partition, the one with the MD5, none.
const PARTITION: [u8; 2] = [0xAA, 0x50];
const SUM: [u8; 2] = [0xEB, 0xEB];
const END: [u8; 2] = [0xFF, 0xFF];
/// Types and subtypes.
const APPLICATION: u8 = 0;
const DATA: u8 = 1;
const FACTORY: u8 = 0;
const OTA: std::ops::Range<u8> = 0x10..0x20;
const TEST: u8 = 0x20;
const OTADATA: u8 = 0;

/// A range of the flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) start: u32,
    pub(super) size: u32,
}

/// What the boot loader keeps of a table.
#[derive(Debug, Default)]
pub(super) struct Table {
    factory: Option<Region>,
    test: Option<Region>,
    ota: [Option<Region>; 16],
    slots: u8,
    pub(super) otadata: Option<Region>,
}

impl Table {
    /// Reads the table at this place; or says what is wrong with it.
    pub(super) fn read(flash: &Flash, at: u32) -> Result<Result<Self, &'static str>, FlashError> {
        let mut bytes = [0; LENGTH];
        flash.copy(at.into(), &mut bytes)?;
        let (records, _) = bytes.as_chunks::<RECORD>();
        let mut table = Self::default();
        let mut is_summed = false;
        for (record, number) in records.iter().zip(0..) {
            let [a, b, kind, subtype, s0, s1, s2, s3, l0, l1, l2, l3, ..] = *record;
            let start = u32::from_le_bytes([s0, s1, s2, s3]);
            let size = u32::from_le_bytes([l0, l1, l2, l3]);
            match [a, b] {
                PARTITION if is_summed => return Ok(Err("a record stands behind the MD5")),
                PARTITION => {
                    let end = u64::from(start) + u64::from(size);
                    if end > u64::from(flash.size()) {
                        return Ok(Err("a partition ends behind the flash"));
                    }
                    table.add(kind, subtype, Region { start, size });
                }
                SUM if is_summed => return Ok(Err("there are two MD5s")),
                SUM => {
                    let before = &bytes[..number * RECORD];
                    if Md5::digest(before)[..] != record[16..] {
                        return Ok(Err("the MD5 is wrong"));
                    }
                    is_summed = true;
                }
                END => return Ok(Ok(table)),
                _ => return Ok(Err("a record begins with neither AA 50 nor FF FF")),
            }
        }
        Ok(Err("it has no end"))
    }

    fn add(&mut self, kind: u8, subtype: u8, region: Region) {
        match (kind, subtype) {
            (APPLICATION, FACTORY) => self.factory = Some(region),
            (APPLICATION, TEST) => self.test = Some(region),
            (APPLICATION, subtype) if OTA.contains(&subtype) => {
                self.ota[usize::from(subtype - OTA.start)] = Some(region);
                self.slots += 1;
            }
            (DATA, OTADATA) => self.otadata = Some(region),
            _ => {}
        }
    }

    /// How many partitions for updates there are.
    pub(super) fn slots(&self) -> u8 {
        self.slots
    }

    /// Where a slot is, if it is there.
    pub(super) fn region(&self, slot: Slot) -> Option<Region> {
        let region = match slot {
            Slot::Factory => self.factory,
            Slot::Test => self.test,
            Slot::Ota(number) if number < self.slots => {
                self.ota.get(usize::from(number)).copied().flatten()
            }
            Slot::Ota(_) => None,
        };
        region.filter(|region| region.size > 0)
    }
}
