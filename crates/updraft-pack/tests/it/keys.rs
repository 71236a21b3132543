//! Keys are read from what OpenSSL writes, and OpenSSL reads ours.

use getrandom::SysRng;
use updraft_core::signature::{self, Curve, KeyKind};
use updraft_pack::{KeyError, PublicKey, SigningKey};

use crate::judges::{Judges, key, key_file};

#[test]
fn openssl_finds_the_same_public_keys() {
    let judges = Judges::new();
    for kind in KeyKind::ALL {
        let ours = key(kind);
        assert_eq!(ours.kind(), kind);
        let public = ours.public().unwrap();
        judges.write("key.pem", key_file(kind));
        assert_eq!(judges.openssl("pkey -in key.pem -pubout -outform DER"), public.der());
        assert_eq!(judges.openssl("pkey -in key.pem -pubout"), public.to_pem().unwrap().as_bytes());
        judges.write("spki.der", public.der());
        let sum = String::from_utf8(judges.openssl("dgst -sha256 -r spki.der")).unwrap();
        assert_eq!(sum.split_once(' ').unwrap().0, public.fingerprint().to_string());

        // What we write is read as the same key, by us and by OpenSSL.
        let text = ours.to_pem().unwrap();
        assert_eq!(SigningKey::from_pem(&text).unwrap().public().unwrap(), public);
        judges.write("ours.pem", text.as_bytes());
        assert!(judges.openssl_accepts("pkey -in ours.pem -check -noout"));
        assert_eq!(judges.openssl("pkey -in ours.pem -pubout -outform DER"), public.der());
    }
}

#[test]
fn every_form_of_key_file_is_read() {
    let judges = Judges::new();
    let check = |kind, forms: &[&str]| {
        judges.write("key.pem", key_file(kind));
        let expected = key(kind).public().unwrap();
        for form in forms {
            let text = String::from_utf8(judges.openssl(&format!("{form} -in key.pem"))).unwrap();
            let text = text.replace('\n', "\r\n");
            let public = if text.contains("PUBLIC") {
                PublicKey::from_pem(&text)
            } else {
                SigningKey::from_pem(&text).unwrap().public()
            };
            assert_eq!(public.unwrap(), expected, "{form}");
        }
    };
    let of_rsa =
        ["pkey", "rsa -traditional", "pkey -pubout", "rsa -RSAPublicKey_out", "pkey -text"];
    check(KeyKind::Rsa2048, &of_rsa);
    check(KeyKind::P256, &["pkey", "ec", "ec -pubout", "ec -pubout -conv_form compressed"]);
}

#[test]
fn a_new_key_is_one_that_openssl_accepts() {
    let judges = Judges::new();
    // RSA keys of the other sizes are made by the same code, in much more time.
    for kind in [KeyKind::P256, KeyKind::Rsa2048] {
        let [one, other] = [(); 2].map(|()| SigningKey::generate(kind, &mut SysRng).unwrap());
        assert_ne!(one.public().unwrap(), other.public().unwrap());
        assert_eq!(one.kind(), kind);
        judges.write("new.pem", one.to_pem().unwrap().as_bytes());
        assert!(judges.openssl_accepts("pkey -in new.pem -check -noout"));
    }
}

#[test]
fn what_is_no_key_for_this_is_named() {
    let judges = Judges::new();
    judges.write("key.pem", key_file(KeyKind::P256));
    let made = |words: &str| String::from_utf8(judges.openssl(words)).unwrap();
    let check = |text: &str, expected: KeyError| {
        assert_eq!(SigningKey::from_pem(text).unwrap_err(), expected);
    };
    check("no key", KeyError::NoKey);
    check(&made("pkey -in key.pem -pubout"), KeyError::Public);
    check(&made("pkey -in key.pem -aes256 -passout pass:secret"), KeyError::Encrypted);
    check(&made("ec -in key.pem -aes256 -passout pass:secret"), KeyError::Encrypted);
    judges.write("rsa.pem", key_file(KeyKind::Rsa2048));
    check(&made("req -x509 -key rsa.pem -subj /CN=x"), KeyError::Certificate);
    let small = KeyError::Unsupported(signature::KeyError::RsaSize { bits: 1024 });
    check(&made("genrsa 1024"), small.clone());
    check(&made("genrsa -traditional 1024"), small.clone());
    let curve = |curve| KeyError::Unsupported(signature::KeyError::Curve(curve));
    check(&made("ecparam -name secp384r1 -genkey -noout"), curve(Some(Curve::P384)));
    let other = "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1";
    check(&made(other), curve(Some(Curve::Secp256k1)));
    check(&made("ecparam -name brainpoolP256r1 -genkey -noout"), curve(None));
    let neither = KeyError::Unsupported(signature::KeyError::Algorithm);
    check(&made("genpkey -algorithm ED25519"), neither.clone());
    let text = key_file(KeyKind::Rsa3072);
    check(&text.replacen("MII", "MIJ", 1), KeyError::Damaged);
    check(&text[..text.len() / 2], KeyError::NoKey);

    let check = |text: &str, expected: KeyError| {
        assert_eq!(PublicKey::from_pem(text).unwrap_err(), expected);
    };
    check("no key", KeyError::NoKey);
    check(&key_file(KeyKind::P256), KeyError::Private);
    check(&made("pkey -in key.pem -aes256 -passout pass:secret"), KeyError::Private);
    check(&made("req -x509 -key rsa.pem -subj /CN=x"), KeyError::Certificate);
    judges.write("small.pem", made("genrsa 1024"));
    check(&made("pkey -in small.pem -pubout"), small);
    judges.write("ed25519.pem", made("genpkey -algorithm ED25519"));
    check(&made("pkey -in ed25519.pem -pubout"), neither);
    let text = made("pkey -in rsa.pem -pubout");
    check(&text.replacen("MII", "MIJ", 1), KeyError::Damaged);
    // The point is no longer on the curve.
    let text = made("pkey -in key.pem -pubout");
    check(&text.replacen("jwetw==", "jwetg==", 1), KeyError::Damaged);
}

#[test]
fn a_private_key_is_not_shown() {
    let key = key(KeyKind::P256);
    assert_eq!(format!("{key:?}"), "SigningKey(P256)");
}
