//! How a chip of the ESP32 family starts: its ROM loads ESP-IDF's second-stage boot loader, which reads
//! the partition table and otadata, chooses an application, and starts it if it is whole; if it is not,
//! the next one (`bootloader_utility.c`, `esp_image_format.c` of ESP-IDF).
//!
//! Not imitated: flash encryption, secure boot, eFuses other than the anti-rollback counter, revisions
//! of chips, deep sleep.

use embedded_storage::nor_flash::NorFlash as _;
use sha2::{Digest as _, Sha256};
use updraft_core::Chip;

use self::table::{Region, Table};
use super::chips::Place;
use super::image::{Walk, words};
use super::{Dead, ImageFault, Started};
use crate::flash::{Flash, FlashError, SECTOR};

mod otadata;
mod table;

use self::otadata::{Entry, State};

/// Where the partition table stands (`CONFIG_PARTITION_TABLE_OFFSET`).
const TABLE: u32 = 0x8000;
/// Bytes of a header (`esp_image_header_t`).
const HEADER: u64 = 24;
/// Every segment is shorter (`SIXTEEN_MB`).
const SEGMENT_LIMIT: u32 = 16 << 20;
/// Bytes that a page of the flash cache maps, where the image does not say.
const PAGE: u32 = 0x1_0000;
/// Where the description of an application stands in it: its counter against going back, and the
/// logarithm of its page (`esp_app_desc_t.secure_version`, `.mmu_page_size`).
const SECURE_VERSION: u64 = 0x24;
const PAGE_POWER: u64 = 0xD4;

/// How a boot loader was built, and what is burnt into the chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loader {
    /// The chip.
    pub chip: Chip,
    /// What becomes of an application that never says that it works.
    pub rollback: Rollback,
    /// The least counter of an application that is started; 0 where nobody counts.
    pub secure_version: u32,
}

/// What becomes of an application that never says that it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rollback {
    /// The next start goes back to the other one (`CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE`), as in
    /// Arduino-ESP32.
    On,
    /// Nobody asks.
    Off,
}

/// From where an application is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// The partition `factory`.
    Factory,
    /// A partition for updates.
    Ota(u8),
    /// The partition `test`.
    Test,
}

/// What became of a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// What otadata, or its absence, says to start.
    pub wanted: Option<Slot>,
    /// From where something was started.
    pub slot: Option<Slot>,
    /// What was started.
    pub outcome: Result<Started, Dead>,
}

impl Loader {
    /// The boot loader of Arduino-ESP32 for this chip.
    pub fn new(chip: Chip) -> Self {
        Self { chip, rollback: Rollback::On, secure_version: 0 }
    }

    /// Starts the device.
    pub fn boot(self, flash: &mut Flash) -> Boot {
        let mut boot = Boot {
            wanted: None,
            slot: None,
            outcome: Err(Dead::NoApplication(ImageFault::Nowhere)),
        };
        match self.start(flash, &mut boot) {
            Ok(started) => boot.outcome = Ok(started),
            Err(dead) => {
                boot.slot = None;
                boot.outcome = Err(dead);
            }
        }
        boot
    }

    fn start(self, flash: &mut Flash, boot: &mut Boot) -> Result<Started, Dead> {
        let place = Place::of(self.chip).ok_or(Dead::BootLoader(ImageFault::Nowhere))?;
        rom(flash, &place)?.map_err(Dead::BootLoader)?;
        let table = Table::read(flash, TABLE)?.map_err(Dead::Table)?;
        let (wanted, is_initial) = self.choose(flash, &table)?;
        boot.wanted = Some(wanted);
        let mut first_fault = None;
        for slot in order(wanted, &table) {
            let Some(region) = table.region(slot) else { continue };
            match self.check(flash, region, &place)? {
                Ok(started) => {
                    if let (Slot::Ota(number), true, Some(otadata)) =
                        (slot, is_initial, table.otadata)
                    {
                        let entry = Entry::new(u32::from(number) + 1, State::VALID);
                        write(flash, otadata.start, entry)?;
                    }
                    boot.slot = Some(slot);
                    return Ok(started);
                }
                Err(fault) => {
                    first_fault.get_or_insert(fault);
                }
            }
        }
        Err(Dead::NoApplication(first_fault.unwrap_or(ImageFault::Nowhere)))
    }

    /// What otadata says, and whether it said nothing ever, so that what starts is to be noted
    /// (`bootloader_utility_get_selected_boot_partition`).
    fn choose(self, flash: &mut Flash, table: &Table) -> Result<(Slot, bool), FlashError> {
        let Some(otadata) = table.otadata else { return Ok((Slot::Factory, false)) };
        let places = [otadata.start, otadata.start + SECTOR];
        let mut entries = [Entry::read(flash, places[0])?, Entry::read(flash, places[1])?];
        if self.rollback == Rollback::On {
            for (entry, place) in entries.iter_mut().zip(places) {
                if entry.state == State::PENDING_VERIFY {
                    entry.state = State::ABORTED;
                    write(flash, place, *entry)?;
                }
            }
        }
        if entries.iter().all(Entry::is_refused) || table.slots() == 0 {
            return Ok(match table.region(Slot::Factory) {
                Some(_) => (Slot::Factory, false),
                None => (Slot::Ota(0), entries.iter().all(Entry::is_blank)),
            });
        }
        let counts = |entry: &Entry| !entry.is_refused() && !entry.is_blank();
        let active = match entries.each_ref().map(counts) {
            [true, true] if entries[1].sequence > entries[0].sequence => 1,
            [true, _] => 0,
            [false, true] => 1,
            // Anything that starts.
            [false, false] => return Ok((Slot::Factory, false)),
        };
        let entry = &mut entries[active];
        if self.rollback == Rollback::On && entry.state == State::NEW {
            entry.state = State::PENDING_VERIFY;
            write(flash, places[active], *entry)?;
        }
        let number = entry.sequence.wrapping_sub(1) % u32::from(table.slots());
        Ok((Slot::Ota(u8::try_from(number).unwrap_or(u8::MAX)), false))
    }

    /// Whether a partition holds an application that starts (`esp_image_verify`).
    fn check(
        self,
        flash: &Flash,
        region: Region,
        place: &Place,
    ) -> Result<Result<Started, ImageFault>, FlashError> {
        let start = u64::from(region.start);
        let limit = start + u64::from(region.size);
        let walk = match Walk::over(flash, start, HEADER, limit)? {
            Ok(walk) => walk,
            Err(fault) => return Ok(Err(fault)),
        };
        if let Err(fault) = chip(&walk, place) {
            return Ok(Err(fault));
        }
        let mut power = [0];
        flash.copy(start + PAGE_POWER, &mut power)?;
        let page = if (12..=16).contains(&power[0]) { 1 << power[0] } else { PAGE };
        for segment in &walk.segments {
            if segment.length % 4 != 0 || segment.length >= SEGMENT_LIMIT {
                return Ok(Err(ImageFault::SegmentLength(segment.length)));
            }
            let is_mapped = segment.length > 0 && place.maps(segment.address);
            if is_mapped && u64::from(segment.address % page) != segment.at % u64::from(page) {
                return Ok(Err(ImageFault::SegmentPlace(segment.address)));
            }
        }
        let has_hash = hash_appended(&walk);
        let end = walk.checksum_end() + if has_hash { 32 } else { 0 };
        if end > limit {
            return Ok(Err(ImageFault::TooLong));
        }
        let sha256 = match sums(flash, &walk, has_hash)? {
            Ok(sha256) => sha256,
            Err(fault) => return Ok(Err(fault)),
        };
        let [secure_version] = words(flash, start + SECURE_VERSION)?;
        if secure_version < self.secure_version {
            return Ok(Err(ImageFault::SecureVersion(secure_version)));
        }
        let size = u32::try_from(end - start).unwrap_or(u32::MAX);
        Ok(Ok(Started { start: region.start, size, sha256 }))
    }
}

/// The order in which applications are tried (`bootloader_utility_load_boot_image`): the one wanted, those
/// before it, the factory's, those behind it, the test.
fn order(wanted: Slot, table: &Table) -> impl Iterator<Item = Slot> {
    let before = match wanted {
        Slot::Ota(number) => Some(0..=number),
        _ => None,
    };
    let behind = before.as_ref().map_or(0, |before| before.end() + 1)..table.slots();
    let down = before.into_iter().flatten().rev().map(Slot::Ota).chain([Slot::Factory]);
    down.chain(behind.map(Slot::Ota)).chain([Slot::Test])
}

/// The chip's ROM: the boot loader is for it, and its checksum is right.
fn rom(flash: &Flash, place: &Place) -> Result<Result<(), ImageFault>, FlashError> {
    let walk = match Walk::over(flash, place.boot_loader.into(), HEADER, TABLE.into())? {
        Ok(walk) => walk,
        Err(fault) => return Ok(Err(fault)),
    };
    if let Err(fault) = chip(&walk, place) {
        return Ok(Err(fault));
    }
    Ok(sums(flash, &walk, hash_appended(&walk))?.map(drop))
}

fn chip(walk: &Walk, place: &Place) -> Result<(), ImageFault> {
    let id = u16::from_le_bytes([walk.header[12], walk.header[13]]);
    if id == place.id { Ok(()) } else { Err(ImageFault::Chip(id)) }
}

fn hash_appended(walk: &Walk) -> bool {
    walk.header[23] == 1
}

/// Checks the checksum, and the SHA-256 if there is one, which is given.
fn sums(
    flash: &Flash,
    walk: &Walk,
    has_hash: bool,
) -> Result<Result<Option<[u8; 32]>, ImageFault>, FlashError> {
    let [sum, stored] = walk.checksums(flash)?;
    if sum != stored {
        return Ok(Err(ImageFault::Checksum));
    }
    if !has_hash {
        return Ok(Ok(None));
    }
    let mut stored = [0; 32];
    flash.copy(walk.checksum_end(), &mut stored)?;
    let mut sum = Sha256::new();
    flash.visit(walk.start..walk.checksum_end(), |piece| sum.update(piece))?;
    if sum.finalize()[..] != stored {
        return Ok(Err(ImageFault::Hash));
    }
    Ok(Ok(Some(stored)))
}

/// Erases a sector of otadata and writes its entry (`write_otadata`).
fn write(flash: &mut Flash, place: u32, entry: Entry) -> Result<(), FlashError> {
    flash.erase(place, place + SECTOR)?;
    flash.write(place, &entry.to_bytes())
}
