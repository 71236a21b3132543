//! ESP-IDF's boot loader: it starts what the greater of two entries in the otadata partition says,
//! which stand in a sector each. A new choice goes to the sector that does not count, so the old one
//! stands until the new one is complete. A new state goes to the entry's own sector: should the power
//! go meanwhile, that entry is gone, and the one before counts.

use embedded_storage::nor_flash::NorFlash;
use updraft_core::{AppKind, OtaData, OtaEntry, OtaSector, OtaState, OtaWrite};

use super::{Boot, BootError, Trial};
use crate::updater::{Esp32, OtaSlot, Rollback, Staged};

/// Length of an entry (`esp_ota_select_entry_t`, ESP-IDF `esp_flash_partitions.h`).
const ENTRY: usize = 32;
/// Bytes that a flash may read or write at once, at most.
const UNIT: usize = 256;
/// From one entry to the other: a sector of the flash.
const SECTOR: u32 = 0x1000;

/// Tells ESP-IDF's boot loader.
pub struct OtaBoot<'f, 't, F> {
    flash: &'f mut F,
    device: Esp32<'t>,
}

impl<'f, 't, F: NorFlash> OtaBoot<'f, 't, F> {
    /// By the otadata partition of this device.
    pub fn new(flash: &'f mut F, device: Esp32<'t>) -> Self {
        Self { flash, device }
    }

    /// What stands in the otadata partition.
    pub fn otadata(&mut self) -> Result<OtaData, BootError> {
        self.entries()?.read()
    }

    fn entries(&mut self) -> Result<Entries<'_, 't, F>, BootError> {
        Entries::new(self.flash, &self.device)
    }
}

impl<F: NorFlash> Boot for OtaBoot<'_, '_, F> {
    type Next = OtaSlot;

    fn activate(&mut self, staged: Staged<OtaSlot>) -> Result<(), BootError> {
        let Some(&OtaSlot(slot)) = staged.next() else { return Ok(()) };
        let state = match self.device.rollback {
            Rollback::Enabled => OtaState::New,
            Rollback::Disabled => OtaState::Undefined,
        };
        let table = self.device.table;
        let mut entries = self.entries()?;
        let write = entries.read()?.select(slot, table, state).ok_or(BootError::NoSlot)?;
        entries.write(&write)
    }

    fn cancel(&mut self) -> Result<(), BootError> {
        let AppKind::Ota(running) = self.device.running else {
            return self.entries()?.withdraw(|_| true);
        };
        self.entries()?.withdraw(|slot| slot != running)
    }

    fn trial(&mut self) -> Result<Trial, BootError> {
        self.entries()?.trial()
    }

    fn confirm(&mut self) -> Result<(), BootError> {
        let mut entries = self.entries()?;
        match entries.running()? {
            Some((sector, entry)) if is_pending(entry) => {
                entries.write(&OtaWrite { sector, entry: with(entry, OtaState::Valid) })
            }
            _ => Ok(()),
        }
    }

    fn roll_back(&mut self) -> Result<(), BootError> {
        let table = self.device.table;
        let mut entries = self.entries()?;
        let (sector, entry) = entries.running()?.ok_or(BootError::NothingBefore)?;
        let write = OtaWrite { sector, entry: with(entry, OtaState::Invalid) };
        let before = replaced(entries.read()?, &write).active();
        let leads_back = match before {
            Some((_, before)) => before.slot(entries.slots()) != entry.slot(entries.slots()),
            None => table.factory().is_some(),
        };
        if !leads_back {
            return Err(BootError::NothingBefore);
        }
        entries.write(&write)
    }
}

/// The two entries of a device.
pub(crate) struct Entries<'a, 't, F> {
    flash: &'a mut F,
    device: &'a Esp32<'t>,
    offset: u32,
}

impl<'a, 't, F: NorFlash> Entries<'a, 't, F> {
    pub(crate) fn new(flash: &'a mut F, device: &'a Esp32<'t>) -> Result<Self, BootError> {
        let partition = device.table.otadata().ok_or(BootError::NoOtaData)?;
        let needs = u32::try_from(OtaData::LENGTH).unwrap_or(u32::MAX);
        if partition.size < needs {
            return Err(BootError::NoOtaData);
        }
        Ok(Self { offset: partition.offset, flash, device })
    }

    pub(crate) fn read(&mut self) -> Result<OtaData, BootError> {
        Ok(OtaData::new(&self.entry(0)?, &self.entry(1)?))
    }

    /// Whether the application that runs still has to say that it works.
    pub(crate) fn trial(&mut self) -> Result<Trial, BootError> {
        let is_pending = self.running()?.is_some_and(|(_, entry)| is_pending(entry));
        Ok(if is_pending { Trial::Pending } else { Trial::Over })
    }

    /// Has no slot started next that `is_out`.
    pub(crate) fn withdraw(&mut self, is_out: impl Fn(u8) -> bool) -> Result<(), BootError> {
        // Each turn takes one of the two entries away.
        for _ in 0..2 {
            match self.read()?.active() {
                Some((sector, entry)) if is_out(entry.slot(self.slots())) => {
                    self.write(&OtaWrite { sector, entry: with(entry, OtaState::Invalid) })?;
                }
                _ => break,
            }
        }
        Ok(())
    }

    /// The entry that counts, if it is that of the application that runs.
    fn running(&mut self) -> Result<Option<(u8, OtaEntry)>, BootError> {
        let AppKind::Ota(running) = self.device.running else { return Ok(None) };
        let slots = self.slots();
        Ok(self.read()?.active().filter(|(_, entry)| entry.slot(slots) == running))
    }

    fn slots(&self) -> u8 {
        u8::try_from(self.device.table.slots().count()).unwrap_or(u8::MAX)
    }

    fn entry(&mut self, sector: u8) -> Result<[u8; ENTRY], BootError> {
        let mut bytes = [0; UNIT];
        let whole = bytes.get_mut(..ENTRY.next_multiple_of(F::READ_SIZE)).ok_or(BootError::Read)?;
        self.flash.read(self.at(sector), whole).map_err(|_| BootError::Read)?;
        whole.first_chunk().copied().ok_or(BootError::Read)
    }

    fn at(&self, sector: u8) -> u32 {
        self.offset.saturating_add(SECTOR.saturating_mul(sector.into()))
    }

    fn write(&mut self, write: &OtaWrite) -> Result<(), BootError> {
        let at = self.at(write.sector);
        let sector = u32::try_from(F::ERASE_SIZE).unwrap_or(u32::MAX);
        if !at.is_multiple_of(sector) || !SECTOR.is_multiple_of(sector) {
            return Err(BootError::Erase);
        }
        let entry = write.entry.to_bytes();
        let mut bytes = [0xFF; UNIT];
        bytes.iter_mut().zip(entry).for_each(|(to, from)| *to = from);
        let whole = bytes.get(..ENTRY.next_multiple_of(F::WRITE_SIZE)).ok_or(BootError::Write)?;
        self.flash.erase(at, at.saturating_add(SECTOR)).map_err(|_| BootError::Erase)?;
        self.flash.write(at, whole).map_err(|_| BootError::Write)?;
        if self.entry(write.sector)? == entry { Ok(()) } else { Err(BootError::Write) }
    }
}

/// What stands in the sectors once this is written.
fn replaced(data: OtaData, write: &OtaWrite) -> OtaData {
    let [first, second] = data.sectors;
    let entry = OtaSector::Entry(write.entry);
    let sectors = if write.sector == 0 { [entry, second] } else { [first, entry] };
    OtaData { sectors }
}

fn is_pending(entry: OtaEntry) -> bool {
    entry.state == OtaState::PendingVerify
}

fn with(entry: OtaEntry, state: OtaState) -> OtaEntry {
    OtaEntry { state, ..entry }
}
