//! The crate at its public border.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod corpus;
mod damaged;
mod esp32;
mod esp8266;
mod files;
mod gzip;
mod other;
mod partition;
mod signature;
mod verify;

use updraft_core::{Facts, Inflater, Inspector};

/// Inspects `file` in one piece.
fn inspect(file: &[u8]) -> Facts {
    inspect_in(file, [file.len().max(1)])
}

/// Inspects `file` in pieces of these sizes, over and over.
fn inspect_in(file: &[u8], sizes: impl IntoIterator<Item = usize, IntoIter: Clone>) -> Facts {
    let mut inflater = Box::new(Inflater::new());
    let mut inspector = Inspector::with_inflater(file.len() as u64, &mut inflater);
    let mut rest = file;
    let mut sizes = sizes.into_iter().cycle();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(sizes.next().unwrap().min(rest.len()));
        inspector.update(piece);
        rest = after;
    }
    inspector.finish()
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// A gzip of `content`, without any optional header field.
fn gzip(content: &[u8]) -> Vec<u8> {
    let mut file = vec![0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 2, 0xFF];
    file.extend(miniz_oxide::deflate::compress_to_vec(content, 6));
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(content);
    file.extend(crc.to_le_bytes());
    file.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
    file
}

/// `file` with an ESP8266 signature of `length` bytes behind it.
fn signed(file: &[u8], length: u16) -> Vec<u8> {
    let mut file = file.to_vec();
    file.extend(updraft_pack::filler(length.into(), 9));
    file.extend(u32::from(length).to_le_bytes());
    file
}
