//! The sheet of facts as JSON. These structs are the contract with scripts: names stay, fields are
//! only added, what is not known is `null`.

use std::io::Write;

use serde::Serialize;
use updraft_core::{OtaTarget, RunningMd5};

use self::inside::Contents;
use self::update::Installation;
use super::hex;
use super::plan::Plan;
use super::read::Sheet;
use crate::ui;

mod inside;
mod update;

/// Writes an array with one object for each file.
pub(super) fn write<'a>(
    sheets: impl Iterator<Item = (&'a Sheet, Option<Plan>)>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let sheets: Vec<_> = sheets.collect();
    let images: Vec<_> =
        sheets.iter().map(|(sheet, plan)| Image::new(sheet, plan.as_ref())).collect();
    ui::json(&images, out)
}

/// One file.
#[derive(Serialize)]
struct Image<'a> {
    path: String,
    /// What it is, in words.
    kind: &'static str,
    chip: Option<&'static str>,
    family: Option<&'static str>,
    version: Option<&'a str>,
    project: Option<&'a str>,
    /// What a device could install it as, `sketch` or `filesystem`; else `refusal` says why not.
    ota: Option<&'static str>,
    refusal: Option<String>,
    fault: Option<String>,
    flash: Option<Flash>,
    entry: Option<u32>,
    segments: Vec<Segment>,
    descriptor: Option<Descriptor<'a>>,
    gzip: Option<Gzip>,
    signature: Option<String>,
    /// The key that made it, as far as the bytes say: `RSA-2048`, `P-256`.
    signature_key: Option<String>,
    /// The blocks of a filesystem image.
    blocks: Option<Blocks>,
    sizes: Sizes,
    checks: Checks,
    md5: String,
    sha256: String,
    running: Running,
    /// What a merged dump, a partition table or otadata holds.
    #[serde(flatten)]
    contents: Contents,
    /// With `--flash`: what happens in the flash when the file is installed.
    installation: Option<Installation<'a>>,
}

#[derive(Serialize)]
struct Flash {
    mode: String,
    size: Option<u32>,
    frequency_mhz: Option<u8>,
}

#[derive(Serialize)]
struct Segment {
    address: u32,
    length: u32,
    offset: u32,
}

#[derive(Serialize)]
struct Descriptor<'a> {
    secure_version: u32,
    version: &'a str,
    project: &'a str,
    time: &'a str,
    date: &'a str,
    idf: &'a str,
    elf_sha256: String,
}

#[derive(Serialize)]
struct Gzip {
    isize: u32,
    crc: String,
}

/// Bytes of each, and how many.
#[derive(Serialize)]
struct Blocks {
    size: u32,
    count: u32,
}

/// Bytes.
#[derive(Serialize)]
struct Sizes {
    file: u64,
    payload: u64,
    inflated: Option<u64>,
    sketch: Option<u32>,
    trailing: u64,
}

/// `ok`, `absent` or `bad`.
#[derive(Serialize)]
struct Checks {
    checksum: String,
    boot_checksum: String,
    crc: String,
    hash: String,
}

/// The digests a device reports while it runs the image.
#[derive(Serialize)]
struct Running {
    /// None, one, or one for each of QIO, QOUT, DIO, DOUT.
    md5: Vec<String>,
    sha256: Option<String>,
}

impl<'a> Image<'a> {
    fn new(sheet: &'a Sheet, plan: Option<&'a Plan>) -> Self {
        let facts = &sheet.facts;
        let ota = facts.ota();
        Self {
            path: sheet.path.display().to_string(),
            kind: facts.kind.name(),
            chip: facts.chip.map(updraft_core::Chip::name),
            family: facts.family().map(updraft_core::Family::name),
            version: facts.version(),
            project: facts.project(),
            ota: ota.ok().map(|target| match target {
                OtaTarget::Sketch => "sketch",
                OtaTarget::Filesystem => "filesystem",
            }),
            refusal: ota.err().map(|reason| reason.to_string()),
            fault: facts.fault.map(|fault| fault.to_string()),
            flash: facts.flash.map(|flash| Flash {
                mode: flash.mode.to_string(),
                size: flash.size,
                frequency_mhz: flash.frequency_mhz,
            }),
            entry: facts.entry,
            segments: facts.segments.iter().map(Segment::new).collect(),
            descriptor: facts.descriptor.as_ref().map(|descriptor| Descriptor {
                secure_version: descriptor.secure_version,
                version: &descriptor.version,
                project: &descriptor.project,
                time: &descriptor.time,
                date: &descriptor.date,
                idf: &descriptor.idf,
                elf_sha256: hex(&descriptor.elf_sha256),
            }),
            gzip: facts.gzip.map(|gzip| Gzip { isize: gzip.isize, crc: gzip.crc.to_string() }),
            signature: facts.signature.map(|signature| signature.to_string()),
            signature_key: facts.key.map(|key| key.to_string()),
            blocks: facts.blocks.map(|blocks| Blocks { size: blocks.size, count: blocks.count }),
            sizes: Sizes {
                file: facts.sizes.file,
                payload: facts.sizes.payload,
                inflated: facts.sizes.inflated,
                sketch: facts.sizes.sketch,
                trailing: facts.sizes.trailing,
            },
            checks: Checks::new(facts.checks),
            md5: hex(&facts.md5),
            sha256: hex(&facts.sha256),
            running: Running {
                md5: match &facts.running.md5 {
                    RunningMd5::None => Vec::new(),
                    RunningMd5::One(md5) => vec![hex(md5)],
                    RunningMd5::ByFlashMode(all) => all.iter().map(|md5| hex(md5)).collect(),
                },
                sha256: facts.running.sha256.map(|sha256| hex(&sha256)),
            },
            contents: Contents::new(&sheet.inside),
            installation: plan.map(Installation::new),
        }
    }
}

impl Checks {
    fn new(checks: updraft_core::Checks) -> Self {
        Self {
            checksum: checks.checksum.to_string(),
            boot_checksum: checks.boot_checksum.to_string(),
            crc: checks.crc.to_string(),
            hash: checks.hash.to_string(),
        }
    }
}

impl Segment {
    fn new(segment: &updraft_core::Segment) -> Self {
        Self { address: segment.address, length: segment.length, offset: segment.offset }
    }
}
