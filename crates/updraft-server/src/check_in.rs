//! A check-in: one request in which a device tells what it runs. Plain values, whatever the client's
//! words for them were.

use std::fmt;

use updraft_core::Family;

use crate::digest::{Md5, Sha256, digit};

/// What a device said of itself. Numbers are as reported: a device may be wrong, or lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CheckIn {
    /// Which client asks.
    pub family: Family,
    /// Who asks: a weak identity, anyone can claim it.
    pub device: DeviceId,
    /// What it asks for.
    pub mode: Mode,
    /// The version its sketch names, if any.
    pub version: Option<String>,
    /// MD5 of the running sketch as it stands in flash.
    pub sketch_md5: Option<Md5>,
    /// The digest appended to the running ESP32 image.
    pub sketch_sha256: Option<Sha256>,
    /// Length of the running sketch in bytes.
    pub sketch_size: Option<u64>,
    /// Bytes an update may take: on the ESP8266 what is free behind the running sketch, on the ESP32
    /// the size of the next application partition (0: there is none).
    pub free_space: Option<u64>,
    /// Size of the flash chip in bytes.
    pub chip_size: Option<u64>,
}

/// What a client asks for (`x-ESP*-mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The application.
    Sketch,
    /// The filesystem image (`spiffs`, for LittleFS too).
    Filesystem,
    /// Only which version it would get.
    Version,
}

/// Who a device says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum DeviceId {
    /// Station MAC, else base MAC.
    Mac(Mac),
    /// ESP8266 chip id: the last three bytes of the MAC as a number.
    ChipId(u32),
}

/// A MAC address that can belong to one device: not all zero, not all ones, not multicast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Mac([u8; 6]);

impl Mac {
    /// Reads six hex pairs of either case, with `:`, `-` or nothing between them. `None` if that is no
    /// single device's MAC.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let (mut digits, mut all) = (0, 0_u64);
        for &byte in text.iter().filter(|byte| !matches!(byte, b':' | b'-')) {
            all = all << 4 | u64::from(digit(byte)?);
            digits += 1;
        }
        let [0, 0, mac @ ..] = all.to_be_bytes() else { return None };
        if digits != 12 {
            return None;
        }
        // Bit 0 of the first byte: group address (IEEE 802).
        (mac != [0; 6] && mac[0] & 1 == 0).then_some(Self(mac))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            let colon = if place == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mac(mac) => mac.fmt(f),
            Self::ChipId(id) => write!(f, "chip {id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macs_are_brought_to_one_form() {
        for text in ["5c:cf:7f:b1:e0:42", "5C-CF-7F-B1-E0-42", "5CCF7FB1E042"] {
            assert_eq!(Mac::read(text.as_bytes()).unwrap().to_string(), "5C:CF:7F:B1:E0:42");
        }
    }

    #[test]
    fn what_names_no_single_device_is_no_identity() {
        for text in [
            "",
            "00:00:00:00:00:00",
            "FF:FF:FF:FF:FF:FF",
            "01:00:5E:00:00:01",
            "5C:CF",
            "005CCF7FB1E042",
            "5C:CF:7F:B1:E0:4G",
        ] {
            assert_eq!(Mac::read(text.as_bytes()), None, "{text}");
        }
    }
}
