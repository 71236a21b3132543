//! No bytes make the reader of public keys panic, and a key that is read has one form only: its
//! fingerprint is that of the bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sha2::{Digest as _, Sha256};
use updraft_core::signature::PublicKey;

fuzz_target!(|data: &[u8]| {
    if let Ok(key) = PublicKey::from_der(data) {
        assert_eq!(key.fingerprint().0, *Sha256::digest(data));
    }
    if let Ok(key) = PublicKey::from_pkcs1(data) {
        key.fingerprint();
    }
});
