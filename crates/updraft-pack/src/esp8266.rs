//! ESP8266 sketches in the form of Arduino's `elf2bin.py`: eboot, padding, application.

use crc::{CRC_32_MPEG_2, Crc, Table};
use updraft_core::{Chip, FlashMode};

use crate::error::BuildError;
use crate::image::{self, filler, push_checksum, push_segment};

/// Where the application starts in the file and in the flash (`APP_START_OFFSET`, eboot).
const APP_OFFSET: usize = 0x1000;
/// Where eboot is loaded to and entered (`eboot.ld`).
const EBOOT_ADDRESS: u32 = 0x4010_F000;
/// Where flash offset 0x1010, the first byte of the first segment's data, is mapped
/// (`eagle.flash.*.ld`).
const IROM_ADDRESS: u32 = 0x4020_1010;
/// Start of the RAM that holds code (`eagle.app.v6.common.ld`).
const IRAM_ADDRESS: u32 = 0x4010_0000;
/// The two words that `elf2bin.py` sets last: file length, then CRC.
const LENGTH_WORD: usize = APP_OFFSET + 16;
const CRC_WORD: usize = LENGTH_WORD + 4;

/// The CRC of eboot and `elf2bin.py` (`cores/esp8266/crc32.cpp`): not reflected, no final XOR.
const CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_MPEG_2);

/// Settings of an ESP8266 sketch.
#[derive(Clone, Debug)]
#[must_use]
pub struct Esp8266Image {
    flash_mode: FlashMode,
    flash_size: u32,
    flash_frequency_mhz: u8,
    payload: Vec<u8>,
    crc: bool,
}

impl Esp8266Image {
    /// A sketch without payload for a flash of 4 MiB in mode DIO at 40 MHz.
    #[expect(clippy::new_without_default, reason = "these settings are no better than others")]
    pub fn new() -> Self {
        Self {
            flash_mode: FlashMode::Dio,
            flash_size: 4 << 20,
            flash_frequency_mhz: 40,
            payload: Vec::new(),
            crc: true,
        }
    }

    /// Flash mode in both headers.
    pub fn flash_mode(self, flash_mode: FlashMode) -> Self {
        Self { flash_mode, ..self }
    }

    /// Flash size in bytes in both headers.
    pub fn flash_size(self, bytes: u32) -> Self {
        Self { flash_size: bytes, ..self }
    }

    /// Flash clock in MHz in both headers.
    pub fn flash_frequency_mhz(self, mhz: u8) -> Self {
        Self { flash_frequency_mhz: mhz, ..self }
    }

    /// What the flash-mapped segment holds behind the words for length and CRC.
    pub fn payload(self, bytes: &[u8]) -> Self {
        Self { payload: bytes.to_vec(), ..self }
    }

    /// A payload of `length` reproducible bytes, other ones for each `seed`.
    pub fn filler(self, length: usize, seed: u64) -> Self {
        Self { payload: filler(length, seed), ..self }
    }

    /// Leaves the words for length and CRC zero, as cores before 2.6 do.
    pub fn without_crc(self) -> Self {
        Self { crc: false, ..self }
    }

    /// The bytes of the sketch.
    pub fn build(&self) -> Result<Vec<u8>, BuildError> {
        let mut file = self.eboot()?;
        file.resize(APP_OFFSET, 0xAA);

        // The checksum counts the two words as zero: they are set when it is already there.
        let flash = [&[0; 8], self.payload.as_slice()].concat();
        let ram = [0x22; 32];
        file.extend(self.header(2, IRAM_ADDRESS + 4)?);
        push_segment(&mut file, IROM_ADDRESS, &flash)?;
        push_segment(&mut file, IRAM_ADDRESS, &ram)?;
        push_checksum(&mut file, [&flash[..], &ram]);

        if self.crc {
            // Taken over the file with both words zero.
            let crc = CRC.checksum(&file);
            let length = image::length_word(file.len())?;
            file[LENGTH_WORD..CRC_WORD].copy_from_slice(&length);
            file[CRC_WORD..CRC_WORD + 4].copy_from_slice(&crc.to_le_bytes());
        }
        Ok(file)
    }

    fn eboot(&self) -> Result<Vec<u8>, BuildError> {
        let code: Vec<u8> = (0..16).collect();
        let mut image = self.header(1, EBOOT_ADDRESS)?.to_vec();
        push_segment(&mut image, EBOOT_ADDRESS, &code)?;
        push_checksum(&mut image, [&code[..]]);
        Ok(image)
    }

    fn header(&self, segments: u8, entry: u32) -> Result<[u8; 8], BuildError> {
        let flash =
            image::size_and_frequency(Chip::Esp8266, self.flash_size, self.flash_frequency_mhz)?;
        let [a, b, c, d] = entry.to_le_bytes();
        Ok([image::MAGIC, segments, self.flash_mode.byte(), flash, a, b, c, d])
    }
}

/// A boot loader alone, in the form of eboot: an image that loads only RAM.
pub fn eboot() -> Result<Vec<u8>, BuildError> {
    Esp8266Image::new().eboot()
}

#[cfg(test)]
mod tests {
    use md5::Digest as _;

    use super::*;
    use crate::image::tests::hex;

    #[test]
    fn the_reference_sketch_has_its_known_digests() {
        let file = Esp8266Image::new().payload(&[0x11; 56]).build().unwrap();
        assert_eq!(file.len(), 4224);
        assert_eq!(hex(&file[0x1010..0x1018]), "80100000bbc4b95d");
        assert_eq!(hex(md5::Md5::digest(&file)), "d5ef89545cd1fd078bc6665b01928353");
    }

    #[test]
    fn codes_follow_the_settings() {
        let image = Esp8266Image::new().flash_mode(FlashMode::Dout).flash_size(1 << 20);
        let file = image.clone().flash_frequency_mhz(80).build().unwrap();
        assert_eq!(file[..4], [0xE9, 1, 3, 0x2F]);
        assert_eq!(file[0x1000..0x1004], [0xE9, 2, 3, 0x2F]);
        let chip = Chip::Esp8266;
        assert_eq!(
            image.clone().flash_frequency_mhz(60).build(),
            Err(BuildError::FlashFrequency { chip, mhz: 60 })
        );
        assert_eq!(image.flash_size(5).build(), Err(BuildError::FlashSize { chip, bytes: 5 }));
    }
}
