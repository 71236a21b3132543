//! The entries of otadata, as the boot loader reads and writes them (`esp_ota_select_entry_t`). It
//! chooses nothing.

use crc::{Algorithm, CRC_32_ISO_HDLC, Crc, Table};

use crate::flash::{Flash, FlashError};

/// CRC of the number alone, which begins where others end
/// (`esp_rom_crc32_le(UINT32_MAX, ...)`, and the function inverts what it is given).
const CRC: Crc<u32, Table<1>> =
    Crc::<u32, Table<1>>::new(&Algorithm { init: 0, ..CRC_32_ISO_HDLC });
/// Bytes of an entry.
const LENGTH: usize = 32;

/// An entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) sequence: u32,
    label: [u8; 20],
    pub(super) state: State,
    crc: u32,
}

/// How far an application has got (`esp_ota_img_states_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State(u32);

impl State {
    pub(super) const NEW: Self = Self(0);
    pub(super) const PENDING_VERIFY: Self = Self(1);
    pub(super) const VALID: Self = Self(2);
    const INVALID: Self = Self(3);
    pub(super) const ABORTED: Self = Self(4);
}

impl Entry {
    pub(super) fn new(sequence: u32, state: State) -> Self {
        Self { sequence, label: [0xFF; 20], state, crc: crc(sequence) }
    }

    pub(super) fn read(flash: &Flash, at: u32) -> Result<Self, FlashError> {
        let mut bytes = [0; LENGTH];
        flash.copy(at.into(), &mut bytes)?;
        let [a, b, c, d, rest @ ..] = bytes;
        let ([label @ .., _, _, _, _, _, _, _, _], [.., s0, s1, s2, s3, c0, c1, c2, c3]) =
            (rest, rest);
        Ok(Self {
            sequence: u32::from_le_bytes([a, b, c, d]),
            label,
            state: State(u32::from_le_bytes([s0, s1, s2, s3])),
            crc: u32::from_le_bytes([c0, c1, c2, c3]),
        })
    }

    pub(super) fn to_bytes(self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..4].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[4..24].copy_from_slice(&self.label);
        bytes[24..28].copy_from_slice(&self.state.0.to_le_bytes());
        bytes[28..].copy_from_slice(&self.crc.to_le_bytes());
        bytes
    }

    /// Whether it says of itself that it does not count (`bootloader_common_ota_select_invalid`).
    pub(super) fn is_refused(&self) -> bool {
        self.sequence == u32::MAX || matches!(self.state, State::INVALID | State::ABORTED)
    }

    /// Whether it was never written, or not to its end.
    pub(super) fn is_blank(&self) -> bool {
        self.sequence == u32::MAX || self.crc != crc(self.sequence)
    }
}

fn crc(sequence: u32) -> u32 {
    CRC.checksum(&sequence.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_of_a_number_is_what_esp_idf_writes() {
        for (sequence, expected) in [(1, 0x4743_989A), (2, 0x55F6_3774), (16, 0xAFE6_A860)] {
            assert_eq!(crc(sequence), expected, "{sequence}");
        }
        let mut first = [0xFF; 32];
        first[..4].copy_from_slice(&[1, 0, 0, 0]);
        first[28..].copy_from_slice(&[0x9A, 0x98, 0x43, 0x47]);
        assert_eq!(Entry::new(1, State(u32::MAX)).to_bytes(), first);
        let mut flash = Flash::new(4096);
        flash.put(0, &first).unwrap();
        assert_eq!(Entry::read(&flash, 0), Ok(Entry::new(1, State(u32::MAX))));
    }
}
