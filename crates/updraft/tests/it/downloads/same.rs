//! Devices that run the file already, and devices that ask for a version only.

use updraft_core::Chip;

use super::{check_image, check_not_modified, check_refused, with};
use crate::harness::{ESP32, ESP8266, setup};
use crate::images::{self, md5};

fn esp8266_runs(md5: &str) -> String {
    with(ESP8266, "x-ESP8266-sketch-md5", Some(md5))
}

fn esp32_runs(sha256: Option<&str>, md5: Option<&str>) -> String {
    with(&with(ESP32, "x-ESP32-sketch-sha256", sha256), "x-ESP32-sketch-md5", md5)
}

/// The ESP8266's updater rewrites the flash mode in byte 2 and reports the digest of what it wrote.
#[test]
fn an_esp8266_that_runs_the_file_in_any_flash_mode_is_up_to_date() {
    let door = images::sketch(1);
    let server = setup().file("door.bin", &door).file("old.bin", images::sketch(2)).start();
    server.scanned();
    for mode in 0..4 {
        let running = md5(&images::in_flash(&door, mode));
        for running in [running.to_uppercase(), running] {
            check_not_modified(&server.get("/door.bin", &esp8266_runs(&running)));
        }
    }
    let line = server.logged_request("/door.bin");
    assert_eq!((&line["status"], &line["runs"]), (&304.into(), &"door.bin".into()));
    assert_eq!(line["message"], "device asked /door.bin: 304, runs it already");

    // What it runs is known, and is another file. A mode that no ESP8266 has is another file, too.
    let answer = server.get("/door.bin", &esp8266_runs(&md5(&images::sketch(2))));
    check_image(&answer, "door.bin", &door);
    server.logged(|line| line["runs"] == "old.bin" && line["status"] == 200);
    for unknown in [md5(&images::in_flash(&door, 4)), String::new(), "zz".repeat(16)] {
        check_image(&server.get("/door.bin", &esp8266_runs(&unknown)), "door.bin", &door);
    }
    // The version has no say: it is the sketch's own word, and nobody knows the file's.
    let fields = format!("{ESP8266}x-ESP8266-version: 1.0.0\r\n");
    check_image(&server.get("/door.bin", &fields), "door.bin", &door);
}

/// Even if nobody asked for it before: it was found out for this very request.
#[test]
fn the_first_request_for_a_file_knows_it_as_running() {
    let door = images::sketch(1);
    let server = setup().start();
    std::fs::write(server.catalog().join("door.bin"), &door).unwrap();
    check_not_modified(&server.get("/door.bin", &esp8266_runs(&md5(&door))));
    assert_eq!(server.logged_request("/door.bin")["runs"], "door.bin");
}

/// A signature is behind the image, and no part of the sketch a device reports.
#[test]
fn a_signed_sketch_is_known_by_what_runs_of_it() {
    let door = images::sketch(1);
    let signed = images::signed(&door);
    let server = setup().file("door.bin", &signed).start();
    check_not_modified(&server.get("/door.bin", &esp8266_runs(&md5(&door))));
    check_image(&server.get("/door.bin", &esp8266_runs(&md5(&signed))), "door.bin", &signed);
}

#[test]
fn an_esp32_is_known_by_the_digest_at_the_end_of_the_image_before_all() {
    let gate = images::app(Chip::Esp32, 1);
    let (image, trailer) = gate.split_at(gate.len() - 32);
    assert_eq!(images::hex(trailer), images::sha256(image), "the builder appends it");
    let sha256 = images::hex(trailer).to_uppercase();
    let other = "0".repeat(64);
    let server = setup().file("gate.bin", &gate).start();
    for fields in [
        esp32_runs(Some(&sha256), None),
        esp32_runs(Some(&sha256.to_lowercase()), None),
        esp32_runs(Some(&sha256), Some(&"0".repeat(32))),
        esp32_runs(None, Some(&md5(&gate))),
        esp32_runs(None, Some(&md5(&gate).to_uppercase())),
    ] {
        check_not_modified(&server.get("/gate.bin", &fields));
    }
    for fields in [
        esp32_runs(None, None),
        esp32_runs(Some(&other), None),
        esp32_runs(Some(&other), Some(&md5(&gate))),
        esp32_runs(Some(&images::sha256(&gate)), None),
    ] {
        check_image(&server.get("/gate.bin", &fields), "gate.bin", &gate);
    }
}

#[test]
fn an_app_without_digest_is_known_by_its_md5() {
    let app = updraft_pack::Esp32Image::new(Chip::Esp32).without_hash().build().unwrap();
    let server = setup().file("app.bin", &app).start();
    let fields = esp32_runs(Some(&"0".repeat(64)), Some(&md5(&app)));
    check_not_modified(&server.get("/app.bin", &fields));
}

#[test]
fn a_device_gets_the_file_again_where_that_is_wanted() {
    let door = images::sketch(1);
    let fields = esp8266_runs(&md5(&door));
    let server = setup().file("door.bin", &door).args(&["--resend"]).start();
    check_image(&server.get("/door.bin", &fields), "door.bin", &door);
    let server = setup().file("door.bin", &door).config("[catalog]\nresend = true\n").start();
    check_image(&server.get("/door.bin", &fields), "door.bin", &door);
}

/// Tasmota takes a 304 for a success, and restarts.
#[test]
fn tasmota_always_gets_the_file() {
    let (door, gate) = (images::sketch(1), images::app(Chip::Esp32, 2));
    let server = setup().file("door.bin", &door).file("gate.bin", &gate).start();
    let fields = esp8266_runs(&md5(&door)) + "x-ESP8266-version: 13.4.0(tasmota)\r\n";
    check_image(&server.get("/door.bin", &fields), "door.bin", &door);
    let fields = esp32_runs(None, Some(&md5(&gate))) + "x-ESP32-version: 9.5.0.8(tasmota32)\r\n";
    check_image(&server.get("/gate.bin", &fields), "gate.bin", &gate);
    for other in ["13.4.0", "13.4.0(tasmota", "v13(x)"] {
        let fields = esp8266_runs(&md5(&door)) + &format!("x-ESP8266-version: {other}\r\n");
        check_not_modified(&server.get("/door.bin", &fields));
    }
}

/// A filesystem request carries the sketch's digest, which says nothing of the filesystem.
#[test]
fn a_filesystem_is_always_sent() {
    let (fs, door) = (images::littlefs(), images::sketch(1));
    let server = setup().file("fs.bin", &fs).file("door.bin", &door).start();
    let asks = |md5: &str| with(&esp8266_runs(md5), "x-ESP8266-mode", Some("spiffs"));
    check_image(&server.get("/fs.bin", &asks(&md5(&fs))), "fs.bin", &fs);
    // Not even for the sketch it runs would that be an answer.
    check_refused(&server.get("/door.bin", &asks(&md5(&door))), 403);
}

/// The compressed bytes are checked on the way, the inflated ones run afterwards.
#[test]
fn a_gzip_goes_with_its_own_md5_and_runs_as_what_is_inside() {
    let door = images::sketch(1);
    let gzip = images::gzip(&door);
    let server = setup().file("door.bin.gz", &gzip).start();
    check_image(&server.get("/door.bin.gz", ESP8266), "door.bin.gz", &gzip);
    for mode in 0..4 {
        let running = md5(&images::in_flash(&door, mode));
        check_not_modified(&server.get("/door.bin.gz", &esp8266_runs(&running)));
    }
    check_image(&server.get("/door.bin.gz", &esp8266_runs(&md5(&gzip))), "door.bin.gz", &gzip);
}

/// A digest stays known when its file is gone from the catalog: devices go on running it.
#[test]
fn what_a_device_runs_is_known_after_its_file_was_replaced() {
    let (old, new) = (images::sketch(1), images::sketch(2));
    let server = setup().file("door.bin", &old).start();
    check_image(&server.get("/door.bin", ESP8266), "door.bin", &old);
    std::fs::write(server.catalog().join("door.bin"), &new).unwrap();
    check_image(&server.get("/door.bin", &esp8266_runs(&md5(&old))), "door.bin", &new);
    server.logged(|line| line["runs"] == "door.bin" && line["status"] == 200);
    check_not_modified(&server.get("/door.bin", &esp8266_runs(&md5(&new))));
}

/// `getAvailableVersion` wants 200, an empty body and a version, and takes a 304 for an error.
#[test]
fn a_version_is_told_and_never_an_empty_one() {
    let (door, gate) = (images::sketch(1), images::app(Chip::Esp32, 2));
    let server = setup()
        .file("door.bin", &door)
        .file("gate.bin", &gate)
        .file("garbage.bin", images::unknown(999))
        .start();
    let asks = |fields: &str| {
        let name = if fields.contains("ESP32") { "x-ESP32-mode" } else { "x-ESP8266-mode" };
        with(fields, name, Some("version"))
    };
    let version = |fields: &str, version: &str| format!("{fields}x-ESP8266-version: {version}\r\n");
    let check = |target: &str, fields: &str, version: &str, md5: Option<String>| {
        let answer = server.get(target, &asks(fields));
        let mut expected =
            vec![("x-version", version), ("Content-Length", "0"), ("Connection", "close")];
        expected.extend(md5.as_deref().map(|md5| ("x-MD5", md5)));
        answer.check_head(200, &expected);
        assert_eq!(answer.text(), "");
    };
    let runs_door = esp8266_runs(&md5(&door));
    // An ESP8266 image holds no version: the device hears its own again.
    check("/door.bin", &version(ESP8266, "1.0.0"), "1.0.0", Some(md5(&door)));
    check("/door.bin", &version(&runs_door, "1.0.0"), "1.0.0", Some(md5(&door)));
    check("/door.bin", ESP8266, "unknown", Some(md5(&door)));
    check("/door.bin", &version(ESP8266, ""), "unknown", Some(md5(&door)));
    let garbage = md5(&images::unknown(999));
    check("/garbage.bin", &version(ESP8266, "1.0.0"), "1.0.0", Some(garbage));
    // An ESP32 image does.
    check("/gate.bin", ESP32, "1.0.0", Some(md5(&gate)));
    check("/gate.bin", &format!("{ESP32}x-ESP32-version: 0.9\r\n"), "1.0.0", Some(md5(&gate)));
    // What it would not be sent is no version to it.
    check("/gate.bin", &version(ESP8266, "0.9"), "0.9", None);
    check("/door.bin", &format!("{ESP32}x-ESP32-version: 0.9\r\n"), "0.9", None);

    check_refused(&server.get("/none.bin", &asks(ESP8266)), 404);
    let captured = crate::harness::wire("arduino_esp8266/version.http", "/door.bin");
    let answer = server.send(captured);
    assert_eq!((answer.status, answer.field("x-version")), (200, "1.0.0"));
}
