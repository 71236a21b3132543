//! Files that a device would take, and what is said of what was not checked.

use serde_json::Value;
use updraft_core::{Chip, FlashMode};
use updraft_pack::{Esp32Image, Esp8266Image};

use super::lab::{Lab, checks, field, raw, trailer};
use crate::images::{app, gzip, littlefs, sketch};

/// `file` fails no check; gives the report.
fn check(lab: &Lab, file: &[u8], options: &str) -> Value {
    let (report, code) = lab.verify(file, options);
    assert_eq!((code, &report["verdict"]), (Some(0), &"passed".into()), "{report:#}");
    assert_eq!(checks(&report, "failed"), []);
    report
}

fn names(report: &Value, outcome: &str) -> Vec<String> {
    checks(report, outcome).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn what_an_esp8266_takes_passes() {
    let lab = Lab::new();
    lab.write("running.bin", &Esp8266Image::new().filler(400_000, 9).build().unwrap());
    let report = check(&lab, &sketch(1), "");
    assert_eq!(names(&report, "not_checked"), ["chip", "room", "flash_size", "signature"]);
    let options = "--running running.bin --flash 4m2m --chip esp8266";
    let report = check(&lab, &sketch(1), options);
    assert_eq!(names(&report, "not_checked"), ["signature"]);
    let report = check(&lab, &gzip(&sketch(1)), options);
    assert_eq!(names(&report, "not_checked"), ["signature"]);
    assert!(names(&report, "passed").contains(&"inflate".to_owned()));
    // The mode can be rewritten.
    let dout = Esp8266Image::new().flash_mode(FlashMode::Dout).build().unwrap();
    check(&lab, &dout, options);
    check(&lab, &littlefs(), "--flash 4m1m");
    // Right up to the last sector: 491,520 bytes are 120 of them.
    let full = Esp8266Image::new().filler(491_520 - 4096 - 96, 3).build().unwrap();
    assert_eq!(full.len().next_multiple_of(4096), 491_520);
    check(&lab, &full, "--free-space 491520");
}

#[test]
fn what_an_esp32_takes_passes() {
    let lab = Lab::new();
    lab.write("running.bin", &app(Chip::Esp32C3, 9));
    let code = Esp32Image::new(Chip::Esp32C3).filler(70_000, 3).code(&[5; 400]).build().unwrap();
    let report = check(&lab, &code, "--running running.bin --flash default");
    assert_eq!(names(&report, "not_checked"), ["signature"]);
    lab.write("table.bin", &updraft_pack::partition_table());
    check(&lab, &app(Chip::Esp32S3, 1), "--chip ESP32-S3 --flash table.bin");
    check(&lab, &littlefs(), "--chip esp32 --flash default");
}

#[test]
fn signatures_of_openssl_hold() {
    let lab = Lab::new();
    let signed_by = |report: &Value, kind: &str| {
        assert_eq!(report["key"]["kind"], kind);
        assert!(names(report, "passed").contains(&"signature".to_owned()));
        let name = report["key"]["fingerprint"].as_str().unwrap();
        assert_eq!(name.len(), 64);
    };
    for (kind, name) in
        [("rsa:2048", "RSA-2048"), ("rsa:3072", "RSA-3072"), ("rsa:4096", "RSA-4096")]
    {
        lab.key("key", kind);
        for payload in [sketch(1), gzip(&sketch(1)), littlefs()] {
            let file = trailer(&payload, &lab.sign("key", &payload, "-sha256"));
            signed_by(&check(&lab, &file, "--key key.pub"), name);
        }
        for hash in ["sha256", "sha384", "sha512"] {
            let image = app(Chip::Esp32, 2);
            let options = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:max";
            let signature = lab.sign("key", &image, &format!("-{hash} {options}"));
            let report = check(&lab, &field(&image, &signature), "--key key.pub");
            signed_by(&report, name);
            // Which one the sketch chose no option says; most choose none.
            let is_usual = hash == "sha256";
            let not_checked = names(&report, "not_checked");
            assert_eq!(!not_checked.contains(&"verifier".to_owned()), is_usual);
        }
    }
    // PKCS#1, as `openssl rsa -RSAPublicKey_out` writes it.
    lab.run("openssl", "rsa -in key.pem -RSAPublicKey_out -out key.pub");
    let file = trailer(&sketch(1), &lab.sign("key", &sketch(1), "-sha256"));
    signed_by(&check(&lab, &file, "--key key.pub"), "RSA-4096");

    lab.key("ec", "prime256v1");
    let (sketch, image) = (sketch(1), app(Chip::Esp32, 2));
    let file = trailer(&sketch, &raw(&lab.sign("ec", &sketch, "-sha256")));
    let report = check(&lab, &file, "--key ec.pub");
    signed_by(&report, "P-256");
    assert!(names(&report, "not_checked").contains(&"verifier".to_owned()));
    for hash in ["sha256", "sha384", "sha512"] {
        let file = field(&image, &lab.sign("ec", &image, &format!("-{hash}")));
        signed_by(&check(&lab, &file, "--key ec.pub"), "P-256");
    }
}

#[test]
fn sectors_of_espsecure_hold() {
    let lab = Lab::new();
    let image = app(Chip::Esp32C6, 2);
    for (kind, name) in [("rsa:3072", "RSA-3072"), ("prime256v1", "P-256")] {
        lab.key("key", kind);
        let Some(file) = lab.secure_boot(&["key"], &image) else { return };
        let report = check(&lab, &file, "");
        assert!(names(&report, "passed").contains(&"signature_block".to_owned()));
        assert!(names(&report, "not_checked").contains(&"signature".to_owned()));
        let report = check(&lab, &file, "--key key.pub");
        assert_eq!(report["signer"], report["key"]);
        assert_eq!(report["key"]["kind"], name);
        assert!(names(&report, "passed").contains(&"signature".to_owned()));
    }
    let keys = ["one", "two", "three"];
    for name in keys {
        lab.key(name, "rsa:3072");
    }
    let file = lab.secure_boot(&keys, &image).unwrap();
    for name in keys {
        check(&lab, &file, &format!("--key {name}.pub"));
    }
}
