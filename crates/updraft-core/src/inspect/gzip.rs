//! Reads a gzip (RFC 1952) as it passes, as strictly as eboot and more so: eboot checks neither the
//! CRC nor the length, and writes what it gets.

use core::fmt;

use crc::{CRC_32_ISO_HDLC, Crc, Digest, Table};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
use miniz_oxide::inflate::core::{DecompressorOxide, TINFL_LZ_DICT_SIZE, decompress};

use crate::facts::{Fault, Verdict};

/// The first two bytes (RFC 1952, 2.3.1: ID1, ID2).
pub(super) const MAGIC: [u8; 2] = [0x1F, 0x8B];
/// Method 8 is deflate, the only one there is (RFC 1952, 2.3.1: CM).
const DEFLATE: u8 = 8;
// Flags (RFC 1952, 2.3.1: FLG). FTEXT, 1, says nothing that matters here.
const HEADER_CRC: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;
const RESERVED: u8 = 0xE0;
/// Only the ESP8266 takes a gzip, and no flash of it is larger: what inflates to more is not worth
/// the time.
const MOST: usize = 16 << 20;

static CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);

/// Memory to look into a gzip with, 43 KiB of it: may be used for one file after the other.
pub struct Inflater {
    state: DecompressorOxide,
    window: [u8; TINFL_LZ_DICT_SIZE],
}

impl Inflater {
    /// Fresh memory.
    #[expect(clippy::large_stack_arrays, reason = "where it lives is up to the caller")]
    pub fn new() -> Self {
        Self { state: DecompressorOxide::new(), window: [0; TINFL_LZ_DICT_SIZE] }
    }
}

impl Default for Inflater {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater").finish_non_exhaustive()
    }
}

/// The first, and hopefully only, member of a gzip.
pub(super) struct Member<'a> {
    inflater: Option<&'a mut Inflater>,
    state: State,
    /// Collects the fixed header and the trailer.
    collected: [u8; 10],
    filled: usize,
    /// Flags whose fields are still to come.
    flags: u8,
    crc: Digest<'static, u32, Table<16>>,
    stored_crc: u32,
    /// Bytes of the file so far.
    length: u64,
    /// Inflated bytes so far, not many more than [`MOST`].
    inflated: usize,
    /// Behind the end: how many bytes of another member's start have passed.
    second: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fixed,
    ExtraLength,
    Extra {
        left: u16,
    },
    Name,
    Comment,
    HeaderCrc,
    Deflate,
    Trailer,
    /// The member ended at this length of the file.
    Ended {
        at: u64,
    },
    /// Nobody looks at the rest.
    Unread,
    Broken(Fault),
}

impl<'a> Member<'a> {
    /// Looks inside only with an `inflater`.
    pub(super) fn new(mut inflater: Option<&'a mut Inflater>) -> Self {
        if let Some(inflater) = &mut inflater {
            inflater.state.init();
        }
        Self {
            inflater,
            state: State::Fixed,
            collected: [0; 10],
            filled: 0,
            flags: 0,
            crc: CRC.digest(),
            stored_crc: 0,
            length: 0,
            inflated: 0,
            second: 0,
        }
    }

    /// Takes the next bytes of the file. Inflated ones go to `sink`, with their offset.
    pub(super) fn update(&mut self, mut bytes: &[u8], mut sink: impl FnMut(u64, &[u8])) {
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.state == State::Deflate {
                let taken = self.inflate(bytes, &mut sink);
                self.length = self.length.saturating_add(taken as u64);
                bytes = bytes.get(taken..).unwrap_or_default();
                continue;
            }
            match self.state {
                State::Ended { .. } if self.second < MAGIC.len() => {
                    let is_next = MAGIC.get(self.second) == Some(&byte);
                    self.second = if is_next { self.second + 1 } else { usize::MAX };
                    bytes = rest;
                    continue;
                }
                State::Ended { .. } | State::Unread | State::Broken(_) => return,
                _ => {}
            }
            self.length = self.length.saturating_add(1);
            self.take(byte);
            bytes = rest;
        }
    }

    /// Where the member ended, if it did.
    pub(super) fn end(&self) -> Option<u64> {
        match self.state {
            State::Ended { at } => Some(at),
            _ => None,
        }
    }

    /// Whether another member starts where this one ended.
    pub(super) fn has_second(&self) -> bool {
        self.second == MAGIC.len()
    }

    /// The inflated length, if all was inflated.
    pub(super) fn inflated(&self) -> Option<u64> {
        self.end().map(|_| self.inflated as u64)
    }

    pub(super) fn crc(&self) -> Verdict {
        match self.end() {
            None => Verdict::Absent,
            Some(_) if self.stored_crc == self.crc.clone().finalize() => Verdict::Ok,
            Some(_) => Verdict::Bad,
        }
    }

    /// What is wrong with the gzip so far, if nothing more comes.
    pub(super) fn fault(&self) -> Option<Fault> {
        match self.state {
            State::Broken(fault) => Some(fault),
            State::Unread => None,
            State::Ended { .. } => (self.crc() == Verdict::Bad).then_some(Fault::GzipCrc),
            _ => Some(Fault::Truncated),
        }
    }

    /// Takes one byte of the header or the trailer.
    fn take(&mut self, byte: u8) {
        self.state = match self.state {
            State::Fixed => {
                self.collect(byte);
                let [_, _, method, flags, ..] = self.collected;
                match self.filled {
                    ..10 => State::Fixed,
                    _ if method != DEFLATE => State::Broken(Fault::GzipMethod(method)),
                    _ if flags & RESERVED != 0 => State::Broken(Fault::GzipFlags(flags & RESERVED)),
                    _ => {
                        self.flags = flags;
                        self.next_field()
                    }
                }
            }
            State::ExtraLength => {
                self.collect(byte);
                let [low, high, ..] = self.collected;
                match (self.filled, u16::from_le_bytes([low, high])) {
                    (..2, _) => State::ExtraLength,
                    (_, 0) => self.next_field(),
                    (_, left) => State::Extra { left },
                }
            }
            State::Extra { left: left @ 2.. } => State::Extra { left: left.saturating_sub(1) },
            State::Name | State::Comment if byte != 0 => self.state,
            State::Extra { .. } | State::Name | State::Comment => self.next_field(),
            State::HeaderCrc => {
                self.collect(byte);
                if self.filled < 2 { State::HeaderCrc } else { self.next_field() }
            }
            State::Trailer => {
                self.collect(byte);
                let [a, b, c, d, ..] = self.collected;
                self.stored_crc = u32::from_le_bytes([a, b, c, d]);
                // CRC and ISIZE, which is read where eboot reads it: at the end of the file.
                if self.filled < 8 { State::Trailer } else { State::Ended { at: self.length } }
            }
            other => other,
        }
    }

    fn collect(&mut self, byte: u8) {
        if let Some(slot) = self.collected.get_mut(self.filled) {
            *slot = byte;
            self.filled += 1;
        }
    }

    /// The next header field that the flags announce, in the order of RFC 1952, 2.3; then the data.
    fn next_field(&mut self) -> State {
        self.filled = 0;
        let fields = [
            (EXTRA, State::ExtraLength),
            (NAME, State::Name),
            (COMMENT, State::Comment),
            (HEADER_CRC, State::HeaderCrc),
        ];
        match fields.into_iter().find(|(flag, _)| self.flags & flag != 0) {
            Some((flag, state)) => {
                self.flags &= !flag;
                state
            }
            None if self.inflater.is_some() => State::Deflate,
            None => State::Unread,
        }
    }

    /// Inflates, returns how many bytes it took.
    fn inflate(&mut self, bytes: &[u8], sink: &mut impl FnMut(u64, &[u8])) -> usize {
        let Some(inflater) = self.inflater.as_deref_mut() else { return bytes.len() };
        let mut taken = 0;
        loop {
            let input = bytes.get(taken..).unwrap_or_default();
            // The window is a ring, so only the low bits count.
            let position = self.inflated % TINFL_LZ_DICT_SIZE;
            let (status, read, written) = decompress(
                &mut inflater.state,
                input,
                &mut inflater.window,
                position,
                TINFL_FLAG_HAS_MORE_INPUT,
            );
            taken = taken.saturating_add(read);
            let output = inflater.window.get(position..).and_then(|rest| rest.get(..written));
            let output = output.unwrap_or_default();
            self.crc.update(output);
            sink(self.inflated as u64, output);
            self.inflated = self.inflated.saturating_add(output.len());
            self.state = match status {
                _ if self.inflated > MOST => State::Broken(Fault::GzipTooBig),
                TINFLStatus::Done => State::Trailer,
                TINFLStatus::HasMoreOutput if read > 0 || written > 0 => continue,
                TINFLStatus::NeedsMoreInput if taken == bytes.len() => State::Deflate,
                _ => State::Broken(Fault::GzipData),
            };
            return taken;
        }
    }
}
