//! The body of a device: its flash, how that is divided, the memory that outlives a restart, and the boot
//! loader that says what runs. What runs on it, and what it says to anybody, is not here.

use std::io;
use std::ops::Range;
use std::path::Path;

use md5::{Digest as _, Md5};
use updraft_core::{Chip, Esp8266Layout, Family, PartitionTable};
use updraft_pack::{BuildError, esp32_boot_loader};

use crate::boot::eboot::{Copied, Rtc};
use crate::boot::esp32::{Loader, Slot};
use crate::boot::{Dead, Started, boot_loader_offset, esp8266};
use crate::flash::{Flash, FlashError};

/// Where the partition table stands (`CONFIG_PARTITION_TABLE_OFFSET`).
const TABLE: u32 = 0x8000;
/// Where a sketch of an ESP8266 stands.
const SKETCH: u32 = 0;

/// What kind of device it is.
#[derive(Clone, Debug)]
pub enum Model {
    /// An ESP8266 with a flash of this layout.
    Esp8266(Esp8266Layout),
    /// A chip of the ESP32 family.
    Esp32 {
        /// Its boot loader.
        loader: Loader,
        /// How its flash is divided.
        table: Box<PartitionTable>,
        /// Bytes of its flash.
        flash: u32,
    },
}

/// A device. A clone is another device in the same state, with its flash in memory.
#[derive(Clone, Debug)]
pub struct Device {
    model: Model,
    flash: Flash,
    rtc: Rtc,
    copied: Option<Copied>,
}

/// What runs on a device, as its own functions tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// Where the image stands in the flash.
    pub start: u32,
    /// `ESP.getSketchSize()`: the length of the image in bytes.
    pub size: u32,
    /// `ESP.getSketchMD5()`: over those bytes, as they stand in the flash.
    pub md5: [u8; 16],
    /// The SHA-256 behind an image of the ESP32 family (`esp_partition_get_sha256`).
    pub sha256: Option<[u8; 32]>,
    /// `ESP.getFreeSketchSpace()`: bytes that an update may have. On an ESP32 those of the next slot, 0
    /// without one.
    pub free_space: u32,
    /// From where an ESP32 started it.
    pub slot: Option<Slot>,
}

/// Why there is no such device.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The file of its flash.
    #[error("cannot keep the flash in a file")]
    File(#[from] io::Error),
    /// What is put into the flash does not fit.
    #[error("the flash has no room for that")]
    Flash(#[from] FlashError),
    /// No boot loader can be made for the chip.
    #[error("there is no boot loader")]
    BootLoader(#[from] BuildError),
    /// The table has no partition for an application.
    #[error("the flash has no place for an application")]
    NoApplication,
}

impl Model {
    /// A chip of the ESP32 family with Arduino's boot loader.
    pub fn esp32(chip: Chip, table: PartitionTable, flash: u32) -> Self {
        Self::Esp32 { loader: Loader::new(chip), table: Box::new(table), flash }
    }

    /// The family of its chip.
    pub fn family(&self) -> Family {
        self.chip().family()
    }

    /// Its chip.
    pub fn chip(&self) -> Chip {
        match self {
            Self::Esp8266(_) => Chip::Esp8266,
            Self::Esp32 { loader, .. } => loader.chip,
        }
    }

    /// Bytes of its flash.
    pub fn flash_size(&self) -> u32 {
        match self {
            Self::Esp8266(layout) => layout.flash(),
            Self::Esp32 { flash, .. } => *flash,
        }
    }

    /// Where its (first) filesystem lies; empty if it has none.
    pub fn filesystem(&self) -> Range<u32> {
        match self {
            Self::Esp8266(layout) => layout.filesystem(),
            Self::Esp32 { table, .. } => {
                let first = table.filesystems().next();
                first.map_or(0..0, |partition| partition.offset..partition.offset + partition.size)
            }
        }
    }
}

impl Device {
    /// A device fresh from the cable, with this image.
    pub fn new(model: Model, image: &[u8]) -> Result<Self, DeviceError> {
        let flash = Flash::new(model.flash_size());
        let mut device = Self { model, flash, rtc: Rtc::new(), copied: None };
        device.program(image)?;
        Ok(device)
    }

    /// A device that keeps its flash in a file: as it stands there, or fresh with this image if there is
    /// no file yet, or an erased one. What is only in memory is lost with the process, as with the power.
    pub fn open(model: Model, path: &Path, image: &[u8]) -> Result<Self, DeviceError> {
        let flash = Flash::open(path, model.flash_size())?;
        let mut is_erased = true;
        flash
            .visit(0..flash.size().into(), |piece| is_erased &= piece.iter().all(|b| *b == 0xFF))?;
        let mut device = Self { model, flash, rtc: Rtc::new(), copied: None };
        if is_erased {
            device.program(image)?;
        }
        Ok(device)
    }

    /// Flashes boot loader, partition table and an image by cable.
    fn program(&mut self, image: &[u8]) -> Result<(), DeviceError> {
        let place = match &self.model {
            Model::Esp8266(_) => SKETCH,
            Model::Esp32 { loader, table, .. } => {
                let place = boot_loader_offset(loader.chip).unwrap_or_default();
                self.flash.put(place, &esp32_boot_loader(loader.chip)?)?;
                self.flash.put(TABLE, &table.to_bytes())?;
                let first = table.factory().or_else(|| table.slots().next());
                first.ok_or(DeviceError::NoApplication)?.offset
            }
        };
        self.flash.put(place, image)?;
        Ok(())
    }

    /// What kind of device it is.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Its flash.
    pub fn flash(&self) -> &Flash {
        &self.flash
    }

    /// What it is, its flash and its memory, for the software that runs on it.
    pub fn split(&mut self) -> (&Model, &mut Flash, &mut Rtc) {
        (&self.model, &mut self.flash, &mut self.rtc)
    }

    /// The power goes, if it has not, and comes back. Nothing is started yet.
    pub fn power_cycle(&mut self) {
        self.flash.power_on();
        self.rtc.lose();
    }

    /// Starts the device as it is, after a power cycle or a restart by its software; says what runs.
    pub fn boot(&mut self) -> Result<Running, Dead> {
        match &self.model {
            Model::Esp8266(layout) => {
                let boot = esp8266::boot(&mut self.flash, &mut self.rtc);
                self.copied = boot.copied;
                let started = boot.outcome?;
                let free_space = layout.free_space(started.size);
                self.running(started, free_space, None)
            }
            Model::Esp32 { loader, table, .. } => {
                let boot = loader.boot(&mut self.flash);
                let started = boot.outcome?;
                let free_space = next_slot(table, boot.slot);
                self.running(started, free_space, boot.slot)
            }
        }
    }

    /// What eboot came to with a copy at the last start; `None` if it was not told to make one.
    pub fn copied(&self) -> Option<Copied> {
        self.copied
    }

    /// The bytes of the filesystem, from its start.
    pub fn filesystem(&self, length: u32) -> Result<Vec<u8>, FlashError> {
        let start = self.model.filesystem().start;
        self.flash.bytes(start..start.saturating_add(length))
    }

    fn running(
        &self,
        started: Started,
        free_space: u32,
        slot: Option<Slot>,
    ) -> Result<Running, Dead> {
        let Started { start, size, sha256 } = started;
        let mut md5 = Md5::new();
        let range = u64::from(start)..u64::from(start) + u64::from(size);
        self.flash.visit(range, |piece| md5.update(piece))?;
        Ok(Running { start, size, md5: md5.finalize().into(), sha256, free_space, slot })
    }
}

/// Bytes of the slot behind the one that runs (`esp_ota_get_next_update_partition`).
fn next_slot(table: &PartitionTable, running: Option<Slot>) -> u32 {
    let slots: Vec<_> = table.slots().map(|slot| slot.size).collect();
    match running {
        Some(Slot::Ota(number)) if slots.len() > 1 => {
            slots[(usize::from(number) + 1) % slots.len()]
        }
        Some(Slot::Ota(_)) => 0,
        _ => slots.first().copied().unwrap_or_default(),
    }
}
