//! Chips and their families: the `chip_id` table and what follows from it.

use core::fmt;
use core::ops::Range;

/// One chip model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names are Espressif's own")]
pub enum Chip {
    Esp8266,
    Esp32,
    Esp32S2,
    Esp32S3,
    Esp32C2,
    Esp32C3,
    Esp32C5,
    Esp32C6,
    Esp32C61,
    Esp32E22,
    Esp32H2,
    Esp32H21,
    Esp32H4,
    Esp32P4,
    Esp32S31,
}

/// Chips that share an image format, a boot hand-over and an update client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// ESP8266 and ESP8285: eboot, `x-ESP8266-*` headers.
    Esp8266,
    /// Everything with an ESP-IDF boot loader: `x-ESP32-*` headers.
    Esp32,
}

/// What the table knows of one chip of the ESP32 family.
struct Row {
    chip: Chip,
    name: &'static str,
    /// `chip_id` of the image header (`esp_chip_id_t`, ESP-IDF `esp_app_format.h`).
    id: u16,
    /// Addresses through which code reads flash (esptool's memory maps: DROM, then IROM).
    flash: [Range<u32>; 2],
}

const fn row(chip: Chip, name: &'static str, id: u16, flash: [Range<u32>; 2]) -> Row {
    Row { chip, name, id, flash }
}

const ESP32_FAMILY: [Row; 14] = [
    row(Chip::Esp32, "esp32", 0, [0x3F40_0000..0x3F80_0000, 0x400D_0000..0x4040_0000]),
    row(Chip::Esp32S2, "esp32s2", 2, [0x3F00_0000..0x3FF8_0000, 0x4008_0000..0x4080_0000]),
    row(Chip::Esp32C3, "esp32c3", 5, [0x3C00_0000..0x3C80_0000, 0x4200_0000..0x4280_0000]),
    row(Chip::Esp32S3, "esp32s3", 9, [0x3C00_0000..0x3E00_0000, 0x4200_0000..0x4400_0000]),
    row(Chip::Esp32C2, "esp32c2", 12, [0x3C00_0000..0x3C40_0000, 0x4200_0000..0x4240_0000]),
    row(Chip::Esp32C6, "esp32c6", 13, [0x4200_0000..0x4300_0000, 0x4200_0000..0x4300_0000]),
    row(Chip::Esp32H2, "esp32h2", 16, [0x4200_0000..0x4300_0000, 0x4200_0000..0x4300_0000]),
    row(Chip::Esp32P4, "esp32p4", 18, [0x4000_0000..0x4C00_0000, 0x4000_0000..0x4C00_0000]),
    row(Chip::Esp32C61, "esp32c61", 20, [0x4200_0000..0x4400_0000, 0x4200_0000..0x4400_0000]),
    row(Chip::Esp32C5, "esp32c5", 23, [0x4200_0000..0x4400_0000, 0x4200_0000..0x4400_0000]),
    row(Chip::Esp32H21, "esp32h21", 25, [0x4200_0000..0x4300_0000, 0x4200_0000..0x4300_0000]),
    row(Chip::Esp32H4, "esp32h4", 28, [0x4200_0000..0x4400_0000, 0x4200_0000..0x4400_0000]),
    row(Chip::Esp32E22, "esp32e22", 31, [0x3C00_0000..0x4000_0000, 0x3C00_0000..0x4000_0000]),
    row(Chip::Esp32S31, "esp32s31", 32, [0x4000_0000..0x5400_0000, 0x4000_0000..0x5400_0000]),
];

impl Chip {
    /// Every chip of the table, ESP8266 first.
    pub fn all() -> impl Iterator<Item = Self> {
        core::iter::once(Self::Esp8266).chain(ESP32_FAMILY.iter().map(|row| row.chip))
    }

    /// The chip an ESP32-family image header names in its `chip_id` field.
    pub fn from_id(id: u16) -> Option<Self> {
        ESP32_FAMILY.iter().find(|row| row.id == id).map(|row| row.chip)
    }

    /// The `chip_id` of this chip's image headers; `None` for the ESP8266, whose header has none.
    pub fn id(self) -> Option<u16> {
        self.row().map(|row| row.id)
    }

    /// The chip of that name as [`Chip::name`] spells it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|chip| chip.name() == name)
    }

    /// Lower-case name without a dash: `esp8266`, `esp32s3`.
    pub fn name(self) -> &'static str {
        self.row().map_or("esp8266", |row| row.name)
    }

    /// The family this chip belongs to.
    pub fn family(self) -> Family {
        if self == Self::Esp8266 { Family::Esp8266 } else { Family::Esp32 }
    }

    /// Whether a segment loaded at `address` is read from flash in place. An application has at
    /// least one such segment, a boot loader has none.
    pub fn maps_flash_at(self, address: u32) -> bool {
        match self.row() {
            Some(row) => row.flash.iter().any(|range| range.contains(&address)),
            // 0x4020_0000: where the ESP8266 maps the first MiB of its flash (eagle.app.v6.ld).
            None => (0x4020_0000..0x4030_0000).contains(&address),
        }
    }

    fn row(self) -> Option<&'static Row> {
        ESP32_FAMILY.iter().find(|row| row.chip == self)
    }
}

impl Family {
    /// `esp8266` or `esp32`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Esp8266 => "esp8266",
            Self::Esp32 => "esp32",
        }
    }
}

impl fmt::Display for Chip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chip_is_found_by_its_name_and_id() {
        for chip in Chip::all() {
            assert_eq!(Chip::from_name(chip.name()), Some(chip));
            match chip.id() {
                Some(id) => assert_eq!(Chip::from_id(id), Some(chip)),
                None => assert_eq!(chip.family(), Family::Esp8266),
            }
        }
        assert_eq!(Chip::from_id(0xFFFF), None);
        assert_eq!(Chip::all().count(), 15);
    }
}
