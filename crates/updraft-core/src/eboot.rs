//! The command that an ESP8266 leaves for eboot in RTC memory before it restarts: copy the staged
//! image, or load an application. Only the bytes: nothing is copied here.

use core::fmt;

use crc::{CRC_32_MPEG_2, Crc, NoTable};

use crate::window::word;

/// First word (`EBOOT_MAGIC`, `eboot_command.h` of the ESP8266 core), and what of it is compared.
const MAGIC: u32 = 0xEB00_1000;
const MAGIC_MASK: u32 = 0xFFFF_F000;
/// Actions (`enum action_t`).
const COPY_RAW: u32 = 1;
const LOAD_APP: u32 = 0xFFFF_FFFF;
/// Length of what the CRC covers: all but itself.
const COVERED: usize = 124;

/// CRC-32 of eboot and of `elf2bin.py` (`cores/esp8266/crc32.cpp`): not reflected, no final XOR.
const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_MPEG_2);

/// What eboot is told to do (`struct eboot_command`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EbootCommand {
    /// Copy an image within the flash, inflated if it is a gzip, and load what was copied.
    CopyRaw {
        /// Where the image is staged: a multiple of 4096.
        from: u32,
        /// Where it goes: a multiple of 4096, 0 for a sketch.
        to: u32,
        /// Its length in bytes, without a signature.
        length: u32,
    },
    /// Load the application at this place of the flash.
    LoadApp {
        /// Where it starts.
        from: u32,
    },
}

/// Why there is no command for eboot: it loads the application as always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EbootFault {
    /// The first word is another one.
    Magic(u32),
    /// The CRC differs.
    Crc,
    /// There is no such action.
    Action(u32),
}

impl EbootCommand {
    /// Where it stands in the address space (`RTC_MEM`, user part).
    pub const ADDRESS: u32 = 0x6000_1200;
    /// Its length in bytes.
    pub const LENGTH: usize = 128;

    /// The command as it stands in RTC memory.
    pub fn to_bytes(self) -> [u8; Self::LENGTH] {
        let words = match self {
            Self::CopyRaw { from, to, length } => [MAGIC, COPY_RAW, from, to, length],
            Self::LoadApp { from } => [MAGIC, LOAD_APP, from, 0, 0],
        };
        let mut bytes = [0; Self::LENGTH];
        let (places, _) = bytes.as_chunks_mut();
        places.iter_mut().zip(words).for_each(|(place, word)| *place = word.to_le_bytes());
        let (covered, sum) = bytes.split_at_mut(COVERED);
        sum.copy_from_slice(&CRC.checksum(covered).to_le_bytes());
        bytes
    }

    /// Reads a command as eboot does.
    pub fn parse(bytes: &[u8; Self::LENGTH]) -> Result<Self, EbootFault> {
        let number = |offset| word(bytes, offset).unwrap_or_default();
        let (magic, action, from) = (number(0), number(4), number(8));
        if magic & MAGIC_MASK != MAGIC {
            return Err(EbootFault::Magic(magic));
        }
        let covered = bytes.get(..COVERED).unwrap_or_default();
        if CRC.checksum(covered) != number(COVERED) {
            return Err(EbootFault::Crc);
        }
        match action {
            COPY_RAW => Ok(Self::CopyRaw { from, to: number(12), length: number(16) }),
            LOAD_APP => Ok(Self::LoadApp { from }),
            other => Err(EbootFault::Action(other)),
        }
    }
}

impl fmt::Display for EbootFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic(word) => write!(f, "no command: it starts with {word:#010x}"),
            Self::Crc => f.write_str("the CRC of the command is wrong"),
            Self::Action(action) => write!(f, "unknown action {action:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn commands_have_their_known_bytes() {
        let check = |command: EbootCommand, start: [u8; 20], crc: u32| {
            let bytes = command.to_bytes();
            assert_eq!(bytes[..20], start);
            assert_eq!(bytes[20..124], [0; 104]);
            assert_eq!(bytes[124..], crc.to_le_bytes());
            assert_eq!(EbootCommand::parse(&bytes), Ok(command));
        };
        check(
            EbootCommand::CopyRaw { from: 0x8_0000, to: 0, length: 0x6_1234 },
            [0, 16, 0, 0xEB, 1, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0x34, 0x12, 6, 0],
            0xBBA4_6B07,
        );
        check(
            EbootCommand::CopyRaw { from: 0x2B_9000, to: 0, length: 0x4_6AA0 },
            [0, 16, 0, 0xEB, 1, 0, 0, 0, 0, 0x90, 0x2B, 0, 0, 0, 0, 0, 0xA0, 0x6A, 4, 0],
            0x0A84_EAB3,
        );
        let load = [0, 16, 0, 0xEB, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        check(EbootCommand::LoadApp { from: 0 }, load, 0xE5E8_ABB9);
    }

    #[test]
    fn the_lowest_bits_of_the_magic_are_not_compared() {
        let summed = |change: fn(&mut [u8; 128])| {
            let mut bytes = EbootCommand::LoadApp { from: 0 }.to_bytes();
            change(&mut bytes);
            let crc = CRC.checksum(&bytes[..124]);
            bytes[124..].copy_from_slice(&crc.to_le_bytes());
            EbootCommand::parse(&bytes)
        };
        assert_eq!(summed(|bytes| bytes[0] = 0xAB), Ok(EbootCommand::LoadApp { from: 0 }));
        assert_eq!(summed(|bytes| bytes[1] = 0x20), Err(EbootFault::Magic(0xEB00_2000)));
        assert_eq!(summed(|bytes| bytes[4] = 2), Err(EbootFault::Action(0xFFFF_FF02)));
        let mut bytes = EbootCommand::LoadApp { from: 0 }.to_bytes();
        bytes[8] = 1;
        assert_eq!(EbootCommand::parse(&bytes), Err(EbootFault::Crc));
    }

    proptest! {
        #[test]
        fn a_command_with_a_changed_bit_is_none(from: u32, to: u32, length: u32, at in 96_usize..1024) {
            let command = EbootCommand::CopyRaw { from, to, length };
            let mut bytes = command.to_bytes();
            prop_assert_eq!(EbootCommand::parse(&bytes), Ok(command));
            bytes[at / 8] ^= 1 << (at % 8);
            prop_assert_eq!(EbootCommand::parse(&bytes), Err(EbootFault::Crc));
        }
    }
}
