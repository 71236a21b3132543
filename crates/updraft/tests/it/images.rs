//! Files to put into a catalog, built as the tools of each platform build them, and their digests.

use md5::{Digest as _, Md5};
use sha2::Sha256;
use updraft_core::{Chip, FilesystemKind};
use updraft_pack::{Esp32Image, Esp8266Image, filesystem, filler};

/// An ESP8266 sketch of about 5 KiB; another one for each seed. Its flash mode is DIO, byte 2.
pub(crate) fn sketch(seed: u64) -> Vec<u8> {
    Esp8266Image::new().filler(900, seed).build().unwrap()
}

/// An application for a chip of the ESP32 family; another one for each seed. Its version is 1.0.0.
pub(crate) fn app(chip: Chip, seed: u64) -> Vec<u8> {
    Esp32Image::new(chip).filler(900, seed).build().unwrap()
}

/// A `LittleFS` image of two blocks: its superblock, then erased flash.
pub(crate) fn littlefs() -> Vec<u8> {
    littlefs_of(4096, 2)
}

/// A `LittleFS` image of so many blocks of this size in bytes.
pub(crate) fn littlefs_of(size: usize, count: usize) -> Vec<u8> {
    filesystem(FilesystemKind::LittleFs, size, count).unwrap()
}

/// What is nothing that anyone knows.
pub(crate) fn unknown(length: usize) -> Vec<u8> {
    let mut bytes = filler(length, 77);
    bytes[0] = b'U';
    bytes
}

/// `content` as a gzip (RFC 1952), by another compressor than the builder's: that takes seconds for
/// large files, and need not be right here.
pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut file = vec![0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 2, 0xFF];
    file.extend(miniz_oxide::deflate::compress_to_vec(content, 6));
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(content);
    file.extend(crc.to_le_bytes());
    file.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
    file
}

/// `image` with an RSA-2048 signature behind it, as the ESP8266 core's `signing.py` puts it there.
pub(crate) fn signed(image: &[u8]) -> Vec<u8> {
    [image, &filler(256, 9), &256_u32.to_le_bytes()].concat()
}

/// `image` with one bit turned over.
pub(crate) fn damaged(image: &[u8], at: usize) -> Vec<u8> {
    let mut image = image.to_vec();
    image[at] ^= 1;
    image
}

/// An ESP8266 sketch as it stands in the flash of a device that runs in that mode: the updater
/// rewrites byte 2.
pub(crate) fn in_flash(sketch: &[u8], mode: u8) -> Vec<u8> {
    let mut sketch = sketch.to_vec();
    sketch[2] = mode;
    sketch
}

/// MD5 in lower-case hex.
pub(crate) fn md5(bytes: &[u8]) -> String {
    hex(&Md5::digest(bytes))
}

/// SHA-256 in lower-case hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
