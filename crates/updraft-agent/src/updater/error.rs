//! What goes wrong with an update, and what each family calls it: the number and the text that
//! Arduino's `Updater` (ESP8266) and `Update` (ESP32) give. Two stock numbers cannot come: 15 of the
//! ESP8266, `Update already running`, because an update borrows its flash, and 13 of the ESP32,
//! `Decryption error`, because nothing is decrypted here.

use core::fmt;

use updraft_core::signature::SignatureError;
use updraft_core::{Family, NotOta, gates};

/// Numbers from here on are of Updraft's own: stock updaters do not look at what they write.
const OWN: u8 = 100;

/// An update that failed. `Display` gives the text of the family's updater.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdateError {
    /// Whose numbers and texts are meant.
    pub family: Family,
    /// What went wrong.
    pub cause: Cause,
}

/// Why an update failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The flash did not write, or did not keep what was written.
    Write,
    /// The flash did not erase, or its sectors do not fit the range that was to be written.
    Erase,
    /// The flash did not read.
    Read,
    /// There is no room, or more bytes came than were announced.
    Space,
    /// No bytes were announced, or more than an ESP32's partition has.
    Size,
    /// The stream failed, or ended too early.
    Stream,
    /// Fewer bytes came than were announced.
    Incomplete,
    /// No byte came.
    NoData,
    /// The MD5 differs.
    Md5 {
        /// What was asked for.
        expected: [u8; 16],
        /// That of what came.
        calculated: [u8; 16],
    },
    /// The flash is smaller than its layout.
    FlashConfig {
        /// Bytes of flash.
        real: u32,
        /// Bytes that the layout divides.
        layout: u32,
    },
    /// The image expects more flash than the chip has.
    FlashSize {
        /// Bytes of flash.
        real: u32,
    },
    /// The first byte is not that of an image.
    Magic,
    /// The ESP8266 was last started by its serial loader, and would be again.
    BootMode,
    /// No key that is trusted signed this.
    Signature(SignatureError),
    /// The memory handed over is too small.
    Memory,
    /// There is no such update command.
    Command(u16),
    /// There is no partition to write to.
    NoPartition,
    /// The image cannot be installed, or is damaged.
    Image(NotOta),
    /// The image is not for this device.
    Device(gates::Reason),
    /// The image's anti-rollback counter is below that of the chip.
    SecureVersion {
        /// The image's.
        image: u32,
        /// The lowest that the chip starts.
        minimum: u32,
    },
    /// The running application has not said yet that it works: what it could go back to must stay.
    Pending,
}

impl UpdateError {
    /// The number that the family's updater has for this (`Updater.h` of the ESP8266 core,
    /// `Update.h` of the ESP32's).
    pub fn number(&self) -> u8 {
        match self.family {
            Family::Esp8266 => self.cause.esp8266(),
            Family::Esp32 => self.cause.esp32(),
        }
    }
}

impl Cause {
    fn esp8266(self) -> u8 {
        match self {
            Self::Write => 1,
            Self::Erase => 2,
            Self::Read => 3,
            Self::Space => 4,
            Self::Size => 5,
            Self::Stream | Self::Incomplete => 6,
            Self::Md5 { .. } => 7,
            Self::FlashConfig { .. } => 8,
            Self::FlashSize { .. } => 9,
            Self::Magic => 10,
            Self::BootMode => 11,
            Self::Signature(_) => 12,
            Self::NoData => 13,
            Self::Memory => 14,
            Self::Command(_) => 16,
            Self::NoPartition
            | Self::Image(_)
            | Self::Device(_)
            | Self::SecureVersion { .. }
            | Self::Pending => OWN,
        }
    }

    fn esp32(self) -> u8 {
        match self {
            Self::Write => 1,
            Self::Erase => 2,
            Self::Read => 3,
            Self::Space => 4,
            Self::Size => 5,
            Self::Stream => 6,
            Self::Md5 { .. } => 7,
            Self::Magic => 8,
            Self::Image(_)
            | Self::Device(_)
            | Self::FlashSize { .. }
            | Self::FlashConfig { .. }
            | Self::SecureVersion { .. } => 9,
            Self::NoPartition => 10,
            Self::Memory | Self::Command(_) | Self::BootMode => 11,
            Self::Incomplete | Self::NoData => 12,
            Self::Signature(_) => 14,
            Self::Pending => OWN,
        }
    }

    /// The words behind a number of Updraft's own.
    fn own(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(reason) => write!(f, "Image Refused: {reason}"),
            Self::Device(reason) => write!(f, "Image Refused: {reason}"),
            Self::Pending => f.write_str("Running Image Not Confirmed"),
            _ => f.write_str("Image Refused"),
        }
    }
}

/// The texts of the ESP8266 that stand for themselves (`UpdaterClass::printError`,
/// `Updater.cpp`).
const ESP8266: [&str; 17] = [
    "No Error",
    "Flash Write Failed",
    "Flash Erase Failed",
    "Flash Read Failed",
    "Not Enough Space",
    "Bad Size Given",
    "Stream Read Timeout",
    "MD5 verification failed",
    "Flash config wrong",
    "new Flash config wrong",
    "Magic byte is not 0xE9",
    "Invalid bootstrapping state, reset ESP8266 before updating",
    "Signature verification failed",
    "No data supplied",
    "Out of memory",
    "Update already running",
    "Unknown update command",
];

/// The texts of the ESP32 (`_err2str`, `Updater.cpp`).
const ESP32: [&str; 15] = [
    "No Error",
    "Flash Write Failed",
    "Flash Erase Failed",
    "Flash Read Failed",
    "Not Enough Space",
    "Bad Size Given",
    "Stream Read Timeout",
    "MD5 Check Failed",
    "Wrong Magic Byte",
    "Could Not Activate The Firmware",
    "Partition Could Not be Found",
    "Bad Argument",
    "Aborted",
    "Decryption error",
    "Signature Verification Failed",
];

impl core::error::Error for UpdateError {}

impl fmt::Display for UpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: &[&str] = match self.family {
            Family::Esp8266 => &ESP8266,
            Family::Esp32 => &ESP32,
        };
        let Some(text) = texts.get(usize::from(self.number())) else { return self.cause.own(f) };
        f.write_str(text)?;
        match (self.family, self.cause) {
            (Family::Esp8266, Cause::Md5 { expected, calculated }) => {
                f.write_str(": expected: ")?;
                hex(f, &expected)?;
                f.write_str(", calculated: ")?;
                hex(f, &calculated)
            }
            (Family::Esp8266, Cause::FlashConfig { real, layout }) => {
                write!(f, ": real: {real}, SDK: {layout}")
            }
            (Family::Esp8266, Cause::FlashSize { real }) => write!(f, ", real size: {real}"),
            _ => Ok(()),
        }
    }
}

fn hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    fn check(family: Family, cause: Cause, number: u8, text: &str) {
        let error = UpdateError { family, cause };
        assert_eq!((error.number(), error.to_string().as_str()), (number, text), "{cause:?}");
    }

    const MD5: Cause = Cause::Md5 { expected: [0; 16], calculated: [0x3E; 16] };
    const ABSENT: Cause = Cause::Signature(SignatureError::Absent);
    const SMALL: Cause = Cause::Device(gates::Reason::NoOtaPartition);

    #[test]
    fn the_esp8266_has_these_numbers_and_texts() {
        let check = |cause, number, text| check(Family::Esp8266, cause, number, text);
        check(Cause::Write, 1, "Flash Write Failed");
        check(Cause::Erase, 2, "Flash Erase Failed");
        check(Cause::Read, 3, "Flash Read Failed");
        check(Cause::Space, 4, "Not Enough Space");
        check(Cause::Size, 5, "Bad Size Given");
        check(Cause::Stream, 6, "Stream Read Timeout");
        check(Cause::Incomplete, 6, "Stream Read Timeout");
        let text = "MD5 verification failed: expected: 00000000000000000000000000000000, \
                    calculated: 3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e";
        check(MD5, 7, text);
        let flash = Cause::FlashConfig { real: 1_048_576, layout: 4_194_304 };
        check(flash, 8, "Flash config wrong: real: 1048576, SDK: 4194304");
        let flash = Cause::FlashSize { real: 4_194_304 };
        check(flash, 9, "new Flash config wrong, real size: 4194304");
        check(Cause::Magic, 10, "Magic byte is not 0xE9");
        let text = "Invalid bootstrapping state, reset ESP8266 before updating";
        check(Cause::BootMode, 11, text);
        check(ABSENT, 12, "Signature verification failed");
        check(Cause::NoData, 13, "No data supplied");
        check(Cause::Memory, 14, "Out of memory");
        check(Cause::Command(1), 16, "Unknown update command");
        check(Cause::Image(NotOta::Crc), 100, "Image Refused: the CRC is wrong");
        check(SMALL, 100, "Image Refused: the device has no second application partition");
    }

    #[test]
    fn the_esp32_has_these_numbers_and_texts() {
        let check = |cause, number, text| check(Family::Esp32, cause, number, text);
        check(Cause::Write, 1, "Flash Write Failed");
        check(Cause::Erase, 2, "Flash Erase Failed");
        check(Cause::Read, 3, "Flash Read Failed");
        check(Cause::Space, 4, "Not Enough Space");
        check(Cause::Size, 5, "Bad Size Given");
        check(Cause::Stream, 6, "Stream Read Timeout");
        check(MD5, 7, "MD5 Check Failed");
        check(Cause::Magic, 8, "Wrong Magic Byte");
        check(Cause::Image(NotOta::Hash), 9, "Could Not Activate The Firmware");
        check(SMALL, 9, "Could Not Activate The Firmware");
        check(Cause::NoPartition, 10, "Partition Could Not be Found");
        check(Cause::Command(200), 11, "Bad Argument");
        check(Cause::Memory, 11, "Bad Argument");
        check(Cause::Incomplete, 12, "Aborted");
        check(Cause::NoData, 12, "Aborted");
        check(ABSENT, 14, "Signature Verification Failed");
        check(Cause::Pending, 100, "Running Image Not Confirmed");
    }
}
