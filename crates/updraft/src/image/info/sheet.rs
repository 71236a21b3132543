//! The sheet of facts for people: one line for each fact that there is.

use std::io::{self, Write};

use updraft_core::{Facts, FlashMode, Kind, OtaTarget, RunningMd5, Verdict};

use super::read::Sheet;
use super::{hex, inside};

/// A name and a value; what continues the value before it has no name.
pub(super) type Line = (&'static str, String);

/// Writes the sheet of one file.
pub(super) fn write(sheet: &Sheet, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", sheet.path.display())?;
    for (name, value) in lines(&sheet.facts).into_iter().chain(inside::lines(&sheet.inside)) {
        writeln!(out, "  {name:<14}{value}")?;
    }
    Ok(())
}

fn lines(facts: &Facts) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut line = |name, value: String| lines.push((name, value));
    let wrapped = facts.gzip.is_some() && facts.kind != Kind::GzipUnread;
    line("kind", format!("{}{}", facts.kind, if wrapped { ", as a gzip" } else { "" }));
    if let Some(chip) = facts.chip {
        line("chip", chip.to_string());
    }
    if let Some(project) = facts.project() {
        line("project", project.to_owned());
    }
    if let Some(version) = facts.version() {
        line("version", version.to_owned());
    }
    line(
        "over the air",
        match facts.ota() {
            Ok(OtaTarget::Sketch) => "yes, as a sketch".to_owned(),
            Ok(OtaTarget::Filesystem) => "yes, as a filesystem".to_owned(),
            Err(reason) => format!("no: {reason}"),
        },
    );
    if let Some(fault) = facts.fault {
        line("fault", fault.to_string());
    }
    let checks = facts.checks;
    for (name, verdict) in [
        ("checksum", checks.checksum),
        ("boot checksum", checks.boot_checksum),
        ("CRC", checks.crc),
        ("appended hash", checks.hash),
    ] {
        if verdict != Verdict::Absent {
            line(name, verdict.to_string());
        }
    }
    if let Some(gzip) = facts.gzip {
        let inflated = facts.sizes.inflated.unwrap_or(gzip.isize.into());
        line("gzip", format!("inflates to {inflated} bytes, CRC {}", gzip.crc));
    }
    if let Some(signature) = facts.signature {
        let key = facts.key.map(|key| format!(", {key}")).unwrap_or_default();
        line("signature", format!("{signature}{key}, not verified"));
    }
    if let Some(note) = fixed_mode(facts) {
        line("note", note);
    }
    if let Some(blocks) = facts.blocks {
        line("blocks", format!("{} of {} bytes", blocks.count, blocks.size));
    }
    line("size", format!("{} bytes", facts.sizes.file));
    if facts.sizes.payload != facts.sizes.file {
        line("", format!("{} bytes without the signature", facts.sizes.payload));
    }
    if facts.sizes.trailing > 0 {
        line("", format!("{} bytes of it stand behind the image", facts.sizes.trailing));
    }
    if let Some(flash) = facts.flash {
        let size = flash.size.map_or_else(|| "unassigned size".to_owned(), in_units);
        let clock = match flash.frequency_mhz {
            Some(mhz) => format!("{mhz} MHz"),
            None => "unassigned clock".to_owned(),
        };
        line("flash", format!("{}, {size}, {clock}", flash.mode));
    }
    if let Some(entry) = facts.entry {
        line("entry", format!("{entry:#010x}"));
    }
    for (i, segment) in facts.segments.iter().enumerate() {
        let name = if i == 0 { "segments" } else { "" };
        let (address, length, offset) = (segment.address, segment.length, segment.offset);
        line(name, format!("{address:#010x}  {length:>8} bytes from {offset:#x}"));
    }
    if let Some(descriptor) = &facts.descriptor {
        line("built", format!("{} {}", &*descriptor.date, &*descriptor.time));
        line("ESP-IDF", (*descriptor.idf).to_owned());
    }
    line("MD5", hex(&facts.md5));
    line("SHA-256", hex(&facts.sha256));
    match &facts.running.md5 {
        RunningMd5::None => {}
        RunningMd5::One(md5) => line("running MD5", hex(md5)),
        RunningMd5::ByFlashMode(all) => {
            for (i, (mode, md5)) in FlashMode::ESP8266.into_iter().zip(all).enumerate() {
                let name = if i == 0 { "running MD5" } else { "" };
                line(name, format!("{}  {mode}", hex(md5)));
            }
        }
    }
    if let Some(sha256) = &facts.running.sha256 {
        line("running SHA", hex(sha256));
    }
    lines
}

/// What a device must run so that it survives an ESP8266 sketch whose flash mode it cannot rewrite.
fn fixed_mode(facts: &Facts) -> Option<String> {
    let mode = facts.flash?.mode;
    let why = match (facts.gzip, facts.signature) {
        (Some(_), _) => "is not rewritten in a gzip",
        (None, Some(_)) => "is signed, too",
        (None, None) => return None,
    };
    let matters = facts.kind == Kind::ArduinoSketch && facts.ota().is_ok();
    matters.then(|| format!("only for devices that run in {mode}: the flash mode {why}"))
}

/// A flash size in KiB or MiB.
pub(super) fn in_units(size: u32) -> String {
    if size < 1 << 20 { format!("{} KiB", size >> 10) } else { format!("{} MiB", size >> 20) }
}
