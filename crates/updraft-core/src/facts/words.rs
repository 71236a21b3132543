//! The words for facts, for people and for JSON. They decide nothing.

use core::fmt;

use super::{Fault, FilesystemKind, FlashMode, Kind, NotOta, Signature, SignatureKey, Verdict};

impl Kind {
    /// A short name in words, for people and for JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::ArduinoSketch => "ESP8266 sketch",
            Self::PlainV1 => "plain ESP8266 image",
            Self::SdkV2 => "ESP8266 SDK image",
            Self::Esp32App => "ESP32 application",
            Self::BootLoader => "boot loader",
            Self::MergedFlash => "merged flash dump",
            Self::PartitionTable => "partition table",
            Self::OtaData => "otadata",
            Self::Filesystem(FilesystemKind::LittleFs) => "LittleFS filesystem",
            Self::Filesystem(FilesystemKind::Spiffs) => "SPIFFS filesystem",
            Self::Filesystem(FilesystemKind::Fat) => "FAT filesystem",
            Self::GzipUnread => "gzip",
            Self::Zlib => "zlib",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for FlashMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Qio => f.pad("QIO"),
            Self::Qout => f.pad("QOUT"),
            Self::Dio => f.pad("DIO"),
            Self::Dout => f.pad("DOUT"),
            Self::FastRead => f.pad("fast read"),
            Self::SlowRead => f.pad("slow read"),
            Self::Other(byte) => write!(f, "unassigned ({byte:#04x})"),
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Esp8266 { length } => write!(f, "Arduino ESP8266, {length} bytes"),
            Self::ArduinoEsp32 => f.write_str("Arduino ESP32"),
            Self::SecureBootV2 { blocks: 1 } => f.write_str("secure boot v2"),
            Self::SecureBootV2 { blocks } => write!(f, "secure boot v2, {blocks} blocks"),
            Self::SecureBootV1 => f.write_str("secure boot v1"),
        }
    }
}

impl fmt::Display for SignatureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(bits) => write!(f, "RSA-{bits}"),
            Self::P(bits) => write!(f, "P-{bits}"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Absent => "absent",
            Self::Bad => "bad",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the file ends before the image does"),
            Self::SegmentCount(count) => write!(f, "the header names {count} segments"),
            Self::GzipMethod(method) => {
                write!(f, "the gzip names method {method}; eboot knows 8, deflate")
            }
            Self::GzipFlags(flags) => {
                write!(f, "the gzip has reserved flags ({flags:#04x}), which eboot refuses")
            }
            Self::GzipData => f.write_str("the gzip data is damaged"),
            Self::GzipCrc => f.write_str("the CRC of the inflated data is wrong"),
            Self::GzipSize => f.write_str("the gzip names a wrong inflated size"),
            Self::GzipNoSize => {
                f.write_str("the gzip names an inflated size of 0: eboot would copy nothing")
            }
            Self::GzipMembers => {
                f.write_str("the gzip has several members; eboot takes the last one's size")
            }
            Self::GzipTrailing => f.write_str("something stands behind the gzip"),
            Self::GzipTooBig => f.write_str("the gzip inflates to more than 16 MiB"),
        }
    }
}

impl fmt::Display for NotOta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "not a firmware image that is known, or encrypted",
            Self::PlainV1 => "an ESP8266 image without Arduino's boot loader at its start",
            Self::SdkV2 => "an ESP8266 SDK image; Arduino's updater refuses its first byte",
            Self::BootLoader => "a boot loader, not an application",
            Self::MergedFlash => "a merged flash dump, made to be flashed by cable",
            Self::PartitionTable => "a partition table",
            Self::OtaData => "otadata, which names the application that starts",
            Self::GzipUnread => "a gzip that was not looked into",
            Self::Zlib => "a zlib stream; of compressed files eboot knows gzip",
            Self::GzipOfEsp32 => "a gzip of an ESP32 image, which no ESP32 inflates",
            Self::GzipOfFilesystem => "a gzip of a filesystem, which no device inflates",
            Self::GzipNotEsp8266 => "a gzip of something other than an ESP8266 sketch",
            Self::Trailing => {
                "something stands behind the sketch: a flash dump, or a signature of unknown length"
            }
            Self::Fault(fault) => return fault.fmt(f),
            Self::BootChecksum => "the checksum of the boot loader is wrong",
            Self::Checksum => "the checksum is wrong",
            Self::Crc => "the CRC is wrong",
            Self::Hash => "the appended SHA-256 is wrong",
        })
    }
}
