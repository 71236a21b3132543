//! What the boot loaders of the ESP32 family know of their chips: a table.

use std::ops::Range;

use updraft_core::Chip;

/// What is known of one chip.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The number in the headers of its images (`esp_chip_id_t`).
    pub(super) id: u16,
    /// Where its ROM looks for the boot loader in the flash (`CONFIG_BOOTLOADER_OFFSET_IN_FLASH`).
    pub(super) boot_loader: u32,
    /// Addresses through which the flash is read in place: data, code (`SOC_DROM_LOW`, `SOC_IROM_LOW`
    /// of ESP-IDF's `soc.h`).
    pub(super) mapped: [Range<u32>; 2],
}

/// Where the boot loader of this chip stands in the flash; `None` for an ESP8266.
pub fn boot_loader_offset(chip: Chip) -> Option<u32> {
    Place::of(chip).map(|place| place.boot_loader)
}

impl Place {
    pub(super) fn of(chip: Chip) -> Option<Self> {
        let one = |range: Range<u32>| [range.clone(), range];
        let (id, boot_loader, mapped) = match chip {
            Chip::Esp32 => (0, 0x1000, [0x3F40_0000..0x3F80_0000, 0x400D_0000..0x4040_0000]),
            Chip::Esp32S2 => (2, 0x1000, [0x3F00_0000..0x3FF8_0000, 0x4008_0000..0x4080_0000]),
            Chip::Esp32C3 => (5, 0, [0x3C00_0000..0x3C80_0000, 0x4200_0000..0x4280_0000]),
            Chip::Esp32S3 => (9, 0, [0x3C00_0000..0x3E00_0000, 0x4200_0000..0x4400_0000]),
            Chip::Esp32C2 => (12, 0, [0x3C00_0000..0x3C40_0000, 0x4200_0000..0x4240_0000]),
            Chip::Esp32C6 => (13, 0, one(0x4200_0000..0x4300_0000)),
            Chip::Esp32H2 => (16, 0, one(0x4200_0000..0x4300_0000)),
            Chip::Esp32P4 => (18, 0x2000, one(0x4000_0000..0x4C00_0000)),
            Chip::Esp32C61 => (20, 0, one(0x4200_0000..0x4400_0000)),
            Chip::Esp32C5 => (23, 0x2000, one(0x4200_0000..0x4400_0000)),
            Chip::Esp32H21 => (25, 0, one(0x4200_0000..0x4300_0000)),
            Chip::Esp32H4 => (28, 0x2000, one(0x4200_0000..0x4400_0000)),
            Chip::Esp32E22 => (31, 0, one(0x3C00_0000..0x4000_0000)),
            Chip::Esp32S31 => (32, 0x2000, one(0x4000_0000..0x5400_0000)),
            _ => return None,
        };
        Some(Self { id, boot_loader, mapped })
    }

    /// Whether a segment for this address is read from the flash in place.
    pub(super) fn maps(&self, address: u32) -> bool {
        self.mapped.iter().any(|range| range.contains(&address))
    }
}
