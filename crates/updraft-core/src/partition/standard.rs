//! The partition tables that Arduino-ESP32 brings along, by the names of their files
//! (`tools/partitions/*.csv` of the core's version 3). Data only.

use super::{Partition, PartitionTable};
use crate::facts::Text;
use crate::partition::{AppKind, DataKind, PartitionKind};

/// Label, kind, offset and size in bytes.
type Row = (&'static str, PartitionKind, u32, u32);

const OTA_0: PartitionKind = PartitionKind::App(AppKind::Ota(0));
const OTA_1: PartitionKind = PartitionKind::App(AppKind::Ota(1));
const FACTORY: PartitionKind = PartitionKind::App(AppKind::Factory);
const FAT: PartitionKind = PartitionKind::Data(DataKind::Fat);
const SPIFFS: PartitionKind = PartitionKind::Data(DataKind::Spiffs);
const COREDUMP: PartitionKind = PartitionKind::Data(DataKind::CoreDump);

/// What every one of the tables starts with.
const START: [Row; 2] = [
    ("nvs", PartitionKind::Data(DataKind::Nvs), 0x9000, 0x5000),
    ("otadata", PartitionKind::Data(DataKind::OtaData), 0xE000, 0x2000),
];

/// Name, flash size in MiB, and what follows [`START`].
const TABLES: [(&str, u32, &[Row]); 15] = [
    (
        "default",
        4,
        &[
            ("app0", OTA_0, 0x1_0000, 0x14_0000),
            ("app1", OTA_1, 0x15_0000, 0x14_0000),
            ("spiffs", SPIFFS, 0x29_0000, 0x16_0000),
            ("coredump", COREDUMP, 0x3F_0000, 0x1_0000),
        ],
    ),
    (
        "default_ffat",
        4,
        &[
            ("app0", OTA_0, 0x1_0000, 0x14_0000),
            ("app1", OTA_1, 0x15_0000, 0x14_0000),
            ("ffat", FAT, 0x29_0000, 0x16_0000),
            ("coredump", COREDUMP, 0x3F_0000, 0x1_0000),
        ],
    ),
    (
        "default_8MB",
        8,
        &[
            ("app0", OTA_0, 0x1_0000, 0x33_0000),
            ("app1", OTA_1, 0x34_0000, 0x33_0000),
            ("spiffs", SPIFFS, 0x67_0000, 0x18_0000),
            ("coredump", COREDUMP, 0x7F_0000, 0x1_0000),
        ],
    ),
    (
        "default_16MB",
        16,
        &[
            ("app0", OTA_0, 0x1_0000, 0x64_0000),
            ("app1", OTA_1, 0x65_0000, 0x64_0000),
            ("spiffs", SPIFFS, 0xC9_0000, 0x36_0000),
            ("coredump", COREDUMP, 0xFF_0000, 0x1_0000),
        ],
    ),
    (
        "large_spiffs_16MB",
        16,
        &[
            ("app0", OTA_0, 0x1_0000, 0x48_0000),
            ("app1", OTA_1, 0x49_0000, 0x48_0000),
            ("spiffs", SPIFFS, 0x91_0000, 0x6E_0000),
            ("coredump", COREDUMP, 0xFF_0000, 0x1_0000),
        ],
    ),
    (
        "app3M_fat9M_16MB",
        16,
        &[
            ("app0", OTA_0, 0x1_0000, 0x30_0000),
            ("app1", OTA_1, 0x31_0000, 0x30_0000),
            ("ffat", FAT, 0x61_0000, 0x9E_0000),
            ("coredump", COREDUMP, 0xFF_0000, 0x1_0000),
        ],
    ),
    (
        "ffat",
        16,
        &[
            ("app0", OTA_0, 0x1_0000, 0x20_0000),
            ("app1", OTA_1, 0x21_0000, 0x20_0000),
            ("ffat", FAT, 0x41_0000, 0xBE_0000),
            ("coredump", COREDUMP, 0xFF_0000, 0x1_0000),
        ],
    ),
    (
        "min_spiffs",
        4,
        &[
            ("app0", OTA_0, 0x1_0000, 0x1E_0000),
            ("app1", OTA_1, 0x1F_0000, 0x1E_0000),
            ("spiffs", SPIFFS, 0x3D_0000, 0x2_0000),
            ("coredump", COREDUMP, 0x3F_0000, 0x1_0000),
        ],
    ),
    (
        "no_fs",
        4,
        &[
            ("app0", OTA_0, 0x1_0000, 0x1F_0000),
            ("app1", OTA_1, 0x20_0000, 0x1F_0000),
            ("coredump", COREDUMP, 0x3F_0000, 0x1_0000),
        ],
    ),
    (
        "huge_app",
        4,
        &[
            ("app0", OTA_0, 0x1_0000, 0x30_0000),
            ("spiffs", SPIFFS, 0x31_0000, 0xE_0000),
            ("coredump", COREDUMP, 0x3F_0000, 0x1_0000),
        ],
    ),
    (
        "no_ota",
        4,
        &[
            ("app0", OTA_0, 0x1_0000, 0x20_0000),
            ("spiffs", SPIFFS, 0x21_0000, 0x1E_0000),
            ("coredump", COREDUMP, 0x3F_0000, 0x1_0000),
        ],
    ),
    (
        "noota_3g",
        4,
        &[
            ("app0", OTA_0, 0x1_0000, 0x10_0000),
            ("spiffs", SPIFFS, 0x11_0000, 0x2E_0000),
            ("coredump", COREDUMP, 0x3F_0000, 0x1_0000),
        ],
    ),
    (
        "noota_ffat",
        4,
        &[
            ("app0", OTA_0, 0x1_0000, 0x20_0000),
            ("ffat", FAT, 0x21_0000, 0x1E_0000),
            ("coredump", COREDUMP, 0x3F_0000, 0x1_0000),
        ],
    ),
    (
        "max_app_8MB",
        8,
        &[("app0", FACTORY, 0x1_0000, 0x7E_0000), ("coredump", COREDUMP, 0x7F_0000, 0x1_0000)],
    ),
    (
        "minimal",
        2,
        &[
            ("app0", OTA_0, 0x1_0000, 0x14_0000),
            ("spiffs", SPIFFS, 0x15_0000, 0xA_0000),
            ("coredump", COREDUMP, 0x1F_0000, 0x1_0000),
        ],
    ),
];

impl PartitionTable {
    /// A table that Arduino-ESP32 brings along, by the name of its file: `default`, `min_spiffs`.
    pub fn standard(name: &str) -> Option<Self> {
        let (_, _, rows) = TABLES.iter().find(|(known, ..)| *known == name)?;
        let mut table = Self::default();
        for &(label, kind, offset, size) in START.iter().chain(*rows) {
            table
                .push(Partition { kind, label: Text::new(label)?, offset, size, flags: 0 })
                .ok()?;
        }
        Some(table)
    }

    /// Names of the tables that [`PartitionTable::standard`] knows.
    pub fn standard_names() -> impl Iterator<Item = &'static str> {
        TABLES.iter().map(|(name, ..)| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_standard_table_is_a_good_one_and_fills_its_flash() {
        for (name, mib, _) in TABLES {
            let table = PartitionTable::standard(name).unwrap();
            let end = table.iter().map(Partition::end).max().unwrap();
            assert_eq!(end, u64::from(mib) << 20, "{name}");
            assert_eq!(table.fits(mib << 20), Ok(()), "{name}");
            assert_eq!(PartitionTable::parse(&table.to_bytes()), Ok(table), "{name}");
        }
        assert_eq!(PartitionTable::standard("other"), None);
        assert_eq!(PartitionTable::standard_names().count(), TABLES.len());
    }
}
