//! Keys are read from what OpenSSL writes, and OpenSSL reads ours.

use getrandom::SysRng;
use updraft_pack::{KeyError, KeyKind, PublicKey, SigningKey};

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
        assert_eq!(sum.split_once(' ').unwrap().0, hex(&public.fingerprint()));

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
            assert_eq!(PublicKey::from_pem(&text).unwrap(), expected, "{form}");
            if !text.contains("PUBLIC") {
                let key = SigningKey::from_pem(&text.replace('\n', "\r\n")).unwrap();
                assert_eq!(key.public().unwrap(), expected, "{form}");
            }
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
    check(&made("genrsa 1024"), KeyError::RsaSize { bits: 1024 });
    check(&made("genrsa -traditional 1024"), KeyError::RsaSize { bits: 1024 });
    check(&made("ecparam -name secp384r1 -genkey -noout"), KeyError::Curve);
    check(&made("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1"), KeyError::Curve);
    check(&made("genpkey -algorithm ED25519"), KeyError::Algorithm);
    let text = key_file(KeyKind::Rsa3072);
    check(&text.replacen("MII", "MIJ", 1), KeyError::Damaged);
    check(&text[..text.len() / 2], KeyError::NoKey);

    judges.write("small.pem", made("genrsa 1024"));
    let small = PublicKey::from_pem(&made("pkey -in small.pem -pubout"));
    assert_eq!(small, Err(KeyError::RsaSize { bits: 1024 }));
}

#[test]
fn a_private_key_is_not_shown() {
    let key = key(KeyKind::P256);
    assert_eq!(format!("{key:?}"), "SigningKey(P256)");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
