//! The range of the flash that an update goes to: written from its start through a buffer, sectors
//! erased as they are reached, and read back. It knows nothing of images but which bytes to withhold
//! and which to change.

use embedded_storage::nor_flash::NorFlash;

use super::error::Cause;
use super::platform::{Head, Place};

/// Bytes that are withheld at least (`ENCRYPTED_BLOCK_SIZE`, `Updater.cpp` of the ESP32 core).
const WITHHELD: usize = 16;
/// Where the flash mode stands in an image, and the first byte of one whose mode can be changed.
const MODE: usize = 2;
const PLAIN: u8 = 0xE9;

/// A range that is written, then read back.
pub(super) struct Area<'a, F> {
    flash: &'a mut F,
    place: Place,
    /// What is withheld; empty if nothing is.
    head: &'a mut [u8],
    buffer: &'a mut [u8],
    /// Bytes in the buffer.
    filled: usize,
    /// Bytes that were written.
    written: u32,
    /// Bytes that were erased.
    erased: u32,
    /// Byte 2 as it came, if another one was written.
    mode: Option<u8>,
}

impl<'a, F: NorFlash> Area<'a, F> {
    /// Bytes of memory that are enough for any image without a signature.
    fn least(head: usize) -> usize {
        head + head.max(WITHHELD.next_multiple_of(unit::<F>()))
    }

    /// Nothing is written yet.
    pub(super) fn new(
        flash: &'a mut F,
        place: Place,
        scratch: &'a mut [u8],
    ) -> Result<Self, Cause> {
        let head = match place.head {
            Head::InOrder => 0,
            Head::Last => WITHHELD.next_multiple_of(unit::<F>()),
        };
        if scratch.len() < Self::least(head) {
            return Err(Cause::Memory);
        }
        let end = place.start.saturating_add(place.room);
        if !is_whole::<F>(place.start) || !is_whole::<F>(end) {
            return Err(Cause::Erase);
        }
        let (head, buffer) = scratch.split_at_mut_checked(head).ok_or(Cause::Memory)?;
        let length = buffer.len() - buffer.len() % unit::<F>();
        let buffer = buffer.get_mut(..length).ok_or(Cause::Memory)?;
        Ok(Self { flash, place, head, buffer, filled: 0, written: 0, erased: 0, mode: None })
    }

    /// The flash.
    pub(super) fn flash(&mut self) -> &mut F {
        self.flash
    }

    /// Bytes that were taken.
    pub(super) fn taken(&self) -> u32 {
        self.written.saturating_add(number(self.filled))
    }

    /// Bytes that were written.
    pub(super) fn written(&self) -> u32 {
        self.written
    }

    /// How many bytes can be read back at once, wherever they start.
    pub(super) fn reach(&self) -> usize {
        self.buffer.len().saturating_sub(2 * F::READ_SIZE)
    }

    /// Where the next bytes have to be put: never empty.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.filled..).unwrap_or_default()
    }

    /// The next `count` bytes were put there.
    pub(super) fn took(&mut self, count: usize) -> Result<(), Cause> {
        self.filled = self.filled.saturating_add(count).min(self.buffer.len());
        if self.filled == self.buffer.len() { self.flush() } else { Ok(()) }
    }

    /// Writes what is left. All bytes were taken.
    pub(super) fn complete(&mut self) -> Result<(), Cause> {
        if self.filled > 0 { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Cause> {
        let length = self.filled.next_multiple_of(F::WRITE_SIZE);
        self.buffer.get_mut(self.filled..length).unwrap_or_default().fill(0xFF);
        let mut skip = 0;
        if self.written == 0 {
            self.change_mode();
            self.head.fill(0xFF);
            skip = self.head.len();
            self.head.iter_mut().zip(&*self.buffer).for_each(|(to, from)| *to = *from);
        }
        let at = self.place.start.saturating_add(self.written);
        self.erase(self.written.saturating_add(number(length)))?;
        if let Some(bytes @ [_, ..]) = self.buffer.get(skip..length) {
            let at = at.saturating_add(number(skip));
            self.flash.write(at, bytes).map_err(|_| Cause::Write)?;
        }
        self.written = self.taken();
        self.filled = 0;
        Ok(())
    }

    /// Erases sectors until so many bytes are erased.
    fn erase(&mut self, bytes: u32) -> Result<(), Cause> {
        while self.erased < bytes {
            let from = self.place.start.saturating_add(self.erased);
            let to = from.saturating_add(sector::<F>());
            self.flash.erase(from, to).map_err(|_| Cause::Erase)?;
            self.erased = self.erased.saturating_add(sector::<F>());
        }
        Ok(())
    }

    fn change_mode(&mut self) {
        let is_plain = self.filled > MODE && self.buffer.first() == Some(&PLAIN);
        let Some(running) = self.place.mode.filter(|_| is_plain) else { return };
        if let Some(byte) = self.buffer.get_mut(MODE).filter(|byte| **byte != running) {
            self.mode = Some(core::mem::replace(byte, running));
        }
    }

    /// Reads back all that was written, in order: `each` gets the bytes as they are in the flash, and
    /// as they came. What is withheld counts as written.
    pub(super) fn read_back(
        &mut self,
        mut each: impl FnMut(u32, &[u8], Option<u8>),
    ) -> Result<(), Cause> {
        let head = self.head.len().min(self.written.try_into().unwrap_or(usize::MAX));
        each(0, self.head.get(..head).unwrap_or_default(), None);
        let mut at = number(head);
        while at < self.written {
            let left = usize::try_from(self.written - at).unwrap_or(usize::MAX);
            let length = left.min(self.buffer.len());
            let whole = length.next_multiple_of(F::READ_SIZE);
            let bytes = self.buffer.get_mut(..whole).ok_or(Cause::Memory)?;
            let offset = self.place.start.saturating_add(at);
            self.flash.read(offset, bytes).map_err(|_| Cause::Read)?;
            each(at, bytes.get(..length).unwrap_or_default(), self.mode.filter(|_| at == 0));
            at = at.saturating_add(number(length));
        }
        Ok(())
    }

    /// Reads back `length` bytes from `offset` on, behind what is withheld; at most
    /// [`Self::reach`] of them.
    pub(super) fn read(&mut self, offset: u32, length: usize) -> Result<&[u8], Cause> {
        let before = offset % number(F::READ_SIZE);
        let skip = usize::try_from(before).map_err(|_| Cause::Memory)?;
        let whole = skip.saturating_add(length).next_multiple_of(F::READ_SIZE);
        let bytes = self.buffer.get_mut(..whole).ok_or(Cause::Memory)?;
        let start = self.place.start.saturating_add(offset - before);
        self.flash.read(start, bytes).map_err(|_| Cause::Read)?;
        bytes.get(skip..).and_then(|bytes| bytes.get(..length)).ok_or(Cause::Memory)
    }

    /// Writes what was withheld.
    pub(super) fn release(&mut self) -> Result<(), Cause> {
        if self.head.is_empty() {
            return Ok(());
        }
        self.flash.write(self.place.start, self.head).map_err(|_| Cause::Write)?;
        let bytes = self.buffer.get_mut(..self.head.len()).ok_or(Cause::Memory)?;
        self.flash.read(self.place.start, bytes).map_err(|_| Cause::Read)?;
        if *bytes == *self.head { Ok(()) } else { Err(Cause::Write) }
    }
}

/// What the lengths of reads and writes must both be a multiple of.
fn unit<F: NorFlash>() -> usize {
    let (read, write) = (F::READ_SIZE.max(1), F::WRITE_SIZE.max(1));
    if write.is_multiple_of(read) { write } else { write.saturating_mul(read) }
}

/// Bytes of a sector.
pub(super) fn sector<F: NorFlash>() -> u32 {
    number(F::ERASE_SIZE.max(1))
}

/// Whether a sector starts here.
pub(super) fn is_whole<F: NorFlash>(offset: u32) -> bool {
    offset.is_multiple_of(sector::<F>())
}

/// Bytes of the whole flash.
pub(super) fn capacity<F: NorFlash>(flash: &F) -> u32 {
    number(flash.capacity())
}

pub(super) fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
