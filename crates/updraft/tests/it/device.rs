//! `updraft device` beside `updraft serve`: a simulated device updates itself.

use std::path::Path;

use serde_json::{Value, json};
use updraft_core::Chip;

use crate::api;
use crate::harness::{Server, setup, updraft};
use crate::images::{app, gzip, in_flash, md5, sketch};

/// What a device said, and its exit code.
struct Said {
    text: String,
    errors: String,
    code: Option<i32>,
}

impl Said {
    fn check(&self, code: i32, lines: &[&str]) {
        let mut rest = self.text.as_str();
        for line in lines {
            let found = rest.find(line);
            assert!(found.is_some(), "no {line:?} in order in {}{}", self.text, self.errors);
            rest = &rest[found.unwrap() + line.len()..];
        }
        assert_eq!(self.code, Some(code), "{}{}", self.text, self.errors);
    }
}

fn device(args: &[&str]) -> Said {
    let output = updraft().arg("device").args(args).output().unwrap();
    Said {
        text: String::from_utf8(output.stdout).unwrap(),
        errors: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code(),
    }
}

/// Has a device ask this server once, with its flash in a file.
fn ask(server: &Server, (chip, flash): (&str, &str), path: &str, file: &Path) -> Said {
    let url = format!("http://{}", server.address());
    let file = file.to_str().unwrap();
    let of = ["--chip", chip, "--flash", flash, "--flash-file", file];
    device(&[&of[..], &["--server", &url, "--path", path, "--once"]].concat())
}

#[test]
fn an_esp8266_updates_itself_and_then_is_up_to_date() {
    // The sketch that a device starts with runs in DIO, too.
    let new = sketch(11);
    let setup = setup().file("door.bin", &new).file("packed.bin.gz", gzip(&sketch(12)));
    let flash = setup.beside().join("flash.bin");
    let server = setup.start();
    let kind = ("esp8266", "4m2m");
    let runs = format!("{} bytes, MD5 {}", new.len(), md5(&in_flash(&new, 2)));
    let offered = format!("offered: {} bytes", new.len());

    let said = ask(&server, kind, "/door.bin", &flash);
    let update = ["check", &offered, "written: 100 %", "staged", "restart", "eboot: copied"];
    said.check(0, &[&update[..], &[&runs, "check", "nothing newer (304)"]].concat());
    ask(&server, kind, "/door.bin", &flash).check(0, &[&runs, "check", "nothing newer (304)"]);

    let said = ask(&server, kind, "/packed.bin.gz", &flash);
    said.check(0, &[&runs, "offered", "eboot: copied", &md5(&in_flash(&sketch(12), 2))]);
}

#[test]
fn an_esp32_updates_itself_confirms_and_then_is_up_to_date() {
    let new = app(Chip::Esp32C3, 11);
    let setup = setup().file("gate.bin", &new);
    let flash = setup.beside().join("flash.bin");
    let server = setup.start();
    let kind = ("esp32c3", "default");
    let runs = format!("from Ota(1): {} bytes, MD5 {}", new.len(), md5(&new));

    let said = ask(&server, kind, "/gate.bin", &flash);
    let update = ["version 0.0.0 from Ota(0)", "offered", "staged", "restart", "version 1.0.0"];
    said.check(0, &[&update[..], &[&runs, "confirmed", "nothing newer (304)"]].concat());

    // It was confirmed: a loss of power does not lead back.
    let said = ask(&server, kind, "/gate.bin", &flash);
    said.check(0, &[&runs, "nothing newer (304)"]);
    assert!(!said.text.contains("confirmed"), "{}", said.text);
}

#[test]
fn an_image_for_another_chip_is_refused_and_the_old_one_still_starts() {
    // The server sends it all the same: the device has to look for itself.
    let setup = setup().file("gate.bin", app(Chip::Esp32S3, 1)).args(&["--no-gate"]);
    let flash = setup.beside().join("flash.bin");
    let server = setup.start();
    let kind = ("esp32c3", "default");
    let said = ask(&server, kind, "/gate.bin", &flash);
    said.check(
        1,
        &[
            "version 0.0.0 from Ota(0)",
            "offered",
            "failed: Update error: Could Not Activate The Firmware (9)",
        ],
    );
    ask(&server, kind, "/none.bin", &flash)
        .check(1, &["version 0.0.0 from Ota(0)", "failed: File Not Found (404) (-102)"]);
}

#[test]
fn the_led_blinks_and_ends_dark() {
    let server = setup().file("door.bin", sketch(3)).start();
    let url = format!("http://{}", server.address());
    let args = ["--chip", "esp8266", "--server", &url, "--path", "door.bin", "--once", "--led"];
    let said = device(&args);
    said.check(0, &["●", "○\nstaged"]);
}

#[test]
fn wrong_usage_says_what_to_do() {
    let check = |args: &[&str], words: &str| {
        let said = device(args);
        assert_eq!(said.code, Some(2), "{}{}", said.text, said.errors);
        assert!(said.errors.contains(words), "{}", said.errors);
    };
    let chip = ["--chip", "esp8266"];
    let check_with = |args: &[&str], words: &str| check(&[&chip, args].concat(), words);
    check(&[], "--chip");
    check_with(&["--flash", "default"], "--flash default is not for the esp8266");
    check_with(&["--server", "https://there"], "has no TLS");
    check_with(&["--server", "there"], "--server http://HOST:PORT");
    check_with(&["--mac", "5C:CF"], "not a MAC address");
    check_with(&["--interval", "10"], "not a time");
    let setup = setup().file("small.bin", "x");
    let small = setup.catalog().join("small.bin");
    check_with(
        &["--flash-file", small.to_str().unwrap()],
        "it must be of a device with this --chip and --flash",
    );
    check_with(&["--user", "me"], "UPDRAFT_DEVICE_PASSWORD");
}

#[test]
fn a_device_that_leaves_the_choice_to_the_server_is_seen_to_run_it() {
    let setup = setup();
    let flash = setup.beside().join("flash.bin");
    let server = setup.start();
    let data = server.catalog().parent().unwrap().join("data");
    let token = api::token(&data, "boss", "admin");
    let does = |line: &str, body: &[u8]| -> Value {
        let answer = api::ask(&server, &token, line, body);
        assert!((200..300).contains(&answer.status), "{line}: {}", answer.status);
        serde_json::from_slice(&answer.body).unwrap()
    };
    let new = sketch(11);
    let image = does("POST /api/v1/images?name=door.bin", &new);
    let release = json!({ "product": "door", "version": "2.0.0", "images": [image["sha256"]] });
    does("POST /api/v1/releases", release.to_string().as_bytes());
    does("PUT /api/v1/products/door/channels/stable", br#"{ "version": "2.0.0" }"#);

    let kind = ("esp8266", "4m2m");
    let runs = format!("{} bytes, MD5 {}", new.len(), md5(&in_flash(&new, 2)));
    let file = flash.to_str().unwrap();
    let url = format!("http://{}", server.address());
    let of = ["--chip", kind.0, "--flash", kind.1, "--flash-file", file, "--server", &url];
    let asks = ["--path", "/update/door", "--version", "1.0.0", "--once"];
    let said = device(&[&of[..], &asks].concat());
    said.check(0, &["offered", "eboot: copied", &runs, "check", "nothing newer (304)"]);
    ask(&server, kind, "/update", &flash).check(0, &[&runs, "check", "nothing newer (304)"]);

    let devices = does("GET /api/v1/devices", b"");
    let seen = &devices["items"][0];
    assert_eq!(seen["reported"]["running"], md5(&in_flash(&new, 2)), "{seen}");
    let id = &seen["id"];
    let detail = does(&format!("GET /api/v1/devices/{id}"), b"");
    let attempts = detail["attempts"].as_array().unwrap();
    assert_eq!((attempts.len(), &attempts[0]["state"]), (1, &json!("running")), "{detail}");
}
