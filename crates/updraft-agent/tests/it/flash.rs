//! A flash in memory that is as strict as a real one: programming only clears bits, nothing is written
//! twice, places and lengths are whole units. On request its power goes during a change, which is then
//! done by half.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

/// `READ` and `WRITE` bytes at a time, sectors of `ERASE` bytes.
pub(crate) struct Flash<const READ: usize = 4, const WRITE: usize = 4, const ERASE: usize = 4096> {
    pub(crate) bytes: Vec<u8>,
    /// Units that were written since they were erased.
    pub(crate) written: Vec<bool>,
    /// Changes that are made in full before the power goes; `None`: all.
    pub(crate) budget: Option<usize>,
    /// Changes that were made.
    pub(crate) changes: usize,
    /// What fails.
    pub(crate) broken: Broken,
}

/// What a flash does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    Nothing,
    Read,
    /// From this change on it says that it wrote, and does not.
    Keep(usize),
    Write,
    Erase,
}

impl<const READ: usize, const WRITE: usize, const ERASE: usize> Flash<READ, WRITE, ERASE> {
    /// Filled with `byte`, as if it had been written.
    pub(crate) fn filled(size: usize, byte: u8) -> Self {
        Self {
            bytes: vec![byte; size],
            written: vec![true; size / WRITE],
            budget: None,
            changes: 0,
            broken: Broken::Nothing,
        }
    }

    /// With `bytes` at this place, however they came there.
    pub(crate) fn with(mut self, offset: u32, bytes: &[u8]) -> Self {
        let start = usize::try_from(offset).unwrap();
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub(crate) fn at(&self, offset: u32, length: usize) -> &[u8] {
        let start = usize::try_from(offset).unwrap();
        &self.bytes[start..start + length]
    }

    /// How many of `units` are changed.
    fn change(&mut self, units: usize) -> usize {
        let is_last = self.budget == Some(self.changes);
        self.changes += 1;
        match self.budget {
            Some(budget) if self.changes > budget => {
                if is_last {
                    units / 2
                } else {
                    0
                }
            }
            _ => units,
        }
    }
}

impl<const READ: usize, const WRITE: usize, const ERASE: usize> ErrorType
    for Flash<READ, WRITE, ERASE>
{
    type Error = NorFlashErrorKind;
}

impl<const READ: usize, const WRITE: usize, const ERASE: usize> ReadNorFlash
    for Flash<READ, WRITE, ERASE>
{
    const READ_SIZE: usize = READ;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len()).unwrap();
        if self.broken == Broken::Read {
            return Err(NorFlashErrorKind::Other);
        }
        bytes.copy_from_slice(self.at(offset, bytes.len()));
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const READ: usize, const WRITE: usize, const ERASE: usize> NorFlash
    for Flash<READ, WRITE, ERASE>
{
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to).unwrap();
        if self.broken == Broken::Erase {
            return Err(NorFlashErrorKind::Other);
        }
        let first = usize::try_from(from).unwrap() / WRITE;
        let units = usize::try_from(to).unwrap() / WRITE - first;
        let done = self.change(units);
        self.bytes[first * WRITE..(first + done) * WRITE].fill(0xFF);
        self.written[first..first + done].fill(false);
        if done == units { Ok(()) } else { Err(NorFlashErrorKind::Other) }
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len()).unwrap();
        match self.broken {
            Broken::Write => return Err(NorFlashErrorKind::Other),
            Broken::Keep(from) if self.changes >= from => return Ok(()),
            _ => {}
        }
        let first = usize::try_from(offset).unwrap() / WRITE;
        let units = bytes.len() / WRITE;
        let done = self.change(units);
        for unit in first..first + done {
            assert!(!self.written[unit], "written twice without an erase: {:#x}", unit * WRITE);
            self.written[unit] = true;
        }
        let places = self.bytes[first * WRITE..(first + done) * WRITE].iter_mut();
        places.zip(bytes).for_each(|(to, from)| *to &= from);
        if done == units { Ok(()) } else { Err(NorFlashErrorKind::Other) }
    }
}
