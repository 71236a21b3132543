//! Copies of a whole flash, or of its start: parts at their places, erased flash between. What the
//! parts are is up to the caller.

use updraft_core::Chip;

use crate::error::BuildError;
use crate::esp32::{Memory, esp32_boot_loader};
use crate::partition::{DEFAULT_TABLE, partition_table};

/// Where the boot loader looks for the partition table (`CONFIG_PARTITION_TABLE_OFFSET`).
const PARTITION_TABLE_OFFSET: usize = 0x8000;

/// A copy of a flash.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct FlashDump {
    bytes: Vec<u8>,
}

impl FlashDump {
    /// Nothing: of an ESP8266, say, whose sketch goes to 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// The boot loader of a chip of the ESP32 family and [`DEFAULT_TABLE`].
    pub fn esp32(chip: Chip) -> Result<Self, BuildError> {
        let place = Memory::of(chip)?.boot_loader;
        let dump = Self::new().put(place, &esp32_boot_loader(chip)?);
        Ok(dump.put(PARTITION_TABLE_OFFSET, &partition_table()))
    }

    /// Another partition table.
    pub fn table(self, table: &[u8]) -> Self {
        self.put(PARTITION_TABLE_OFFSET, table)
    }

    /// Puts `part` to `offset`, over whatever is there.
    pub fn put(mut self, offset: usize, part: &[u8]) -> Self {
        let end = offset + part.len();
        self.bytes.resize(self.bytes.len().max(end), 0xFF);
        self.bytes[offset..end].copy_from_slice(part);
        self
    }

    /// Puts `part` into the partition of [`DEFAULT_TABLE`] with this name, if it has one.
    pub fn put_into(self, label: &str, part: &[u8]) -> Self {
        match DEFAULT_TABLE.iter().find(|record| record.label == label) {
            Some(record) => self.put(record.offset as usize, part),
            None => self,
        }
    }

    /// Fills it up with erased flash to `size` bytes, the whole flash.
    pub fn fill(mut self, size: usize) -> Self {
        self.bytes.resize(self.bytes.len().max(size), 0xFF);
        self
    }

    /// The bytes.
    pub fn build(self) -> Vec<u8> {
        self.bytes
    }
}

/// A flash dump as it is written by cable (`*.factory.bin`): boot loader, partition table and
/// `app` at their offsets, FF between.
pub fn merged_flash(chip: Chip, app: &[u8]) -> Result<Vec<u8>, BuildError> {
    Ok(FlashDump::esp32(chip)?.put_into("app0", app).build())
}

#[cfg(test)]
mod tests {
    use updraft_core::{FilesystemKind, Kind, NotOta};

    use super::*;
    use crate::image::inspect;
    use crate::partition::{OtaSlot, SINGLE_APP_TABLE, otadata, table_of};
    use crate::{Esp32Image, Esp8266Image, filesystem};

    #[test]
    fn dumps_of_every_chip_are_seen_as_such() {
        for chip in Chip::all().filter(|&chip| chip != Chip::Esp8266) {
            let app = Esp32Image::new(chip).filler(99, 1).build().unwrap();
            let facts = inspect(&merged_flash(chip, &app).unwrap());
            assert_eq!((facts.kind, facts.chip), (Kind::MergedFlash, Some(chip)));
        }
    }

    #[test]
    fn parts_stand_where_they_were_put() {
        let littlefs = filesystem(FilesystemKind::LittleFs, 4096, 4).unwrap();
        let entry = OtaSlot::Entry { sequence: 1, state: 2 };
        let app = Esp32Image::new(Chip::Esp32).build().unwrap();
        let dump = FlashDump::esp32(Chip::Esp32).unwrap();
        let dump = dump.put_into("otadata", &otadata([entry, OtaSlot::Erased]));
        let dump = dump.put_into("app0", &app).put_into("spiffs", &littlefs);
        let flash = dump.fill(4 << 20).build();
        assert_eq!(flash.len(), 4 << 20);
        assert_eq!(flash[0xE000], 1);
        assert_eq!(flash[0x1_0000..][..app.len()], app);
        assert_eq!(flash[0x29_0000..][..littlefs.len()], littlefs);
        assert_eq!(inspect(&flash).kind, Kind::MergedFlash);

        let single = FlashDump::esp32(Chip::Esp32).unwrap().table(&table_of(&SINGLE_APP_TABLE));
        assert_eq!(inspect(&single.put(0x1_0000, &app).build()).kind, Kind::MergedFlash);

        let sketch = Esp8266Image::new().build().unwrap();
        let littlefs = filesystem(FilesystemKind::LittleFs, 8192, 10).unwrap();
        let flash = FlashDump::new().put(0, &sketch).put(0x20_0000, &littlefs).fill(4 << 20);
        assert_eq!(inspect(&flash.build()).ota(), Err(NotOta::MergedFlash));
    }
}
