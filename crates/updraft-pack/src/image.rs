//! What images of both families share: segments, the checksum behind them, the flash byte; and what
//! the inspector says of a file that is to be packed.

use updraft_core::{Chip, Facts, FlashSettings, Inflater, Inspector};

use crate::error::BuildError;

/// First byte of an image header (`ESP_IMAGE_HEADER_MAGIC`, ESP-IDF `esp_app_format.h`).
pub(crate) const MAGIC: u8 = 0xE9;
/// Initial value of the XOR checksum (`ESP_ROM_CHECKSUM_INITIAL`, ESP-IDF `bootloader_common.h`).
const CHECKSUM_SEED: u8 = 0xEF;

/// Reproducible bytes that do not compress: `length` of them, other ones for each `seed`.
pub fn filler(length: usize, seed: u64) -> Vec<u8> {
    // SplitMix64 (Steele, Lea, Flood 2014): any seed is a good one.
    let mut state = seed;
    let words = std::iter::repeat_with(|| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    });
    words.flat_map(u64::to_le_bytes).take(length).collect()
}

/// What the inspector says of a file.
pub(crate) fn inspect(file: &[u8]) -> Facts {
    let mut inflater = Box::new(Inflater::new());
    let mut inspector = Inspector::with_inflater(file.len() as u64, &mut inflater);
    inspector.update(file);
    inspector.finish()
}

/// Appends a segment: load address, length, data.
pub(crate) fn push_segment(
    image: &mut Vec<u8>,
    address: u32,
    data: &[u8],
) -> Result<(), BuildError> {
    image.extend(address.to_le_bytes());
    image.extend(length_word(data.len())?);
    image.extend(data);
    Ok(())
}

/// Pads with zeros and appends the XOR of all segment data, so that it is the last byte of a block
/// of 16. `data` is what the segments hold.
pub(crate) fn push_checksum<'a>(image: &mut Vec<u8>, data: impl IntoIterator<Item = &'a [u8]>) {
    let sum = data.into_iter().flatten().fold(CHECKSUM_SEED, |sum, byte| sum ^ byte);
    image.resize(image.len() | 15, 0);
    image.push(sum);
}

/// A length as the little-endian word of the formats.
pub(crate) fn length_word(length: usize) -> Result<[u8; 4], BuildError> {
    match u32::try_from(length) {
        Ok(word) => Ok(word.to_le_bytes()),
        Err(_) => Err(BuildError::TooLong { length, max: u32::MAX as usize }),
    }
}

/// Byte 3 of a header: the codes for size (high nibble) and clock (low nibble), found by asking
/// the reader for each code.
pub(crate) fn size_and_frequency(chip: Chip, bytes: u32, mhz: u8) -> Result<u8, BuildError> {
    let size = (0..16)
        .map(|code| code << 4)
        .find(|&byte| FlashSettings::from_bytes(chip, 0, byte).size == Some(bytes))
        .ok_or(BuildError::FlashSize { chip, bytes })?;
    let frequency = (0..16)
        .find(|&byte| FlashSettings::from_bytes(chip, 0, byte).frequency_mhz == Some(mhz))
        .ok_or(BuildError::FlashFrequency { chip, mhz })?;
    Ok(size | frequency)
}

#[cfg(test)]
pub(crate) mod tests {
    use updraft_core::{NotOta, OtaTarget};

    use super::*;

    /// Whether a device could install it.
    pub(crate) fn seen(file: &[u8]) -> Result<OtaTarget, NotOta> {
        inspect(file).ota()
    }

    pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
        bytes.as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    #[test]
    fn filler_is_reproducible_and_differs_by_seed() {
        assert_eq!(filler(5, 7), filler(9, 7)[..5]);
        assert_ne!(filler(8, 7), filler(8, 8));
    }
}
