//! Several requests on one connection, several connections of one device, and devices that stall.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;
use updraft_core::Chip;

use super::{check_image, check_not_modified, check_refused, with};
use crate::harness::{ESP32, ESP8266, Server, Setup, read_answer, read_next, setup};
use crate::images;

/// More than the sockets of both sides take before anyone reads.
const LARGE: usize = 8 << 20;

/// A device of its own for each number, with room for anything.
fn device(number: u8) -> String {
    let mac = format!("5C:CF:7F:00:00:{number:02X}");
    let roomy = with(ESP8266, "x-ESP8266-free-space", Some("1000000000"));
    with(&roomy, "x-ESP8266-STA-MAC", Some(&mac))
}

fn large() -> (Setup, Vec<u8>) {
    let large = images::unknown(LARGE);
    (setup().file("large.bin", &large).file("door.bin", images::sketch(1)), large)
}

/// Starts a download and reads its first bytes, no more.
fn begin(server: &Server, fields: &str) -> TcpStream {
    let mut stream = server.connect();
    stream.write_all(format!("GET /large.bin HTTP/1.0\r\n{fields}\r\n").as_bytes()).unwrap();
    let mut start = [0; 15];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200 OK");
    stream
}

fn ask(stream: &mut TcpStream, line: &str, fields: &str) {
    stream.write_all(format!("{line} HTTP/1.1\r\n{fields}\r\n").as_bytes()).unwrap();
}

#[test]
fn a_connection_of_http_1_1_carries_many_downloads() {
    let (door, gate) = (images::sketch(1), images::app(Chip::Esp32, 2));
    let server = setup().file("door.bin", &door).file("gate.bin", &gate).start();
    let mut stream = server.connect();
    for _ in 0..2 {
        for (target, fields, body) in [("/door.bin", ESP8266, &door), ("/gate.bin", ESP32, &gate)] {
            ask(&mut stream, &format!("GET {target}"), fields);
            let answer = read_next(&mut stream);
            assert_eq!(answer.fields("connection"), [""; 0]);
            assert_eq!(answer.field("x-MD5"), images::md5(body));
            assert_eq!((answer.status, &answer.body), (200, body));
        }
    }
    let runs_it = with(ESP8266, "x-ESP8266-sketch-md5", Some(&images::md5(&door)));
    for (target, fields, status) in [
        ("/none.bin", ESP8266, 404),
        ("/gate.bin", ESP8266, 403),
        ("/door.bin", &*runs_it, 304),
        ("/door.bin", "User-Agent: ESP8266-http-Update\r\n", 403),
        ("/door.bin", "", 403),
    ] {
        ask(&mut stream, &format!("GET {target}"), fields);
        assert_eq!(read_next(&mut stream).status, status, "{target}");
    }
    ask(&mut stream, "GET /door.bin", &format!("{ESP8266}Connection: close\r\n"));
    check_image(&read_answer(&mut stream), "door.bin", &door);

    // Each download was counted whole, though only the last one ended the connection.
    for (target, body, times) in [("/door.bin", &door, 3), ("/gate.bin", &gate, 2)] {
        server.logged_times(times, |line| {
            line["asked"] == target && line["bytes_acknowledged"] == body.len()
        });
    }
}

#[test]
fn requests_sent_ahead_are_answered_one_after_the_other() {
    let door = images::sketch(1);
    let server = setup().file("door.bin", &door).start();
    let mut stream = server.connect();
    let requests = [
        format!("GET /none.bin HTTP/1.1\r\n{ESP8266}\r\n"),
        format!("HEAD /door.bin HTTP/1.1\r\n{ESP8266}\r\n"),
        format!("GET /door.bin HTTP/1.0\r\n{ESP8266}\r\n"),
        format!("GET /never.bin HTTP/1.0\r\n{ESP8266}\r\n"),
    ];
    stream.write_all(requests.concat().as_bytes()).unwrap();
    let all = String::from_utf8_lossy(&read_answer_bytes(&mut stream)).into_owned();
    let statuses: Vec<_> = all.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["404", "200", "200"]);
    let lengths: Vec<_> =
        all.lines().filter_map(|line| line.strip_prefix("Content-Length: ")).collect();
    let length = door.len().to_string();
    assert_eq!(lengths, ["0", &length, &length]);
}

fn read_answer_bytes(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

/// HTTP/1.0 has no standing connections, whatever a client says.
#[test]
fn a_connection_of_http_1_0_ends_with_the_answer() {
    let door = images::sketch(1);
    let server = setup().file("door.bin", &door).start();
    let fields = format!("{ESP8266}Connection: keep-alive\r\n");
    check_image(&server.get("/door.bin", &fields), "door.bin", &door);
}

/// A request may come in pieces: radio is slow.
#[test]
fn a_request_that_comes_byte_by_byte_is_read() {
    let door = images::sketch(1);
    let server = setup().file("door.bin", &door).start();
    let mut stream = server.connect();
    stream.set_nodelay(true).unwrap();
    for byte in format!("GET /door.bin HTTP/1.0\r\n{ESP8266}\r\n").bytes() {
        stream.write_all(&[byte]).unwrap();
    }
    check_image(&read_answer(&mut stream), "door.bin", &door);
}

#[test]
fn one_download_more_than_a_device_may_have_is_told_that_nothing_is_new() {
    let (setup, large) = large();
    let server = setup.start();
    let (first, mut second) = (begin(&server, &device(1)), begin(&server, &device(1)));
    check_not_modified(&server.get("/large.bin", &device(1)));
    check_not_modified(&server.get("/door.bin", &device(1)));
    let line = server.logged(|line| line["status"] == 304 && line["asked"] == "/door.bin");
    let why = "too many downloads of this device at once";
    assert_eq!(line["message"], format!("device asked /door.bin: 304, {why}"));

    // Nobody else is told so, nor is what is no download.
    check_image(&server.get("/door.bin", &device(2)), "door.bin", &images::sketch(1));
    check_refused(&server.get("/none.bin", &device(1)), 404);
    let head = server.send(format!("HEAD /large.bin HTTP/1.0\r\n{}\r\n", device(1)));
    assert_eq!((head.status, head.field("Content-Length")), (200, &*LARGE.to_string()));
    let asks = with(&device(1), "x-ESP8266-mode", Some("version"));
    assert_eq!(server.get("/large.bin", &asks).status, 200);

    // A download that was cut off makes room for another.
    drop(first);
    let line = server.logged(|line| line["message"].as_str().is_some_and(|m| m.contains("away")));
    let why = "the device went away before the end";
    assert_eq!(line["message"], format!("device asked /large.bin: 200, {why}"));
    assert_eq!(line["level"], "WARN");
    assert!(line["bytes_acknowledged"].as_u64().is_none_or(|bytes| bytes < LARGE as u64));
    check_image(&server.get("/door.bin", &device(1)), "door.bin", &images::sketch(1));

    // And the other one goes on to its end.
    let rest = read_answer_bytes(&mut second);
    assert!(rest.ends_with(&large[1000..]));
}

#[test]
fn the_number_of_downloads_can_be_configured() {
    let (setup, _) = large();
    let server = setup.config("[limits]\ndownloads_per_device = 1\n").start();
    let _first = begin(&server, &device(1));
    check_not_modified(&server.get("/door.bin", &device(1)));
}

/// A device that has every byte and has not closed yet is downloading nothing.
#[test]
fn a_download_that_is_sent_counts_no_more() {
    let door = images::sketch(1);
    let server =
        setup().file("door.bin", &door).config("[limits]\ndownloads_per_device = 1\n").start();
    let mut open = Vec::new();
    while open.len() < 4 {
        let mut stream = server.connect();
        write!(stream, "GET /door.bin HTTP/1.0\r\n{ESP8266}\r\n").unwrap();
        let answer = read_next(&mut stream);
        // We may have read the last byte before the server comes to take note of having sent it.
        if answer.status != 304 {
            assert_eq!((answer.status, answer.body), (200, door.clone()));
            open.push(stream);
        }
    }
    let is_download = |line: &Value| line["asked"] == "/door.bin" && line["status"] == 200;
    assert!(!server.log().iter().any(is_download), "the connections are still open");
    drop(open);
    for line in server.logged_times(4, is_download) {
        assert_eq!(line["bytes_acknowledged"], door.len());
    }
}

#[test]
fn devices_that_stall_hold_nobody_up() {
    let (setup, _) = large();
    let server = setup.start();
    let _downloads: Vec<_> = (1..=32).map(|n| begin(&server, &device(n))).collect();
    let _requests: Vec<_> = (0..32)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(b"GET /door.bin HTTP/1.0\r\nUser-Ag").unwrap();
            stream
        })
        .collect();
    for number in 100..132 {
        let answer = server.get("/door.bin", &device(number));
        check_image(&answer, "door.bin", &images::sketch(1));
    }
    assert_eq!(server.get("/_catalog?op=list", "").status, 200);
}

/// A connection that began as a person's is read by another reader; devices notice nothing.
#[test]
fn a_connection_that_began_with_a_person_answers_devices_the_same() {
    let (door, gate) = (images::sketch(1), images::app(Chip::Esp32, 2));
    let server = setup().file("door.bin", &door).file("gate.bin", &gate).start();
    let (mut device, mut person) = (server.connect(), server.connect());
    ask(&mut person, "GET /healthz", "Host: updates.lan\r\n");
    assert_eq!(read_next(&mut person).text(), "ok\n");

    let runs_it = with(ESP8266, "x-ESP8266-sketch-md5", Some(&images::md5(&door)));
    let version = with(ESP8266, "x-ESP8266-mode", Some("version"));
    let nvs = with(ESP8266, "x-ESP8266-mode", Some("nvs"));
    for (target, fields, status) in [
        ("/door.bin", ESP8266, 200),
        ("/gate.bin", ESP32, 200),
        ("/door.bin", &*format!("{ESP8266}Range: bytes=5-9\r\n"), 206),
        ("/door.bin", &format!("{ESP8266}Range: bytes=999999-\r\n"), 416),
        ("/door.bin", &runs_it, 304),
        ("/door.bin", &version, 200),
        ("/door.bin", &nvs, 404),
        ("/door.bin", &format!("{ESP8266}Content-Length: 0\r\n"), 200),
        ("/gate.bin", ESP8266, 403),
        ("/none.bin", ESP8266, 404),
        ("/../x.bin", ESP8266, 404),
        ("/", ESP8266, 404),
        ("/healthz", ESP8266, 404),
        ("/door.bin", "", 403),
        ("/none.bin", "User-Agent: ESP32-http-Update\r\n", 403),
        ("/_catalog/", "", 403),
    ] {
        let answers = [&mut device, &mut person].map(|stream| {
            ask(stream, &format!("GET {target}"), &format!("Host: updates.lan\r\n{fields}"));
            let answer = read_next(stream);
            let mut fields = answer.fields_but_date();
            fields.sort();
            (answer.status, fields, answer.body)
        });
        assert_eq!(answers[0].0, status, "{target} {fields}");
        assert_eq!(answers[0], answers[1], "{target} {fields}");
    }

    // What ends a connection ends it there, too.
    let last = "GET /_catalog?op=list&path=.";
    let answers = [&mut device, &mut person].map(|stream| {
        ask(stream, last, "Host: updates.lan\r\n");
        let answer = read_answer(stream);
        let mut fields = answer.fields_but_date();
        fields.sort();
        (answer.status, fields, answer.body)
    });
    assert_eq!(answers[0], answers[1]);
    assert!(answers[0].1.contains(&("connection".into(), "close".into())));
}

/// One line a request, by the rules of whoever asked.
#[test]
fn a_device_on_a_persons_connection_has_one_line_in_the_log() {
    let server = setup().file("door.bin", images::sketch(1)).start();
    let mut stream = server.connect();
    for (target, fields) in [
        ("/healthz", ""),
        ("/door.bin", ESP8266),
        ("/none.bin", ESP8266),
        ("/assets/updraft.css", ""),
    ] {
        ask(&mut stream, &format!("GET {target}"), &format!("Host: updates.lan\r\n{fields}"));
        read_next(&mut stream);
    }
    server.logged_request("/assets/updraft.css");
    let log = server.log();
    let asked: Vec<_> = log.iter().filter_map(|line| line["asked"].as_str()).collect();
    assert_eq!(asked, ["/healthz", "/door.bin", "/none.bin", "/assets/updraft.css"]);
}

/// On whichever plane it is sent.
#[test]
fn a_download_on_a_persons_connection_counts() {
    let (setup, _) = large();
    let server = setup.config("[limits]\ndownloads_per_device = 1\n").start();
    let mut stream = server.connect();
    ask(&mut stream, "GET /healthz", "Host: updates.lan\r\n");
    read_next(&mut stream);
    ask(&mut stream, "GET /large.bin", &format!("Host: updates.lan\r\n{}", device(1)));
    stream.read_exact(&mut [0; 15]).unwrap();
    check_not_modified(&server.get("/door.bin", &device(1)));
    check_image(&server.get("/door.bin", &device(2)), "door.bin", &images::sketch(1));
    drop(stream);
}
