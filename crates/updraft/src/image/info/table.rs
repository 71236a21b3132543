//! Several files at a glance: one line for each. The sheets say more.

use std::io::{self, Write};

use updraft_core::{Kind, OtaTarget};

use super::read::Sheet;

const HEADS: [&str; 6] = ["FILE", "KIND", "CHIP", "VERSION", "BYTES", "OVER THE AIR"];

/// Writes the table; columns are as wide as what stands in them.
pub(super) fn write(sheets: &[Sheet], out: &mut dyn Write) -> io::Result<()> {
    let rows: Vec<_> = sheets.iter().map(row).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([HEADS[column].len()]).max().unwrap_or_default()
    };
    let [file, kind, chip, version, bytes] = [0, 1, 2, 3, 4].map(width);
    for [a, b, c, d, e, f] in std::iter::once(HEADS.map(str::to_owned)).chain(rows.clone()) {
        writeln!(out, "{a:<file$}  {b:<kind$}  {c:<chip$}  {d:<version$}  {e:>bytes$}  {f}")?;
    }
    Ok(())
}

fn row(sheet: &Sheet) -> [String; 6] {
    let facts = &sheet.facts;
    let is_wrapped = facts.gzip.is_some() && facts.kind != Kind::GzipUnread;
    let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
    [
        sheet.path.display().to_string(),
        format!("{}{}", facts.kind, if is_wrapped { ", gzip" } else { "" }),
        or_dash(facts.chip.map(updraft_core::Chip::name)),
        or_dash(facts.version()),
        facts.sizes.file.to_string(),
        match facts.ota() {
            Ok(OtaTarget::Sketch) => "as a sketch".to_owned(),
            Ok(OtaTarget::Filesystem) => "as a filesystem".to_owned(),
            Err(reason) => format!("no: {reason}"),
        },
    ]
}
