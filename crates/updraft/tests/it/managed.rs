//! Managed paths from outside: an unmodified sketch is registered, updated and watched, and each reason for
//! "no update" has its name.

use serde_json::{Value, json};

use crate::api::{ask, call, token};
use crate::harness::{ESP32, ESP8266, PATIENCE, Server, Setup, setup, wire};
use crate::images::{in_flash, md5, sketch};

const DEVICE: &str = "/api/v1/devices/5C:CF:7F:B1:E0:42";

/// A server with a product `door`, of which 1.4.2 is on the stable channel.
struct Fleet {
    server: Server,
    token: String,
    release: i64,
}

fn fleet() -> Fleet {
    fleet_of(setup())
}

fn fleet_of(setup: Setup) -> Fleet {
    let server = setup.start();
    let data = server.catalog().parent().unwrap().join("data");
    let token = token(&data, "boss", "admin");
    let image = ask(&server, &token, "POST /api/v1/images?name=door.bin", &sketch(1));
    let image: Value = serde_json::from_slice(&image.body).unwrap();
    let new = json!({ "product": "door", "version": "1.4.2", "images": [image["sha256"]] });
    let (_, release) = call(&server, &token, "POST /api/v1/releases", &new);
    let fleet = Fleet { release: release["id"].as_i64().unwrap(), server, token };
    fleet.does("PUT /api/v1/products/door/channels/stable", json!({ "version": "1.4.2" }));
    fleet
}

impl Fleet {
    fn does(&self, line: &str, body: impl Into<Option<Value>>) -> Value {
        let body = body.into().unwrap_or_default();
        let (status, answer) = call(&self.server, &self.token, line, &body);
        assert!((200..300).contains(&status), "{line}: {status} {answer}");
        answer
    }

    /// Waits for the device's one attempt to be in this state.
    fn attempt_is(&self, state: &str) {
        // Written just after the answer was sent; each look waits for the database.
        for _ in 0..1_000 {
            let device = self.does(&format!("GET {DEVICE}"), Value::Null);
            let attempts = device["attempts"].as_array().unwrap();
            if attempts.len() == 1 && attempts[0]["state"] == state {
                return;
            }
            std::thread::sleep(PATIENCE / 1_000);
        }
        panic!("the attempt never was {state}");
    }

    fn reason(&self, name: &str, part: &str) {
        let why = self.does(&format!("GET {DEVICE}/explain?part={part}"), Value::Null);
        assert_eq!(why["reason"], name, "{why}");
    }
}

/// The fields of an ESP8266, one of them replaced or added.
fn with(name: &str, value: &str) -> String {
    let start = format!("x-ESP8266-{name}:");
    let others = ESP8266.lines().filter(|line| !line.starts_with(&start));
    let mut lines: Vec<&str> = others.collect();
    let own = format!("{start} {value}");
    lines.push(&own);
    lines.join("\r\n") + "\r\n"
}

#[test]
fn an_unknown_device_is_registered_updated_and_seen_to_run_it() {
    let fleet = fleet();
    let image = sketch(1);
    let answer = fleet.server.send(wire("arduino_esp8266/sketch.http", "/update/door"));
    assert_eq!((answer.status, answer.field("x-md5")), (200, md5(&image).as_str()));
    assert_eq!(answer.body, image);
    fleet.attempt_is("delivered");
    let device = fleet.does(&format!("GET {DEVICE}"), Value::Null);
    assert_eq!((&device["product"], &device["family"]), (&json!("door"), &json!("esp8266")));

    // The device rewrites byte 2 of the header: each mode is the same image.
    for mode in [2, 0] {
        let fields = with("sketch-md5", &md5(&in_flash(&image, mode)));
        for path in ["/update/door", "/update"] {
            assert_eq!(fleet.server.get(path, &fields).status, 304);
        }
    }
    fleet.attempt_is("running");
    let why = fleet.does(&format!("GET {DEVICE}/explain"), Value::Null);
    assert_eq!(why["decision"], "up-to-date", "{why}");
    assert_eq!(fleet.server.get("/update/gate", &with("mode", "sketch")).status, 404);
}

#[test]
fn every_reason_for_no_update_is_named() {
    let check = |line: &str, body: Value, fields: &str, reason: &str| {
        let fleet = fleet();
        // It is registered by asking for the version, which sends nothing.
        assert_eq!(fleet.server.get("/update/door", &with("mode", "version")).status, 200);
        if !line.is_empty() {
            fleet.does(&line.replace("{release}", &fleet.release.to_string()), body);
        }
        assert_eq!(fleet.server.get("/update/door", fields).status, 304);
        let part = if fields.contains("spiffs") { "filesystem" } else { "sketch" };
        fleet.reason(reason, part);
    };
    let old = with("version", "1.0.0");
    let patch = format!("PATCH {DEVICE}");
    check(&patch, json!({ "block": true }), &old, "blocked");
    check(&patch, json!({ "hands_off": true }), &old, "hands_off");
    check("POST /api/v1/releases/{release}/yank", json!({ "reason": "it burns" }), &old, "yanked");
    check("", Value::Null, ESP8266, "unknown_build");
    check("", Value::Null, &with("version", "1.5.0"), "unknown_build");
    check("", Value::Null, &old.replace("1695744", "4096"), "too_large");
    check("", Value::Null, &old.replace("mode: sketch", "mode: spiffs"), "no_image");
    let replace = json!({ "unknown_build": "replace" });
    check("PATCH /api/v1/products/door", replace, &with("version", "1.5.0"), "downgrade");
    let floor = json!({ "floors": ["1.2.0"] });
    check("PATCH /api/v1/products/door", floor, &old, "floor_missing");
}

#[test]
fn a_device_of_the_other_family_gets_nothing() {
    let fleet = fleet();
    let fields = format!("{ESP32}x-ESP32-version: 1.0.0\r\n");
    assert_eq!(fleet.server.get("/update/door", &fields).status, 304);
    let line = "GET /api/v1/devices/24:0A:C4:00:00:01/explain";
    let why = fleet.does(line, Value::Null);
    assert_eq!(why["reason"], "wrong_family", "{why}");
}

#[test]
fn a_version_request_is_told_what_would_be_offered_and_opens_nothing() {
    let fleet = fleet();
    let answer = fleet.server.send(wire("arduino_esp8266/version.http", "/update/door"));
    assert_eq!((answer.status, answer.field("x-version")), (200, "1.4.2"));
    assert_eq!(answer.field("x-md5"), md5(&sketch(1)));
    let devices = fleet.does("GET /api/v1/devices", Value::Null);
    let id = &devices["items"][0]["id"];
    let device = fleet.does(&format!("GET /api/v1/devices/{id}"), Value::Null);
    assert_eq!(device["attempts"], json!([]));
}

#[test]
fn who_is_not_heard_is_not_registered() {
    let fleet = fleet();
    let modeless = ESP8266.replace("x-ESP8266-mode: sketch\r\n", "");
    assert_eq!(fleet.server.get("/update/door", &modeless).status, 403);
    assert_eq!(fleet.server.get("/update/door", "").status, 403);
    fleet.does("PATCH /api/v1/products/door", json!({ "unknown_devices": "closed" }));
    assert_eq!(fleet.server.get("/update/door", ESP8266).status, 403);
    let devices = fleet.does("GET /api/v1/devices", Value::Null);
    assert_eq!(devices["items"], json!([]));
}

#[test]
fn a_catalog_file_goes_before_the_managed_path_of_its_name() {
    let file = sketch(7);
    let fleet = fleet_of(setup().file("update/door.bin", &file));
    assert_eq!(fleet.server.get("/update/door.bin", ESP8266).body, file);
}

#[test]
fn one_address_registers_only_so_many_devices() {
    let fleet = fleet_of(setup().config("[fleet]\nnew_devices_per_address = 2\n"));
    let old = with("version", "1.0.0");
    let statuses: Vec<u16> = (1..=3)
        .map(|last| {
            let fields = old.replace("B1:E0:42", &format!("00:00:0{last}"));
            fleet.server.get("/update/door", &fields).status
        })
        .collect();
    assert_eq!(statuses, [200, 200, 304]);
}

#[test]
fn a_product_that_asks_for_a_secret_gives_nothing_without_it_and_nobody_logs_it() {
    let fleet = fleet();
    let auth = json!({ "auth": { "type": "path-token", "token": "open-sesame" } });
    fleet.does("PATCH /api/v1/products/door", auth);
    let old = with("version", "1.0.0");
    assert_eq!(fleet.server.get("/update/door", &old).status, 401);
    assert_eq!(fleet.server.get("/t/open-barley/update/door", &old).status, 401);
    assert_eq!(fleet.server.get("/t/open-sesame/update/door", &old).body, sketch(1));
    assert_eq!(fleet.server.get("/t/open-sesame/door.bin", &old).status, 404);
    fleet.attempt_is("delivered");
    let log = format!("{:?}", fleet.server.log());
    assert!(!log.contains("open-sesame") && !log.contains("open-barley"), "{log}");
}
