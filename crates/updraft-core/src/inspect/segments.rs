//! Walks one image as it passes: header, segments, checksum, appended hash.

use crate::chip::{Chip, Family};
use crate::facts::{FlashSettings, Revisions, Segment, Segments, Verdict};
use crate::window::{self, Window, half_word, word};

/// First byte of an image (`ESP_IMAGE_HEADER_MAGIC`, ESP-IDF `esp_app_format.h`).
const MAGIC: u8 = 0xE9;
/// Initial value of the XOR checksum (`ESP_ROM_CHECKSUM_INITIAL`, ESP-IDF).
const CHECKSUM_SEED: u8 = 0xEF;
/// Length of an appended SHA-256.
const HASH: usize = 32;

/// One image of a stream.
#[derive(Clone, Debug)]
pub(super) struct Walker {
    /// Where the image starts in the stream: a multiple of 16.
    base: u64,
    /// Where the next byte to look at stands in the stream.
    position: u64,
    state: State,
    collected: [u8; HASH],
    filled: usize,
    header: Option<Header>,
    segments: Segments,
    /// Segments whose header has not passed.
    missing: u8,
    /// Where the data of the last segment that is known ends in the stream.
    data_end: u64,
    sum: u8,
    stored_sum: Option<u8>,
    stored_hash: Option<[u8; HASH]>,
    /// The first bytes of the first segment of an ESP32-family image: where a descriptor is.
    start: Window<256>,
}

/// What an image header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) chip: Chip,
    pub(super) flash: FlashSettings,
    pub(super) entry: u32,
    /// Of the ESP32 family.
    pub(super) revisions: Option<Revisions>,
    hash_appended: bool,
}

/// Why this is no image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It does not start with E9.
    Magic,
    /// No chip can be told from the header.
    Chip,
    /// It has no segment, or too many.
    SegmentCount(u8),
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Bytes that are looked at together.
    Collect(Part),
    /// Data of a segment.
    Data {
        left: u32,
    },
    /// Zeros, then the checksum as the last byte of a block of 16.
    Checksum {
        left: usize,
    },
    Complete,
    Refused(Refusal),
}

#[derive(Clone, Copy, Debug)]
enum Part {
    /// Header and first segment header of the ESP8266; most of the header of the ESP32 family.
    Start,
    /// The rest of an ESP32-family header.
    Rest,
    SegmentHeader,
    Hash,
}

impl Walker {
    pub(super) fn at(base: u64) -> Self {
        Self {
            base,
            position: base,
            state: State::Collect(Part::Start),
            collected: [0; HASH],
            filled: 0,
            header: None,
            segments: Segments::default(),
            missing: 0,
            data_end: base,
            sum: CHECKSUM_SEED,
            stored_sum: None,
            stored_hash: None,
            // Header and first segment header of the ESP32 family: 24 and 8 bytes.
            start: Window::at(base.saturating_add(32)),
        }
    }

    /// Takes the next bytes of the stream; those before the image are skipped.
    pub(super) fn update(&mut self, offset: u64, chunk: &[u8]) {
        self.start.update(offset, chunk);
        let mut rest = window::from(offset, chunk, self.position).unwrap_or_default();
        while !rest.is_empty() {
            let wanted = match self.state {
                State::Collect(part) => part.length().saturating_sub(self.filled),
                State::Data { left } => left as usize,
                State::Checksum { left } => left,
                State::Complete | State::Refused(_) => return,
            };
            let (now, after) = rest.split_at(rest.len().min(wanted));
            self.position = self.position.saturating_add(now.len() as u64);
            self.state = self.take(now);
            rest = after;
        }
    }

    /// The header, once it has passed and is one of a known chip.
    pub(super) fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    pub(super) fn segments(&self) -> Segments {
        self.segments
    }

    /// Why this is no image, if it is none.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        match self.state {
            State::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Whether a byte of it has passed.
    pub(super) fn has_begun(&self) -> bool {
        self.position > self.base
    }

    pub(super) fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete)
    }

    /// The descriptor's place, as far as it has passed.
    pub(super) fn start(&self) -> &Window<256> {
        &self.start
    }

    /// Where the sums end, in the stream: behind the checksum, before an appended hash. Known once
    /// the last segment header has passed.
    pub(super) fn checksum_end(&self) -> Option<u64> {
        if self.header.is_none() || self.missing > 0 {
            return None;
        }
        (self.data_end | 15).checked_add(1)
    }

    /// Where the image ends in the stream, with its appended hash.
    pub(super) fn end(&self) -> Option<u64> {
        let hash = if self.header?.hash_appended { HASH as u64 } else { 0 };
        self.checksum_end()?.checked_add(hash)
    }

    /// Whether a segment is read from flash in place, so that this is an application.
    pub(super) fn maps_flash(&self) -> bool {
        self.header.is_some_and(|header| {
            self.segments.iter().any(|segment| header.chip.maps_flash_at(segment.address))
        })
    }

    /// The verdict on the checksum; `correction` is the XOR of data bytes that it does not count.
    pub(super) fn checksum(&self, correction: u8) -> Verdict {
        match self.stored_sum {
            None => Verdict::Absent,
            Some(stored) if stored == self.sum ^ correction => Verdict::Ok,
            Some(_) => Verdict::Bad,
        }
    }

    /// The SHA-256 that stands behind the image.
    pub(super) fn stored_hash(&self) -> Option<[u8; HASH]> {
        self.stored_hash
    }

    /// Takes bytes of what the state waits for, at most as many as that; returns the next state.
    fn take(&mut self, bytes: &[u8]) -> State {
        match self.state {
            State::Collect(part) => {
                let free = self.collected.iter_mut().skip(self.filled);
                self.filled += free.zip(bytes).map(|(slot, byte)| *slot = *byte).count();
                if self.filled < part.length() {
                    return self.state;
                }
                self.filled = 0;
                self.read(part)
            }
            State::Data { left } => {
                self.sum = bytes.iter().fold(self.sum, |sum, byte| sum ^ byte);
                self.data(left.saturating_sub(u32::try_from(bytes.len()).unwrap_or(u32::MAX)))
            }
            State::Checksum { left } if left > bytes.len() => {
                State::Checksum { left: left.saturating_sub(bytes.len()) }
            }
            State::Checksum { .. } => {
                self.stored_sum = bytes.last().copied();
                match self.header {
                    Some(Header { hash_appended: true, .. }) => State::Collect(Part::Hash),
                    _ => State::Complete,
                }
            }
            State::Complete | State::Refused(_) => self.state,
        }
    }

    /// Reads what was collected.
    fn read(&mut self, part: Part) -> State {
        match part {
            Part::Start => self.read_start(),
            Part::Rest => {
                // The last of these 8 bytes is the last of the header, `hash_appended`.
                let [min, max_low, max_high, _, _, _, _, hash, ..] = self.collected;
                let max = u16::from_le_bytes([max_low, max_high]);
                self.header = self.header.map(|header| Header {
                    hash_appended: hash == 1,
                    revisions: header.revisions.map(|low| Revisions {
                        min: low.min | u16::from(min) << 8,
                        // `IS_MAX_REV_SET` (ESP-IDF `bootloader_common_loader.c`).
                        max: (!matches!(max, 0 | u16::MAX)).then_some(max),
                    }),
                    ..header
                });
                State::Collect(Part::SegmentHeader)
            }
            Part::SegmentHeader => self.read_segment(0),
            Part::Hash => {
                self.stored_hash = Some(self.collected);
                State::Complete
            }
        }
    }

    fn read_start(&mut self) -> State {
        let [magic, count, mode, size_and_frequency, entry @ .., _, _] = self.collected;
        if magic != MAGIC {
            return State::Refused(Refusal::Magic);
        }
        let Some(chip) = chip(&self.collected) else { return State::Refused(Refusal::Chip) };
        if count == 0 || usize::from(count) > Segments::MAX {
            return State::Refused(Refusal::SegmentCount(count));
        }
        self.missing = count;
        self.header = Some(Header {
            chip,
            flash: FlashSettings::from_bytes(chip, mode, size_and_frequency),
            entry: word(&entry, 0).unwrap_or_default(),
            // The first byte of the lowest revision; the other one comes with the rest.
            revisions: (chip.family() == Family::Esp32)
                .then(|| Revisions { min: self.collected[15].into(), max: None }),
            hash_appended: false,
        });
        match chip.family() {
            // This header is 8 bytes long: what follows is the first segment's.
            Family::Esp8266 => self.read_segment(8),
            Family::Esp32 => State::Collect(Part::Rest),
        }
    }

    /// Reads the segment header that starts at `index` of what was collected.
    fn read_segment(&mut self, index: usize) -> State {
        let address = word(&self.collected, index).unwrap_or_default();
        let length = word(&self.collected, index + 4).unwrap_or_default();
        self.segments.push(Segment {
            address,
            length,
            offset: u32::try_from(self.position).unwrap_or(u32::MAX),
        });
        self.missing = self.missing.saturating_sub(1);
        self.data_end = self.position.saturating_add(u64::from(length));
        self.data(length)
    }

    /// What comes when `left` bytes of a segment's data are missing.
    fn data(&self, left: u32) -> State {
        match (left, self.missing) {
            (1.., _) => State::Data { left },
            (0, 1..) => State::Collect(Part::SegmentHeader),
            // Up to and with the next byte whose offset is 15 modulo 16.
            (0, 0) => State::Checksum { left: 16 - (self.position % 16) as usize },
        }
    }
}

impl Part {
    /// Length in bytes.
    fn length(self) -> usize {
        match self {
            Self::Start => 16,
            Self::Rest | Self::SegmentHeader => 8,
            Self::Hash => HASH,
        }
    }
}

/// The chip of an image that starts with these bytes.
fn chip(start: &[u8]) -> Option<Chip> {
    // An ESP8266 image has the address of its first segment here. In the ESP32 family these are the
    // pins of the flash, far from any such address. This is asked first: the length of an ESP8266's
    // first segment may look like a chip_id.
    let address = word(start, 8)?;
    let is_esp8266 = matches!(address,
        0x4010_0000..0x4011_0000 // instruction RAM, with eboot's place at its end
        | 0x3FFE_8000..0x4000_0000 // data RAM
        | 0x4020_0000..0x4030_0000 // mapped flash
    );
    if is_esp8266 { Some(Chip::Esp8266) } else { Chip::from_id(half_word(start, 12)?) }
}
