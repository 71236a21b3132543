//! Types and subtypes of partitions, their codes and names. It knows no table.

use core::fmt;

/// What a partition is for: its type and subtype (`esp_partition_type_t`,
/// `esp_partition_subtype_t`, ESP-IDF `esp_partition.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PartitionKind {
    /// Type 0: an application.
    App(AppKind),
    /// Type 1: data.
    Data(DataKind),
    /// Type 2: a boot loader, by its subtype (0 is the one that starts).
    BootLoader(u8),
    /// Type 3: a partition table, by its subtype.
    PartitionTable(u8),
    /// Any other type; 0x40 to 0xFE are the project's own.
    Other {
        /// The type.
        kind: u8,
        /// The subtype.
        subtype: u8,
    },
}

/// Subtype of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AppKind {
    /// What starts as long as no update was made.
    Factory,
    /// A slot for updates, 0 to 15.
    Ota(u8),
    /// A test application, started by a pin.
    Test,
    /// A subtype without a name here.
    Other(u8),
}

/// Subtype of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataKind {
    /// Which slot starts: see [`OtaData`](crate::OtaData).
    OtaData,
    /// Calibration of the radio.
    Phy,
    /// Key-value storage.
    Nvs,
    /// The memory of a crashed application.
    CoreDump,
    /// Keys of an encrypted key-value storage.
    NvsKeys,
    /// Emulated eFuses.
    EfuseEmulation,
    /// Data of no named kind.
    Undefined,
    /// A FAT filesystem.
    Fat,
    /// A SPIFFS filesystem; Arduino puts `LittleFS` into it, too.
    Spiffs,
    /// A `LittleFS` filesystem.
    LittleFs,
    /// A subtype without a name here.
    Other(u8),
}

impl PartitionKind {
    /// The kind that these two codes mean.
    pub fn from_codes(kind: u8, subtype: u8) -> Self {
        match kind {
            0 => Self::App(match subtype {
                0x00 => AppKind::Factory,
                0x10..=0x1F => AppKind::Ota(subtype & 0x0F),
                0x20 => AppKind::Test,
                other => AppKind::Other(other),
            }),
            1 => Self::Data(match subtype {
                0x00 => DataKind::OtaData,
                0x01 => DataKind::Phy,
                0x02 => DataKind::Nvs,
                0x03 => DataKind::CoreDump,
                0x04 => DataKind::NvsKeys,
                0x05 => DataKind::EfuseEmulation,
                0x06 => DataKind::Undefined,
                0x81 => DataKind::Fat,
                0x82 => DataKind::Spiffs,
                0x83 => DataKind::LittleFs,
                other => DataKind::Other(other),
            }),
            2 => Self::BootLoader(subtype),
            3 => Self::PartitionTable(subtype),
            kind => Self::Other { kind, subtype },
        }
    }

    /// Type and subtype as they stand in a record.
    pub fn codes(self) -> (u8, u8) {
        match self {
            Self::App(app) => (0, app.code()),
            Self::Data(data) => (1, data.code()),
            Self::BootLoader(subtype) => (2, subtype),
            Self::PartitionTable(subtype) => (3, subtype),
            Self::Other { kind, subtype } => (kind, subtype),
        }
    }

    /// What the offset of such a partition is a multiple of (`gen_esp32part.py`, ESP-IDF).
    pub fn alignment(self) -> u32 {
        match self {
            Self::App(_) => 0x1_0000,
            _ => 0x1000,
        }
    }

    /// Whether a filesystem can be in it.
    pub fn is_filesystem(self) -> bool {
        matches!(self, Self::Data(DataKind::Fat | DataKind::Spiffs | DataKind::LittleFs))
    }
}

impl AppKind {
    fn code(self) -> u8 {
        match self {
            Self::Factory => 0x00,
            Self::Ota(slot) => 0x10 | slot & 0x0F,
            Self::Test => 0x20,
            Self::Other(code) => code,
        }
    }
}

impl DataKind {
    fn code(self) -> u8 {
        match self {
            Self::OtaData => 0x00,
            Self::Phy => 0x01,
            Self::Nvs => 0x02,
            Self::CoreDump => 0x03,
            Self::NvsKeys => 0x04,
            Self::EfuseEmulation => 0x05,
            Self::Undefined => 0x06,
            Self::Fat => 0x81,
            Self::Spiffs => 0x82,
            Self::LittleFs => 0x83,
            Self::Other(code) => code,
        }
    }
}

/// The words of ESP-IDF's CSV files: `app ota_0`, `data nvs`.
impl fmt::Display for PartitionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(app) => write!(f, "app {app}"),
            Self::Data(data) => write!(f, "data {data}"),
            Self::BootLoader(0) => f.write_str("bootloader primary"),
            Self::BootLoader(subtype) => write!(f, "bootloader {subtype:#04x}"),
            Self::PartitionTable(0) => f.write_str("partition_table primary"),
            Self::PartitionTable(subtype) => write!(f, "partition_table {subtype:#04x}"),
            Self::Other { kind, subtype } => write!(f, "{kind:#04x} {subtype:#04x}"),
        }
    }
}

impl fmt::Display for AppKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Factory => f.write_str("factory"),
            Self::Ota(slot) => write!(f, "ota_{slot}"),
            Self::Test => f.write_str("test"),
            Self::Other(code) => write!(f, "{code:#04x}"),
        }
    }
}

impl fmt::Display for DataKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtaData => "ota",
            Self::Phy => "phy",
            Self::Nvs => "nvs",
            Self::CoreDump => "coredump",
            Self::NvsKeys => "nvs_keys",
            Self::EfuseEmulation => "efuse",
            Self::Undefined => "undefined",
            Self::Fat => "fat",
            Self::Spiffs => "spiffs",
            Self::LittleFs => "littlefs",
            Self::Other(code) => return write!(f, "{code:#04x}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString as _;

    use super::*;

    #[test]
    fn every_pair_of_codes_is_written_as_it_was_read() {
        for kind in 0..=u8::MAX {
            for subtype in 0..=u8::MAX {
                assert_eq!(PartitionKind::from_codes(kind, subtype).codes(), (kind, subtype));
            }
        }
    }

    #[test]
    fn kinds_are_named_as_in_a_table_of_text() {
        let name = |kind, subtype| PartitionKind::from_codes(kind, subtype).to_string();
        assert_eq!(name(0, 0x1F), "app ota_15");
        assert_eq!(name(1, 0x82), "data spiffs");
        assert_eq!(name(1, 0x99), "data 0x99");
        assert_eq!(name(2, 0), "bootloader primary");
        assert_eq!(name(0x40, 1), "0x40 0x01");
    }
}
