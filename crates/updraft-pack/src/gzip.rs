//! Gzip as eboot, the ESP8266's boot loader, reads it: one member, no name, nothing behind it, as
//! small as zopfli makes it. On request one that is wrong, in one way that has a name.

use std::num::NonZeroU64;

use crc::{CRC_32_ISO_HDLC, Crc, Table};
use updraft_core::{Kind, NotOta, Signature};
use zopfli::{Format, Options};

use crate::image::{filler, inspect};
use crate::note::Note;

/// The first four bytes (RFC 1952, 2.3.1): ID1, ID2, method deflate, no flags.
const START: [u8; 4] = [0x1F, 0x8B, 8, 0];
/// The other six: no time; made by slow compression, on no system that is named.
const REST: [u8; 6] = [0, 0, 0, 0, 2, 0xFF];
/// CRC-32 and ISIZE at the end.
const TRAILER: usize = 8;
/// How often zopfli improves on what it has.
const ITERATIONS: NonZeroU64 = NonZeroU64::new(5).unwrap();

static CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);

/// What became of a sketch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compressed {
    /// The bytes to send: a gzip, or the sketch itself if that is no longer.
    pub bytes: Vec<u8>,
    /// Which of the two.
    pub form: Form,
    /// Length of the sketch in bytes.
    pub plain: usize,
    /// What a person should know before devices get it.
    pub notes: Vec<Note>,
}

/// In which form a sketch is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// As it is: a gzip would not be smaller.
    Plain,
    /// As a gzip.
    Gzip,
}

/// Why a file cannot be compressed for a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompressError {
    /// It is a gzip.
    #[error("the file is a gzip already")]
    AlreadyGzip,
    /// A signature is over what is sent, so the gzip is what has to be signed.
    #[error("the file is signed ({0}): compress first, then sign")]
    Signed(Signature),
    /// Only eboot inflates, and only what it copies.
    #[error("no device inflates this: {0}, not an ESP8266 sketch")]
    NotASketch(Kind),
    /// No device could install it.
    #[error("no device would take it: {0}")]
    NotOta(NotOta),
}

impl Compressed {
    /// Bytes that need not be sent.
    pub fn saved(&self) -> usize {
        self.plain - self.bytes.len()
    }
}

/// Compresses an ESP8266 sketch. The same sketch always gives the same bytes. Takes about a second
/// for half a mebibyte.
pub fn compress(sketch: &[u8]) -> Result<Compressed, CompressError> {
    let facts = inspect(sketch);
    if facts.gzip.is_some() {
        return Err(CompressError::AlreadyGzip);
    }
    if let Some(signature) = facts.signature {
        return Err(CompressError::Signed(signature));
    }
    match (facts.kind, facts.ota()) {
        (Kind::ArduinoSketch, Ok(_)) => {}
        (kind, Ok(_)) => return Err(CompressError::NotASketch(kind)),
        (_, Err(reason)) => return Err(CompressError::NotOta(reason)),
    }
    let (form, bytes) = smaller(sketch, Gzip::new(sketch).build());
    let mode = facts.flash.map(|flash| flash.mode).filter(|_| form == Form::Gzip);
    let notes = mode.map(Note::GzipMode).into_iter().collect();
    Ok(Compressed { bytes, form, plain: sketch.len(), notes })
}

fn smaller(plain: &[u8], zipped: Vec<u8>) -> (Form, Vec<u8>) {
    if zipped.len() < plain.len() { (Form::Gzip, zipped) } else { (Form::Plain, plain.to_vec()) }
}

/// A gzip of any content, whether or not a device would inflate it: as small as it gets.
#[derive(Clone, Debug)]
pub struct Gzip {
    data: Vec<u8>,
    crc: [u8; 4],
    /// Of zlib.
    adler: [u8; 4],
    size: u32,
}

impl Gzip {
    /// Compresses `content`.
    #[expect(clippy::cast_possible_truncation, reason = "ISIZE is the length modulo 2^32")]
    pub fn new(content: &[u8]) -> Self {
        Self {
            data: deflate(content),
            crc: CRC.checksum(content).to_le_bytes(),
            adler: adler32(content).to_be_bytes(),
            size: content.len() as u32,
        }
    }

    /// The bytes of the gzip.
    pub fn build(&self) -> Vec<u8> {
        self.assemble(START, &self.data, self.size)
    }

    /// A gzip that is wrong in this way.
    pub fn broken(&self, defect: GzipDefect) -> Vec<u8> {
        let Self { data, size, .. } = self;
        let right = self.build();
        let length = right.len();
        let followed_by = |rest: &[u8]| [&right, rest].concat();
        match defect {
            GzipDefect::TrailingZeros(count) => followed_by(&vec![0; count]),
            GzipDefect::TrailingErased(count) => followed_by(&vec![0xFF; count]),
            GzipDefect::TrailingGarbage(count) => followed_by(&filler(count, 9)),
            GzipDefect::TwoMembers => followed_by(&Self::new(b"more").build()),
            GzipDefect::SizeZero => self.assemble(START, data, 0),
            GzipDefect::SizeTooSmall => self.assemble(START, data, size.wrapping_sub(0x1000)),
            GzipDefect::SizeTooBig => self.assemble(START, data, size.wrapping_add(0x1000)),
            GzipDefect::Crc => damaged(right, length - TRAILER),
            // RFC 1952, 2.3.1: bit 5 of FLG, and a CM other than 8.
            GzipDefect::ReservedFlag => self.assemble([0x1F, 0x8B, 8, 0x20], data, *size),
            GzipDefect::Method => self.assemble([0x1F, 0x8B, 7, 0], data, *size),
            // RFC 1950: a window of 32 KiB, compressed slowly.
            GzipDefect::Zlib => [&[0x78, 0xDA], &data[..], &self.adler].concat(),
            GzipDefect::Truncated(missing) => right[..length.saturating_sub(missing)].to_vec(),
            GzipDefect::CutData => self.assemble(START, &data[..data.len() / 2], *size),
            GzipDefect::DataBit => damaged(right, START.len() + REST.len() + data.len() / 2),
        }
    }

    fn assemble(&self, start: [u8; 4], data: &[u8], size: u32) -> Vec<u8> {
        [&start, &REST[..], data, &self.crc, &size.to_le_bytes()].concat()
    }
}

/// A way in which a gzip can be wrong, and still pass every check that the ESP8266's updater makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GzipDefect {
    /// So many bytes 00 behind it: padding. eboot reads ISIZE from them.
    TrailingZeros(usize),
    /// So many bytes FF behind it: erased flash.
    TrailingErased(usize),
    /// So many bytes of something else behind it.
    TrailingGarbage(usize),
    /// A second member, which holds four bytes.
    TwoMembers,
    /// ISIZE is zero: eboot writes nothing, and the old sketch starts.
    SizeZero,
    /// ISIZE is one sector too small.
    SizeTooSmall,
    /// ISIZE is one sector too big.
    SizeTooBig,
    /// The CRC-32 of the content.
    Crc,
    /// A flag is set that has no meaning.
    ReservedFlag,
    /// A method other than deflate.
    Method,
    /// A zlib stream (RFC 1950) instead of a gzip.
    Zlib,
    /// So many bytes are missing at the end: a download that broke off.
    Truncated(usize),
    /// The compressed data ends in the middle; the trailer is right.
    CutData,
    /// One bit in the middle of the compressed data.
    DataBit,
}

fn damaged(mut file: Vec<u8>, at: usize) -> Vec<u8> {
    file[at] ^= 1;
    file
}

fn deflate(content: &[u8]) -> Vec<u8> {
    // More iterations take longer, and gain a byte in ten thousand on a firmware.
    let options = Options { iteration_count: ITERATIONS, ..Options::default() };
    let mut data = Vec::new();
    zopfli::compress(options, Format::Deflate, content, &mut data)
        .expect("memory takes every byte");
    data
}

/// The sum behind a zlib stream (RFC 1950, 9).
fn adler32(content: &[u8]) -> u32 {
    let (a, b) = content.iter().fold((1, 0), |(a, b), &byte| {
        let a = (a + u32::from(byte)) % 65521;
        (a, (b + a) % 65521)
    });
    b << 16 | a
}

#[cfg(test)]
mod tests {
    use miniz_oxide::inflate::decompress_to_vec;
    use proptest::prelude::*;
    use updraft_core::{Chip, Fault, FilesystemKind, FlashMode};

    use super::*;
    use crate::image::tests::seen;
    use crate::{Esp32Image, Esp8266Image, filesystem, filler};

    fn sketch() -> Vec<u8> {
        Esp8266Image::new().payload(&[filler(600, 1), vec![7; 9000]].concat()).build().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn a_gzip_inflates_to_its_content(content in prop::collection::vec(0..4_u8, 0..3000)) {
            let file = Gzip::new(&content).build();
            prop_assert_eq!(&file[..10], b"\x1F\x8B\x08\0\0\0\0\0\x02\xFF");
            prop_assert_eq!(decompress_to_vec(&file[10..file.len() - 8]).unwrap(), content);
        }
    }

    #[test]
    fn a_compressed_sketch_is_a_gzip_that_eboot_takes_and_always_the_same() {
        let sketch = sketch();
        let compressed = compress(&sketch).unwrap();
        assert_eq!(compressed.form, Form::Gzip);
        assert_eq!(compressed.saved(), sketch.len() - compressed.bytes.len());
        assert_eq!(compressed.notes, [Note::GzipMode(FlashMode::Dio)]);
        let facts = inspect(&compressed.bytes);
        assert_eq!(facts.ota(), Ok(updraft_core::OtaTarget::Sketch));
        assert_eq!(facts.sizes.inflated, Some(sketch.len() as u64));
        assert_eq!(compress(&sketch).unwrap(), compressed);
    }

    #[test]
    fn what_does_not_shrink_stays_plain() {
        let content = filler(500, 1);
        let zipped = Gzip::new(&content).build();
        assert!(zipped.len() > content.len());
        assert_eq!(smaller(&content, zipped), (Form::Plain, content.clone()));
        assert_eq!(smaller(&content, vec![0; 500]), (Form::Plain, content.clone()));
        assert_eq!(smaller(&content, vec![0; 499]), (Form::Gzip, vec![0; 499]));
    }

    #[test]
    fn what_no_device_inflates_is_not_compressed() {
        let check = |file: &[u8], expected: &str| {
            assert_eq!(compress(file).unwrap_err().to_string(), expected);
        };
        let app = Esp32Image::new(Chip::Esp32).build().unwrap();
        check(&app, "no device inflates this: ESP32 application, not an ESP8266 sketch");
        let littlefs = filesystem(FilesystemKind::LittleFs, 4096, 2).unwrap();
        check(&littlefs, "no device inflates this: LittleFS filesystem, not an ESP8266 sketch");
        check(&Gzip::new(&sketch()).build(), "the file is a gzip already");
        let signed = [sketch(), filler(256, 9), 256_u32.to_le_bytes().to_vec()].concat();
        let expected = "the file is signed (Arduino ESP8266, 256 bytes): compress first, then sign";
        check(&signed, expected);
        let unknown = "no device would take it: not a firmware image that is known, or encrypted";
        check(b"notes", unknown);
    }

    #[test]
    fn every_defect_is_seen_for_what_it_is() {
        let gzip = Gzip::new(&sketch());
        let fault = |defect| match seen(&gzip.broken(defect)) {
            Err(NotOta::Fault(fault)) => Some(fault),
            _ => None,
        };
        for defect in [
            GzipDefect::TrailingZeros(16),
            GzipDefect::TrailingErased(16),
            GzipDefect::TrailingGarbage(5),
        ] {
            assert_eq!(fault(defect), Some(Fault::GzipTrailing), "{defect:?}");
        }
        assert_eq!(fault(GzipDefect::SizeTooSmall), Some(Fault::GzipSize));
        assert_eq!(fault(GzipDefect::SizeTooBig), Some(Fault::GzipSize));
        assert_eq!(fault(GzipDefect::Crc), Some(Fault::GzipCrc));
        assert_eq!(fault(GzipDefect::Truncated(20)), Some(Fault::Truncated));
        // What these are called says more than that they are wrong.
        for defect in [
            GzipDefect::TwoMembers,
            GzipDefect::SizeZero,
            GzipDefect::ReservedFlag,
            GzipDefect::Method,
            GzipDefect::CutData,
            GzipDefect::DataBit,
        ] {
            assert!(fault(defect).is_some(), "{defect:?}");
        }
        assert!(seen(&gzip.broken(GzipDefect::Zlib)).is_err());
    }
}
