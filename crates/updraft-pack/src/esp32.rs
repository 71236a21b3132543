//! Images of the ESP32 family: application, boot loader. On request an application that is wrong,
//! in one way that has a name.

use sha2::{Digest as _, Sha256};
use updraft_core::{Chip, FlashMode, FlashSettings};

use crate::error::BuildError;
use crate::image::{self, filler, push_checksum, push_segment};

/// Bytes that one entry of the flash cache maps at most: a mapped segment's address and file
/// offset agree modulo this (`SPI_FLASH_MMU_PAGE_SIZE`, ESP-IDF).
const MMU_PAGE: usize = 0x1_0000;

/// Settings of an application for a chip of the ESP32 family.
#[derive(Clone, Debug)]
#[must_use]
pub struct Esp32Image {
    chip: Chip,
    flash_mode: FlashMode,
    flash_size: u32,
    flash_frequency_mhz: Option<u8>,
    secure_version: u32,
    version: String,
    project: String,
    idf: String,
    payload: Vec<u8>,
    code: Vec<u8>,
    hash: bool,
    defect: Option<Esp32Defect>,
}

/// A way in which an application can be wrong. Nothing else is: sums that a tool would make over
/// what is wrong are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Esp32Defect {
    /// So many bytes are missing at the end: a download that broke off.
    Truncated(usize),
    /// One bit of the last byte of the payload is another one.
    PayloadBit,
    /// So many bytes FF stand behind the application.
    Trailing(usize),
    /// The first byte is EA.
    FirstByte,
    /// The header names so many segments, not those it has.
    SegmentCount(u8),
    /// The last segment says that it is 16 MiB longer than it is.
    SegmentPastEnd,
    /// The header names the chip of this number.
    ChipId(u16),
    /// The checksum of the segments.
    Checksum,
    /// The appended SHA-256, if there is one.
    Hash,
}

impl Esp32Image {
    /// An application without payload, version 1.0.0 of `app`, for a flash of 4 MiB in mode DIO.
    pub fn new(chip: Chip) -> Self {
        Self {
            chip,
            flash_mode: FlashMode::Dio,
            flash_size: 4 << 20,
            flash_frequency_mhz: None,
            secure_version: 0,
            version: "1.0.0".into(),
            project: "app".into(),
            idf: "v5.5.1".into(),
            payload: Vec::new(),
            code: Vec::new(),
            hash: true,
            defect: None,
        }
    }

    /// Flash mode in the header.
    pub fn flash_mode(self, flash_mode: FlashMode) -> Self {
        Self { flash_mode, ..self }
    }

    /// Flash size in bytes in the header.
    pub fn flash_size(self, bytes: u32) -> Self {
        Self { flash_size: bytes, ..self }
    }

    /// Flash clock in MHz in the header; without this the one whose code is 0.
    pub fn flash_frequency_mhz(self, mhz: u8) -> Self {
        Self { flash_frequency_mhz: Some(mhz), ..self }
    }

    /// Anti-rollback counter in the application descriptor.
    pub fn secure_version(self, secure_version: u32) -> Self {
        Self { secure_version, ..self }
    }

    /// Version in the application descriptor, at most 32 bytes.
    pub fn version(self, version: impl Into<String>) -> Self {
        Self { version: version.into(), ..self }
    }

    /// Project name in the application descriptor, at most 32 bytes.
    pub fn project(self, project: impl Into<String>) -> Self {
        Self { project: project.into(), ..self }
    }

    /// ESP-IDF's version in the application descriptor, at most 32 bytes.
    pub fn idf(self, idf: impl Into<String>) -> Self {
        Self { idf: idf.into(), ..self }
    }

    /// What the flash-mapped data segment holds behind the descriptor.
    pub fn payload(self, bytes: &[u8]) -> Self {
        Self { payload: bytes.to_vec(), ..self }
    }

    /// A payload of `length` reproducible bytes, other ones for each `seed`.
    pub fn filler(self, length: usize, seed: u64) -> Self {
        Self { payload: filler(length, seed), ..self }
    }

    /// Adds a flash-mapped code segment.
    pub fn code(self, bytes: &[u8]) -> Self {
        Self { code: bytes.to_vec(), ..self }
    }

    /// Appends no SHA-256.
    pub fn without_hash(self) -> Self {
        Self { hash: false, ..self }
    }

    /// Makes it wrong in this way.
    pub fn defect(self, defect: Esp32Defect) -> Self {
        Self { defect: Some(defect), ..self }
    }

    /// The bytes of the application.
    pub fn build(&self) -> Result<Vec<u8>, BuildError> {
        let memory = Memory::of(self.chip)?;
        let mut data = self.descriptor()?;
        data.extend(&self.payload);
        // Segment lengths are multiples of four; the code starts at such an address, too.
        data.resize(data.len().next_multiple_of(4), 0);
        let ram = [0x33; 16];
        let mut code = self.code.clone();
        code.resize(code.len().next_multiple_of(4), 0);

        let count = if code.is_empty() { 2 } else { 3 };
        let mut image = self.header(count, memory.ram)?.to_vec();
        // The data of the first segment starts at 32 in the file, so at 32 in its page.
        push_segment(&mut image, memory.data + 32, &data)?;
        let mut last_segment = image.len();
        push_segment(&mut image, memory.ram, &ram)?;
        if !code.is_empty() {
            // The page behind those of the data, should both be mapped into one range.
            let offset = image.len() + 8;
            let page = offset.next_multiple_of(MMU_PAGE) + offset % MMU_PAGE;
            let page = u32::from_le_bytes(image::length_word(page)?);
            last_segment = image.len();
            push_segment(&mut image, memory.code.wrapping_add(page), &code)?;
        }
        push_checksum(&mut image, [&data[..], &ram, &code]);
        let checksum = image.len() - 1;
        match self.defect {
            Some(Esp32Defect::FirstByte) => image[0] = 0xEA,
            Some(Esp32Defect::SegmentCount(count)) => image[1] = count,
            // The fourth byte of the length: 16 MiB.
            Some(Esp32Defect::SegmentPastEnd) => image[last_segment + 4 + 3] += 1,
            Some(Esp32Defect::ChipId(id)) => image[12..14].copy_from_slice(&id.to_le_bytes()),
            Some(Esp32Defect::Checksum) => image[checksum] ^= 0x5A,
            _ => {}
        }
        if self.hash {
            let hash = Sha256::digest(&image);
            image.extend(hash);
        }
        match self.defect {
            Some(Esp32Defect::Truncated(missing)) => {
                image.truncate(image.len().saturating_sub(missing));
            }
            // The last byte of the first segment.
            Some(Esp32Defect::PayloadBit) => image[32 + data.len() - 1] ^= 1,
            Some(Esp32Defect::Trailing(length)) => image.resize(image.len() + length, 0xFF),
            Some(Esp32Defect::Hash) if self.hash => image[checksum + 1] ^= 1,
            _ => {}
        }
        Ok(image)
    }

    /// `esp_image_header_t`.
    fn header(&self, segments: u8, entry: u32) -> Result<[u8; 24], BuildError> {
        let default = FlashSettings::from_bytes(self.chip, 0, 0).frequency_mhz;
        let mhz = self.flash_frequency_mhz.or(default).unwrap_or_default();
        let mut header = [0; 24];
        header[0] = image::MAGIC;
        header[1] = segments;
        header[2] = self.flash_mode.byte();
        header[3] = image::size_and_frequency(self.chip, self.flash_size, mhz)?;
        header[4..8].copy_from_slice(&entry.to_le_bytes());
        header[8] = 0xEE; // no write-protect pin
        let id = self.chip.id().ok_or(BuildError::NotEsp32(self.chip))?;
        header[12..14].copy_from_slice(&id.to_le_bytes());
        header[17..19].copy_from_slice(&[0xFF; 2]); // any chip revision
        header[23] = u8::from(self.hash);
        Ok(header)
    }

    /// `esp_app_desc_t`.
    fn descriptor(&self) -> Result<Vec<u8>, BuildError> {
        let mut descriptor = Vec::with_capacity(256);
        descriptor.extend(0xABCD_5432_u32.to_le_bytes()); // ESP_APP_DESC_MAGIC_WORD
        descriptor.extend(self.secure_version.to_le_bytes());
        descriptor.extend([0; 8]);
        push_text(&mut descriptor, "version", &self.version, 32)?;
        push_text(&mut descriptor, "project name", &self.project, 32)?;
        push_text(&mut descriptor, "time", "12:34:56", 16)?;
        push_text(&mut descriptor, "date", "Jan  1 2026", 16)?;
        push_text(&mut descriptor, "ESP-IDF version", &self.idf, 32)?;
        descriptor.extend(0..32); // SHA-256 of the ELF file: there is none
        descriptor.extend([0, 0]); // least eFuse block revision
        descriptor.extend([99, 0]); // greatest eFuse block revision
        descriptor.push(16); // log2 of the MMU page
        descriptor.resize(256, 0);
        Ok(descriptor)
    }
}

/// A second-stage boot loader: an image that loads only RAM and starts with a boot loader
/// descriptor.
pub fn esp32_boot_loader(chip: Chip) -> Result<Vec<u8>, BuildError> {
    let memory = Memory::of(chip)?;
    let mut data = vec![80, 0, 0, 0, 1, 0, 0, 0]; // esp_bootloader_desc_t: its magic; version 1
    push_text(&mut data, "ESP-IDF version", "v5.5.1", 32)?;
    push_text(&mut data, "date and time", "Jan  1 2026 12:34:56", 24)?;
    data.extend([0; 16]);
    data.extend([0x44; 48]);
    let mut image = Esp32Image::new(chip).header(1, memory.ram + 80)?.to_vec();
    push_segment(&mut image, memory.ram, &data)?;
    push_checksum(&mut image, [&data[..]]);
    let hash = Sha256::digest(&image);
    image.extend(hash);
    Ok(image)
}

/// Where things are on one chip (esptool's `DROM_MAP_START`, `IROM_MAP_START`, "IRAM" and
/// `BOOTLOADER_FLASH_OFFSET`).
pub(crate) struct Memory {
    /// Start of the addresses through which data is read from flash.
    data: u32,
    /// Start of the addresses through which code is read from flash.
    code: u32,
    /// An address in RAM that can hold code.
    ram: u32,
    /// Where the boot ROM looks for the boot loader in the flash.
    pub(crate) boot_loader: usize,
}

impl Memory {
    pub(crate) fn of(chip: Chip) -> Result<Self, BuildError> {
        let (data, code, ram, boot_loader) = match chip {
            Chip::Esp32 => (0x3F40_0000, 0x400D_0000, 0x4008_0000, 0x1000),
            Chip::Esp32S2 => (0x3F00_0000, 0x4008_0000, 0x4002_0000, 0x1000),
            Chip::Esp32S3 => (0x3C00_0000, 0x4200_0000, 0x4037_4000, 0),
            Chip::Esp32C2 | Chip::Esp32C3 => (0x3C00_0000, 0x4200_0000, 0x4038_0000, 0),
            Chip::Esp32C6 | Chip::Esp32H2 => (0x4280_0000, 0x4200_0000, 0x4080_0000, 0),
            Chip::Esp32C61 | Chip::Esp32H21 => (0x4200_0000, 0x4200_0000, 0x4080_0000, 0),
            Chip::Esp32C5 => (0x4200_0000, 0x4200_0000, 0x4080_0000, 0x2000),
            Chip::Esp32H4 => (0x4200_0000, 0x4200_0000, 0x4081_0000, 0x2000),
            Chip::Esp32P4 => (0x4000_0000, 0x4000_0000, 0x4FF0_0000, 0x2000),
            Chip::Esp32E22 => (0x3C00_0000, 0x3C00_0000, 0x3100_0000, 0),
            Chip::Esp32S31 => (0x4000_0000, 0x4000_0000, 0x2F00_0000, 0x2000),
            other => return Err(BuildError::NotEsp32(other)),
        };
        Ok(Self { data, code, ram, boot_loader })
    }
}

/// Appends `text` to a field of `max` bytes, filled up with NUL.
fn push_text(
    descriptor: &mut Vec<u8>,
    field: &'static str,
    text: &str,
    max: usize,
) -> Result<(), BuildError> {
    if text.len() > max {
        return Err(BuildError::TextTooLong { field, length: text.len(), max });
    }
    let end = descriptor.len() + max;
    descriptor.extend(text.bytes());
    descriptor.resize(end, 0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use md5::Md5;
    use updraft_core::{Fault, NotOta, OtaTarget};

    use super::*;
    use crate::image::inspect;
    use crate::image::tests::{hex, seen};

    fn reference() -> Esp32Image {
        Esp32Image::new(Chip::Esp32)
            .secure_version(1)
            .version("1.2.3")
            .project("demo")
            .payload(b"hello world\0")
    }

    #[test]
    fn the_reference_application_has_its_known_digests() {
        let file = reference().build().unwrap();
        assert_eq!(file.len(), 368);
        assert_eq!(hex(&file[..24]), "e902022000000840ee0000000000000000ffff0000000001");
        assert_eq!(hex(Md5::digest(&file)), "41af2eb6a2b77a770bb909b18168b199");
    }

    #[test]
    fn every_chip_can_be_built_for_with_mapped_segments_at_their_place() {
        for chip in Chip::all().filter(|&chip| chip != Chip::Esp8266) {
            let memory = Memory::of(chip).unwrap();
            assert!(chip.maps_flash_at(memory.data + 32), "{chip}");
            assert!(!chip.maps_flash_at(memory.ram), "{chip}");
            let file = Esp32Image::new(chip).filler(99, 1).code(&[1, 2, 3]).build().unwrap();
            let offset = file.windows(4).position(|window| window == [1, 2, 3, 0]).unwrap();
            let address = u32::from_le_bytes(file[offset - 8..offset - 4].try_into().unwrap());
            assert!(chip.maps_flash_at(address), "{chip}");
            assert_eq!(address as usize % MMU_PAGE, offset % MMU_PAGE, "{chip}");
        }
    }

    #[test]
    fn every_defect_is_seen_for_what_it_is() {
        let check = |defect, expected: Result<OtaTarget, NotOta>| {
            let file = reference().code(&[7; 40]).defect(defect).build().unwrap();
            assert_eq!(seen(&file), expected, "{defect:?}");
        };
        let broken = |fault| Err(NotOta::Fault(fault));
        check(Esp32Defect::Truncated(50), broken(Fault::Truncated));
        check(Esp32Defect::PayloadBit, Err(NotOta::Checksum));
        check(Esp32Defect::Trailing(16), Ok(OtaTarget::Sketch));
        check(Esp32Defect::FirstByte, Err(NotOta::Unknown));
        check(Esp32Defect::SegmentCount(0), broken(Fault::SegmentCount(0)));
        check(Esp32Defect::SegmentCount(17), broken(Fault::SegmentCount(17)));
        check(Esp32Defect::SegmentPastEnd, broken(Fault::Truncated));
        check(Esp32Defect::Checksum, Err(NotOta::Checksum));
        check(Esp32Defect::Hash, Err(NotOta::Hash));

        let other = reference().defect(Esp32Defect::ChipId(5)).build().unwrap();
        assert_eq!(inspect(&other).chip, Some(Chip::Esp32C3));
    }

    #[test]
    fn impossible_settings_are_refused() {
        let chip = Chip::Esp8266;
        assert_eq!(Esp32Image::new(chip).build(), Err(BuildError::NotEsp32(chip)));
        assert_eq!(esp32_boot_loader(chip), Err(BuildError::NotEsp32(chip)));
        let long = "x".repeat(33);
        assert_eq!(
            reference().version(&long).build().unwrap_err().to_string(),
            "the version is 33 bytes long, its field has 32"
        );
        let chip = Chip::Esp32C6;
        assert_eq!(
            Esp32Image::new(chip).flash_frequency_mhz(40).build(),
            Err(BuildError::FlashFrequency { chip, mhz: 40 })
        );
    }
}
