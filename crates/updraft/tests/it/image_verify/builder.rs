//! What our builder makes: whole files pass, and OpenSSL takes their signatures; of broken ones each
//! is refused by the check that is there for it.

use getrandom::SysRng;
use serde_json::Value;
use updraft_core::{Chip, Facts, Inspector, Signature};
use updraft_pack::{
    Esp32Defect, Esp32Image, Esp8266Defect, Esp8266Image, Format, Gzip, GzipDefect, SectorDefect,
    SignatureDefect, SigningKey, broken_secure_boot, compress, secure_boot, sign, sign_wrongly,
};

use super::lab::{Lab, checks};
use crate::images::{app, littlefs, sketch};

/// `file` fails just these checks.
fn check(lab: &Lab, what: &dyn std::fmt::Debug, file: &[u8], options: &str, expected: &[&str]) {
    let (report, code) = lab.verify(file, options);
    let failed = checks(&report, "failed");
    let names: Vec<_> = failed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, expected, "{what:?}: {failed:?}");
    assert_eq!(code, Some(i32::from(!expected.is_empty())), "{what:?}: {report:#}");
}

#[test]
fn each_defect_of_an_image_is_seen_by_its_check() {
    let lab = Lab::new();
    for (defect, expected) in [
        (Esp8266Defect::Truncated(100), &["structure"][..]),
        (Esp8266Defect::PayloadBit, &["checksum", "crc"]),
        (Esp8266Defect::Trailing(64), &["structure"]),
        (Esp8266Defect::FirstByte, &["kind"]),
        (Esp8266Defect::NoApplication, &["kind"]),
        (Esp8266Defect::NoBootLoader, &["kind"]),
        (Esp8266Defect::SegmentCount(0), &["structure"]),
        (Esp8266Defect::SegmentCount(17), &["structure"]),
        (Esp8266Defect::SegmentPastEnd, &["structure"]),
        (Esp8266Defect::BootChecksum, &["boot_checksum"]),
        (Esp8266Defect::CrcWord, &["crc"]),
        (Esp8266Defect::LengthWord, &["crc"]),
    ] {
        let file = Esp8266Image::new().filler(900, 1).defect(defect).build().unwrap();
        check(&lab, &defect, &file, "", expected);
    }
    let unsummed = Esp8266Image::new().filler(900, 1).without_crc();
    let file = unsummed.defect(Esp8266Defect::Checksum).build().unwrap();
    check(&lab, &"checksum", &file, "", &["checksum"]);

    for (defect, expected) in [
        (Esp32Defect::Truncated(10), &["structure"][..]),
        (Esp32Defect::PayloadBit, &["checksum", "hash"]),
        // Nothing reads what stands behind an application in its partition.
        (Esp32Defect::Trailing(64), &[]),
        (Esp32Defect::FirstByte, &["kind"]),
        (Esp32Defect::SegmentCount(0), &["structure"]),
        (Esp32Defect::SegmentCount(17), &["structure"]),
        (Esp32Defect::SegmentPastEnd, &["structure"]),
        (Esp32Defect::ChipId(0xFFFF), &["kind"]),
        (Esp32Defect::Checksum, &["checksum"]),
        (Esp32Defect::Hash, &["hash"]),
    ] {
        let file = Esp32Image::new(Chip::Esp32).filler(900, 1).defect(defect).build().unwrap();
        check(&lab, &defect, &file, "", expected);
    }
}

#[test]
fn each_defect_of_a_gzip_is_seen() {
    let lab = Lab::new();
    let gzip = Gzip::new(&sketch(1));
    check(&lab, &"whole", &gzip.build(), "", &[]);
    for (defect, expected) in [
        (GzipDefect::TrailingZeros(16), "gzip"),
        (GzipDefect::TrailingErased(16), "gzip"),
        (GzipDefect::TrailingGarbage(16), "gzip"),
        (GzipDefect::TwoMembers, "gzip"),
        (GzipDefect::SizeZero, "gzip"),
        (GzipDefect::SizeTooSmall, "gzip"),
        (GzipDefect::SizeTooBig, "gzip"),
        (GzipDefect::Crc, "gzip"),
        (GzipDefect::ReservedFlag, "gzip"),
        (GzipDefect::Method, "gzip"),
        (GzipDefect::Zlib, "kind"),
        (GzipDefect::Truncated(5), "structure"),
    ] {
        check(&lab, &defect, &gzip.broken(defect), "", &[expected]);
    }
    // Where damage to the data is noticed depends on the data.
    for defect in [GzipDefect::CutData, GzipDefect::DataBit] {
        let (report, code) = lab.verify(&gzip.broken(defect), "");
        assert_eq!(code, Some(1), "{defect:?}: {report:#}");
    }
}

/// Our key of that name, from OpenSSL's.
fn key(lab: &Lab, name: &str, kind: &str) -> SigningKey {
    lab.key(name, kind);
    let pem = std::fs::read_to_string(lab.path(&format!("{name}.pem"))).unwrap();
    SigningKey::from_pem(&pem).unwrap()
}

fn facts(file: &[u8]) -> Facts {
    let mut inspector = Inspector::new(file.len() as u64);
    inspector.update(file);
    inspector.finish()
}

/// OpenSSL's word on a signature of these bytes.
fn openssl(lab: &Lab, name: &str, payload: &[u8], signature: &[u8], options: &str) {
    lab.write("payload", payload);
    lab.write("signature", signature);
    let words = format!("dgst -sha256 -verify {name}.pub {options} -signature signature payload");
    assert_eq!(lab.run("openssl", &words), b"Verified OK\n");
}

#[test]
fn what_we_sign_holds_for_us_and_for_openssl() {
    let lab = Lab::new();
    let compressed = compress(&Esp8266Image::new().payload(&[7; 9000]).build().unwrap()).unwrap();
    for kind in ["rsa:2048", "rsa:3072", "rsa:4096", "prime256v1"] {
        let signing = key(&lab, "key", kind);
        let length = usize::from(signing.kind().signature_length());
        let is_rsa = kind.starts_with("rsa");
        for payload in [sketch(1), compressed.bytes.clone(), littlefs()] {
            let file = sign(&payload, &signing, Format::Esp8266, &mut SysRng).unwrap().bytes;
            assert_eq!(&file[..payload.len()], payload);
            check(&lab, &kind, &file, "--key key.pub", &[]);
            let signature = &file[payload.len()..][..length];
            if is_rsa {
                openssl(&lab, "key", &payload, signature, "");
            } else {
                openssl(&lab, "key", &payload, &der(signature), "");
            }
        }
        let payload = app(Chip::Esp32, 1);
        let file = sign(&payload, &signing, Format::ArduinoEsp32, &mut SysRng).unwrap().bytes;
        check(&lab, &kind, &file, "--key key.pub", &[]);
        let field = &file[payload.len()..];
        if is_rsa {
            let options = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:max";
            openssl(&lab, "key", &payload, &field[..length], options);
        } else {
            openssl(&lab, "key", &payload, &field[..usize::from(field[1]) + 2], "");
        }
    }
}

/// r and s in DER.
fn der(raw: &[u8]) -> Vec<u8> {
    let mut numbers = Vec::new();
    for half in raw.chunks(32) {
        let zeros = half.iter().take_while(|&&byte| byte == 0).count();
        let sign = usize::from(half[zeros] >= 0x80);
        numbers.extend([2, u8::try_from(half.len() - zeros + sign).unwrap()]);
        numbers.extend([0].repeat(sign));
        numbers.extend(&half[zeros..]);
    }
    [&[0x30, u8::try_from(numbers.len()).unwrap()], &numbers[..]].concat()
}

#[test]
fn each_defect_of_a_signature_is_seen() {
    let lab = Lab::new();
    let defects = [
        SignatureDefect::Bit,
        SignatureDefect::OtherBytes,
        SignatureDefect::OtherForm,
        SignatureDefect::Length,
    ];
    for kind in ["rsa:2048", "prime256v1"] {
        let signing = key(&lab, "key", kind);
        for (payload, format) in
            [(sketch(1), Format::Esp8266), (app(Chip::Esp32, 1), Format::ArduinoEsp32)]
        {
            for defect in defects {
                let file = sign_wrongly(&payload, &signing, format, defect, &mut SysRng).unwrap();
                let (report, code) = lab.verify(&file, "--key key.pub");
                assert_eq!(code, Some(1), "{kind} {format:?} {defect:?}: {report:#}");
                let failed = checks(&report, "failed");
                let names: Vec<_> = failed.iter().map(|(name, _)| name.as_str()).collect();
                assert!(names.contains(&"signature"), "{kind} {format:?} {defect:?}: {failed:?}");
            }
        }
    }
}

#[test]
fn our_secure_boot_sectors_hold_and_broken_ones_do_not() {
    let lab = Lab::new();
    let image = app(Chip::Esp32C6, 1);
    for kind in ["rsa:3072", "prime256v1"] {
        let [one, two] = ["one", "two"].map(|name| key(&lab, name, kind));
        let file = secure_boot(&image, &[&one, &two], &mut SysRng).unwrap();
        assert_eq!(facts(&file).signature, Some(Signature::SecureBootV2 { blocks: 2 }));
        for options in ["", "--key one.pub", "--key two.pub"] {
            check(&lab, &kind, &file, options, &[]);
        }
        for defect in [
            SectorDefect::Version,
            SectorDefect::Digest,
            SectorDefect::Signature,
            SectorDefect::Curve,
            SectorDefect::Crc,
        ] {
            if defect == SectorDefect::Curve && kind != "prime256v1" {
                continue;
            }
            let file = broken_secure_boot(&image, &[&one], defect, &mut SysRng).unwrap();
            // A version that nobody knows is not even a sector.
            let is_sector = facts(&file).signature.is_some();
            assert_eq!(is_sector, defect != SectorDefect::Version, "{defect:?}");
            let expected: &[_] = if is_sector { &["signature_block"] } else { &[] };
            check(&lab, &defect, &file, "", expected);
            let (report, code) = lab.verify(&file, "--key one.pub");
            assert_eq!(code, Some(1), "{kind} {defect:?}: {report:#}");
            // The second block is as good as ever.
            let both = broken_secure_boot(&image, &[&one, &two], defect, &mut SysRng).unwrap();
            let expected = Value::from(if is_sector { "passed" } else { "failed" });
            assert_eq!(lab.verify(&both, "--key two.pub").0["verdict"], expected, "{defect:?}");
        }
    }
}

#[test]
fn what_the_commands_make_the_command_takes() {
    let lab = Lab::new();
    let updraft = env!("CARGO_BIN_EXE_updraft");
    lab.write("door.bin", &Esp8266Image::new().payload(&[7; 9000]).build().unwrap());
    lab.write("gate.bin", &app(Chip::Esp32, 1));
    for kind in ["rsa-2048", "p256"] {
        lab.run(updraft, &format!("keys new --type {kind} -o {kind}.pem"));
        lab.run(updraft, &format!("keys new --type {kind} -o other-{kind}.pem"));
        for (file, options) in [("door", ""), ("door", "--compress"), ("gate", "")] {
            let words = format!("image sign {file}.bin --key {kind}.pem -o signed {options}");
            lab.run(updraft, &format!("{words} --force"));
            let signed = std::fs::read(lab.path("signed")).unwrap();
            check(&lab, &words, &signed, &format!("--key {kind}.pub.pem"), &[]);
            let other = format!("--key other-{kind}.pub.pem");
            check(&lab, &words, &signed, &other, &["signature"]);
        }
    }
    lab.run(updraft, "image compress door.bin -o door.bin.gz");
    check(&lab, &"compress", &std::fs::read(lab.path("door.bin.gz")).unwrap(), "", &[]);
}
