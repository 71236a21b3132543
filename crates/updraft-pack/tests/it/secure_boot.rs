//! Secure boot version 2, judged by Espressif's espsecure.

use std::process::Output;

use getrandom::SysRng;
use updraft_core::Chip;
use updraft_core::signature::KeyKind;
use updraft_pack::{Esp32Image, SectorDefect, SigningKey, broken_secure_boot, secure_boot};

use crate::judges::{Judges, espressif, inspect, key};

fn app() -> Vec<u8> {
    Esp32Image::new(Chip::Esp32C3).filler(500, 1).build().unwrap()
}

/// What espsecure says of `file` and `key`, if it is there.
fn verify(file: &[u8], key: &SigningKey) -> Option<Output> {
    let judges = Judges::new();
    judges.write("app.bin", file);
    judges.write("key.pem", key.public().unwrap().to_pem().unwrap());
    let espsecure = espressif("espsecure")?;
    Some(judges.run(espsecure, "verify-signature --version 2 --keyfile key.pem app.bin"))
}

#[test]
fn espsecure_accepts_every_block() {
    let [rsa, p256] = [KeyKind::Rsa3072, KeyKind::P256].map(key);
    let other = SigningKey::generate(KeyKind::P256, &mut SysRng).unwrap();
    for keys in [&[&rsa][..], &[&p256], &[&p256, &other]] {
        let file = secure_boot(&app(), keys, &mut SysRng).unwrap();
        assert_eq!(file.len() % 4096, 0);
        let signature = inspect(&file).signature.unwrap().to_string();
        assert!(signature.starts_with("secure boot v2"), "{signature}");
        for key in keys {
            let Some(output) = verify(&file, key) else { return };
            assert!(output.status.success(), "{key:?}: {output:?}");
        }
        let stranger = SigningKey::generate(KeyKind::P256, &mut SysRng).unwrap();
        assert!(!verify(&file, &stranger).unwrap().status.success());
    }
}

#[test]
fn espsecure_refuses_every_wrong_sector() {
    let p256 = [SectorDefect::Curve];
    let both = [
        SectorDefect::Magic,
        SectorDefect::Version,
        SectorDefect::Digest,
        SectorDefect::Signature,
        SectorDefect::Crc,
    ];
    for (kind, defects) in
        [(KeyKind::Rsa3072, &both[..]), (KeyKind::P256, &both), (KeyKind::P256, &p256)]
    {
        let key = key(kind);
        for &defect in defects {
            let file = broken_secure_boot(&app(), &[&key], defect, &mut SysRng).unwrap();
            let Some(output) = verify(&file, &key) else { return };
            assert!(!output.status.success(), "{kind} {defect:?}: {output:?}");
        }
    }
}

#[test]
fn keys_that_the_rom_does_not_know_are_refused() {
    let error = secure_boot(&app(), &[&key(KeyKind::Rsa2048)], &mut SysRng).unwrap_err();
    let expected = "secure boot version 2 takes an RSA-3072 or P-256 key, not RSA-2048";
    assert_eq!(error.to_string(), expected);
}
