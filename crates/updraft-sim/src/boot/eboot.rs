//! eboot, the boot loader that every Arduino sketch for the ESP8266 begins with: it does what the
//! command in RTC memory says, copies and inflates, and loads the sketch. It checks next to nothing.

use std::fmt;

use crc::{CRC_32_MPEG_2, Crc, Table};
use embedded_storage::nor_flash::NorFlash as _;

use super::image::words;
use super::inflate::{GZIP, Inflating, Stop};
use crate::flash::{Flash, FlashError, SECTOR};

/// Sum over the command (`cores/esp8266/crc32.cpp`): not reflected, no final XOR.
const CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_MPEG_2);
/// First word of a command, of which the upper 20 bits are compared (`EBOOT_MAGIC`).
const MAGIC: u32 = 0xEB00_1000;
const MAGIC_BITS: u32 = 0xFFFF_F000;
/// What to do (`enum action_t`).
const COPY: u32 = 1;
const LOAD: u32 = 0xFFFF_FFFF;

/// The memory of an ESP8266 that lives through a restart, but not without power: the 128 bytes of it in
/// which a sketch leaves a command for eboot (0x60001200 of the address space).
#[derive(Clone, PartialEq, Eq)]
pub struct Rtc {
    bytes: [u8; Self::LENGTH],
}

/// What eboot came to with a copy that it was told to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Copied {
    /// Done, or nothing to do.
    Done = 0,
    /// One of the places is not the start of a sector.
    Align = 1,
    /// A sector could not be erased: it is past the end of the flash.
    Erase = 2,
    /// A sector could not be read.
    Read = 3,
    /// A sector could not be written.
    Write = 4,
    /// The header of the gzip.
    Gzip = 5,
    /// What is in the gzip.
    Inflate = 6,
}

/// What it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Copy { from: u32, to: u32, size: u32 },
    Load { from: u32 },
}

impl Rtc {
    /// Bytes of the command.
    pub const LENGTH: usize = 128;

    /// The memory as it is when power comes: anything, and no command.
    pub fn new() -> Self {
        Self { bytes: [0x5A; Self::LENGTH] }
    }

    /// Forgets everything, as without power.
    pub fn lose(&mut self) {
        *self = Self::new();
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8; Self::LENGTH] {
        &self.bytes
    }

    /// Writes all of it.
    pub fn write(&mut self, bytes: &[u8; Self::LENGTH]) {
        self.bytes = *bytes;
    }

    /// The command, if there is one.
    pub(super) fn order(&self) -> Option<Order> {
        let (words, _) = self.bytes.as_chunks();
        let [magic, action, from, to, size, .., sum] =
            words.iter().copied().map(u32::from_le_bytes).collect::<Vec<_>>()[..]
        else {
            return None;
        };
        if magic & MAGIC_BITS != MAGIC || sum != CRC.checksum(&self.bytes[..Self::LENGTH - 4]) {
            return None;
        }
        match action {
            COPY => Some(Order::Copy { from, to, size }),
            LOAD => Some(Order::Load { from }),
            _ => None,
        }
    }

    /// What eboot does once the command is carried out (`eboot_command_clear`).
    pub(super) fn clear(&mut self) {
        self.bytes[..8].fill(0);
        self.bytes[Self::LENGTH - 4..].fill(0);
    }
}

/// Copies `size` bytes within the flash, inflated if they are a gzip, sector by sector and with no look
/// back. An error is that the power went.
pub(super) fn copy(flash: &mut Flash, from: u32, to: u32, size: u32) -> Result<Copied, FlashError> {
    if !from.is_multiple_of(SECTOR) || !to.is_multiple_of(SECTOR) {
        return Ok(Copied::Align);
    }
    let mut start = [0; 2];
    if let Some(failed) = in_flash(flash.copy(from.into(), &mut start), Copied::Read)? {
        return Ok(failed);
    }
    // Both are signed there: what is negative is nothing to do.
    let (mut gzip, mut left) = (None, i64::from(size.next_multiple_of(SECTOR).cast_signed()));
    if start == GZIP {
        let end = u64::from(from) + u64::from(size);
        let [inflated] = match words::<1>(flash, end.saturating_sub(4)) {
            Err(FlashError::OutOfBounds { .. }) => return Ok(Copied::Read),
            other => other?,
        };
        left = inflated.cast_signed().into();
        gzip = match Inflating::start(flash, from) {
            Ok(inflating) => Some(inflating),
            Err(Stop::Flash(error)) => return Err(error),
            Err(_) => return Ok(Copied::Gzip),
        };
    }
    let mut buffer = [0; SECTOR as usize];
    let (mut read, mut write) = (u64::from(from), to);
    while left > 0 {
        match &mut gzip {
            None => {
                if let Some(failed) = in_flash(flash.copy(read, &mut buffer), Copied::Read)? {
                    return Ok(failed);
                }
            }
            Some(inflating) => {
                let wanted = usize::try_from(left).unwrap_or_default().min(buffer.len());
                let (inside, rest) = buffer.split_at_mut(wanted);
                match inflating.fill(flash, inside) {
                    Ok(()) => rest.fill(0xFF),
                    Err(Stop::Flash(error)) => return Err(error),
                    Err(_) => return Ok(Copied::Inflate),
                }
            }
        }
        if let Some(failed) = replace(flash, write, &buffer)? {
            return Ok(failed);
        }
        read += u64::from(SECTOR);
        write = write.saturating_add(SECTOR);
        left -= i64::from(SECTOR);
    }
    Ok(Copied::Done)
}

/// Erases and writes a sector; the first of the flash, eboot itself, only if it would change.
fn replace(flash: &mut Flash, at: u32, bytes: &[u8]) -> Result<Option<Copied>, FlashError> {
    if at == 0 && flash.bytes(0..SECTOR)? == bytes {
        return Ok(None);
    }
    if u64::from(at) + u64::from(SECTOR) > u64::from(flash.size()) {
        return Ok(Some(Copied::Erase));
    }
    flash.erase(at, at + SECTOR)?;
    flash.write(at, bytes)?;
    Ok(None)
}

/// What becomes of an access outside the flash; without power nothing does.
fn in_flash(result: Result<(), FlashError>, code: Copied) -> Result<Option<Copied>, FlashError> {
    match result {
        Ok(()) => Ok(None),
        Err(FlashError::OutOfBounds { .. }) => Ok(Some(code)),
        Err(error) => Err(error),
    }
}

impl Default for Rtc {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Rtc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rtc").field(&self.order()).finish()
    }
}
