//! Downloads over the wire: the captured requests and what else real clients send, against a catalog of
//! built images. Answers are compared field by field, bodies byte by byte.

mod connections;
mod gates;
mod ranges;
mod same;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;
use updraft_core::Chip;

use crate::harness::{Answer, ESP32, ESP8266, Setup, setup, wire};
use crate::images;

/// Checks an answer that sends an image on a connection that ends with it.
fn check_image(answer: &Answer, disposition: &str, body: &[u8]) {
    answer.check_head(
        200,
        &[
            ("Content-Type", "application/octet-stream"),
            ("Content-Disposition", &format!("attachment; filename={disposition}")),
            ("Content-Length", &body.len().to_string()),
            ("x-MD5", &images::md5(body)),
            ("ETag", &format!("\"{}\"", images::sha256(body))),
            ("Accept-Ranges", "bytes"),
            ("Connection", "close"),
        ],
    );
    assert!(answer.body == body, "another body than {disposition}");
    // An ESP32 looks for the first body byte once, right after the head.
    let together = answer.first_read.len() - answer.head.len() - 2;
    assert!(together >= body.len().min(16), "only {together} bytes came with the head");
}

/// Checks an answer that says no to an updater: a code and nothing else.
fn check_refused(answer: &Answer, status: u16) {
    answer.check_head(status, &[("Content-Length", "0"), ("Connection", "close")]);
    assert_eq!(answer.text(), "");
}

/// Checks an answer that says that there is nothing new.
fn check_not_modified(answer: &Answer) {
    answer.check_head(304, &[("Connection", "close")]);
    assert_eq!(answer.text(), "");
}

/// A device's header fields with one of them set to something else, or left out.
fn with(fields: &str, name: &str, value: Option<&str>) -> String {
    let other = |line: &&str| !line.starts_with(&format!("{name}:"));
    let others: String = fields.split_inclusive("\r\n").filter(other).collect();
    match value {
        Some(value) => format!("{others}{name}: {value}\r\n"),
        None => others,
    }
}

/// A sketch and an application.
fn catalog() -> (Setup, [Vec<u8>; 2]) {
    let files = [images::sketch(1), images::app(Chip::Esp32, 2)];
    (setup().file("door.bin", &files[0]).file("gate.bin", &files[1]), files)
}

/// What each of the requests in `testdata/wire` gets for a file that suits it.
#[test]
fn every_captured_request_gets_its_file() {
    let (door, gate, fs) = (images::sketch(1), images::app(Chip::Esp32, 2), images::littlefs());
    let (esp8266, esp32) = ("5C:CF:7F:B1:E0:42", "24:6F:28:AE:12:34");
    let requests = [
        ("arduino_esp8266/sketch", "/a.bin", &door, esp8266, Some("1.0.0")),
        ("arduino_esp8266/sketch-noversion", "/b.bin", &door, esp8266, None),
        ("arduino_esp8266/query", "/c.bin?a=b%20c&d=1", &door, esp8266, Some("1.0.0")),
        ("arduino_esp8266/auth", "/d.bin", &door, esp8266, Some("1.0.0")),
        ("arduino_esp8266/real-sketch", "/e.bin", &door, esp8266, Some("1.0.0")),
        ("arduino_esp8266/after-gz-update", "/f.bin", &door, esp8266, None),
        ("arduino_esp8266/fs", "/g.bin", &fs, esp8266, Some("1.0.0")),
        ("arduino_esp32/sketch", "/h.bin", &gate, esp32, Some("1.0.0")),
        ("arduino_esp32/sketch-1.0", "/i.bin", &gate, esp32, Some("1.0.0")),
        ("arduino_esp32/sketch-3.0-base-mac", "/j.bin", &gate, esp32, Some("1.0.0")),
        ("arduino_esp32/spiffs", "/k.bin", &fs, esp32, Some("1.0.0")),
        ("autoconnect/download-relative", "fw/l.bin", &door, esp8266, None),
    ];
    let path = |target: &'static str| target.split('?').next().unwrap();
    let mut setup = setup();
    for (_, target, body, ..) in requests {
        setup = setup.file(path(target).trim_start_matches('/'), body);
    }
    let server = setup.start();

    for (request, target, body, device, version) in requests {
        let path = path(target);
        let answer = server.send(wire(&format!("{request}.http"), target));
        check_image(&answer, path.rsplit('/').next().unwrap(), body);
        let line = server.logged_request(path);
        assert_eq!(line["message"], format!("device asked {path}: 200, sent"));
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["device"], device, "{line}");
        assert_eq!(line["status"], 200, "{line}");
        assert_eq!(line["bytes_acknowledged"], body.len(), "{line}");
        assert_eq!(line["version"].as_str(), version, "{line}");
        assert_eq!((&line["runs"], &line["peer"]), (&Value::Null, &Value::Null), "{line}");
    }
}

/// What the captured answer of `updateserver.py` says of its file, ours says of the same.
#[test]
fn the_head_says_what_the_captured_one_does() {
    let server = setup().file("firmware-1.1.0.bin", images::sketch(1)).start();
    let answer = server.send(wire("arduino_esp8266/sketch.http", "/firmware-1.1.0.bin"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/wire/autoconnect/firmware-response-head.http");
    for line in fs::read_to_string(path).unwrap().lines().skip(1).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap();
        match name {
            "Server" => {}
            "Date" | "Content-Length" | "x-MD5" => assert_ne!(answer.field(name), ""),
            _ => assert_eq!(answer.field(name), value, "{name}"),
        }
    }
}

/// After a redirect the ESP8266's client has lost what it is known by.
#[test]
fn the_request_after_a_redirect_is_refused() {
    let (setup, [door, _]) = catalog();
    let server = setup.start();
    for name in ["redirect-followed", "auth-redir-followed"] {
        let both = wire(&format!("arduino_esp8266/{name}.http"), "/door.bin");
        let both = String::from_utf8(both).unwrap();
        let (before, after) = both.split_once("\r\n\r\n").unwrap();
        check_image(&server.send(format!("{before}\r\n\r\n")), "door.bin", &door);
        check_refused(&server.send(after.replace("GET /ok ", "GET /door.bin ")), 403);
    }
}

#[test]
fn credentials_do_not_get_into_the_log() {
    let (setup, _) = catalog();
    let server = setup.start();
    server.send(wire("arduino_esp8266/auth.http", "/door.bin?token=s3cret"));
    server.logged_request("/door.bin");
    let log = format!("{:?}", server.log());
    assert!(log.contains("Authorization: [not logged]"), "{log}");
    assert!(!log.contains("YWxpY2U6czNjcmV0Ong=") && !log.contains("s3cret"), "{log}");
}

/// Header names are nobody's to rely on: neither their case nor their order, nor that all are there.
#[test]
fn header_fields_are_read_in_any_case_and_order() {
    let (setup, [door, gate]) = catalog();
    let server = setup.start();
    for (fields, target, body) in [(ESP8266, "/door.bin", &door), (ESP32, "/gate.bin", &gate)] {
        let recased = |recase: fn(&str) -> String| -> String {
            let lines = fields.lines().map(|line| line.split_once(':').unwrap());
            lines.flat_map(|(name, value)| [recase(name), format!(":{value}\r\n")]).collect()
        };
        let reversed: String = fields.split_inclusive('\n').rev().collect();
        for fields in [
            recased(str::to_lowercase),
            recased(str::to_uppercase),
            reversed,
            fields.replace(": ", ":\t "),
            fields.replace("\r\n", " \r\n"),
        ] {
            check_image(&server.get(target, &fields), target.trim_start_matches('/'), body);
        }
        let request = format!("GET {target} HTTP/1.0\n{}\n", fields.replace("\r\n", "\n"));
        check_image(&server.send(request), target.trim_start_matches('/'), body);
    }
}

/// One name is enough to be heard; `updateserver.py` wanted seven fields.
#[test]
fn a_mac_or_a_chip_id_is_enough() {
    let (setup, [door, gate]) = catalog();
    let server = setup.start();
    for (fields, device) in [
        ("x-ESP8266-STA-MAC: 5c-cf-7f-00-00-01", "5C:CF:7F:00:00:01"),
        ("x-ESP8266-Chip-ID: 11657282", "chip 11657282"),
        ("x-ESP8266-STA-MAC: 00:00:00:00:00:00\r\nx-ESP8266-Chip-ID: 7", "chip 7"),
    ] {
        let fields = format!("User-Agent: ESP8266-http-Update\r\n{fields}\r\n");
        check_image(&server.get("/door.bin", &fields), "door.bin", &door);
        server.logged(|line| line["device"] == device && line["status"] == 200);
    }
    let fields = "User-Agent: ESP32-http-Update/1.2\r\nx-ESP32-BASE-MAC: 24:0A:C4:00:00:09\r\n";
    check_image(&server.get("/gate.bin", fields), "gate.bin", &gate);
    server.logged(|line| line["device"] == "24:0A:C4:00:00:09");
}

#[test]
fn every_spelling_of_a_target_finds_its_file() {
    let (door, sub) = (images::sketch(1), images::sketch(2));
    let server = setup()
        .file("door.bin", &door)
        .file("fw/x.bin", &sub)
        .file("fw/inner/y.bin", &door)
        .file("door v2.bin", &sub)
        .file("fährte.bin", &sub)
        .file("a\"b\\c.bin", &sub)
        .file("50%.bin", &sub)
        .file("a+b.bin", &sub)
        .file("a%20b.bin", &sub)
        .start();
    for (target, disposition, body) in [
        ("/door.bin", "door.bin", &door),
        ("door.bin", "door.bin", &door),
        ("./door.bin", "door.bin", &door),
        ("/./door.bin", "door.bin", &door),
        ("//door.bin", "door.bin", &door),
        ("/door.bin?v=1", "door.bin", &door),
        ("door.bin?v=1&w=a/b?c", "door.bin", &door),
        ("/%64oor.bin", "door.bin", &door),
        ("http://updates.lan:8000/door.bin", "door.bin", &door),
        ("HTTP://updates.lan/door.bin?v=1", "door.bin", &door),
        ("fw/x.bin", "x.bin", &sub),
        ("/fw/x.bin", "x.bin", &sub),
        ("./fw/x.bin", "x.bin", &sub),
        ("fw//x.bin", "x.bin", &sub),
        ("/fw%2Fx.bin", "x.bin", &sub),
        ("/fw/inner/y.bin", "y.bin", &door),
        ("/door%20v2.bin", "\"door v2.bin\"", &sub),
        ("/fährte.bin", "\"fährte.bin\"", &sub),
        ("/f%C3%A4hrte.bin", "\"fährte.bin\"", &sub),
        ("/a%22b%5Cc.bin", "\"a\\\"b\\\\c.bin\"", &sub),
        ("/50%.bin", "50%.bin", &sub),
        ("/50%25.bin", "50%.bin", &sub),
        ("/a+b.bin", "a+b.bin", &sub),
        ("/a%2520b.bin", "a%20b.bin", &sub),
    ] {
        check_image(&server.get(target, ESP8266), disposition, body);
    }
}

#[test]
fn an_updater_that_asks_for_what_is_not_there_gets_a_bare_404() {
    let setup = setup()
        .file("door.bin", images::sketch(1))
        .file("fw/x.bin", images::sketch(1))
        .file("folder.bin/x.bin", images::sketch(1))
        .file("README.md", "")
        .file(".hidden.bin", images::sketch(1));
    fs::create_dir(setup.beside().join("fw-secret")).unwrap();
    fs::write(setup.beside().join("fw-secret/x.bin"), images::sketch(2)).unwrap();
    symlink("../fw-secret/x.bin", setup.catalog().join("link.bin")).unwrap();
    let server = setup.start();
    for target in [
        "/",
        ".",
        "/?v=1",
        "/none.bin",
        "/Door.bin",
        "/fw",
        "/fw/",
        "/folder.bin",
        "/README.md",
        "/.hidden.bin",
        "/link.bin",
        "/healthz",
        "/assets/updraft.css",
        "/_catalog/",
        // Nothing leads out.
        "/../fw-secret/x.bin",
        "../fw-secret/x.bin",
        "/fw/../../fw-secret/x.bin",
        "/%2e%2e/fw-secret/x.bin",
        "/..%2ffw-secret%2fx.bin",
        "/..\\fw-secret\\x.bin",
        "/../../../../../../etc/passwd",
        "//etc/passwd",
        "/%00.bin",
        "/door.bin%00",
        "/door.bin%0d%0aSet-Cookie:a=b",
        "/%ff.bin",
        "http://updates.lan",
    ] {
        check_refused(&server.get(target, ESP8266), 404);
    }
    let line = server.logged_request("/none.bin");
    assert_eq!(line["message"], "device asked /none.bin: 404, there is no such file");
    let unknown_mode = with(ESP8266, "x-ESP8266-mode", Some("nvs"));
    check_refused(&server.get("/door.bin", &unknown_mode), 404);
    server.logged(|line| {
        line["message"] == "updater asked /door.bin: 404, the updater asks for an unknown mode"
    });
}

#[test]
fn who_is_no_updater_is_told_so() {
    let (setup, _) = catalog();
    let server = setup.start();
    for fields in [
        "",
        "User-Agent: Mozilla/5.0\r\n",
        "User-Agent: ESP8266HTTPClient\r\n",
        "User-Agent: curl ESP8266-http-Update\r\nx-ESP8266-STA-MAC: 5C:CF:7F:B1:E0:42\r\n",
        "x-ESP8266-STA-MAC: 5C:CF:7F:B1:E0:42\r\nx-ESP8266-mode: sketch\r\n",
    ] {
        for target in ["/door.bin", "/none.bin", "/../x", "/_catalog/"] {
            let answer = server.get(target, fields);
            let text = answer.text();
            assert!(text.starts_with("Only an ESP8266 or ESP32 HTTP updater can fetch this."));
            answer.check_head(
                403,
                &[
                    ("Content-Type", "text/plain; charset=utf-8"),
                    ("Content-Length", &text.len().to_string()),
                    ("Connection", "close"),
                ],
            );
        }
    }
    let line = server.logged_request("/none.bin");
    assert_eq!(line["message"], "client asked /none.bin: 403, not an updater");
    assert_eq!(line["peer"], "127.0.0.1");
}

#[test]
fn an_updater_without_a_name_is_refused_without_a_word() {
    let (setup, _) = catalog();
    let server = setup.start();
    for fields in [
        "User-Agent: ESP8266-http-Update\r\n",
        "User-Agent: ESP32-http-Update\r\nx-ESP32-mode: sketch\r\n",
        "User-Agent: ESP32-http-Update\r\nx-ESP8266-STA-MAC: 5C:CF:7F:B1:E0:42\r\n",
        "User-Agent: ESP8266-http-Update\r\nx-ESP8266-STA-MAC: FF:FF:FF:FF:FF:FF\r\n",
        "User-Agent: ESP8266-http-Update\r\nx-ESP8266-AP-MAC: 5E:CF:7F:B1:E0:42\r\n",
    ] {
        for target in ["/door.bin", "/none.bin"] {
            check_refused(&server.get(target, fields), 403);
        }
    }
    let message = "updater asked /none.bin: 403, the updater names neither a MAC nor a chip id";
    assert_eq!(server.logged_request("/none.bin")["message"], message);
}

/// What two readers could take in two ways is answered by none.
#[test]
fn requests_that_are_not_clear_are_refused() {
    let (setup, _) = catalog();
    let server = setup.start();
    let mac = "x-esp8266-sta-mac: 5C:CF:7F:00:00:02\r\n";
    for request in [
        "GET /door v2.bin HTTP/1.0\r\n\r\n".to_owned(),
        format!("GET /door.bin HTTP/1.0\r\n{ESP8266}{mac}\r\n"),
        format!("GET /door.bin HTTP/1.0\r\n{ESP8266}Content-Length: 5\r\n\r\nhello"),
        format!("GET /door.bin HTTP/1.1\r\n{ESP8266}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("GET /door.bin HTTP/1.1\r\n{ESP8266}Host: a\r\nHost: b\r\n\r\n"),
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}".to_owned(),
    ] {
        check_refused(&server.send(&request), 400);
    }
    server.logged(|line| line["message"].as_str().is_some_and(|m| m.starts_with("refused: ")));
}
