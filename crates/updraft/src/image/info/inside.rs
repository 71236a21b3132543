//! What a dump, a partition table or otadata holds, as lines of a sheet.

use updraft_core::{AppKind, Facts, Kind, OtaData, OtaSector, Partition, PartitionTable, Verdict};

use super::read::{Holds, Inside, Part};
use super::sheet::Line;

/// The lines, names first.
pub(super) fn lines(inside: &Inside) -> Vec<Line> {
    match inside {
        Inside::Nothing => Vec::new(),
        Inside::Table(table) => match table.as_ref() {
            Ok(table) => {
                let width = widest(table.iter().map(|partition| &*partition.label));
                named("partitions", table.iter().map(|partition| row(partition, width)))
            }
            Err(fault) => vec![("partitions", format!("bad: {fault}"))],
        },
        Inside::OtaData(data) => {
            let mut lines = named("sectors", data.sectors.iter().map(sector));
            lines.push(("starts", starts_of_two(data)));
            lines
        }
        Inside::Dump(dump) => parts(dump),
    }
}

/// What a part of a dump holds, in words.
fn holds(holds: &Holds) -> String {
    match holds {
        Holds::Missing => "not in the file".to_owned(),
        Holds::Erased => "empty".to_owned(),
        Holds::Image(facts) => image(facts),
        Holds::OtaData(data) => data.sectors.iter().map(sector).collect::<Vec<_>>().join("; "),
        Holds::Table(table) => match table.as_ref() {
            Ok(_) => "partition table".to_owned(),
            Err(fault) => format!("bad: {fault}"),
        },
        Holds::Data => "data".to_owned(),
    }
}

fn parts(parts: &[Part]) -> Vec<Line> {
    let width = widest(parts.iter().map(|part| &*part.name));
    let line = |part: &Part| {
        let (name, offset, size) = (&part.name, part.offset, part.size);
        let starts = if part.starts { ", starts" } else { "" };
        let what = holds(&part.holds);
        format!("{name:<width$}  {offset:#08x}  {size:>8} bytes  {what}{starts}")
    };
    named("inside", parts.iter().map(line))
}

/// A partition as a line of a table.
fn row(partition: &Partition, width: usize) -> String {
    let Partition { kind, label, offset, size, .. } = partition;
    let (kind, label) = (kind.to_string(), &**label);
    let encrypted = if partition.is_encrypted() { ", encrypted" } else { "" };
    let fixed = if partition.is_read_only() { ", read-only" } else { "" };
    format!("{label:<width$}  {offset:#08x}  {size:>8} bytes  {kind}{encrypted}{fixed}")
}

fn widest<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names.map(|name| name.chars().count()).max().unwrap_or_default()
}

fn sector(sector: &OtaSector) -> String {
    match sector {
        OtaSector::Entry(entry) if !entry.may_start() => format!("{sector}: does not count"),
        _ => sector.to_string(),
    }
}

/// What otadata that is alone makes start: how many slots there are is for the table to say.
fn starts_of_two(data: &OtaData) -> String {
    let two = PartitionTable::standard("default").unwrap_or_default();
    match (data.active(), data.starts(&two)) {
        (Some(_), Some(AppKind::Ota(slot))) => format!("ota_{slot}, if there are two slots"),
        _ => "the factory application, or ota_0".to_owned(),
    }
}

fn image(facts: &Facts) -> String {
    if facts.kind == Kind::Unknown {
        return "data, not recognised".to_owned();
    }
    let kind = facts.kind.to_string();
    let name = [Some(&*kind), facts.project(), facts.version()].into_iter().flatten();
    let mut words = vec![name.collect::<Vec<_>>().join(" ")];
    if let Some(size) = facts.sizes.sketch {
        words.push(format!("{size} bytes"));
    }
    if let Some(blocks) = facts.blocks {
        words.push(format!("{} blocks of {} bytes", blocks.count, blocks.size));
    }
    let checks = facts.checks;
    let sums = [checks.checksum, checks.boot_checksum, checks.crc, checks.hash];
    match facts.fault {
        Some(fault) => words.push(format!("broken: {fault}")),
        None if sums.contains(&Verdict::Bad) => words.push("broken: a sum is wrong".to_owned()),
        None => {}
    }
    words.join(", ")
}

/// Lines of which the first has the name.
fn named(name: &'static str, values: impl Iterator<Item = String>) -> Vec<Line> {
    values.enumerate().map(|(i, value)| (if i == 0 { name } else { "" }, value)).collect()
}
