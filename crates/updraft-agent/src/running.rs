//! What runs, as update clients report it: its length and its digests, read from the flash. Nothing is
//! written, and nothing is decided.

use embedded_storage::nor_flash::ReadNorFlash;
use updraft_core::{
    AppKind, Esp8266Layout, Facts, FlashMode, Inspector, NotOta, PartitionKind, PartitionTable,
    RunningMd5,
};

use crate::updater::Cause;

/// The sketch that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// Its length in bytes (`x-ESP*-sketch-size`).
    pub size: u32,
    /// MD5 of so many bytes of the flash (`x-ESP*-sketch-md5`).
    pub md5: [u8; 16],
    /// The SHA-256 that is appended to it (`x-ESP32-sketch-sha256`); an ESP8266 has none.
    pub sha256: Option<[u8; 32]>,
    /// The flash mode in its header.
    pub flash_mode: Option<FlashMode>,
}

impl Running {
    /// Reads the sketch of an ESP8266 through `scratch`, once and whole: that takes its time. It never
    /// changes while it runs, so once after a start is enough.
    pub fn on_esp8266<F: ReadNorFlash>(
        flash: &mut F,
        layout: &Esp8266Layout,
        scratch: &mut [u8],
    ) -> Result<Self, Cause> {
        // All but a byte of what it may fill: as long as a whole flash, it would be taken for one.
        let length = layout.filesystem().start.saturating_sub(1);
        Self::new(&inspect(flash, 0, length, scratch)?)
    }

    /// Reads the application in this partition of an ESP32, as above.
    pub fn on_esp32<F: ReadNorFlash>(
        flash: &mut F,
        table: &PartitionTable,
        running: AppKind,
        scratch: &mut [u8],
    ) -> Result<Self, Cause> {
        let partition = table.find(PartitionKind::App(running)).ok_or(Cause::NoPartition)?;
        Self::new(&inspect(flash, partition.offset, partition.size, scratch)?)
    }

    fn new(facts: &Facts) -> Result<Self, Cause> {
        let flash_mode = facts.flash.map(|flash| flash.mode);
        let md5 = match facts.running.md5 {
            RunningMd5::None => None,
            RunningMd5::One(md5) => Some(md5),
            RunningMd5::ByFlashMode(all) => {
                let mut modes = FlashMode::ESP8266.into_iter().zip(all);
                modes.find(|(mode, _)| Some(*mode) == flash_mode).map(|(_, md5)| md5)
            }
        };
        // Behind a sketch there is what was there before: only what it is itself counts.
        let (size, md5) = facts.sizes.sketch.zip(md5).ok_or(Cause::Image(NotOta::Unknown))?;
        Ok(Self { size, md5, sha256: facts.running.sha256, flash_mode })
    }
}

/// Inspects `length` bytes from `start` on.
fn inspect<F: ReadNorFlash>(
    flash: &mut F,
    start: u32,
    length: u32,
    scratch: &mut [u8],
) -> Result<Facts, Cause> {
    let unit = F::READ_SIZE.max(1);
    let whole = scratch.len() - scratch.len() % unit;
    let step = u32::try_from(whole).map_err(|_| Cause::Memory)?;
    let scratch = scratch.get_mut(..whole).filter(|all| !all.is_empty()).ok_or(Cause::Memory)?;
    let mut inspector = Inspector::new(length.into());
    let mut at = 0;
    while at < length {
        let now = usize::try_from(step.min(length - at)).map_err(|_| Cause::Memory)?;
        let bytes = scratch.get_mut(..now.next_multiple_of(unit)).ok_or(Cause::Memory)?;
        flash.read(start.saturating_add(at), bytes).map_err(|_| Cause::Read)?;
        inspector.update(bytes.get(..now).unwrap_or_default());
        at = at.saturating_add(step);
    }
    Ok(inspector.finish())
}
