//! No signature makes its check panic, whatever key and scheme it is for.
//!
//! The first byte chooses the scheme; then a length of two bytes and a public key; the rest is the
//! signature. The file's length and last word are taken from the signature.

#![no_main]

use libfuzzer_sys::fuzz_target;
use updraft_core::signature::{Hash, PublicKey, Scheme, Verifier, esp8266_payload};

fuzz_target!(|data: &[u8]| {
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
    let _ = verifier.finish(&key, signature);
    if let Some(word) = signature.last_chunk().copied().map(u32::from_le_bytes) {
        let payload = esp8266_payload(signature.len() as u64, word, &key);
        assert!(payload.is_err() || payload.is_ok_and(|payload| payload > 0));
    }
});
