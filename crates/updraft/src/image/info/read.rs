//! Reads one file: its facts, and what a dump, a table or otadata holds. It judges nothing.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use updraft_core::{
    Esp8266Layout, Facts, Family, Inflater, Kind, OtaData, PartitionFault, PartitionKind,
    PartitionTable,
};

use crate::image::facts::{BLOCK, facts, inspect};

/// One file that was read.
pub(super) struct Sheet {
    /// Its path, as it was given.
    pub(super) path: PathBuf,
    /// What it is.
    pub(super) facts: Facts,
    /// What it holds.
    pub(super) inside: Inside,
}

/// What a file holds that is no single image.
pub(super) enum Inside {
    /// Nothing of that kind.
    Nothing,
    Table(Box<Result<PartitionTable, PartitionFault>>),
    OtaData(OtaData),
    /// The parts of a merged dump, in the order of their places.
    Dump(Vec<Part>),
}

/// A part of a merged dump.
pub(super) struct Part {
    /// Its label in the partition table; or what it is.
    pub(super) name: String,
    /// What the table says that it is for.
    pub(super) kind: Option<PartitionKind>,
    /// Where it starts.
    pub(super) offset: u64,
    /// Bytes set apart for it.
    pub(super) size: u64,
    /// What is in it.
    pub(super) holds: Holds,
    /// Whether the boot loader tries this application first.
    pub(super) starts: bool,
}

/// What is in a part of a dump.
pub(super) enum Holds {
    /// The dump ends before it.
    Missing,
    /// FF.
    Erased,
    /// An image, or a filesystem.
    Image(Box<Facts>),
    OtaData(OtaData),
    /// The partition table, or what is wrong with it.
    Table(Box<Result<PartitionTable, PartitionFault>>),
    /// Something that is not looked at, or not known.
    Data,
}

impl Sheet {
    /// Reads the file at `path`.
    pub(super) fn read(path: &Path, inflater: &mut Inflater) -> io::Result<Self> {
        let facts = facts(path, inflater)?;
        let mut file = File::open(path)?;
        let inside = match facts.kind {
            // Of what is inside a gzip only the facts are known.
            _ if facts.gzip.is_some() => Inside::Nothing,
            Kind::PartitionTable => Inside::Table(table(&mut file, 0)?.into()),
            Kind::OtaData => otadata(&mut file, 0)?.map_or(Inside::Nothing, Inside::OtaData),
            Kind::MergedFlash => Inside::Dump(match facts.family() {
                Some(Family::Esp8266) => esp8266(&mut file, &facts, inflater)?,
                _ => esp32(&mut file, &facts, inflater)?,
            }),
            _ => Inside::Nothing,
        };
        Ok(Self { path: path.to_owned(), facts, inside })
    }
}

/// The dump of an ESP8266: its sketch, and the filesystem of the first layout that has one there.
fn esp8266(file: &mut File, facts: &Facts, inflater: &mut Inflater) -> io::Result<Vec<Part>> {
    let flash = facts.sizes.file;
    let mut parts = Vec::new();
    if let Some(size) = facts.places.sketch_end {
        let holds = image(file, 0..size, inflater)?;
        parts.push(Part {
            name: "sketch".into(),
            kind: None,
            offset: 0,
            size,
            holds,
            starts: true,
        });
    }
    for layout in Esp8266Layout::all().filter(|layout| u64::from(layout.flash()) == flash) {
        let place = layout.filesystem();
        let (offset, end) = (u64::from(place.start), u64::from(place.end));
        let holds = image(file, offset..end, inflater)?;
        if let Holds::Image(found) = &holds
            && matches!(found.kind, Kind::Filesystem(_))
            && found.fault.is_none()
        {
            let name = format!("filesystem, as in {}", layout.name());
            let size = end - offset;
            parts.push(Part { name, kind: None, offset, size, holds, starts: false });
            break;
        }
    }
    Ok(parts)
}

/// The dump of an ESP32: boot loader, partition table, and what each partition holds.
fn esp32(file: &mut File, facts: &Facts, inflater: &mut Inflater) -> io::Result<Vec<Part>> {
    let mut parts = Vec::new();
    let places = facts.places;
    let table_start = places.partition_table;
    if let Some(offset) = places.boot_loader {
        let end = table_start.unwrap_or(facts.sizes.file);
        let (name, size) = ("boot loader".into(), end.saturating_sub(offset));
        let holds = image(file, offset..end, inflater)?;
        parts.push(Part { name, kind: None, offset, size, holds, starts: false });
    }
    let Some(offset) = table_start else { return Ok(parts) };
    let (name, size) = ("partition table".into(), PartitionTable::LENGTH as u64);
    let table = table(file, offset)?;
    let holds = Holds::Table(table.clone().into());
    parts.push(Part { name, kind: None, offset, size, holds, starts: false });
    let Ok(table) = table else { return Ok(parts) };
    let chosen = match table.otadata() {
        Some(partition) => otadata(file, partition.offset.into())?,
        None => None,
    };
    let starts = chosen.unwrap_or(OtaData::ERASED).starts(&table).map(PartitionKind::App);
    for partition in table.iter() {
        let offset = u64::from(partition.offset);
        let holds = match (image(file, offset..partition.end(), inflater)?, partition.kind) {
            (Holds::Image(found), kind) if belongs(&found, kind) => Holds::Image(found),
            (Holds::Image(_), _) if Some(partition) == table.otadata() => {
                otadata(file, offset)?.map_or(Holds::Data, Holds::OtaData)
            }
            (Holds::Image(_), _) => Holds::Data,
            (nothing, _) => nothing,
        };
        parts.push(Part {
            name: (*partition.label).to_owned(),
            kind: Some(partition.kind),
            offset,
            size: partition.size.into(),
            holds,
            starts: starts == Some(partition.kind),
        });
    }
    parts.sort_by_key(|part| part.offset);
    Ok(parts)
}

/// Whether what was found is what such a partition is for.
fn belongs(found: &Facts, kind: PartitionKind) -> bool {
    match found.kind {
        Kind::Esp32App => matches!(kind, PartitionKind::App(_)),
        Kind::Filesystem(_) => kind.is_filesystem(),
        Kind::BootLoader => matches!(kind, PartitionKind::BootLoader(_)),
        _ => false,
    }
}

/// What is in a range of the file: an image of some kind, perhaps unknown; or nothing.
fn image(
    file: &mut File,
    range: std::ops::Range<u64>,
    inflater: &mut Inflater,
) -> io::Result<Holds> {
    let available = file.metadata()?.len().min(range.end).saturating_sub(range.start);
    if available == 0 {
        return Ok(Holds::Missing);
    }
    file.seek(SeekFrom::Start(range.start))?;
    if is_erased(&mut file.take(available))? {
        return Ok(Holds::Erased);
    }
    file.seek(SeekFrom::Start(range.start))?;
    inspect(&mut file.take(available), available, inflater).map(|facts| Holds::Image(facts.into()))
}

fn is_erased(from: &mut impl io::Read) -> io::Result<bool> {
    let mut block = vec![0; BLOCK];
    loop {
        match from.read(&mut block)? {
            0 => return Ok(true),
            length if block[..length].iter().all(|&byte| byte == 0xFF) => {}
            _ => return Ok(false),
        }
    }
}

fn table(file: &mut File, offset: u64) -> io::Result<Result<PartitionTable, PartitionFault>> {
    Ok(PartitionTable::parse(&bytes(file, offset, PartitionTable::LENGTH)?))
}

fn otadata(file: &mut File, offset: u64) -> io::Result<Option<OtaData>> {
    Ok(OtaData::parse(&bytes(file, offset, OtaData::LENGTH)?))
}

/// So many bytes of the file, or as many as there are.
fn bytes(file: &mut File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length);
    file.seek(SeekFrom::Start(offset))?;
    file.take(length as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
