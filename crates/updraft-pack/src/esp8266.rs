//! ESP8266 sketches in the form of Arduino's `elf2bin.py`: eboot, padding, application. On request
//! one that is wrong, in one way that has a name.

use crc::{CRC_32_ISO_HDLC, CRC_32_MPEG_2, Crc, Table};
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

static SDK_CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

/// Settings of an ESP8266 sketch.
#[derive(Clone, Debug)]
#[must_use]
pub struct Esp8266Image {
    flash_mode: FlashMode,
    flash_size: u32,
    flash_frequency_mhz: u8,
    payload: Vec<u8>,
    crc: bool,
    defect: Option<Esp8266Defect>,
}

/// A way in which an ESP8266 sketch can be wrong. Nothing else is: sums that a tool would make over
/// what is wrong are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Esp8266Defect {
    /// So many bytes are missing at the end: a download that broke off.
    Truncated(usize),
    /// One bit of the last byte of the payload is another one.
    PayloadBit,
    /// So many bytes FF stand behind the sketch: a copy of the flash that is cut too late.
    Trailing(usize),
    /// The first byte is EA, that of an image for Espressif's own boot loader.
    FirstByte,
    /// The boot loader alone.
    NoApplication,
    /// The application alone, without boot loader.
    NoBootLoader,
    /// The application names so many segments; it has two.
    SegmentCount(u8),
    /// The last segment of the application says that it is 64 KiB longer than it is.
    SegmentPastEnd,
    /// The checksum of the boot loader.
    BootChecksum,
    /// The checksum of the application. Nobody looks at it where there is a CRC, so it matters
    /// together with [`Esp8266Image::without_crc`] only.
    Checksum,
    /// The CRC.
    CrcWord,
    /// The length that goes with the CRC is four bytes too short.
    LengthWord,
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
            defect: None,
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

    /// Makes it wrong in this way.
    pub fn defect(self, defect: Esp8266Defect) -> Self {
        Self { defect: Some(defect), ..self }
    }

    /// The bytes of the sketch.
    pub fn build(&self) -> Result<Vec<u8>, BuildError> {
        let mut file = self.eboot()?;
        let boot_checksum = file.len() - 1;
        file.resize(APP_OFFSET, 0xAA);

        // The checksum counts the two words as zero: they are set when it is already there.
        let flash = [&[0; 8], self.payload.as_slice()].concat();
        let ram = [0x22; 32];
        file.extend(self.header(2, IRAM_ADDRESS + 4)?);
        push_segment(&mut file, IROM_ADDRESS, &flash)?;
        let last_segment = file.len();
        push_segment(&mut file, IRAM_ADDRESS, &ram)?;
        push_checksum(&mut file, [&flash[..], &ram]);

        let checksum = file.len() - 1;
        match self.defect {
            Some(Esp8266Defect::FirstByte) => file[0] = 0xEA,
            Some(Esp8266Defect::SegmentCount(count)) => file[APP_OFFSET + 1] = count,
            // The third byte of the length: 64 KiB.
            Some(Esp8266Defect::SegmentPastEnd) => file[last_segment + 4 + 2] += 1,
            Some(Esp8266Defect::BootChecksum) => file[boot_checksum] ^= 0x5A,
            Some(Esp8266Defect::Checksum) => file[checksum] ^= 0x5A,
            _ => {}
        }
        if self.crc {
            // Taken over the file with both words zero.
            let crc = CRC.checksum(&file);
            let length = image::length_word(file.len())?;
            file[LENGTH_WORD..CRC_WORD].copy_from_slice(&length);
            file[CRC_WORD..CRC_WORD + 4].copy_from_slice(&crc.to_le_bytes());
        }
        match self.defect {
            Some(Esp8266Defect::Truncated(missing)) => {
                file.truncate(file.len().saturating_sub(missing));
            }
            Some(Esp8266Defect::PayloadBit) => file[last_segment - 1] ^= 1,
            Some(Esp8266Defect::Trailing(length)) => file.resize(file.len() + length, 0xFF),
            Some(Esp8266Defect::NoApplication) => file.truncate(APP_OFFSET),
            Some(Esp8266Defect::NoBootLoader) => drop(file.drain(..APP_OFFSET)),
            Some(Esp8266Defect::CrcWord) => file[CRC_WORD] ^= 1,
            Some(Esp8266Defect::LengthWord) => {
                let length = image::length_word(file.len() - 4)?;
                file[LENGTH_WORD..CRC_WORD].copy_from_slice(&length);
            }
            _ => {}
        }
        Ok(file)
    }

    /// The same for Espressif's own boot loader (esptool calls it version 2), which no Arduino device
    /// has: flash-mapped code first, then an image of the rest, then a CRC.
    pub fn build_for_sdk(&self) -> Result<Vec<u8>, BuildError> {
        let entry = IRAM_ADDRESS + 4;
        let mut file = self.header(4, entry)?.to_vec();
        file[0] = 0xEA; // ESP8266V2FirmwareImage.IMAGE_V2_MAGIC
        let mut flash = self.payload.clone();
        flash.resize(flash.len().next_multiple_of(16), 0);
        push_segment(&mut file, 0, &flash)?;
        let ram = [0x22; 32];
        file.extend(self.header(1, entry)?);
        push_segment(&mut file, IRAM_ADDRESS, &ram)?;
        push_checksum(&mut file, [&ram[..]]);
        // A CRC-32 whose upper half is mirrored (esptool `esp8266_crc32`).
        let crc = SDK_CRC.checksum(&file);
        let crc = if crc >> 31 == 1 { !crc } else { crc + 1 };
        file.extend(crc.to_le_bytes());
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
    use updraft_core::{Fault, NotOta, OtaTarget};

    use super::*;
    use crate::image::inspect;
    use crate::image::tests::{hex, seen};

    #[test]
    fn the_reference_sketch_has_its_known_digests() {
        let file = Esp8266Image::new().payload(&[0x11; 56]).build().unwrap();
        assert_eq!(file.len(), 4224);
        assert_eq!(hex(&file[0x1010..0x1018]), "80100000bbc4b95d");
        assert_eq!(hex(md5::Md5::digest(&file)), "d5ef89545cd1fd078bc6665b01928353");
    }

    #[test]
    fn every_defect_is_seen_for_what_it_is() {
        let sketch = Esp8266Image::new().filler(600, 1);
        assert_eq!(inspect(&sketch.build().unwrap()).ota(), Ok(OtaTarget::Sketch));
        let check = |image: &Esp8266Image, defect, expected: Result<OtaTarget, NotOta>| {
            let file = image.clone().defect(defect).build().unwrap();
            assert_eq!(seen(&file), expected, "{defect:?}");
        };
        let broken = |fault| Err(NotOta::Fault(fault));
        check(&sketch, Esp8266Defect::Truncated(100), broken(Fault::Truncated));
        check(&sketch, Esp8266Defect::PayloadBit, Err(NotOta::Checksum));
        check(&sketch, Esp8266Defect::Trailing(100), Err(NotOta::Trailing));
        check(&sketch, Esp8266Defect::FirstByte, Err(NotOta::Unknown));
        check(&sketch, Esp8266Defect::NoApplication, Err(NotOta::BootLoader));
        check(&sketch, Esp8266Defect::NoBootLoader, Err(NotOta::PlainV1));
        for count in [0, 17] {
            let defect = Esp8266Defect::SegmentCount(count);
            check(&sketch, defect, broken(Fault::SegmentCount(count)));
        }
        check(&sketch, Esp8266Defect::SegmentPastEnd, broken(Fault::Truncated));
        check(&sketch, Esp8266Defect::BootChecksum, Err(NotOta::BootChecksum));
        check(&sketch, Esp8266Defect::Checksum, Ok(OtaTarget::Sketch));
        check(&sketch.clone().without_crc(), Esp8266Defect::Checksum, Err(NotOta::Checksum));
        check(&sketch, Esp8266Defect::CrcWord, Err(NotOta::Crc));
        check(&sketch, Esp8266Defect::LengthWord, Err(NotOta::Crc));
    }

    #[test]
    fn an_image_for_another_boot_loader_is_seen_as_such() {
        let file = Esp8266Image::new().filler(600, 1).build_for_sdk().unwrap();
        assert_eq!(seen(&file), Err(NotOta::SdkV2));
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
