//! Every request that a stock client was seen to send, or sends by its source, byte for byte.

use updraft_agent::pull::{Credentials, Device, Evidence, Mode, Offers, Request, Url, UrlFault};
use updraft_core::OtaTarget;

use super::{ESP32, ESP8266, FILESYSTEM, SKETCH, digest, request, wire};

#[track_caller]
fn check(capture: &str, request: &Request<'_>) {
    assert_eq!(text(request), wire(capture), "{capture}");
}

fn text(request: &Request<'_>) -> String {
    let mut text = String::new();
    request.write(&mut text).unwrap();
    text
}

fn at(url: &str) -> Url<'_> {
    Url::parse(url).unwrap()
}

#[test]
fn an_esp8266_asks_as_captured() {
    let sketch = request(ESP8266, SKETCH);
    check("arduino_esp8266/sketch.http", &sketch);
    check("arduino_esp8266/sketch-noversion.http", &Request { version: None, ..sketch });
    check("arduino_esp8266/sketch-noversion.http", &Request { version: Some(""), ..sketch });
    let url = at("http://127.0.0.1:18112/ok?a=b%20c&d=1");
    check("arduino_esp8266/query.http", &Request { url, ..sketch });
    let credentials = Some(Credentials { user: "alice", password: "s3cret:x" });
    check("arduino_esp8266/auth.http", &Request { credentials, ..sketch });
    let url = at("http://alice:s3cret:x@127.0.0.1:18112/ok");
    check("arduino_esp8266/auth.http", &Request { url, ..sketch });
    let url = at("http://127.0.0.1:18112/fs");
    check("arduino_esp8266/fs.http", &Request { url, mode: FILESYSTEM, ..sketch });
    let url = at("http://127.0.0.1:18112/version");
    check("arduino_esp8266/version.http", &Request { url, mode: Mode::Version, ..sketch });
}

#[test]
fn an_esp8266_with_a_real_sketch_asks_as_captured() {
    let sketch_md5 = Some(digest("e224b5c7b46790ec6ad952b8c26df30a"));
    let device = Device { free_space: 1_830_912, sketch_size: 264_272, sketch_md5, ..ESP8266 };
    check("arduino_esp8266/real-sketch.http", &request(device, SKETCH));
    let sketch_md5 = Some(digest("3efb75911b5bedba688e4469db3ee44b"));
    let after = request(Device { sketch_md5, ..device }, SKETCH);
    let url = at("http://127.0.0.1:18112/304");
    check("arduino_esp8266/after-gz-update.http", &Request { url, version: None, ..after });
}

#[test]
fn an_esp32_asks_as_written() {
    let url = at("http://192.168.4.10:8000/update");
    let sketch = Request { url, ..request(ESP32, SKETCH) };
    check("arduino_esp32/sketch.http", &sketch);
    check("arduino_esp32/spiffs.http", &Request { mode: FILESYSTEM, ..sketch });
    let sdk_version = "v3.2.3-14-gd3e562907";
    let device = Device { sketch_md5: None, sdk_version, ..ESP32 };
    check("arduino_esp32/sketch-1.0.http", &Request { device, ..sketch });
    let sdk_version = "v5.1.4-586-ga5a2ec4b8d";
    let (base_mac, sta_mac, ap_mac) = (ESP32.sta_mac, None, None);
    let device = Device { base_mac, sta_mac, ap_mac, sdk_version, ..ESP32 };
    check("arduino_esp32/sketch-3.0-base-mac.http", &Request { device, ..sketch });
}

#[test]
fn an_esp32_sends_its_credentials_behind_connection() {
    let credentials = Some(Credentials { user: "alice", password: "pw" });
    let text = text(&Request { credentials, ..request(ESP32, SKETCH) });
    let fields =
        "Connection: close\r\nAuthorization: Basic YWxpY2U6cHc=\r\nCache-Control: no-cache";
    assert!(text.contains(fields), "{text}");
}

#[test]
fn autoconnect_downloads_as_its_source_says() {
    let url = Url::new("192.168.4.10", 8000, "fw/firmware-1.2.0.bin").unwrap();
    let request = Request::new(ESP8266, url, OtaTarget::Sketch);
    check("autoconnect/download-relative.http", &request);
}

#[test]
fn a_url_without_a_path_asks_for_the_root() {
    let url = at("http://ota.example");
    let text = text(&Request { url, ..request(ESP32, SKETCH) });
    assert!(text.starts_with("GET / HTTP/1.0\r\nHost: ota.example\r\n"), "{text}");
}

#[test]
fn evidence_is_in_the_query() {
    let check = |url, evidence, expected: &str| {
        let text = text(&Request { url: at(url), evidence, ..request(ESP8266, SKETCH) });
        let line = text.lines().next().unwrap();
        assert_eq!(line, format!("GET {expected} HTTP/1.0"));
    };
    let all = Evidence {
        last_error: Some(-104),
        reset_reason: Some(4),
        rssi: Some(-71),
        uptime_seconds: Some(60),
        offers: Offers::Unwanted,
    };
    check("http://h/u", Evidence::default(), "/u");
    check("http://h/u", all, "/u?e=-104&r=4&rssi=-71&up=60&hold=1");
    check("http://h", Evidence { rssi: Some(-71), ..Evidence::default() }, "/?rssi=-71");
    let hold = Evidence { offers: Offers::Unwanted, ..Evidence::default() };
    check("http://h/u?p=door", hold, "/u?p=door&hold=1");
}

#[test]
fn a_text_cannot_add_a_field() {
    let device = Device { sdk_version: "2.2\r\nx-a: b", ..ESP8266 };
    let text = text(&Request { version: Some("1.0\n\nx"), ..request(device, SKETCH) });
    assert!(text.contains("x-ESP8266-sdk-version: 2.2x-a: b\r\n"), "{text}");
    assert!(text.contains("x-ESP8266-version: 1.0x\r\n"), "{text}");
    assert_eq!(Url::parse("http://h/u HTTP/1.0\r\nx-a: b"), Err(UrlFault::Target));
}
