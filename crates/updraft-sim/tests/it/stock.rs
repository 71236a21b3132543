//! What the updaters of the two Arduino cores do with a file, in short: written anew here, so that what
//! the tests say of a device does not hang on our own updater.

use embedded_storage::nor_flash::NorFlash as _;
use updraft_core::{EbootCommand, Esp8266Layout, OtaData, OtaState, PartitionTable};
use updraft_sim::boot::esp32::Slot;
use updraft_sim::flash::{Flash, SECTOR};
use updraft_sim::{Device, Model, Running};

/// The updater refuses the file.
#[derive(Debug)]
pub(crate) struct Refused;

/// Whether the device checks signatures, and what it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signed {
    /// It does not.
    NotAsked,
    /// The signature holds, and takes so many bytes at the end of the file.
    Holds(usize),
    /// There is none, or it does not hold.
    No,
}

/// Writes a sketch as the updater does and tells the boot loader.
pub(crate) fn install(
    device: &mut Device,
    running: &Running,
    file: &[u8],
    signed: Signed,
) -> Result<(), Refused> {
    match device.model().clone() {
        Model::Esp8266(layout) => esp8266(device, layout, running, file, signed),
        Model::Esp32 { table, .. } => esp32(device, &table, running, file, signed),
    }
}

/// `Updater.cpp` of the ESP8266 core.
fn esp8266(
    device: &mut Device,
    layout: Esp8266Layout,
    running: &Running,
    file: &[u8],
    signed: Signed,
) -> Result<(), Refused> {
    let round = |bytes: usize| u32::try_from(bytes).unwrap().next_multiple_of(SECTOR);
    let end = layout.filesystem().start;
    let start = end.checked_sub(round(file.len())).ok_or(Refused)?;
    if start < round(running.size as usize) {
        return Err(Refused);
    }
    let (_, flash, rtc) = device.split();
    let mode = flash.bytes(0..4).unwrap()[2];
    let mut file = file.to_vec();
    match file.first_chunk::<4>() {
        Some([0xE9, _, _, size]) => {
            let sizes = [512, 256, 1024, 2048, 4096, 2048, 4096, 0, 8192, 16384];
            let kib = sizes.get(usize::from(size >> 4)).copied().unwrap_or_default();
            if kib << 10 > layout.flash() {
                return Err(Refused);
            }
            // The signature is checked over what stands in the flash.
            if file[2] != mode && signed != Signed::NotAsked {
                return Err(Refused);
            }
            file[2] = mode;
        }
        Some([0x1F, _, _, _]) => {}
        _ => return Err(Refused),
    }
    write(flash, start, &file);
    let length = match signed {
        Signed::NotAsked => file.len(),
        Signed::Holds(bytes) => file.len() - bytes,
        Signed::No => return Err(Refused),
    };
    let length = u32::try_from(length).unwrap();
    rtc.write(&EbootCommand::CopyRaw { from: start, to: 0, length }.to_bytes());
    Ok(())
}

/// `Updater.cpp` of Arduino-ESP32, and `esp_ota_set_boot_partition`, but for its look at the image.
fn esp32(
    device: &mut Device,
    table: &PartitionTable,
    running: &Running,
    file: &[u8],
    signed: Signed,
) -> Result<(), Refused> {
    let slots = u8::try_from(table.slots().count()).unwrap();
    let next = match running.slot {
        Some(Slot::Ota(number)) => (number + 1) % slots,
        _ => 0,
    };
    let slot = table.slot(next).filter(|slot| slot.offset != running.start).ok_or(Refused)?;
    let is_too_long = file.len() > slot.size as usize;
    if is_too_long || file.first() != Some(&0xE9) || signed == Signed::No {
        return Err(Refused);
    }
    let flash = device.split().1;
    write(flash, slot.offset, file);
    let place = table.otadata().unwrap().offset;
    let otadata = OtaData::parse(&flash.bytes(place..place + 0x2000).unwrap()).unwrap();
    let write = otadata.select(next, table, OtaState::New).unwrap();
    let sector = place + u32::from(write.sector) * SECTOR;
    flash.erase(sector, sector + SECTOR).unwrap();
    flash.write(sector, &write.entry.to_bytes()).unwrap();
    Ok(())
}

fn write(flash: &mut Flash, start: u32, file: &[u8]) {
    let mut file = file.to_vec();
    file.resize(file.len().next_multiple_of(4), 0xFF);
    let end = start + u32::try_from(file.len()).unwrap();
    flash.erase(start, end.next_multiple_of(SECTOR)).unwrap();
    flash.write(start, &file).unwrap();
}
