//! Inflates a gzip from the flash as eboot does: no more than is asked for, reading on wherever it has
//! got to, with no look at the length or the CRC that stand behind the data.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

use crate::flash::{Flash, FlashError};

/// Window of deflate, and so of what eboot keeps.
const WINDOW: usize = 32 << 10;
/// Bytes that are read from the flash at a time.
const READ: usize = 256;

/// First two bytes of a gzip (RFC 1952, 2.3.1).
pub(super) const GZIP: [u8; 2] = [0x1F, 0x8B];
/// The one method there is: deflate.
const DEFLATE: u8 = 8;
/// Flags of RFC 1952, 2.3.1.
const HEADER_CRC: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0xE0;

/// Why it goes no further.
#[derive(Debug)]
pub(super) enum Stop {
    /// The header is none that eboot reads.
    Header,
    /// The data is damaged, or the flash ends.
    Data,
    /// The flash has no power.
    Flash(FlashError),
}

/// A gzip that is being inflated.
pub(super) struct Inflating {
    /// Where the next byte is read from the flash.
    at: u64,
    read: Vec<u8>,
    state: Box<DecompressorOxide>,
    window: Vec<u8>,
    filled: usize,
    ready: Vec<u8>,
    end: Option<End>,
}

/// Why nothing more will be ready.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Done,
    /// Noticed only by who asks for what would come next.
    Damaged,
}

impl Inflating {
    /// Reads the header of the gzip at this place.
    pub(super) fn start(flash: &Flash, at: u32) -> Result<Self, Stop> {
        let mut inflating = Self {
            at: at.into(),
            read: Vec::new(),
            state: Box::default(),
            window: vec![0; WINDOW],
            filled: 0,
            ready: Vec::new(),
            end: None,
        };
        inflating.header(flash)?;
        Ok(inflating)
    }

    fn header(&mut self, flash: &Flash) -> Result<(), Stop> {
        let mut fixed = [0; 10];
        for byte in &mut fixed {
            *byte = self.byte(flash)?;
        }
        let [_, _, method, flags, ..] = fixed;
        if method != DEFLATE || flags & RESERVED != 0 {
            return Err(Stop::Header);
        }
        if flags & EXTRA != 0 {
            let length = u16::from_le_bytes([self.byte(flash)?, self.byte(flash)?]);
            (0..length).try_for_each(|_| self.byte(flash).map(drop))?;
        }
        for text in [NAME, COMMENT] {
            while flags & text != 0 && self.byte(flash)? != 0 {}
        }
        if flags & HEADER_CRC != 0 {
            (0..2).try_for_each(|_| self.byte(flash).map(drop))?;
        }
        Ok(())
    }

    /// One byte of the header.
    fn byte(&mut self, flash: &Flash) -> Result<u8, Stop> {
        let mut byte = [0];
        flash.copy(self.at, &mut byte).map_err(|error| match error {
            FlashError::OutOfBounds { .. } => Stop::Header,
            other => Stop::Flash(other),
        })?;
        self.at += 1;
        Ok(byte[0])
    }

    /// Fills `bytes` as far as there is something inside. Where there is no more, they stay.
    pub(super) fn fill(&mut self, flash: &Flash, bytes: &mut [u8]) -> Result<(), Stop> {
        while self.ready.len() < bytes.len() {
            match self.end {
                None => self.go_on(flash)?,
                Some(End::Done) => break,
                Some(End::Damaged) => return Err(Stop::Data),
            }
        }
        let count = bytes.len().min(self.ready.len());
        bytes[..count].copy_from_slice(&self.ready[..count]);
        self.ready.drain(..count);
        Ok(())
    }

    fn go_on(&mut self, flash: &Flash) -> Result<(), Stop> {
        if self.read.is_empty() {
            self.refill(flash)?;
        }
        if self.read.is_empty() {
            self.end = Some(End::Damaged);
            return Ok(());
        }
        let flags = inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
        let (status, used, made) =
            decompress(&mut self.state, &self.read, &mut self.window, self.filled, flags);
        self.read.drain(..used);
        self.ready.extend_from_slice(&self.window[self.filled..self.filled + made]);
        self.filled = (self.filled + made) % WINDOW;
        match status {
            TINFLStatus::Done => self.end = Some(End::Done),
            TINFLStatus::HasMoreOutput => {}
            // Bits may be kept inside, so that all was used and nothing made.
            TINFLStatus::NeedsMoreInput if self.read.is_empty() => {}
            _ => self.end = Some(End::Damaged),
        }
        Ok(())
    }

    fn refill(&mut self, flash: &Flash) -> Result<(), Stop> {
        let left = u64::from(flash.size()).saturating_sub(self.at);
        self.read = vec![0; READ.min(usize::try_from(left).unwrap_or(READ))];
        flash.copy(self.at, &mut self.read).map_err(Stop::Flash)?;
        self.at += self.read.len() as u64;
        Ok(())
    }
}
