//! What is particular to the ESP32 family: the application descriptor and the partition table.

use crate::facts::{AppDescriptor, Text};
use crate::window::{Window, word};

/// First word of `esp_app_desc_t` (`ESP_APP_DESC_MAGIC_WORD`, ESP-IDF `esp_app_desc.h`).
const DESCRIPTOR_MAGIC: [u8; 4] = 0xABCD_5432_u32.to_le_bytes();
/// First byte of `esp_bootloader_desc_t` (`ESP_BOOTLOADER_DESC_MAGIC_BYTE`, ESP-IDF).
const BOOT_LOADER_MAGIC: u8 = 0x50;
/// First half-word of a partition record (`ESP_PARTITION_MAGIC`, ESP-IDF `esp_flash_partitions.h`).
const PARTITION_MAGIC: [u8; 2] = [0xAA, 0x50];
/// Length of a partition record.
const RECORD: u64 = 32;
/// Size of a flash sector.
const SECTOR: u64 = 0x1000;
/// Partition tables are looked for up to here. The usual place is 0x8000, a bigger boot loader
/// (signed, encrypted) moves it.
const LAST_TABLE: u64 = 0x2_0000;

/// The application descriptor at the start of a segment, if there is one.
pub(super) fn descriptor(start: &Window<256>) -> Option<AppDescriptor> {
    let bytes = start.full()?;
    let field = |offset: usize| bytes.get(offset..).unwrap_or_default();
    if !bytes.starts_with(&DESCRIPTOR_MAGIC) {
        return None;
    }
    Some(AppDescriptor {
        secure_version: word(bytes, 4)?,
        version: text(field(16))?,
        project: text(field(48))?,
        time: text(field(80))?,
        date: text(field(96))?,
        idf: text(field(112))?,
        elf_sha256: *field(144).first_chunk()?,
        // `mmu_page_size`, a power of two; 0 in images of ESP-IDF before 5.4.
        mmu_page: match *field(180).first()? {
            power @ 12..=16 => 1 << power,
            _ => 0x1_0000,
        },
    })
}

fn text<const N: usize>(field: &[u8]) -> Option<Text<N>> {
    field.first_chunk().copied().map(Text::from_field)
}

/// Whether a boot loader descriptor is at the start of a segment.
pub(super) fn is_boot_loader(start: &Window<256>) -> bool {
    start.passed().first() == Some(&BOOT_LOADER_MAGIC)
}

/// Whether these bytes are a partition record of a type that exists.
pub(super) fn is_partition(record: &[u8]) -> bool {
    // Application, data, boot loader, partition table, or a type of the project's own.
    let kind_exists = matches!(record.get(2), Some(0..=3 | 0x40..=0xFE));
    let on_a_sector = word(record, 4).is_some_and(|offset| u64::from(offset) % SECTOR == 0);
    let has_size = word(record, 8).is_some_and(|size| size > 0);
    record.starts_with(&PARTITION_MAGIC) && kind_exists && on_a_sector && has_size
}

/// Looks for a partition table in a copy of a whole flash, and in it for the application that the
/// device starts first.
#[derive(Clone, Debug)]
pub(super) struct TableScan {
    /// The record that is looked at next.
    record: Window<32>,
    at: u64,
    found: Option<Table>,
    done: bool,
}

/// Most records of a table (`ESP_PARTITION_TABLE_MAX_ENTRIES`, ESP-IDF): 0xC00 bytes, one record
/// of them for the MD5.
const MAX_RECORDS: u8 = 95;

/// A partition table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    /// Where it starts.
    pub(super) start: u64,
    /// Offset of the first application, behind the table.
    pub(super) app: Option<u64>,
    /// Its subtype.
    subtype: u8,
    records: u8,
}

impl TableScan {
    pub(super) fn new() -> Self {
        Self { record: Window::at(SECTOR), at: SECTOR, found: None, done: false }
    }

    /// Takes the next bytes of the stream. A table can stand from `start` on; `None` as long as
    /// that is not known.
    pub(super) fn update(&mut self, offset: u64, chunk: &[u8], start: Option<u64>) {
        let end = offset.saturating_add(chunk.len() as u64);
        while !self.done && self.at < end {
            self.record.update(offset, chunk);
            let Some(record) = self.record.full() else { return };
            let after_start = start.is_some_and(|start| start <= self.at);
            match &mut self.found {
                Some(table) if is_partition(record) && table.records < MAX_RECORDS => {
                    table.add(record, self.at);
                    self.look_at(self.at.saturating_add(RECORD));
                }
                None if after_start && is_partition(record) => {
                    let mut table =
                        Table { start: self.at, app: None, subtype: u8::MAX, records: 0 };
                    table.add(record, self.at);
                    self.found = Some(table);
                    self.look_at(self.at.saturating_add(RECORD));
                }
                None if self.at < LAST_TABLE => self.look_at(self.at.saturating_add(SECTOR)),
                // The MD5 record or an empty one ends a table; or there was none.
                _ => self.done = true,
            }
        }
    }

    /// The table, if one has passed.
    pub(super) fn found(&self) -> Option<&Table> {
        self.found.as_ref()
    }

    /// Where the first application is, once the whole table has passed.
    pub(super) fn app(&self) -> Option<u64> {
        self.found.filter(|_| self.done)?.app
    }

    fn look_at(&mut self, offset: u64) {
        self.at = offset;
        self.record = Window::at(offset);
    }
}

impl Table {
    /// Adds the record that stands at `offset` of the stream.
    fn add(&mut self, record: &[u8; 32], offset: u64) {
        let [_, _, kind, subtype, rest @ ..] = *record;
        let app = word(&rest, 0).map(u64::from).unwrap_or_default();
        // Subtype 0 is the factory application, 0x10 the first of those for updates: the device
        // starts the lowest one that is there.
        let behind = app >= offset.saturating_add(SECTOR);
        if kind == 0 && behind && (self.app.is_none() || subtype < self.subtype) {
            self.app = Some(app);
            self.subtype = subtype;
        }
        self.records = self.records.saturating_add(1);
    }
}
