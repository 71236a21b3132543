//! Replays what the fuzz targets for keys and signatures start from and have found, on any toolchain.

use sha2::{Digest as _, Sha256};
use updraft_core::signature::{Block, Hash, PublicKey, Scheme, Sector, Verifier, esp8266_payload};

use crate::corpus::replay;

/// As in `fuzz_targets/public_key.rs`.
#[test]
fn the_fuzzing_corpus_of_public_keys_holds() {
    replay("public_key", |data, name| {
        if let Ok(key) = PublicKey::from_der(data) {
            assert_eq!(key.fingerprint().0, *Sha256::digest(data), "{name}");
        }
        if let Ok(key) = PublicKey::from_pkcs1(data) {
            key.fingerprint();
        }
    });
}

/// As in `fuzz_targets/secure_boot.rs`.
#[test]
fn the_fuzzing_corpus_of_secure_boot_holds() {
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    replay("secure_boot", |data, name| {
        let mut sector = data.to_vec();
        for block in sector.chunks_exact_mut(Block::LENGTH) {
            let crc = crc.checksum(&block[..1196]);
            block[1196..1200].copy_from_slice(&crc.to_le_bytes());
        }
        for (place, block) in Sector::new(&sector).blocks() {
            let Ok(block) = block else { continue };
            block.key().fingerprint();
            let named = &sector[place * Block::LENGTH + 4..];
            let _ = block.verify(named.first_chunk().unwrap());
            assert!(block.verify(&[0x55; 32]).is_err(), "{name}");
        }
    });
}

/// As in `fuzz_targets/trailer.rs`.
#[test]
fn the_fuzzing_corpus_of_trailers_holds() {
    replay("trailer", |data, name| {
        let [scheme, high, low, rest @ ..] = data else { return };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((key, signature)) = rest.split_at_checked(length) else { return };
        let Ok(key) = PublicKey::from_der(key) else { return };
        let scheme = match scheme % 5 {
            0 => Scheme::Esp8266,
            1 => Scheme::SecureBootV2,
            hash => Scheme::ArduinoEsp32(Hash::ALL[usize::from(hash) - 2]),
        };
        let mut verifier = Verifier::new(scheme);
        verifier.update(b"payload");
        let result = verifier.finish(&key, signature);
        if ["pkcs1", "pss_sha256", "pss_sha384", "pss_sha512", "ecdsa_der", "ecdsa_raw"]
            .contains(&name)
        {
            assert_eq!(result, Ok(()), "{name}");
        }
        if let Some(word) = signature.last_chunk().copied().map(u32::from_le_bytes) {
            let payload = esp8266_payload(signature.len() as u64, word, &key);
            assert!(payload.is_err() || payload.is_ok_and(|payload| payload > 0), "{name}");
        }
    });
}
