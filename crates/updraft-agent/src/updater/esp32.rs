//! An ESP32: a sketch goes into the partition that does not run, its first bytes last of all; a
//! filesystem is written in place.

use embedded_storage::nor_flash::NorFlash;
use updraft_core::{
    AppKind, Chip, Facts, Family, OtaTarget, Partition, PartitionKind, PartitionTable, gates,
};

use super::Size;
use super::area::capacity;
use super::error::Cause;
use super::platform::{Head, Place, Steps, gate};
use crate::boot::{BootError, Entries, Trial};

/// What is known of a chip of the ESP32 family.
#[derive(Clone, Copy, Debug)]
pub struct Esp32<'a> {
    /// Which chip it is.
    pub chip: Chip,
    /// Its partitions.
    pub table: &'a PartitionTable,
    /// The application that runs (`esp_ota_get_running_partition`).
    pub running: AppKind,
    /// Whether its boot loader goes back from an application that never says that it works.
    pub rollback: Rollback,
    /// The lowest anti-rollback counter that it starts (its eFuse); 0 where nobody counts.
    pub secure_version: u32,
    /// Name of the filesystem's partition; `None` for the first one.
    pub filesystem: Option<&'a str>,
}

/// The number of a slot for applications.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OtaSlot(pub u8);

/// What a boot loader does with a new application (`CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rollback {
    /// It gives it one start to say that it works.
    Enabled,
    /// It starts it, for good.
    Disabled,
}

impl Steps for Esp32<'_> {
    type Next = OtaSlot;
    const FAMILY: Family = Family::Esp32;
    const MAGIC: &'static [u8] = &[0xE9];

    fn target(command: u16) -> Option<OtaTarget> {
        match command {
            0 => Some(OtaTarget::Sketch),
            // `U_FLASHFS`, `U_SPIFFS`, `U_FATFS`, `U_LITTLEFS`
            100..=103 => Some(OtaTarget::Filesystem),
            _ => None,
        }
    }

    fn place<F: NorFlash>(
        &self,
        flash: &mut F,
        target: OtaTarget,
        size: Size,
    ) -> Result<Place, Cause> {
        let real = capacity(flash);
        let (partition, head) = match target {
            OtaTarget::Sketch => {
                let trial = Entries::new(flash, self)?.trial()?;
                if trial == Trial::Pending {
                    return Err(Cause::Pending);
                }
                (self.table.next_update(self.running), Head::Last)
            }
            OtaTarget::Filesystem => (self.filesystem(), Head::InOrder),
        };
        let partition = partition
            .filter(|partition| partition.end() <= real.into() && !partition.is_read_only());
        let Partition { offset: start, size: room, .. } = *partition.ok_or(Cause::NoPartition)?;
        if size.known().is_some_and(|size| size > room) {
            return Err(Cause::Size);
        }
        Ok(Place { start, room, flash: real, head, mode: None })
    }

    fn prepare<F: NorFlash>(&self, flash: &mut F, place: &Place) -> Result<(), Cause> {
        match self.slot(place) {
            Some(slot) => Ok(Entries::new(flash, self)?.withdraw(|other| other == slot)?),
            None => Ok(()),
        }
    }

    fn judge(&self, facts: &Facts, place: &Place) -> Result<(), Cause> {
        let device = gates::Device {
            family: Family::Esp32,
            chip: Some(self.chip),
            asks_for: OtaTarget::Sketch,
            free_space: Some(place.room.into()),
            sketch_size: None,
            chip_size: Some(place.flash.into()),
            filesystem_size: None,
            flash_mode: None,
        };
        gate(facts, &device)?;
        let counter = facts.descriptor.map_or(0, |descriptor| descriptor.secure_version);
        if counter < self.secure_version {
            return Err(Cause::SecureVersion { image: counter, minimum: self.secure_version });
        }
        Ok(())
    }

    fn next(&self, place: &Place, _: u32) -> Option<OtaSlot> {
        self.slot(place).map(OtaSlot)
    }
}

impl<'a> Esp32<'a> {
    fn filesystem(&self) -> Option<&'a Partition> {
        let mut all = self.table.filesystems();
        match self.filesystem {
            None => all.next(),
            Some(label) => all.find(|partition| &*partition.label == label),
        }
    }

    /// The slot at this place.
    fn slot(&self, place: &Place) -> Option<u8> {
        let slot = self.table.slots().find(|slot| slot.offset == place.start)?;
        match slot.kind {
            PartitionKind::App(AppKind::Ota(number)) => Some(number),
            _ => None,
        }
    }
}

impl From<BootError> for Cause {
    fn from(error: BootError) -> Self {
        match error {
            BootError::Read => Self::Read,
            BootError::Write => Self::Write,
            BootError::Erase => Self::Erase,
            _ => Self::NoPartition,
        }
    }
}
