//! Signatures of Arduino's two cores: the ESP8266's trailer, and the ESP32's field.

use updraft_core::signature::{
    ARDUINO_ESP32_FIELD, Hash, KeyKind, PublicKey, Scheme, SignatureError, esp8266_payload,
};
use updraft_pack::filler;

use super::{OpenSsl, verify};

/// r and s of an ECDSA signature in DER, 32 bytes each.
fn raw(der: &[u8]) -> Vec<u8> {
    let mut rest = &der[2..];
    let mut raw = Vec::new();
    for _ in 0..2 {
        let (number, after) = rest[2..].split_at(rest[1].into());
        let number = &number[number.len().saturating_sub(32)..];
        raw.extend([0].repeat(32 - number.len()));
        raw.extend(number);
        rest = after;
    }
    raw
}

#[test]
fn openssl_signs_what_an_esp8266_takes() {
    let openssl = OpenSsl::new();
    let check = |key: &[u8], payload: &[u8], signature: &[u8], expected| {
        assert_eq!(verify(Scheme::Esp8266, key, payload, signature), expected);
    };
    let payload = filler(5000, 1);
    for kind in ["rsa:2048", "rsa:3072", "rsa:4096"] {
        let key = openssl.key("key", kind);
        let signature = openssl.sign("key", &payload, "-sha256");
        check(&key, &payload, &signature, Ok(()));
        check(&key, &payload[1..], &signature, Err(SignatureError::OtherBytes));
        check(&key, &[], &signature, Err(SignatureError::OtherBytes));
        let other = openssl.key("other", kind);
        check(&other, &payload, &signature, Err(SignatureError::OtherKey));
        let mut damaged = signature.clone();
        damaged[100] ^= 1;
        check(&key, &payload, &damaged, Err(SignatureError::OtherKey));
        check(&key, &payload, &[0xFF].repeat(signature.len()), Err(SignatureError::OtherKey));
        let expected = PublicKey::from_der(&key).unwrap().signature_length();
        let short = Err(SignatureError::Length { found: expected - 1, expected });
        check(&key, &payload, &signature[1..], short);

        let sha512 = openssl.sign("key", &payload, "-sha512");
        check(&key, &payload, &sha512, Err(SignatureError::OtherHash));
        let pss = openssl.sign("key", &payload, "-sha256 -sigopt rsa_padding_mode:pss");
        check(&key, &payload, &pss, Err(SignatureError::OtherKey));
        // As `openssl rsautl -sign` did: the digest without its frame.
        openssl.run("dgst -sha256 -binary -out digest payload");
        let legacy = openssl.run("pkeyutl -sign -inkey key.pem -in digest");
        check(&key, &payload, &legacy, Err(SignatureError::Legacy));
        check(&key, &payload[1..], &legacy, Err(SignatureError::Legacy));
    }

    let key = openssl.key("key", "prime256v1");
    let der = openssl.sign("key", &payload, "-sha256");
    check(&key, &payload, &raw(&der), Ok(()));
    check(&key, &payload[1..], &raw(&der), Err(SignatureError::OtherKeyOrBytes));
    let found = u16::try_from(der.len()).unwrap();
    check(&key, &payload, &der, Err(SignatureError::Length { found, expected: 64 }));
    check(&key, &payload, &[0; 64], Err(SignatureError::NotEcdsa));
    check(&key, &payload, &[0xFF; 64], Err(SignatureError::NotEcdsa));
}

#[test]
fn the_last_word_is_the_length_of_the_keys_signatures() {
    let openssl = OpenSsl::new();
    let der = openssl.key("key", "rsa:2048");
    let key = PublicKey::from_der(&der).unwrap();
    assert_eq!(esp8266_payload(5000, 256, &key), Ok(4740));
    let wrong = SignatureError::LengthWord { found: 64, expected: 256 };
    assert_eq!(esp8266_payload(5000, 64, &key), Err(wrong));
    assert_eq!(esp8266_payload(260, 256, &key), Err(SignatureError::NoPayload));
    assert_eq!(esp8266_payload(3, 256, &key), Err(SignatureError::NoPayload));
}

/// A signature in the field behind the image.
fn field(signature: &[u8]) -> Vec<u8> {
    let mut field = signature.to_vec();
    field.resize(ARDUINO_ESP32_FIELD, 0);
    field
}

#[test]
fn openssl_signs_what_arduino_esp32_takes() {
    let openssl = OpenSsl::new();
    let payload = filler(3000, 2);
    let names = [(Hash::Sha256, "-sha256"), (Hash::Sha384, "-sha384"), (Hash::Sha512, "-sha512")];
    for kind in ["rsa:2048", "rsa:3072", "rsa:4096"] {
        let key = openssl.key("key", kind);
        let other = openssl.key("other", kind);
        for (hash, name) in names {
            let pss = format!("{name} -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen");
            let check = |key: &[u8], payload: &[u8], signature: &[u8], expected| {
                let result = verify(Scheme::ArduinoEsp32(hash), key, payload, &field(signature));
                assert_eq!(result, expected, "{kind} {name}");
            };
            let signature = openssl.sign("key", &payload, &format!("{pss}:max"));
            check(&key, &payload, &signature, Ok(()));
            check(&key, &payload[1..], &signature, Err(SignatureError::OtherBytes));
            // One of 65,536 messages of another key looks like one.
            let scheme = Scheme::ArduinoEsp32(hash);
            let result = verify(scheme, &other, &payload, &field(&signature));
            let failed = Err(SignatureError::OtherKey);
            assert!(result == failed || result == Err(SignatureError::OtherBytes), "{result:?}");
            let short = openssl.sign("key", &payload, &format!("{pss}:20"));
            let size = PublicKey::from_der(&key).unwrap().signature_length();
            let expected = size - u16::try_from(hash.length()).unwrap() - 2;
            let salt = SignatureError::SaltLength { found: 20, expected };
            check(&key, &payload, &short, Err(salt));
            // The message ends with the digest, not with BC but for one time in 256.
            let pkcs1 = openssl.sign("key", &payload, name);
            assert!(verify(scheme, &key, &payload, &field(&pkcs1)).is_err());
        }
        // The mask is made with the hash function, too, so nothing is left of the message.
        let signature = openssl.sign(
            "key",
            &payload,
            "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:max",
        );
        let scheme = Scheme::ArduinoEsp32(Hash::Sha384);
        assert!(verify(scheme, &key, &payload, &field(&signature)).is_err());
    }

    let key = openssl.key("key", "prime256v1");
    assert_eq!(PublicKey::from_der(&key).unwrap().kind(), KeyKind::P256);
    for (hash, name) in names {
        let check = |payload: &[u8], field: &[u8], expected| {
            let result = verify(Scheme::ArduinoEsp32(hash), &key, payload, field);
            assert_eq!(result, expected, "{name}");
        };
        let signature = openssl.sign("key", &payload, name);
        check(&payload, &field(&signature), Ok(()));
        check(&payload, &signature, Ok(()));
        check(&payload[1..], &field(&signature), Err(SignatureError::OtherKeyOrBytes));
        check(&payload, &field(&[]), Err(SignatureError::NotEcdsa));
        check(&payload, &signature[..signature.len() - 1], Err(SignatureError::NotEcdsa));
    }
}
