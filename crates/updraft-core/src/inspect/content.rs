//! Recognises what a stream is as it passes, and checks the images in it. The stream is a file, or
//! what a gzip inflates to.

use super::esp32::{self, TableScan};
use super::esp8266::{APP_OFFSET, Sketch};
use super::filesystem::Filesystem;
use super::segments::{Refusal, Walker};
use crate::chip::{Chip, Family};
use crate::facts::{
    Facts, Fault, FlashSettings, Kind, Places, RunningDigests, RunningMd5, Verdict,
};
use crate::otadata::{OtaData, OtaSector};
use crate::window::{Window, word};

/// First byte of an image of Espressif's own ESP8266 boot loader (esptool
/// `ESP8266V2FirmwareImage.IMAGE_V2_MAGIC`), and the second one, which never changes.
const SDK_V2: [u8; 2] = [0xEA, 4];
/// Where a boot loader starts in the flash of some chips; before it everything is erased.
const LATE_BOOT_LOADERS: [u64; 2] = [0x1000, 0x2000];

/// The smallest flash of an ESP8266: what fills a flash is a power of two, and no less.
const SMALLEST_FLASH: u64 = 512 << 10;

/// A stream so far.
#[derive(Clone)]
pub(super) struct Content {
    filesystem: Filesystem,
    /// The image at the start: a boot loader, or an application that is alone.
    first: Walker,
    /// Where it starts.
    first_base: u64,
    /// The application behind a boot loader.
    app: Option<Walker>,
    table: TableScan,
    sketch: Sketch,
    /// The second entry of an otadata partition.
    second_sector: Window<32>,
}

/// Digests of a stream from its start up to certain places, which [`Content`] names.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Prefixes {
    /// SHA-256 up to [`Content::sha256_end`].
    pub(super) sha256: Option<[u8; 32]>,
    /// MD5 up to [`Content::md5_end`].
    pub(super) md5: Option<[u8; 16]>,
}

impl Content {
    pub(super) fn new() -> Self {
        Self {
            filesystem: Filesystem::new(),
            first: Walker::at(0),
            first_base: 0,
            app: None,
            table: TableScan::new(),
            sketch: Sketch::new(),
            second_sector: Window::at(0x1000),
        }
    }

    /// Takes the next bytes of the stream.
    pub(super) fn update(&mut self, offset: u64, chunk: &[u8]) {
        self.filesystem.update(offset, chunk);
        self.second_sector.update(offset, chunk);
        self.first.update(offset, chunk);
        while self.first.refusal() == Some(Refusal::Magic)
            && let Some(base) = self.later_base()
        {
            self.first = Walker::at(base);
            self.first_base = base;
            self.first.update(offset, chunk);
        }
        let table_start = self.table_start();
        self.table.update(offset, chunk, table_start);
        if self.app.is_none() {
            self.app = self.app_base().map(Walker::at);
        }
        if let Some(app) = &mut self.app {
            app.update(offset, chunk);
        }
        if self.may_be_esp8266() {
            let end = self.app.as_ref().and_then(Walker::checksum_end);
            self.sketch.update(offset, chunk, end);
        }
    }

    /// Where the SHA-256 ends that is appended to an image at the start of the stream.
    pub(super) fn sha256_end(&self) -> Option<u64> {
        self.first.checksum_end().filter(|_| self.is_esp32_from_the_start())
    }

    /// Where the MD5 ends that an ESP32 reports while it runs this stream's image.
    pub(super) fn md5_end(&self) -> Option<u64> {
        self.first.end().filter(|_| self.is_esp32_from_the_start())
    }

    /// Where the image ends that starts the stream and runs, if it is complete.
    pub(super) fn image_end(&self, kind: Kind) -> Option<u64> {
        let image = match kind {
            Kind::ArduinoSketch => self.app.as_ref()?,
            Kind::PlainV1 | Kind::BootLoader | Kind::Esp32App => &self.first,
            _ => return None,
        };
        image.end().filter(|_| image.is_complete())
    }

    /// Fills in what the stream, `length` bytes of it, says about itself.
    pub(super) fn describe(&self, facts: &mut Facts, length: u64, prefixes: &Prefixes) {
        facts.kind = self.kind(length);
        if facts.kind == Kind::MergedFlash {
            facts.places = self.places();
        }
        let head = self.filesystem.head();
        match facts.kind {
            Kind::ArduinoSketch => {
                self.describe_sketch(facts);
                if let Some(end) = self.image_end(facts.kind) {
                    facts.sizes.sketch = u32::try_from(end).ok();
                    facts.running.md5 = self.sketch.running();
                }
            }
            Kind::MergedFlash if self.may_be_esp8266() => self.describe_sketch(facts),
            Kind::PlainV1 | Kind::BootLoader | Kind::Esp32App => {
                describe_image(facts, &self.first);
                if let Some(hash) = self.first.stored_hash() {
                    facts.checks.hash = verdict(prefixes.sha256.map(|sha256| sha256 == hash));
                }
            }
            Kind::MergedFlash => {
                describe_image(facts, &self.first);
                if let Some(app) = self.app.as_ref().filter(|app| app.header().is_some()) {
                    let flash = facts.flash;
                    describe_image(facts, app);
                    facts.flash = flash.or(facts.flash);
                    facts.checks.boot_checksum = self.first.checksum(0);
                }
            }
            Kind::SdkV2 => {
                facts.chip = Some(Chip::Esp8266);
                facts.entry = word(head, 4);
                if let [_, _, mode, size_and_frequency, ..] = *head {
                    let chip = Chip::Esp8266;
                    facts.flash = Some(FlashSettings::from_bytes(chip, mode, size_and_frequency));
                }
            }
            Kind::Filesystem(_) => {
                let found = self.filesystem.find(length);
                facts.blocks = found.as_ref().map(|found| found.blocks);
                let is_cut = found.is_some_and(|found| found.length() > length);
                facts.fault = is_cut.then_some(Fault::Truncated);
            }
            Kind::Unknown if head.first() == Some(&0xE9) => facts.fault = fault(&self.first),
            _ => {}
        }
        if facts.kind == Kind::Esp32App && self.first.is_complete() {
            facts.sizes.sketch = self.first.end().and_then(|end| u32::try_from(end).ok());
            facts.running = RunningDigests {
                md5: prefixes.md5.map_or(RunningMd5::None, RunningMd5::One),
                sha256: self.first.stored_hash().filter(|_| facts.checks.hash == Verdict::Ok),
            };
        }
    }

    fn describe_sketch(&self, facts: &mut Facts) {
        describe_image(facts, &self.first);
        let Some(app) = &self.app else { return };
        let flash = facts.flash;
        facts.fault = facts.fault.or(fault(app));
        if app.header().is_none() {
            return;
        }
        describe_image(facts, app);
        facts.checks.boot_checksum = self.first.checksum(0);
        // The boot loader's settings are those that count.
        facts.flash = flash;
        let Some(end) = app.end().filter(|_| app.is_complete()) else { return };

        // The checksum was made while the words for length and CRC were zero.
        let has_words = app.segments().first().is_some_and(|first| first.length >= 8);
        let correction = if has_words { self.sketch.correction() } else { 0 };
        let corrected = app.checksum(correction);
        let counted = app.checksum(0) == Verdict::Ok;
        let crc = if has_words { self.sketch.verdict(end, counted) } else { Verdict::Absent };
        let checksum = if crc == Verdict::Absent && counted { Verdict::Ok } else { corrected };
        facts.checks.checksum = checksum;
        facts.checks.crc = crc;
    }

    fn kind(&self, length: u64) -> Kind {
        let head = self.filesystem.head();
        let erased = !head.is_empty() && head.iter().all(|&byte| byte == 0xFF);
        match self.first.header().map(|header| header.chip.family()) {
            Some(Family::Esp8266) if self.first_base == 0 => {
                if self.fills_a_flash(length) {
                    Kind::MergedFlash
                } else if self.app.as_ref().is_some_and(is_begun) {
                    Kind::ArduinoSketch
                } else if self.first.maps_flash() {
                    Kind::PlainV1
                } else {
                    Kind::BootLoader
                }
            }
            Some(Family::Esp32) if self.first_base == 0 => self.esp32_kind(),
            Some(Family::Esp32) if erased => Kind::MergedFlash,
            _ if erased && self.table.found().is_some() => Kind::MergedFlash,
            _ if self.is_otadata(length) => Kind::OtaData,
            _ if is_zlib(head) => Kind::Zlib,
            _ if head.starts_with(&SDK_V2) => Kind::SdkV2,
            _ if esp32::is_partition(head) => Kind::PartitionTable,
            _ => match self.filesystem.find(length) {
                Some(found) => Kind::Filesystem(found.kind),
                None => Kind::Unknown,
            },
        }
    }

    /// Whether this is as long as otadata, with at least one entry and nothing damaged.
    fn is_otadata(&self, length: u64) -> bool {
        let first = self.filesystem.head().first_chunk();
        let Some((first, second)) = first.zip(self.second_sector.full()) else { return false };
        let sectors = OtaData::new(first, second).sectors;
        length == OtaData::LENGTH as u64
            && sectors.iter().any(|sector| matches!(sector, OtaSector::Entry(_)))
            && !sectors.iter().any(|sector| matches!(sector, OtaSector::Damaged { .. }))
    }

    /// What an image of the ESP32 family at the start is. An application maps flash, a boot loader
    /// does not; one that is cut short is called an application unless it says otherwise.
    fn esp32_kind(&self) -> Kind {
        let start = self.first.start();
        if esp32::descriptor(start).is_some() || self.first.maps_flash() {
            Kind::Esp32App
        } else if self.table.found().is_some() {
            Kind::MergedFlash
        } else if self.first.is_complete() || esp32::is_boot_loader(start) {
            Kind::BootLoader
        } else {
            Kind::Esp32App
        }
    }

    fn places(&self) -> Places {
        Places {
            boot_loader: self.first.header().map(|_| self.first_base),
            sketch_end: self.image_end(Kind::ArduinoSketch).filter(|_| self.may_be_esp8266()),
            partition_table: self.table.found().map(|table| table.start),
        }
    }

    fn is_esp32_from_the_start(&self) -> bool {
        let family = self.first.header().map(|header| header.chip.family());
        self.first_base == 0 && family == Some(Family::Esp32)
    }

    /// Whether an ESP8266 sketch ends before a stream that is as long as a flash. No signed sketch
    /// is taken for that: with signature and length word it is not a multiple of 16 bytes long.
    fn fills_a_flash(&self, length: u64) -> bool {
        let is_flash = length >= SMALLEST_FLASH && length.is_power_of_two();
        is_flash && self.image_end(Kind::ArduinoSketch).is_some_and(|end| end < length)
    }

    fn may_be_esp8266(&self) -> bool {
        let chip = self.first.header().map_or(Chip::Esp8266, |header| header.chip);
        self.first_base == 0 && self.first.refusal().is_none() && chip == Chip::Esp8266
    }

    /// Where to look for a boot loader next: the start of the flash is erased.
    fn later_base(&self) -> Option<u64> {
        let erased = self.filesystem.head().first() == Some(&0xFF);
        LATE_BOOT_LOADERS.into_iter().find(|&base| erased && base > self.first_base)
    }

    /// Where a partition table can stand: behind a boot loader, or behind all places of one. This
    /// is known before a table passes, however the stream is cut.
    fn table_start(&self) -> Option<u64> {
        match self.first.header() {
            Some(header) if header.chip.family() == Family::Esp32 => self.first.end(),
            None if self.first_base > 0 => Some(0x3000),
            _ => None,
        }
    }

    /// Where the application behind a boot loader starts.
    fn app_base(&self) -> Option<u64> {
        if self.first.header()?.chip.family() == Family::Esp32 {
            return self.table.app();
        }
        // What loads flash-mapped segments, or reaches farther, is no eboot.
        let end = self.first.end().filter(|_| self.first.is_complete())?;
        (end <= APP_OFFSET && !self.first.maps_flash()).then_some(APP_OFFSET)
    }
}

/// Fills in what one image says about itself.
fn describe_image(facts: &mut Facts, image: &Walker) {
    facts.fault = facts.fault.or(fault(image));
    if let Some(header) = image.header() {
        facts.chip = Some(header.chip);
        facts.flash = Some(header.flash);
        facts.entry = Some(header.entry);
        facts.revisions = header.revisions;
        facts.segments = image.segments();
        facts.checks.checksum = image.checksum(0);
        if header.chip.family() == Family::Esp32 {
            facts.descriptor = esp32::descriptor(image.start());
        }
    }
}

/// What is wrong with the structure of an image, if nothing more of it comes.
fn fault(image: &Walker) -> Option<Fault> {
    match image.refusal() {
        Some(Refusal::SegmentCount(count)) => Some(Fault::SegmentCount(count)),
        Some(_) => None,
        None if image.is_complete() => None,
        None => image.has_begun().then_some(Fault::Truncated),
    }
}

/// Whether this starts as zlib streams do that are made with a window of 32 KiB and no dictionary
/// (RFC 1950, 2.2: CMF and FLG, together a multiple of 31).
fn is_zlib(head: &[u8]) -> bool {
    matches!(head, [0x78, 0x01 | 0x5E | 0x9C | 0xDA, ..])
}

/// Whether this is an ESP8266 image, possibly a broken one.
fn is_begun(app: &Walker) -> bool {
    match (app.refusal(), app.header()) {
        (Some(Refusal::Magic | Refusal::Chip), _) => false,
        (_, Some(header)) => header.chip == Chip::Esp8266,
        (_, None) => app.has_begun(),
    }
}

fn verdict(matches: Option<bool>) -> Verdict {
    match matches {
        None => Verdict::Absent,
        Some(true) => Verdict::Ok,
        Some(false) => Verdict::Bad,
    }
}
