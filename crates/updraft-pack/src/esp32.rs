//! Images of the ESP32 family: application, boot loader, partition table, merged flash dump.

use md5::{Digest as _, Md5};
use sha2::Sha256;
use updraft_core::{Chip, FlashMode, FlashSettings};

use crate::error::BuildError;
use crate::image::{self, filler, push_checksum, push_segment};

/// Where the boot loader looks for the partition table (`CONFIG_PARTITION_TABLE_OFFSET`).
const PARTITION_TABLE_OFFSET: usize = 0x8000;
/// Where the usual tables put the first application.
const APP_OFFSET: usize = 0x1_0000;
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
        push_segment(&mut image, memory.ram, &ram)?;
        if !code.is_empty() {
            // The page behind those of the data, should both be mapped into one range.
            let offset = image.len() + 8;
            let page = offset.next_multiple_of(MMU_PAGE) + offset % MMU_PAGE;
            let page = u32::from_le_bytes(image::length_word(page)?);
            push_segment(&mut image, memory.code.wrapping_add(page), &code)?;
        }
        push_checksum(&mut image, [&data[..], &ram, &code]);
        if self.hash {
            let hash = Sha256::digest(&image);
            image.extend(hash);
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

/// Arduino's default table for a flash of 4 MiB, with its MD5 record, as 3072 bytes: two OTA slots
/// of 1280 KiB each and a filesystem.
pub fn partition_table() -> Vec<u8> {
    /// Label, type, subtype, offset, size.
    const PARTITIONS: [(&str, u8, u8, u32, u32); 6] = [
        ("nvs", 1, 0x02, 0x9000, 0x5000),
        ("otadata", 1, 0x00, 0xE000, 0x2000),
        ("app0", 0, 0x10, 0x1_0000, 0x14_0000),
        ("app1", 0, 0x11, 0x15_0000, 0x14_0000),
        ("spiffs", 1, 0x82, 0x29_0000, 0x16_0000),
        ("coredump", 1, 0x03, 0x3F_0000, 0x1_0000),
    ];
    let mut table = Vec::with_capacity(0xC00);
    for (label, kind, subtype, offset, size) in PARTITIONS {
        table.extend([0xAA, 0x50, kind, subtype]);
        table.extend(offset.to_le_bytes());
        table.extend(size.to_le_bytes());
        table.extend(label.bytes());
        table.resize(table.len().next_multiple_of(32), 0);
    }
    let md5 = Md5::digest(&table);
    table.extend([0xEB, 0xEB]);
    table.extend([0xFF; 14]);
    table.extend(md5);
    table.resize(0xC00, 0xFF);
    table
}

/// A flash dump as it is written by cable (`*.factory.bin`): boot loader, partition table and
/// `app` at their offsets, FF between.
pub fn merged_flash(chip: Chip, app: &[u8]) -> Result<Vec<u8>, BuildError> {
    let mut flash = vec![0xFF; Memory::of(chip)?.boot_loader];
    flash.extend(esp32_boot_loader(chip)?);
    flash.resize(PARTITION_TABLE_OFFSET, 0xFF);
    flash.extend(partition_table());
    flash.resize(APP_OFFSET, 0xFF);
    flash.extend(app);
    Ok(flash)
}

/// Where things are on one chip (esptool's `DROM_MAP_START`, `IROM_MAP_START`, "IRAM" and
/// `BOOTLOADER_FLASH_OFFSET`).
struct Memory {
    /// Start of the addresses through which data is read from flash.
    data: u32,
    /// Start of the addresses through which code is read from flash.
    code: u32,
    /// An address in RAM that can hold code.
    ram: u32,
    /// Where the boot ROM looks for the boot loader in the flash.
    boot_loader: usize,
}

impl Memory {
    fn of(chip: Chip) -> Result<Self, BuildError> {
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
    use super::*;
    use crate::image::tests::hex;

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
    fn the_default_table_has_its_known_md5() {
        let table = partition_table();
        assert_eq!(hex(&table[6 * 32 + 16..7 * 32]), "972dae2ff872a0142d60bad124c0666b");
        assert_eq!(table.len(), 0xC00);
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
            merged_flash(chip, &file).unwrap();
        }
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
