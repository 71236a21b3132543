//! Public keys as OpenSSL writes them.

use updraft_core::signature::{Curve, KeyError, KeyKind, PublicKey};

use super::OpenSsl;
use crate::hex;

#[test]
fn keys_have_the_kind_and_the_fingerprint_that_openssl_gives_them() {
    let openssl = OpenSsl::new();
    for (kind, name) in [
        (KeyKind::Rsa2048, "rsa:2048"),
        (KeyKind::Rsa3072, "rsa:3072"),
        (KeyKind::Rsa4096, "rsa:4096"),
        (KeyKind::P256, "prime256v1"),
    ] {
        let der = openssl.key("key", name);
        let key = PublicKey::from_der(&der).unwrap();
        assert_eq!(key.kind(), kind);
        openssl.write("key.der", &der);
        let digest = String::from_utf8(openssl.run("dgst -sha256 -r key.der")).unwrap();
        assert_eq!(digest.split_whitespace().next().unwrap(), key.fingerprint().to_string());
        if kind != KeyKind::P256 {
            let pkcs1 = openssl.run("rsa -in key.pem -RSAPublicKey_out -outform DER");
            let same = PublicKey::from_pkcs1(&pkcs1).unwrap();
            assert_eq!(same, key);
            assert_eq!(same.fingerprint(), key.fingerprint());
        }
    }
    for exponent in ["3", "2147483649"] {
        openssl.run(&format!(
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 \
            -pkeyopt rsa_keygen_pubexp:{exponent} -out key.pem"
        ));
        let der = openssl.run("pkey -in key.pem -pubout -outform DER");
        openssl.write("key.der", &der);
        let digest = String::from_utf8(openssl.run("dgst -sha256 -r key.der")).unwrap();
        let key = PublicKey::from_der(&der).unwrap();
        assert_eq!(digest.split_whitespace().next().unwrap(), key.fingerprint().to_string());
    }
}

#[test]
fn a_key_of_no_use_is_named() {
    let openssl = OpenSsl::new();
    let check = |der: &[u8], expected| {
        assert_eq!(PublicKey::from_der(der).unwrap_err(), expected, "{}", hex(der));
    };
    check(&openssl.key("key", "rsa:1024"), KeyError::RsaSize { bits: 1024 });
    check(&openssl.key("key", "rsa:2056"), KeyError::RsaSize { bits: 2056 });
    for (name, curve) in [
        ("prime192v1", Some(Curve::P192)),
        ("secp224r1", Some(Curve::P224)),
        ("secp384r1", Some(Curve::P384)),
        ("secp521r1", Some(Curve::P521)),
        ("secp256k1", Some(Curve::Secp256k1)),
        ("brainpoolP256r1", None),
    ] {
        check(&openssl.key("key", name), KeyError::Curve(curve));
    }
    for algorithm in ["ED25519", "X25519"] {
        openssl.run(&format!("genpkey -algorithm {algorithm} -out key.pem"));
        check(&openssl.run("pkey -in key.pem -pubout -outform DER"), KeyError::Algorithm);
    }

    let mut p256 = openssl.key("key", "prime256v1");
    let compressed = openssl.run("ec -in key.pem -pubout -conv_form compressed -outform DER");
    check(&compressed, KeyError::Point);
    *p256.last_mut().unwrap() ^= 1;
    check(&p256, KeyError::Point);

    let rsa = openssl.key("key", "rsa:2048");
    for end in 0..rsa.len() {
        check(&rsa[..end], KeyError::NotAKey);
    }
    check(&[&rsa[..], &[0]].concat(), KeyError::NotAKey);
    check(&openssl.run("rsa -in key.pem -outform DER"), KeyError::NotAKey);
    // 65537, the exponent, stands at the end; before it its head, and the modulus's last byte.
    for (from_end, value) in [(1, 0), (6, 0)] {
        let mut odd = rsa.clone();
        let at = odd.len() - from_end;
        odd[at] = value;
        check(&odd, KeyError::RsaNumbers);
    }
    for exponent in [&[1][..], &[1, 2, 3, 4, 5, 6, 7, 8, 9]] {
        let modulus = [&[2, 0x82, 1, 1, 0][..], &[0xFF; 256]].concat();
        let exponent = [&[2, u8::try_from(exponent.len()).unwrap()], exponent].concat();
        let numbers = [modulus, exponent].concat();
        let length = u16::try_from(numbers.len()).unwrap().to_be_bytes();
        let pkcs1 = [&[0x30, 0x82], &length[..], &numbers].concat();
        assert_eq!(PublicKey::from_pkcs1(&pkcs1), Err(KeyError::RsaNumbers));
    }
}
