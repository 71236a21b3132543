//! What a dump, a partition table or otadata holds, as JSON.

use serde::Serialize;
use updraft_core::{
    AppKind, OtaData, OtaSector, Partition, PartitionFault, PartitionKind, PartitionTable,
};

use crate::image::info::read::{Holds, Inside, Part};

/// Fields of a file's object; `null` where it is no such file.
#[derive(Default, Serialize)]
pub(super) struct Contents {
    /// The partition table, of a table or in a dump.
    partition_table: Option<Table>,
    /// Otadata that is alone.
    otadata: Option<OtaDataDump>,
    /// The parts of a merged dump, in the order of their offsets.
    parts: Option<Vec<PartOfDump>>,
}

/// A partition table: its partitions, or why it is none.
#[derive(Serialize)]
struct Table {
    /// What is wrong with it.
    fault: Option<String>,
    /// Empty if something is wrong.
    partitions: Vec<PartitionRow>,
}

#[derive(Serialize)]
struct PartitionRow {
    label: String,
    /// Type and subtype in ESP-IDF's words: `app ota_0`.
    kind: String,
    /// Bytes from the start of the flash.
    offset: u32,
    /// Bytes.
    size: u32,
    encrypted: bool,
    read_only: bool,
}

#[derive(Serialize)]
struct OtaDataDump {
    /// Two; `null` for one that is empty.
    sectors: [Option<Sector>; 2],
    /// Which of them counts, 0 or 1.
    active: Option<u8>,
    /// What it makes start if there are two slots: `ota_0`; `null`: the factory application, or
    /// `ota_0`.
    starts: Option<String>,
}

#[derive(Serialize)]
struct Sector {
    sequence: u32,
    /// `new`, `pending verify`, `valid`, `invalid`, `aborted`, `undefined`; `null` if the CRC is
    /// wrong.
    state: Option<String>,
}

#[derive(Serialize)]
struct PartOfDump {
    /// The label of the partition, or what the part is.
    name: String,
    /// Type and subtype of the partition.
    kind: Option<String>,
    /// Bytes from the start of the dump.
    offset: u64,
    /// Bytes set apart for it.
    size: u64,
    /// `missing` (the dump ends before it), `empty`, `image`, `otadata`, `partition_table` or
    /// `data`.
    holds: &'static str,
    /// Whether the boot loader tries this application first.
    starts: bool,
    /// What the image in it is.
    image: Option<PartImage>,
    /// The otadata in it.
    otadata: Option<OtaDataDump>,
}

/// An image inside a dump. As of a file alone, but only what tells it from others.
#[derive(Serialize)]
struct PartImage {
    kind: &'static str,
    chip: Option<&'static str>,
    version: Option<String>,
    project: Option<String>,
    /// Bytes of a sketch or an application.
    size: Option<u32>,
    fault: Option<String>,
    checks: super::Checks,
}

impl Contents {
    pub(super) fn new(inside: &Inside) -> Self {
        match inside {
            Inside::Nothing => Self::default(),
            Inside::Table(table) => {
                Self { partition_table: Some(Table::new(table)), ..Self::default() }
            }
            Inside::OtaData(data) => {
                Self { otadata: Some(OtaDataDump::new(data)), ..Self::default() }
            }
            Inside::Dump(parts) => Self {
                partition_table: parts.iter().find_map(|part| match &part.holds {
                    Holds::Table(table) => Some(Table::new(table)),
                    _ => None,
                }),
                parts: Some(parts.iter().map(PartOfDump::new).collect()),
                ..Self::default()
            },
        }
    }
}

impl Table {
    fn new(table: &Result<PartitionTable, PartitionFault>) -> Self {
        let row = |partition: &Partition| PartitionRow {
            label: (*partition.label).to_owned(),
            kind: partition.kind.to_string(),
            offset: partition.offset,
            size: partition.size,
            encrypted: partition.is_encrypted(),
            read_only: partition.is_read_only(),
        };
        match table {
            Ok(table) => Self { fault: None, partitions: table.iter().map(row).collect() },
            Err(fault) => Self { fault: Some(fault.to_string()), partitions: Vec::new() },
        }
    }
}

impl OtaDataDump {
    fn new(data: &OtaData) -> Self {
        let sector = |sector: OtaSector| match sector {
            OtaSector::Empty => None,
            OtaSector::Entry(entry) => {
                Some(Sector { sequence: entry.sequence, state: Some(entry.state.to_string()) })
            }
            OtaSector::Damaged { sequence, .. } => Some(Sector { sequence, state: None }),
        };
        let active = data.active();
        Self {
            sectors: data.sectors.map(sector),
            active: active.map(|(sector, _)| sector),
            starts: active.map(|(_, entry)| AppKind::Ota(entry.slot(2)).to_string()),
        }
    }
}

impl PartOfDump {
    fn new(part: &Part) -> Self {
        let (holds, image, otadata) = match &part.holds {
            Holds::Missing => ("missing", None, None),
            Holds::Erased => ("empty", None, None),
            Holds::Image(facts) => {
                let image = PartImage {
                    kind: facts.kind.name(),
                    chip: facts.chip.map(updraft_core::Chip::name),
                    version: facts.version().map(str::to_owned),
                    project: facts.project().map(str::to_owned),
                    size: facts.sizes.sketch,
                    fault: facts.fault.map(|fault| fault.to_string()),
                    checks: super::Checks::new(facts.checks),
                };
                ("image", Some(image), None)
            }
            Holds::OtaData(data) => ("otadata", None, Some(OtaDataDump::new(data))),
            Holds::Table(_) => ("partition_table", None, None),
            Holds::Data => ("data", None, None),
        };
        Self {
            name: part.name.clone(),
            kind: part.kind.as_ref().map(PartitionKind::to_string),
            offset: part.offset,
            size: part.size,
            holds,
            starts: part.starts,
            image,
            otadata,
        }
    }
}
