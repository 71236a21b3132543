//! What is known of one file: a plain sheet, filled by the inspector, that decides nothing but
//! whether the file could be installed over the air at all.

use crate::chip::{Chip, Family};

mod words;

/// Everything an inspection found out about one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What the file is; for a gzip that was looked into, what is inside.
    pub kind: Kind,
    /// The chip it is for, where the bytes say so.
    pub chip: Option<Chip>,
    /// Flash settings of the (first) image header.
    pub flash: Option<FlashSettings>,
    /// Revisions of the chip that an ESP32-family image is for.
    pub revisions: Option<Revisions>,
    /// Entry address of the application (the boot loader's, if there is no application).
    pub entry: Option<u32>,
    /// Segments of the application (the boot loader's, if there is no application).
    pub segments: Segments,
    /// ESP-IDF's application descriptor, as it stands in the image. [`Facts::version`] and
    /// [`Facts::project`] give its words only where they mean something.
    pub descriptor: Option<AppDescriptor>,
    /// The gzip wrapper, if there is one.
    pub gzip: Option<Gzip>,
    /// The signature behind the image, if one was recognised. Not verified here.
    pub signature: Option<Signature>,
    /// What key made it, as far as the bytes say.
    pub key: Option<SignatureKey>,
    /// The blocks of a filesystem image.
    pub blocks: Option<Blocks>,
    /// Where the parts of a merged flash dump are.
    pub places: Places,
    /// Lengths in bytes.
    pub sizes: Sizes,
    /// The verdicts on the sums that the image carries.
    pub checks: Checks,
    /// What is wrong with the structure, if anything is: the first fault met.
    pub fault: Option<Fault>,
    /// MD5 of the whole file as it is: the `x-MD5` of its download.
    pub md5: [u8; 16],
    /// SHA-256 of the whole file as it is: its identity and its `ETag`.
    pub sha256: [u8; 32],
    /// The digests a device reports while it runs this image.
    pub running: RunningDigests,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// ESP8266 sketch as Arduino's `elf2bin` makes it: eboot at 0, the application at 0x1000.
    ArduinoSketch,
    /// ESP8266 image that starts with E9 and has no application at 0x1000 (esptool's "version 1").
    PlainV1,
    /// ESP8266 image of Espressif's SDK boot loader, which starts with EA.
    SdkV2,
    /// ESP32-family application.
    Esp32App,
    /// A boot loader: eboot alone, or ESP-IDF's second stage.
    BootLoader,
    /// A copy of a whole flash: boot loader, partition table, application (`*.factory.bin`); on the
    /// ESP8266 eboot, application and what follows.
    MergedFlash,
    /// An ESP-IDF partition table.
    PartitionTable,
    /// A copy of ESP-IDF's otadata, two sectors: which application starts. Arduino's
    /// `boot_app0.bin` is one.
    OtaData,
    /// A filesystem image.
    Filesystem(FilesystemKind),
    /// A gzip whose inside was not looked at, or could not be.
    GzipUnread,
    /// A zlib stream (RFC 1950): compressed, but not as any device expects it.
    Zlib,
    /// Nothing that is known: other data, or an encrypted image.
    Unknown,
}

/// Which filesystem an image holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the filesystems' own names")]
pub enum FilesystemKind {
    LittleFs,
    Spiffs,
    Fat,
}

/// Flash settings in bytes 2 and 3 of an image header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlashSettings {
    /// How the boot ROM talks to the flash.
    pub mode: FlashMode,
    /// Flash size in bytes the image expects; `None` for an unassigned code.
    pub size: Option<u32>,
    /// Flash clock in MHz; `None` for an unassigned code.
    pub frequency_mhz: Option<u8>,
}

/// Byte 2 of an image header (`esp_image_spi_mode_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "Espressif's own names")]
pub enum FlashMode {
    Qio,
    Qout,
    Dio,
    Dout,
    FastRead,
    SlowRead,
    /// A code that no document names.
    Other(u8),
}

/// Revisions of a chip: a hundred times the major one, and the minor one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Revisions {
    /// The lowest (`esp_image_header_t.min_chip_rev_full`).
    pub min: u16,
    /// The highest; `None` for any (`esp_image_header_t.max_chip_rev_full`).
    pub max: Option<u16>,
}

/// One segment of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Where it is loaded or mapped.
    pub address: u32,
    /// Length in bytes.
    pub length: u32,
    /// Where its data starts in the (inflated) file.
    pub offset: u32,
}

/// Up to [`Segments::MAX`] segments, in file order. Dereferences to a slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segments {
    list: [Segment; Self::MAX],
    count: u8,
}

/// Text of a fixed field: up to its first NUL, as far as it is UTF-8. Dereferences to `str`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: u8,
}

/// ESP-IDF's `esp_app_desc_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppDescriptor {
    /// Anti-rollback counter.
    pub secure_version: u32,
    /// Version of the application, as its build set it.
    pub version: Text<32>,
    /// Name of the project.
    pub project: Text<32>,
    /// Time of the build, `HH:MM:SS`.
    pub time: Text<16>,
    /// Day of the build, `Mmm dd yyyy`.
    pub date: Text<16>,
    /// Version of ESP-IDF.
    pub idf: Text<32>,
    /// SHA-256 of the ELF file.
    pub elf_sha256: [u8; 32],
    /// Bytes that one entry of the flash cache maps: 65,536 where an older image does not say.
    pub mmu_page: u32,
}

/// A gzip wrapper (RFC 1952).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gzip {
    /// ISIZE, the inflated length modulo 2^32, read where eboot reads it: the last four bytes of
    /// the file without its signature.
    pub isize: u32,
    /// Whether the inflated data has the CRC-32 the trailer names; `Absent` if not inflated.
    pub crc: Verdict,
}

/// A signature behind the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// Arduino ESP8266: `length` bytes, then the length as a little-endian word.
    Esp8266 {
        /// Bytes of the signature itself: 256 for RSA-2048, 64 for P-256.
        length: u16,
    },
    /// Arduino-ESP32: a field of 512 bytes.
    ArduinoEsp32,
    /// ESP-IDF secure boot version 2: a sector of 4096 bytes.
    SecureBootV2 {
        /// How many blocks are in it, up to three: each is a signature by another key.
        blocks: u8,
    },
    /// ESP-IDF secure boot version 1: 68 bytes.
    SecureBootV1,
}

/// The key behind a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureKey {
    /// RSA with a modulus of so many bits.
    Rsa(u16),
    /// ECDSA over the NIST curve of so many bits: P-256.
    P(u16),
}

/// The blocks of a filesystem, as its first one counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// Bytes of each.
    pub size: u32,
    /// How many there are.
    pub count: u32,
}

/// Where the parts of a merged flash dump are: offsets in the (inflated) file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Where the boot loader starts; on the ESP8266 the sketch with it.
    pub boot_loader: Option<u64>,
    /// Where an ESP8266 sketch ends.
    pub sketch_end: Option<u64>,
    /// Where the partition table starts.
    pub partition_table: Option<u64>,
}

/// Lengths in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// The file.
    pub file: u64,
    /// The file without its signature (and without the padding made for it).
    pub payload: u64,
    /// The inflated payload of a gzip that was looked into.
    pub inflated: Option<u64>,
    /// What the device reports as `sketch-size` while it runs this image.
    pub sketch: Option<u32>,
    /// Bytes behind the image that nothing accounts for.
    pub trailing: u64,
}

/// The verdicts on the sums an image carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// XOR checksum of the application's segments (the boot loader's, if there is no application).
    pub checksum: Verdict,
    /// XOR checksum of the boot loader before the application, which the boot ROM checks.
    pub boot_checksum: Verdict,
    /// CRC-32 and length that `elf2bin` writes into an ESP8266 sketch.
    pub crc: Verdict,
    /// SHA-256 appended to an ESP32-family image.
    pub hash: Verdict,
}

/// A verdict on one sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It matches.
    Ok,
    /// The file has none, or it was not reached.
    #[default]
    Absent,
    /// It does not match.
    Bad,
}

/// What is wrong with a file's structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The file ends before the image does.
    Truncated,
    /// The header names no segment, or more than the format allows.
    SegmentCount(u8),
    /// The gzip header names a method other than deflate.
    GzipMethod(u8),
    /// The gzip header uses reserved flags.
    GzipFlags(u8),
    /// The deflate data is damaged.
    GzipData,
    /// CRC-32 of the inflated data differs.
    GzipCrc,
    /// ISIZE differs from the inflated length.
    GzipSize,
    /// ISIZE is zero: eboot would copy nothing, and start the old sketch.
    GzipNoSize,
    /// Something that is no signature stands behind the gzip member: eboot would take the last
    /// four bytes of it for ISIZE.
    GzipTrailing,
    /// Another gzip member stands behind the first: eboot would take the second one's ISIZE and
    /// inflate that much of the first.
    GzipMembers,
    /// It inflates to more than the largest flash of an ESP8266, 16 MiB: not looked at further.
    GzipTooBig,
}

/// The digests a device reports while it runs an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunningDigests {
    /// `x-ESP*-sketch-md5`.
    pub md5: RunningMd5,
    /// `x-ESP32-sketch-sha256`: the digest appended to the image.
    pub sha256: Option<[u8; 32]>,
}

/// The values `sketch-md5` may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunningMd5 {
    /// Nothing that runs.
    #[default]
    None,
    /// ESP32: what was sent is what runs.
    One([u8; 16]),
    /// ESP8266: the updater writes the running flash mode into byte 2, so there is one digest for
    /// each of QIO, QOUT, DIO, DOUT, in this order.
    ByFlashMode([[u8; 16]; 4]),
}

/// Where an update client writes a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OtaTarget {
    /// The application (`mode: sketch`).
    Sketch,
    /// The filesystem (`mode: spiffs`).
    Filesystem,
}

/// Why a file cannot be installed over the air.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotOta {
    /// Not recognised: other data, or encrypted.
    Unknown,
    /// See [`Kind::PlainV1`].
    PlainV1,
    /// See [`Kind::SdkV2`].
    SdkV2,
    /// See [`Kind::BootLoader`].
    BootLoader,
    /// See [`Kind::MergedFlash`].
    MergedFlash,
    /// See [`Kind::PartitionTable`].
    PartitionTable,
    /// See [`Kind::OtaData`].
    OtaData,
    /// A gzip nobody looked into.
    GzipUnread,
    /// See [`Kind::Zlib`].
    Zlib,
    /// A gzip of an ESP32-family image: no such chip inflates.
    GzipOfEsp32,
    /// A gzip of a filesystem: it would be written as it is.
    GzipOfFilesystem,
    /// A gzip around something else that is no ESP8266 sketch.
    GzipNotEsp8266,
    /// Something stands behind an ESP8266 sketch that may be the rest of a flash.
    Trailing,
    /// The structure is broken.
    Fault(Fault),
    /// The XOR checksum of the boot loader before the application is wrong: nothing would start.
    BootChecksum,
    /// The XOR checksum is wrong.
    Checksum,
    /// The CRC or the length that goes with it is wrong.
    Crc,
    /// The appended SHA-256 is wrong.
    Hash,
}

impl Facts {
    /// The family it is for, where the bytes say so.
    pub fn family(&self) -> Option<Family> {
        self.chip.map(Chip::family)
    }

    /// Bytes once inflated, as far as anybody knows; `None` if it is no gzip.
    pub fn inflated(&self) -> Option<u64> {
        self.gzip.map(|gzip| self.sizes.inflated.unwrap_or(gzip.isize.into()))
    }

    /// The version, if the image holds one that its author chose.
    pub fn version(&self) -> Option<&str> {
        self.meaningful().map(|d| &*d.version).filter(|v| !v.is_empty())
    }

    /// The project, if the image holds a name that its author chose.
    pub fn project(&self) -> Option<&str> {
        self.meaningful().map(|d| &*d.project).filter(|v| !v.is_empty())
    }

    /// Arduino-ESP32 and esp-hal put the same words into every sketch: the descriptor of the
    /// prebuilt libraries, not of the sketch. Those say nothing.
    fn meaningful(&self) -> Option<&AppDescriptor> {
        self.descriptor.as_ref().filter(|d| {
            !matches!(&*d.project, "arduino-lib-builder" | "esp-idf" | "libespidf" | "")
        })
    }

    /// Where a device could install this file, or why no device could. A file that is not
    /// recognised is [`NotOta::Unknown`]: that alone is no proof against it.
    pub fn ota(&self) -> Result<OtaTarget, NotOta> {
        match self.kind {
            Kind::PlainV1 => return Err(NotOta::PlainV1),
            Kind::SdkV2 => return Err(NotOta::SdkV2),
            Kind::BootLoader => return Err(NotOta::BootLoader),
            Kind::MergedFlash => return Err(NotOta::MergedFlash),
            Kind::PartitionTable => return Err(NotOta::PartitionTable),
            Kind::OtaData => return Err(NotOta::OtaData),
            Kind::Zlib => return Err(NotOta::Zlib),
            _ => {}
        }
        if let Some(fault) = self.fault {
            return Err(NotOta::Fault(fault));
        }
        if self.gzip.is_some() && !matches!(self.kind, Kind::ArduinoSketch | Kind::GzipUnread) {
            return Err(match self.kind {
                Kind::Filesystem(_) => NotOta::GzipOfFilesystem,
                _ if self.family() == Some(Family::Esp32) => NotOta::GzipOfEsp32,
                _ => NotOta::GzipNotEsp8266,
            });
        }
        match self.kind {
            Kind::Filesystem(_) => return Ok(OtaTarget::Filesystem),
            Kind::GzipUnread => return Err(NotOta::GzipUnread),
            Kind::Unknown => return Err(NotOta::Unknown),
            _ => {}
        }
        if self.kind == Kind::ArduinoSketch && self.has_trailing() {
            return Err(NotOta::Trailing);
        }
        if self.checks.boot_checksum == Verdict::Bad {
            return Err(NotOta::BootChecksum);
        }
        // eboot never looks at the checksum of the application, and the CRC covers all of it.
        if self.checks.checksum == Verdict::Bad && self.checks.crc != Verdict::Ok {
            return Err(NotOta::Checksum);
        }
        if self.checks.crc == Verdict::Bad {
            return Err(NotOta::Crc);
        }
        if self.checks.hash == Verdict::Bad {
            return Err(NotOta::Hash);
        }
        Ok(OtaTarget::Sketch)
    }

    /// Whether something unknown stands behind the sketch, in a gzip behind what is inside. An ESP8266
    /// copies all of it into its flash, over a filesystem if it is long. An ESP32 would write it into
    /// the partition of the application, where nothing reads it: no harm, so nobody asks this there.
    fn has_trailing(&self) -> bool {
        let inside = self.sizes.inflated.zip(self.sizes.sketch);
        self.sizes.trailing > 0 || inside.is_some_and(|(all, sketch)| all > u64::from(sketch))
    }
}

impl FlashMode {
    /// The mode that byte 2 of a header names.
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Qio,
            1 => Self::Qout,
            2 => Self::Dio,
            3 => Self::Dout,
            4 => Self::FastRead,
            5 => Self::SlowRead,
            other => Self::Other(other),
        }
    }

    /// The code in byte 2 of a header.
    pub fn byte(self) -> u8 {
        match self {
            Self::Qio => 0,
            Self::Qout => 1,
            Self::Dio => 2,
            Self::Dout => 3,
            Self::FastRead => 4,
            Self::SlowRead => 5,
            Self::Other(byte) => byte,
        }
    }

    /// The four modes an ESP8266 can run in, in the order of their codes.
    pub const ESP8266: [Self; 4] = [Self::Qio, Self::Qout, Self::Dio, Self::Dout];
}

impl Segments {
    /// Most segments an image may have (`ESP_IMAGE_MAX_SEGMENTS`, ESP-IDF `esp_app_format.h`).
    pub const MAX: usize = 16;

    /// Adds a segment; what is beyond [`Segments::MAX`] is dropped.
    pub(crate) fn push(&mut self, segment: Segment) {
        if let Some(slot) = self.list.get_mut(usize::from(self.count)) {
            *slot = segment;
            self.count += 1;
        }
    }
}

impl core::ops::Deref for Segments {
    type Target = [Segment];

    fn deref(&self) -> &[Segment] {
        self.list.get(..usize::from(self.count)).unwrap_or_default()
    }
}

impl<const N: usize> Text<N> {
    /// No text.
    pub(crate) const EMPTY: Self = Self { bytes: [0; N], len: 0 };

    /// The text in `field`: up to its first NUL (or all of it), as far as it is UTF-8 without
    /// control characters.
    pub fn from_field(field: [u8; N]) -> Self {
        let end = field.iter().position(|&b| b < 0x20 || b == 0x7F).unwrap_or(N);
        let text = field.get(..end).unwrap_or_default();
        let len = match core::str::from_utf8(text) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        Self { bytes: field, len: u8::try_from(len).unwrap_or(u8::MAX) }
    }

    /// The field of `text`, filled up with NUL; `None` if it is too long.
    pub fn new(text: &str) -> Option<Self> {
        let mut field = [0; N];
        field.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self::from_field(field))
    }

    /// The whole field as it stands in the file, with what follows the text.
    pub fn field(&self) -> &[u8; N] {
        &self.bytes
    }
}

impl<const N: usize> core::ops::Deref for Text<N> {
    type Target = str;

    fn deref(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}
