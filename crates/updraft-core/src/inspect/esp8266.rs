//! The sums of an ESP8266 sketch as Arduino's `elf2bin.py` makes it: the words for length and CRC,
//! and the digests a device reports.

use crc::{CRC_32_MPEG_2, Crc, Digest, Table};

use crate::facts::{RunningMd5, Verdict};
use crate::md5::FourMd5;
use crate::window::{Window, from, until, word};

/// Where the application starts (`APP_START_OFFSET`, eboot).
pub(super) const APP_OFFSET: u64 = 0x1000;
/// The two words that `elf2bin.py` sets last, length and CRC: the first data of the application,
/// behind its header and first segment header.
const WORDS: u64 = APP_OFFSET + 16;
const WORDS_END: u64 = WORDS + 8;

/// CRC-32 of eboot and of `elf2bin.py` (`cores/esp8266/crc32.cpp`): not reflected, no final XOR.
static CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_MPEG_2);

/// Sums up a sketch as it passes.
#[derive(Clone)]
pub(super) struct Sketch {
    words: Window<8>,
    crc: Digest<'static, u32, Table<16>>,
    md5: FourMd5,
}

impl Sketch {
    pub(super) fn new() -> Self {
        Self { words: Window::at(WORDS), crc: CRC.digest(), md5: FourMd5::new() }
    }

    /// Takes the next bytes of the stream; those from `end` on count for nothing.
    pub(super) fn update(&mut self, offset: u64, chunk: &[u8], end: Option<u64>) {
        self.words.update(offset, chunk);
        let chunk = until(offset, chunk, end.unwrap_or(u64::MAX));
        self.md5.update(chunk);

        // The two words count as zero.
        self.crc.update(until(offset, chunk, WORDS));
        let words = from(offset, chunk, WORDS.max(offset)).unwrap_or_default();
        let zeros = until(WORDS.max(offset), words, WORDS_END).len();
        self.crc.update([0; 8].get(..zeros).unwrap_or_default());
        self.crc.update(from(offset, chunk, WORDS_END.max(offset)).unwrap_or_default());
    }

    /// XOR of the two words: what an application's checksum must leave out, because it was made
    /// while they were zero.
    pub(super) fn correction(&self) -> u8 {
        self.words.passed().iter().fold(0, |sum, byte| sum ^ byte)
    }

    /// The verdict on the two words of a sketch that ends at `end`. Older cores know no such words
    /// and have code in their place; `counted` says that the checksum speaks for that: it is right
    /// with them counted. If they XOR to zero, it is right without them, too, and proves nothing
    /// either way; then the length decides.
    pub(super) fn verdict(&self, end: u64, counted: bool) -> Verdict {
        let Some(words) = self.words.full() else { return Verdict::Absent };
        let length = word(words, 0).unwrap_or_default();
        let crc = word(words, 4).unwrap_or_default();
        let length_is_right = u64::from(length) == end;
        match (length, crc) {
            (0, 0) => Verdict::Absent,
            _ if length_is_right && crc == self.crc.clone().finalize() => Verdict::Ok,
            _ if counted && !length_is_right => Verdict::Absent,
            _ => Verdict::Bad,
        }
    }

    /// The digests a device may report while it runs this sketch.
    pub(super) fn running(&self) -> RunningMd5 {
        RunningMd5::ByFlashMode(self.md5.clone().finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_has_its_check_value() {
        // CRC-32/MPEG-2.
        assert_eq!(CRC.checksum(b"123456789"), 0x0376_E6E7);
        assert_eq!(CRC.checksum(b""), 0xFFFF_FFFF);
    }

    #[test]
    fn the_two_words_count_as_zero_in_the_crc_however_cut() {
        let mut stream = [0x5A; 0x1040];
        stream[0x1010..0x1018].fill(0);
        let expected = CRC.checksum(&stream);
        stream[0x1010..0x1014].copy_from_slice(&0x1040_u32.to_le_bytes());
        stream[0x1014..0x1018].copy_from_slice(&expected.to_le_bytes());
        for size in [1, 7, 0x1013, 0x1040] {
            let mut sketch = Sketch::new();
            for (i, chunk) in stream.chunks(size).enumerate() {
                sketch.update((i * size) as u64, chunk, None);
            }
            assert_eq!(sketch.verdict(0x1040, false), Verdict::Ok, "{size}");
        }
    }
}
