//! Partition tables and otadata of the ESP32 family, from what a test or an example says: right
//! ones, and ones that are wrong in a way that has a name. Whether a table makes sense is not asked.

use crc::{CRC_32_ISO_HDLC, Crc, Table};
use md5::{Digest as _, Md5};

/// Length of a record (`esp_partition_info_t`, ESP-IDF).
const RECORD: usize = 32;
/// Length of a table (`ESP_PARTITION_TABLE_MAX_LEN`, ESP-IDF).
const TABLE: usize = 0xC00;
/// Bytes of a flash sector.
const SECTOR: usize = 0x1000;

static CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);

/// A record of a partition table, as the numbers stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its name, of which 16 bytes are kept.
    pub label: &'a str,
    /// Type: 0 application, 1 data (`PART_TYPE_APP`, `PART_TYPE_DATA`).
    pub kind: u8,
    /// Subtype: of an application 0x00 factory, 0x10 and more the slots for updates; of data 0x00
    /// otadata, 0x82 SPIFFS and `LittleFS`.
    pub subtype: u8,
    /// Where it starts in the flash.
    pub offset: u32,
    /// Length in bytes.
    pub size: u32,
    /// Bit 0: encrypted. Bit 1: not to be written.
    pub flags: u32,
}

/// A way in which a partition table can be wrong, beyond what its records say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TableDefect {
    /// The last byte of the MD5.
    Md5,
    /// No MD5, as before ESP-IDF 3.1. Boot loaders may be built to ask for none.
    NoMd5,
    /// The first two bytes of the second record; the MD5 is that of such a table.
    Magic,
    /// It ends in the middle of the second record.
    Truncated,
}

impl<'a> Record<'a> {
    /// A record without flags.
    pub const fn new(label: &'a str, kind: u8, subtype: u8, offset: u32, size: u32) -> Self {
        Self { label, kind, subtype, offset, size, flags: 0 }
    }
}

/// Arduino's default table for a flash of 4 MiB: two slots of 1280 KiB and a filesystem.
pub const DEFAULT_TABLE: [Record<'static>; 6] = [
    Record::new("nvs", 1, 0x02, 0x9000, 0x5000),
    Record::new("otadata", 1, 0x00, 0xE000, 0x2000),
    Record::new("app0", 0, 0x10, 0x1_0000, 0x14_0000),
    Record::new("app1", 0, 0x11, 0x15_0000, 0x14_0000),
    Record::new("spiffs", 1, 0x82, 0x29_0000, 0x16_0000),
    Record::new("coredump", 1, 0x03, 0x3F_0000, 0x1_0000),
];

/// ESP-IDF's table of one application, which cannot be updated over the air
/// (`partitions_singleapp.csv`).
pub const SINGLE_APP_TABLE: [Record<'static>; 3] = [
    Record::new("nvs", 1, 0x02, 0x9000, 0x6000),
    Record::new("phy_init", 1, 0x01, 0xF000, 0x1000),
    Record::new("factory", 0, 0x00, 0x1_0000, 0x10_0000),
];

/// ESP-IDF's table of a factory application and two slots (`partitions_two_ota.csv`).
pub const TWO_OTA_TABLE: [Record<'static>; 6] = [
    Record::new("nvs", 1, 0x02, 0x9000, 0x4000),
    Record::new("otadata", 1, 0x00, 0xD000, 0x2000),
    Record::new("phy_init", 1, 0x01, 0xF000, 0x1000),
    Record::new("factory", 0, 0x00, 0x1_0000, 0x10_0000),
    Record::new("ota_0", 0, 0x10, 0x11_0000, 0x10_0000),
    Record::new("ota_1", 0, 0x11, 0x21_0000, 0x10_0000),
];

/// Arduino's default table, [`DEFAULT_TABLE`], as it stands in the flash.
pub fn partition_table() -> Vec<u8> {
    table_of(&DEFAULT_TABLE)
}

/// The table of these records as it stands in the flash: the records, their MD5, FF up to 3072
/// bytes. More records than it has room for (95 and the MD5) make it longer.
pub fn table_of(records: &[Record<'_>]) -> Vec<u8> {
    with_md5(list(records))
}

/// The table of these records, wrong in this way.
pub fn broken_table(records: &[Record<'_>], defect: TableDefect) -> Vec<u8> {
    let mut table = table_of(records);
    let md5 = records.len() * RECORD;
    match defect {
        TableDefect::Md5 => table[md5 + RECORD - 1] ^= 1,
        TableDefect::NoMd5 => table[md5..md5 + RECORD].fill(0xFF),
        TableDefect::Magic => {
            let mut records = list(records);
            records.resize(records.len().max(2 * RECORD), 0);
            records[RECORD..RECORD + 2].fill(0);
            table = with_md5(records);
        }
        TableDefect::Truncated => table.truncate(RECORD + RECORD / 2),
    }
    table
}

fn list(records: &[Record<'_>]) -> Vec<u8> {
    let mut list = Vec::with_capacity(TABLE);
    for record in records {
        let end = list.len() + RECORD;
        list.extend([0xAA, 0x50, record.kind, record.subtype]); // ESP_PARTITION_MAGIC
        list.extend(record.offset.to_le_bytes());
        list.extend(record.size.to_le_bytes());
        list.extend(record.label.bytes().take(16));
        list.resize(end - 4, 0);
        list.extend(record.flags.to_le_bytes());
    }
    list
}

fn with_md5(records: Vec<u8>) -> Vec<u8> {
    let md5 = Md5::digest(&records);
    let mut table = records;
    table.extend([0xEB, 0xEB]); // ESP_PARTITION_MAGIC_MD5
    table.extend([0xFF; 14]);
    table.extend(md5);
    table.resize(table.len().max(TABLE), 0xFF);
    table
}

/// What a sector of otadata starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OtaSlot {
    /// Erased flash.
    Erased,
    /// An entry with this sequence number and state (`esp_ota_img_states_t`: 0 new, 1 pending, 2
    /// valid, 3 invalid, 4 aborted, `u32::MAX` undefined), and the right CRC.
    Entry {
        /// Counts the updates, from 1.
        sequence: u32,
        /// How far the application has come.
        state: u32,
    },
    /// The same with a wrong CRC.
    WrongCrc {
        /// Counts the updates, from 1.
        sequence: u32,
    },
}

/// An otadata partition: two sectors, an entry at the start of each.
pub fn otadata(slots: [OtaSlot; 2]) -> Vec<u8> {
    let mut bytes = vec![0xFF; 2 * SECTOR];
    for (slot, sector) in slots.into_iter().zip(bytes.chunks_exact_mut(SECTOR)) {
        let (sequence, state, damage) = match slot {
            OtaSlot::Erased => continue,
            OtaSlot::Entry { sequence, state } => (sequence, state, 0),
            OtaSlot::WrongCrc { sequence } => (sequence, u32::MAX, 1),
        };
        // A CRC-32 that starts with zero, over the sequence number alone (`bootloader_common_ota_select_crc`).
        let crc = crc_from_zero(sequence.to_le_bytes()) ^ damage;
        sector[..4].copy_from_slice(&sequence.to_le_bytes());
        sector[24..28].copy_from_slice(&state.to_le_bytes());
        sector[28..32].copy_from_slice(&crc.to_le_bytes());
    }
    bytes
}

fn crc_from_zero(word: [u8; 4]) -> u32 {
    let mut digest = CRC.digest_with_initial(0);
    digest.update(&word);
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use updraft_core::Kind;

    use super::*;
    use crate::image::inspect;
    use crate::image::tests::hex;

    #[test]
    fn the_default_table_has_its_known_md5() {
        let table = partition_table();
        assert_eq!(hex(&table[6 * 32 + 16..7 * 32]), "972dae2ff872a0142d60bad124c0666b");
        assert_eq!(table.len(), 0xC00);
        assert_eq!(inspect(&table).kind, Kind::PartitionTable);
    }

    #[test]
    fn a_defect_changes_what_it_names() {
        let right = table_of(&TWO_OTA_TABLE);
        let changed = |defect| {
            let table = broken_table(&TWO_OTA_TABLE, defect);
            let differ = table.iter().zip(&right).enumerate().filter(|(_, (a, b))| a != b);
            (
                table.len(),
                differ.map(|(at, _)| at / RECORD).collect::<std::collections::BTreeSet<_>>(),
            )
        };
        assert_eq!(changed(TableDefect::Md5), (TABLE, [6].into()));
        assert_eq!(changed(TableDefect::NoMd5), (TABLE, [6].into()));
        assert_eq!(changed(TableDefect::Magic), (TABLE, [1, 6].into()));
        assert_eq!(changed(TableDefect::Truncated), (48, [].into()));
    }

    #[test]
    fn entries_of_otadata_have_their_known_bytes() {
        let entry = |sequence| OtaSlot::Entry { sequence, state: u32::MAX };
        let bytes = otadata([entry(1), entry(2)]);
        assert_eq!(hex(&bytes[..32]), format!("01000000{}9a984347", "ff".repeat(24)));
        assert_eq!(hex(&bytes[0x101C..0x1020]), "7437f655");
        assert_eq!(bytes.len(), 0x2000);
        let bytes = otadata([OtaSlot::WrongCrc { sequence: 1 }, OtaSlot::Erased]);
        assert_eq!(hex(&bytes[28..32]), "9b984347");
        assert!(bytes[32..].iter().all(|&byte| byte == 0xFF));
    }
}
