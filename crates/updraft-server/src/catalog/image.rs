//! What decisions, lists and pages need of one inspected file: the part of its facts that is kept.

use serde::{Deserialize, Serialize};
use updraft_core::{Chip, Facts, Family, NotOta, OtaTarget, RunningMd5};

use crate::check_in::CheckIn;
use crate::digest::{Md5, Sha256};

/// Of the inspection: what another one kept is dropped. The number is raised whenever an inspection
/// may come to another result; a release counts as one that may.
pub(crate) const REVISION: &str = concat!(env!("CARGO_PKG_VERSION"), "-5");

/// An inspected file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Image {
    /// What it is, in words.
    pub kind: String,
    /// Where it can be installed.
    pub target: Target,
    /// The chip it is for, where the bytes say so.
    #[serde(with = "chip_name")]
    pub chip: Option<Chip>,
    /// Length of the file in bytes.
    pub size: u64,
    /// Length in bytes once inflated; `None` if it is no gzip.
    pub inflated: Option<u64>,
    /// Flash size in bytes that the image's header names.
    pub flash_size: Option<u32>,
    /// Byte 2 of the image's header.
    pub flash_mode: Option<u8>,
    /// Whether a signature stands behind it.
    pub signed: bool,
    /// The version, if the image holds one that its author chose.
    pub version: Option<String>,
    /// MD5 of the file.
    pub md5: Md5,
    /// SHA-256 of the file.
    pub sha256: Sha256,
    /// What a device reports as `sketch-md5` while it runs this: on the ESP8266 one digest for each
    /// flash mode, in the order of their codes; on the ESP32 one; else none.
    pub running_md5: Vec<Md5>,
    /// What an ESP32 reports as `sketch-sha256` while it runs this.
    pub running_sha256: Option<Sha256>,
}

/// Where a file can be installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// As the application.
    Sketch,
    /// As the filesystem.
    Filesystem,
    /// It was not recognised: perhaps encrypted.
    Unrecognised,
    /// Nowhere, for this reason.
    Never(Box<str>),
}

impl Image {
    /// What is kept of `facts`.
    pub(crate) fn new(facts: &Facts) -> Self {
        Self {
            kind: match facts.gzip {
                Some(_) if facts.kind.name() != "gzip" => format!("{}, gzip", facts.kind),
                _ => facts.kind.to_string(),
            },
            target: match facts.ota() {
                Ok(OtaTarget::Sketch) => Target::Sketch,
                Ok(OtaTarget::Filesystem) => Target::Filesystem,
                Err(NotOta::Unknown) => Target::Unrecognised,
                Err(reason) => Target::Never(reason.to_string().into()),
            },
            chip: facts.chip,
            size: facts.sizes.file,
            inflated: facts.inflated(),
            flash_size: facts.flash.and_then(|flash| flash.size),
            flash_mode: facts.flash.map(|flash| flash.mode.byte()),
            signed: facts.signature.is_some(),
            version: facts.version().map(str::to_owned),
            md5: crate::digest::Digest(facts.md5),
            sha256: crate::digest::Digest(facts.sha256),
            running_md5: match facts.running.md5 {
                RunningMd5::None => Vec::new(),
                RunningMd5::One(md5) => vec![crate::digest::Digest(md5)],
                RunningMd5::ByFlashMode(modes) => modes.map(crate::digest::Digest).to_vec(),
            },
            running_sha256: facts.running.sha256.map(crate::digest::Digest),
        }
    }

    /// The family it is for.
    pub(crate) fn family(&self) -> Option<Family> {
        self.chip.map(Chip::family)
    }

    /// How a device that checks in runs this image, if it does. The appended SHA-256 goes before the
    /// MD5.
    pub(crate) fn running_as(&self, check_in: &CheckIn) -> Option<RunningAs> {
        if let (Some(reported), Some(ours)) = (check_in.sketch_sha256, self.running_sha256) {
            return (reported == ours).then_some(RunningAs { flash_mode: None });
        }
        let reported = check_in.sketch_md5?;
        let place = self.running_md5.iter().position(|&md5| md5 == reported)?;
        let by_mode = self.running_md5.len() > 1;
        Some(RunningAs { flash_mode: u8::try_from(place).ok().filter(|_| by_mode) })
    }
}

/// How an image stands in the flash of a device that runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunningAs {
    /// Byte 2 of its header, which an ESP8266 rewrites; `None` on the ESP32, which does not.
    pub(crate) flash_mode: Option<u8>,
}

/// Chips are kept by name.
mod chip_name {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use updraft_core::Chip;

    #[expect(
        clippy::ref_option,
        clippy::trivially_copy_pass_by_ref,
        reason = "serde's `with` hands over references"
    )]
    pub(super) fn serialize<S: Serializer>(chip: &Option<Chip>, to: S) -> Result<S::Ok, S::Error> {
        chip.map(Chip::name).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Chip>, D::Error> {
        Option::<String>::deserialize(from)?
            .map(|name| Chip::from_name(&name).ok_or_else(|| D::Error::custom("unknown chip")))
            .transpose()
    }
}
