//! No signature sector makes its reader panic, and none holds for a digest it was not made for.
//!
//! The data is the sector, without the CRCs: those are set here, or nothing behind them is reached.

#![no_main]

use crc::{CRC_32_ISO_HDLC, Crc, Table};
use libfuzzer_sys::fuzz_target;
use updraft_core::signature::{Block, Sector};

static CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);

fuzz_target!(|data: &[u8]| {
    let mut sector = data.to_vec();
    for block in sector.chunks_exact_mut(Block::LENGTH) {
        let crc = CRC.checksum(&block[..1196]);
        block[1196..1200].copy_from_slice(&crc.to_le_bytes());
    }
    for (place, block) in Sector::new(&sector).blocks() {
        let Ok(block) = block else { continue };
        block.key().fingerprint();
        // For the digest that it names itself the signature is looked at, too.
        let named = &sector[place * Block::LENGTH + 4..];
        let _ = block.verify(named.first_chunk().unwrap());
        assert!(block.verify(&[0x55; 32]).is_err());
    }
});
