//! ESP-IDF's partition table: read, checked, searched and written. It never looks at what is in a
//! partition, and never at where the table itself stands.

use core::fmt;

use md5::{Digest as _, Md5};

use crate::facts::Text;
use crate::window::word;

mod kind;
mod standard;

pub use self::kind::{AppKind, DataKind, PartitionKind};

/// First half-word of a record (`ESP_PARTITION_MAGIC`, ESP-IDF `esp_flash_partitions.h`).
const MAGIC: [u8; 2] = [0xAA, 0x50];
/// First half-word of the record with the MD5 (`ESP_PARTITION_MAGIC_MD5`); 14 bytes FF follow.
const MD5_MAGIC: [u8; 2] = [0xEB, 0xEB];
/// Length of a record.
const RECORD: usize = 32;
/// A record that is not there: erased flash.
const ERASED: [u8; RECORD] = [0xFF; RECORD];

/// A partition table: at most [`PartitionTable::MAX`] partitions that do not overlap, in the order
/// of their records.
#[derive(Clone, PartialEq, Eq)]
pub struct PartitionTable {
    list: [Partition; Self::MAX],
    count: u8,
}

/// One partition: a named range of the flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// What it is for.
    pub kind: PartitionKind,
    /// Its name.
    pub label: Text<16>,
    /// Where it starts in the flash.
    pub offset: u32,
    /// Length in bytes.
    pub size: u32,
    /// Bit 0: encrypted. Bit 1: not to be written.
    pub flags: u32,
}

/// What is wrong with a partition table. Records are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PartitionFault {
    /// There is no partition in it.
    Empty,
    /// It ends within a record.
    Truncated,
    /// A record starts with something else than AA 50.
    Magic {
        /// Which record.
        record: u8,
        /// Its first two bytes.
        found: [u8; 2],
    },
    /// The MD5 of the records is not the one that the table names.
    Md5,
    /// Something stands behind the record with the MD5.
    BehindMd5,
    /// More partitions than [`PartitionTable::MAX`].
    TooMany,
    /// A partition without a byte.
    NoSize {
        /// Its name.
        label: Text<16>,
    },
    /// A partition does not start where its kind has to.
    Misaligned {
        /// Its name.
        label: Text<16>,
        /// Where it starts.
        offset: u32,
        /// What that should be a multiple of.
        alignment: u32,
    },
    /// Two partitions share bytes.
    Overlap {
        /// The name of the one that stands first in the table.
        first: Text<16>,
        /// The name of the other.
        second: Text<16>,
    },
    /// A partition reaches past the end of the flash.
    OutOfFlash {
        /// Its name.
        label: Text<16>,
        /// Where it ends.
        end: u64,
        /// How many bytes of flash there are.
        flash: u64,
    },
}

impl PartitionTable {
    /// Most partitions of a table (`ESP_PARTITION_TABLE_MAX_ENTRIES`, ESP-IDF).
    pub const MAX: usize = 95;
    /// Length of a table in bytes (`ESP_PARTITION_TABLE_MAX_LEN`, ESP-IDF).
    pub const LENGTH: usize = 0xC00;
    /// Where the table stands in the flash, unless the project says otherwise
    /// (`CONFIG_PARTITION_TABLE_OFFSET`).
    pub const OFFSET: u32 = 0x8000;

    /// Reads a table from its first bytes: [`PartitionTable::LENGTH`] of them, or fewer that end
    /// behind a record. What follows is not looked at. The MD5 is compared if the table has one.
    pub fn parse(bytes: &[u8]) -> Result<Self, PartitionFault> {
        let bytes = bytes.get(..Self::LENGTH).unwrap_or(bytes);
        let (records, rest) = bytes.as_chunks::<RECORD>();
        let mut table = Self::default();
        let mut sum = Md5::new();
        let mut summed = false;
        for (record, number) in records.iter().zip(0..) {
            let found = [record[0], record[1]];
            match found {
                _ if *record == ERASED => return table.complete(),
                _ if summed => return Err(PartitionFault::BehindMd5),
                MAGIC => table.push(Partition::from_record(record))?,
                MD5_MAGIC => {
                    let md5: [u8; 16] = sum.finalize_reset().into();
                    if !record.ends_with(&md5) {
                        return Err(PartitionFault::Md5);
                    }
                    summed = true;
                }
                found => return Err(PartitionFault::Magic { record: number, found }),
            }
            sum.update(record);
        }
        if rest.is_empty() { table.complete() } else { Err(PartitionFault::Truncated) }
    }

    /// Adds a partition behind the others.
    pub fn push(&mut self, partition: Partition) -> Result<(), PartitionFault> {
        let Partition { kind, label, offset, size, .. } = partition;
        let alignment = kind.alignment();
        if size == 0 {
            return Err(PartitionFault::NoSize { label });
        }
        if !offset.is_multiple_of(alignment) {
            return Err(PartitionFault::Misaligned { label, offset, alignment });
        }
        if let Some(other) = self.iter().find(|other| other.overlaps(&partition)) {
            return Err(PartitionFault::Overlap { first: other.label, second: label });
        }
        let free = self.list.get_mut(usize::from(self.count)).ok_or(PartitionFault::TooMany)?;
        *free = partition;
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// Whether every partition ends within a flash of `size` bytes.
    pub fn fits(&self, size: u32) -> Result<(), PartitionFault> {
        let flash = u64::from(size);
        match self.iter().find(|partition| partition.end() > flash) {
            None => Ok(()),
            Some(partition) => {
                let (label, end) = (partition.label, partition.end());
                Err(PartitionFault::OutOfFlash { label, end, flash })
            }
        }
    }

    /// The table as it stands in the flash: its records, their MD5, FF up to the end.
    pub fn to_bytes(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0xFF; Self::LENGTH];
        let (records, _) = bytes.as_chunks_mut::<RECORD>();
        let mut free = records.iter_mut();
        let mut sum = Md5::new();
        for (partition, slot) in self.iter().zip(&mut free) {
            *slot = partition.to_record();
            sum.update(*slot);
        }
        if let Some([first, second, _, _, _, _, _, _, _, _, _, _, _, _, _, _, md5 @ ..]) =
            free.next()
        {
            [*first, *second] = MD5_MAGIC;
            *md5 = sum.finalize().into();
        }
        bytes
    }

    /// The first partition of this kind.
    pub fn find(&self, kind: PartitionKind) -> Option<&Partition> {
        self.iter().find(|partition| partition.kind == kind)
    }

    /// The partition of this name.
    pub fn named(&self, label: &str) -> Option<&Partition> {
        self.iter().find(|partition| &*partition.label == label)
    }

    /// What starts as long as no update was made.
    pub fn factory(&self) -> Option<&Partition> {
        self.find(PartitionKind::App(AppKind::Factory))
    }

    /// The slot for updates of this number.
    pub fn slot(&self, number: u8) -> Option<&Partition> {
        self.find(PartitionKind::App(AppKind::Ota(number)))
    }

    /// The slots for updates, by their numbers.
    pub fn slots(&self) -> impl Iterator<Item = &Partition> {
        (0..16).filter_map(|number| self.slot(number))
    }

    /// Where it is kept which slot starts.
    pub fn otadata(&self) -> Option<&Partition> {
        self.find(PartitionKind::Data(DataKind::OtaData))
    }

    /// Partitions for filesystems.
    pub fn filesystems(&self) -> impl Iterator<Item = &Partition> {
        self.iter().filter(|partition| partition.kind.is_filesystem())
    }

    /// The slot that the next update goes to while `running` runs: the one behind it in the circle,
    /// or the first (`esp_ota_get_next_update_partition`, ESP-IDF). `None` if that is the running one
    /// itself, or there is no slot.
    pub fn next_update(&self, running: AppKind) -> Option<&Partition> {
        let behind = match running {
            AppKind::Ota(number) => number.saturating_add(1),
            _ => 0,
        };
        let next = (behind..16).find_map(|number| self.slot(number));
        next.or_else(|| self.slots().next())
            .filter(|partition| partition.kind != PartitionKind::App(running))
    }

    /// The table, unless it is empty.
    fn complete(self) -> Result<Self, PartitionFault> {
        if self.is_empty() { Err(PartitionFault::Empty) } else { Ok(self) }
    }
}

impl Partition {
    /// Where it ends in the flash.
    pub fn end(&self) -> u64 {
        u64::from(self.offset).saturating_add(u64::from(self.size))
    }

    /// Whether the chip encrypts what is in it (`PART_FLAG_ENCRYPTED`, ESP-IDF
    /// `esp_flash_partitions.h`).
    pub fn is_encrypted(&self) -> bool {
        self.flags & 1 != 0
    }

    /// Whether ESP-IDF refuses to write to it (`PART_FLAG_READONLY`).
    pub fn is_read_only(&self) -> bool {
        self.flags & 2 != 0
    }

    fn overlaps(&self, other: &Self) -> bool {
        u64::from(self.offset) < other.end() && u64::from(other.offset) < self.end()
    }

    fn from_record(record: &[u8; RECORD]) -> Self {
        let [_, _, kind, subtype, fields @ ..] = *record;
        let number = |offset| word(&fields, offset).unwrap_or_default();
        let label = fields.get(8..24).and_then(|label| label.first_chunk()).copied();
        Self {
            kind: PartitionKind::from_codes(kind, subtype),
            label: Text::from_field(label.unwrap_or_default()),
            offset: number(0),
            size: number(4),
            flags: number(24),
        }
    }

    fn to_record(self) -> [u8; RECORD] {
        let (kind, subtype) = self.kind.codes();
        let mut record = [0; RECORD];
        let fields = [
            (0, &[MAGIC[0], MAGIC[1], kind, subtype][..]),
            (4, &self.offset.to_le_bytes()),
            (8, &self.size.to_le_bytes()),
            (12, self.label.field()),
            (28, &self.flags.to_le_bytes()),
        ];
        for (at, bytes) in fields {
            let places = record.iter_mut().skip(at);
            places.zip(bytes).for_each(|(place, byte)| *place = *byte);
        }
        record
    }
}

impl Default for PartitionTable {
    /// A table without a partition.
    fn default() -> Self {
        const NONE: Partition = Partition {
            kind: PartitionKind::Other { kind: 0xFF, subtype: 0xFF },
            label: Text::EMPTY,
            offset: 0,
            size: 0,
            flags: 0,
        };
        Self { list: [NONE; Self::MAX], count: 0 }
    }
}

impl core::ops::Deref for PartitionTable {
    type Target = [Partition];

    fn deref(&self) -> &[Partition] {
        self.list.get(..usize::from(self.count)).unwrap_or_default()
    }
}

impl fmt::Debug for PartitionTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl fmt::Display for PartitionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no partition is in the table"),
            Self::Truncated => f.write_str("the table ends within a record"),
            Self::Magic { record, found: [one, two] } => {
                write!(f, "record {record} starts with {one:02X} {two:02X} instead of AA 50")
            }
            Self::Md5 => f.write_str("the MD5 of the table is wrong"),
            Self::BehindMd5 => f.write_str("something stands behind the MD5 of the table"),
            Self::TooMany => write!(f, "more than {} partitions", PartitionTable::MAX),
            Self::NoSize { label } => write!(f, "partition {} has no size", &**label),
            Self::Misaligned { label, offset, alignment } => write!(
                f,
                "partition {} starts at {offset:#x}, which is no multiple of {alignment:#x}",
                &**label
            ),
            Self::Overlap { first, second } => {
                write!(f, "partitions {} and {} overlap", &**first, &**second)
            }
            Self::OutOfFlash { label, end, flash } => write!(
                f,
                "partition {} ends at {end:#x}, behind the end of the flash at {flash:#x}",
                &**label
            ),
        }
    }
}
