//! An ESP8266: a sketch is staged below the filesystem until eboot copies it, a filesystem is written
//! in place.

use embedded_storage::nor_flash::NorFlash;
use updraft_core::{
    Chip, EbootCommand, Esp8266Layout, Facts, Family, Fault, NotOta, OtaTarget, Staging, gates,
};

use super::Size;
use super::area::{capacity, sector};
use super::error::Cause;
use super::platform::{Head, Place, Steps, gate};

/// What is known of an ESP8266.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Esp8266 {
    /// How its flash is divided.
    pub layout: Esp8266Layout,
    /// Bytes of the sketch that runs (`ESP.getSketchSize()`): [`Running::size`](crate::Running).
    pub sketch_size: u32,
    /// How it was started last.
    pub boot_mode: BootMode,
}

/// What the boot ROM was told by the pins (`ESP.getBootMode()`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BootMode {
    /// To start from the flash.
    Flash,
    /// To wait for a serial download. It does so at every restart until the power goes, so an update
    /// would not start.
    Serial,
}

/// The first image of a flash: eboot, with the flash mode that the sketch runs in.
const EBOOT: u8 = 0xE9;

impl Steps for Esp8266 {
    type Next = EbootCommand;
    const FAMILY: Family = Family::Esp8266;
    // An image, or the first byte of a gzip (`UpdaterClass::_verifyHeader`).
    const MAGIC: &'static [u8] = &[0xE9, 0x1F];

    fn target(command: u16) -> Option<OtaTarget> {
        match command {
            0 => Some(OtaTarget::Sketch),
            100 => Some(OtaTarget::Filesystem),
            _ => None,
        }
    }

    fn place<F: NorFlash>(
        &self,
        flash: &mut F,
        target: OtaTarget,
        size: Size,
    ) -> Result<Place, Cause> {
        if self.boot_mode == BootMode::Serial {
            return Err(Cause::BootMode);
        }
        let real = capacity(flash);
        if real < self.layout.flash() {
            return Err(Cause::FlashConfig { real, layout: self.layout.flash() });
        }
        let (start, end) = match target {
            OtaTarget::Filesystem => {
                let filesystem = self.layout.filesystem();
                (filesystem.start, filesystem.end)
            }
            OtaTarget::Sketch => self.stage(size, sector::<F>())?,
        };
        let room = end.saturating_sub(start);
        if room == 0 || size.known().is_some_and(|size| size > room) {
            return Err(Cause::Space);
        }
        let mode = match target {
            OtaTarget::Sketch => running_mode(flash)?,
            OtaTarget::Filesystem => None,
        };
        Ok(Place { start, room, flash: real, head: Head::InOrder, mode })
    }

    fn prepare<F: NorFlash>(&self, _: &mut F, _: &Place) -> Result<(), Cause> {
        Ok(())
    }

    fn judge(&self, facts: &Facts, place: &Place) -> Result<(), Cause> {
        let device = gates::Device {
            family: Family::Esp8266,
            chip: Some(Chip::Esp8266),
            asks_for: OtaTarget::Sketch,
            // It is in its place already.
            free_space: None,
            sketch_size: None,
            chip_size: Some(place.flash.into()),
            filesystem_size: None,
            // A plain one was given the right mode.
            flash_mode: place.mode.filter(|_| facts.gzip.is_some()),
        };
        match gate(facts, &device) {
            // Without memory to inflate, only eboot looks into it.
            Err(Cause::Image(NotOta::GzipUnread)) => {}
            result => result?,
        }
        match facts.inflated() {
            None => Ok(()),
            Some(0) => Err(Cause::Image(NotOta::Fault(Fault::GzipNoSize))),
            Some(inflated) => {
                let inflated = u32::try_from(inflated).unwrap_or(u32::MAX);
                let end = place.start.saturating_add(place.room);
                let staging = Staging { start: place.start, end };
                if staging.has_room_to_inflate(inflated) { Ok(()) } else { Err(Cause::Space) }
            }
        }
    }

    fn next(&self, place: &Place, payload: u32) -> Option<EbootCommand> {
        Some(EbootCommand::CopyRaw { from: place.start, to: 0, length: payload })
    }
}

impl Esp8266 {
    /// Where a sketch is staged, and where that ends. In a flash with sectors of more than 4 KiB it
    /// starts lower than in a stock device, with one of them; eboot is told where.
    fn stage(&self, size: Size, sector: u32) -> Result<(u32, u32), Cause> {
        let all = self.layout.free_space(self.sketch_size);
        let length = size.known().unwrap_or(all);
        let staging = self.layout.stage(length, self.sketch_size).map_err(|_| Cause::Space)?;
        let start = staging.start - staging.start % sector;
        let sketch = self.sketch_size.checked_next_multiple_of(sector).ok_or(Cause::Space)?;
        if start < sketch { Err(Cause::Space) } else { Ok((start, staging.end)) }
    }
}

/// Byte 2 of the header that the flash starts with; `None` if it starts with none.
fn running_mode<F: NorFlash>(flash: &mut F) -> Result<Option<u8>, Cause> {
    let mut bytes = [0; 64];
    let length = 4_usize.next_multiple_of(F::READ_SIZE.max(1));
    let header = bytes.get_mut(..length).ok_or(Cause::Read)?;
    flash.read(0, header).map_err(|_| Cause::Read)?;
    let [magic, _, mode, ..] = bytes;
    Ok((magic == EBOOT).then_some(mode))
}
