//! Bytes 2 and 3 of an image header: how the boot ROM is to drive the flash. What a code means
//! depends on the chip.

use crate::chip::Chip;
use crate::facts::{FlashMode, FlashSettings};

const MIB: u32 = 1 << 20;

impl FlashSettings {
    /// The settings that bytes 2 and 3 of an image header mean to `chip`.
    pub fn from_bytes(chip: Chip, mode: u8, size_and_frequency: u8) -> Self {
        Self {
            mode: FlashMode::from_byte(mode),
            size: size(chip, size_and_frequency >> 4),
            frequency_mhz: frequency_mhz(chip, size_and_frequency & 0x0F),
        }
    }
}

/// Flash size in bytes for the high nibble of byte 3 (esptool's `FLASH_SIZES`).
fn size(chip: Chip, code: u8) -> Option<u32> {
    match (chip, code) {
        (Chip::Esp8266, 0) => Some(MIB / 2),
        (Chip::Esp8266, 1) => Some(MIB / 4),
        (Chip::Esp8266, 2) => Some(MIB),
        // 5 and 6 are the sizes of 3 and 4 with another split between two sketches ("-c1").
        (Chip::Esp8266, 3 | 5) => Some(2 * MIB),
        (Chip::Esp8266, 4 | 6) => Some(4 * MIB),
        (Chip::Esp8266, 8) => Some(8 * MIB),
        (Chip::Esp8266, 9) => Some(16 * MIB),
        (Chip::Esp8266, _) | (_, 8..) => None,
        (_, power) => Some(MIB << power),
    }
}

/// Flash clock in MHz for the low nibble of byte 3 (esptool's `FLASH_FREQUENCY`).
fn frequency_mhz(chip: Chip, code: u8) -> Option<u8> {
    // By code: 0, 1, 2, 15; 0 where the code is unassigned.
    let table: [u8; 4] = match chip {
        Chip::Esp32C2 => [30, 20, 15, 60],
        Chip::Esp32H2 => [24, 16, 12, 48],
        Chip::Esp32H21 | Chip::Esp32H4 => [24, 0, 0, 48],
        // 0, not 15, is 80 MHz here: the boot ROM divides the clock wrongly (esptool `esp32c6.py`).
        Chip::Esp32C6 => [80, 0, 20, 0],
        Chip::Esp32C5 | Chip::Esp32C61 | Chip::Esp32S31 => [40, 0, 20, 80],
        _ => [40, 26, 20, 80],
    };
    let [zero, one, two, fifteen] = table;
    let mhz = match code {
        0 => zero,
        1 => one,
        2 => two,
        15 => fifteen,
        _ => 0,
    };
    (mhz != 0).then_some(mhz)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_means_what_it_means_to_the_chip() {
        let read = |chip, byte| {
            let settings = FlashSettings::from_bytes(chip, 2, byte);
            (settings.size, settings.frequency_mhz)
        };
        assert_eq!(read(Chip::Esp8266, 0x40), (Some(4 * MIB), Some(40)));
        assert_eq!(read(Chip::Esp8266, 0x7F), (None, Some(80)));
        assert_eq!(read(Chip::Esp32, 0x20), (Some(4 * MIB), Some(40)));
        assert_eq!(read(Chip::Esp32S3, 0x7F), (Some(128 * MIB), Some(80)));
        assert_eq!(read(Chip::Esp32S3, 0x83), (None, None));
        assert_eq!(read(Chip::Esp32C2, 0x1F), (Some(2 * MIB), Some(60)));
        assert_eq!(read(Chip::Esp32C6, 0x10), (Some(2 * MIB), Some(80)));
        assert_eq!(read(Chip::Esp32H2, 0x11), (Some(2 * MIB), Some(16)));
        assert_eq!(read(Chip::Esp32C61, 0x01), (Some(MIB), None));
    }
}
