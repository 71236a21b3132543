//! Requests that are none, that say two things at once, or that hide another one.

use std::fs;
use std::io::Write as _;

use super::{converse, keep_alive, read_to_close, request, sketch, statuses, still_serves};
use crate::harness::{ESP8266, Server, setup};

/// A server of `x.bin` and `hidden.bin`.
fn server() -> Server {
    setup().file("x.bin", sketch(5000, 1)).file("hidden.bin", sketch(5000, 2)).start()
}

#[test]
fn only_updaters_get_files() {
    let server = server();
    let check = |fields: &str, status: u16| {
        let answer = server.get("/x.bin", fields);
        assert_eq!(answer.status, status, "{fields:?}");
        assert_eq!(answer.fields("x-md5").len(), usize::from(status == 200), "{fields:?}");
    };
    let without_agent = ESP8266.replace("User-Agent: ESP8266-http-Update\r\n", "");
    check("", 403);
    check(&without_agent, 403);
    check(&format!("User-Agent: \r\n{without_agent}"), 403);
    check(&format!("User-Agent: curl/8.5.0\r\n{without_agent}"), 403);
    check(&format!("User-Agent: Not-ESP8266-http-Update\r\n{without_agent}"), 403);
    // An updater, but which one?
    check("User-Agent: ESP8266-http-Update\r\n", 403);
    check(ESP8266, 200);
}

#[test]
fn a_field_sent_twice_must_say_the_same() {
    let server = server();
    let check = |fields: &str, status: u16| {
        let bytes = format!("GET /x.bin HTTP/1.1\r\n{ESP8266}{fields}Connection: close\r\n\r\n");
        assert_eq!(statuses(&server, bytes), [status], "{fields:?}");
    };
    check("Host: a\r\nHost: a\r\n", 200);
    check("Host: a\r\nHost: b\r\n", 400);
    check("Host: a\r\nhost: b\r\n", 400);
    check("User-Agent: ESP8266-http-Update\r\n", 200);
    check("User-Agent: ESP32-http-Update\r\n", 400);
    check("X-Esp8266-Sta-Mac:  5C:CF:7F:B1:E0:42 \r\n", 200);
    check("x-ESP8266-STA-MAC: 5C:CF:7F:B1:E0:43\r\n", 400);
    check("x-ESP8266-mode: version\r\n", 400);
    check("x-ESP8266-free-space: 1\r\n", 400);
    check("x-ESP8266-sketch-md5: 00000000000000000000000000000000\r\n", 400);
    check("Content-Length: 0\r\nContent-Length: 0\r\n", 200);
    check("Content-Length: 0\r\nContent-Length: 5\r\n", 400);
    check("Content-Length: 5\r\nContent-Length: 0\r\n", 400);
    check("Range: bytes=0-1\r\nRange: bytes=0-2\r\n", 400);
    // Of no consequence, so of no interest.
    check("Accept: a\r\nAccept: b\r\n", 200);
    check("x-ESP32-STA-MAC: 24:0A:C4:00:00:01\r\n", 200);
}

#[test]
fn a_request_with_a_body_is_refused_and_nothing_after_it_is_taken_for_one() {
    let server = server();
    let hidden = keep_alive("/hidden.bin");
    let check = |fields: &str, body: &str| {
        for version in ["1.0", "1.1"] {
            let bytes = format!(
                "GET /x.bin HTTP/{version}\r\nHost: a\r\n{ESP8266}{fields}\r\n{body}{hidden}"
            );
            assert_eq!(statuses(&server, bytes), [400], "{fields:?} with HTTP/{version}");
        }
    };
    check("Content-Length: 5\r\n", "12345");
    check("Content-Length: 5\r\n", "");
    check(&format!("Content-Length: {}\r\n", hidden.len()), "");
    check("Content-Length: 5\r\nContent-Length: 5\r\n", "12345");
    for length in ["+0", "-0", "0x0", "0, 0", "0,5", "00 5", "", "\"0\"", "18446744073709551616"] {
        check(&format!("Content-Length: {length}\r\n"), "");
    }
    for coding in ["chunked", "identity", "gzip, chunked", "", "xchunked", "\tchunked", "CHUNKED"] {
        check(&format!("Transfer-Encoding: {coding}\r\n"), "0\r\n\r\n");
    }
    check("TRANSFER-ENCODING: chunked\r\n", "0\r\n\r\n");
    check("Transfer-Encoding : chunked\r\n", "0\r\n\r\n");
    check("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n");
    check(" Transfer-Encoding: chunked\r\n", "0\r\n\r\n");
    check("X: a\rTransfer-Encoding: chunked\r\n", "0\r\n\r\n");
    check("X: a\0b\r\n", "");
    check("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n");
    check("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", "0\r\n\r\n");
    let asked = |line: &serde_json::Value| line["asked"] == "/hidden.bin";
    assert!(!server.log().iter().any(asked), "the hidden request was answered");
}

#[test]
fn a_list_with_a_body_and_a_method_with_one_end_the_connection() {
    let server = server();
    let hidden = keep_alive("/hidden.bin");
    let list = "GET /_catalog?op=list HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345";
    assert_eq!(statuses(&server, format!("{list}{hidden}")), [400]);
    for line in ["POST /x.bin", "PUT /x.bin", "DELETE /x.bin"] {
        let fields = "Content-Length: 5\r\n";
        let bytes = format!("{line} HTTP/1.1\r\nHost: a\r\n{ESP8266}{fields}\r\n12345{hidden}");
        assert_eq!(statuses(&server, bytes), [501], "{line}");
    }
    for line in ["POST /x.bin", "DELETE /x.bin", "OPTIONS *", "CONNECT a:80", "BREW /x.bin"] {
        let bytes = format!("{line} HTTP/1.1\r\nHost: a\r\n{ESP8266}\r\n{hidden}");
        assert_eq!(statuses(&server, bytes), [501], "{line}");
    }
}

#[test]
fn a_person_s_request_hides_none_either() {
    let server = server();
    let hidden = keep_alive("/hidden.bin");
    let last = "GET /x.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    // The body is read as what it is.
    let length = hidden.len();
    let counted = format!("GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    let answers = statuses(&server, format!("{counted}{hidden}{last}"));
    assert!(answers == [200, 403] || answers == [200], "{answers:?}");
    // With two lengths there is no telling what it is.
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 0\r\n",
    ] {
        let bytes = format!("GET /healthz HTTP/1.1\r\nHost: a\r\n{fields}\r\n0\r\n\r\n");
        converse(&server, format!("{bytes}{last}"));
    }
    // A device's request on such a connection is held to a device's rules.
    let device = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /x.bin HTTP/1.1\r\nHost: a\r\n";
    let bytes = format!("{device}{ESP8266}Content-Length: {length}\r\n\r\n{hidden}");
    assert_eq!(statuses(&server, bytes), [200, 400]);
    let bytes = format!("{device}{ESP8266}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}");
    assert_eq!(statuses(&server, bytes), [200, 400]);
    let asked = |line: &serde_json::Value| line["asked"] == "/hidden.bin";
    assert!(!server.log().iter().any(asked), "a hidden request was answered");
}

#[test]
fn requests_sent_ahead_are_answered_in_order() {
    let (first, second) = (sketch(5000, 1), sketch(300_000, 2));
    let server = setup().file("a.bin", &first).file("b.bin", &second).start();
    let health = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    let list = "GET /_catalog?op=list&path=. HTTP/1.1\r\nHost: a\r\n\r\n";
    let asked = [
        &keep_alive("/b.bin"),
        &keep_alive("/none.bin"),
        &keep_alive("/a.bin"),
        &keep_alive("/b.bin"),
        list,
        // After a list the connection is over.
        &keep_alive("/a.bin"),
    ]
    .concat();
    let answers = converse(&server, &asked);
    let got: Vec<_> = answers.iter().map(|answer| (answer.status, answer.body.len())).collect();
    let listed = answers.last().map_or(0, |list| list.body.len());
    let (first, second) = (first.len(), second.len());
    assert_eq!(got, [(200, second), (404, 0), (200, first), (200, second), (200, listed)]);
    assert!(answers[4].text().contains("a.bin"));
    // Also when they change from devices to people.
    let ahead = [&keep_alive("/a.bin"), health, &keep_alive("/a.bin"), health, &request("/b.bin")];
    let answers = converse(&server, ahead.map(str::to_owned).concat());
    let got: Vec<_> = answers.iter().map(|answer| (answer.status, answer.body.len())).collect();
    let healthy = answers.get(1).map_or(0, |health| health.body.len());
    assert_eq!(got, [(200, first), (200, healthy), (200, first), (200, healthy), (200, second)]);
}

#[test]
fn what_is_no_request_is_refused_and_harms_nobody() {
    let image = sketch(5000, 1);
    let server = setup().file("x.bin", &image).start();
    let hello = b"\x16\x03\x01\x00\x3c\x01\x00\x00\x38\x03\x03\
        0123456789abcdef0123456789abcdef\x00\x00\x02\x00\x2f\x01\x00\x00\x0d\x00\x01\x00\x01\x03";
    let check = |bytes: &[u8]| {
        let shown = bytes.escape_ascii().to_string();
        assert_eq!(statuses(&server, bytes), [400], "{shown}");
    };
    check(hello);
    check(b"\0\0\0\0\0\0\0\0\r\n\r\n");
    check(b"\xff\xfe\xfd");
    check(b"GET /x.bin\r\n");
    check(b"GET /x.bin\r\n\r\n");
    check(b"GET /x.bin HTTP/0.9\r\n\r\n");
    check(b"GET /x.bin HTTP/1.2\r\n\r\n");
    check(b"GET /x.bin HTTP/2.0\r\n\r\n");
    check(b"GET /x.bin HTTP/11\r\n\r\n");
    check(b"GET /x.bin http/1.1\r\n\r\n");
    check(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    check(b"GET /x y.bin HTTP/1.0\r\n\r\n");
    check(b"GET  /x.bin HTTP/1.0\r\n\r\n");
    check(b"GET\t/x.bin HTTP/1.0\r\n\r\n");
    check(b"GET /x\0.bin HTTP/1.0\r\n\r\n");
    check(b"GET /x\x7f.bin HTTP/1.0\r\n\r\n");
    check(b"GET /\xff\xfe.bin HTTP/1.0\r\n\r\n");
    check(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    check(b"220 mail.example ESMTP\r\n");
    check(b"GET /x.bin HTTP/1.0\r\nno colon here\r\n\r\n");
    check(b"GET /x.bin HTTP/1.0\r\n: no name\r\n\r\n");
    check(b"GET /x.bin HTTP/1.0\r\nb\xc3\xa4d: name\r\n\r\n");
    still_serves(&server, "/x.bin", &image);
}

#[test]
fn a_connection_without_a_word_is_no_event() {
    let server = server();
    drop(server.connect());
    let mut stream = server.connect();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_to_close(&mut stream), b"");
    let mut stream = server.connect();
    stream.write_all(b"GET /x.b").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_to_close(&mut stream), b"");
    server.get("/none.bin", ESP8266);
    server.logged_request("/none.bin");
    let loud = |line: &serde_json::Value| line["level"] == "WARN" || line["level"] == "ERROR";
    assert!(!server.log().iter().any(loud), "{:#?}", server.log());
}

/// Header lines of an answer that no answer has of its own.
fn injected(head: &str) -> bool {
    head.lines().any(|line| line.to_ascii_lowercase().starts_with("x-injected"))
}

#[test]
fn nothing_asked_for_becomes_a_header() {
    let server = setup()
        .file("a%0d%0aX-Injected: yes.bin", sketch(5000, 1))
        .file("a\"; x=\"b.bin", sketch(5000, 2))
        .file("fährte.bin", sketch(5000, 3))
        .start();
    fs::write(server.catalog().join("a\r\nX-Injected: yes\r\n\r\n.bin"), sketch(5000, 4)).unwrap();
    let check = |target: &str, status: u16| {
        for fields in ["", ESP8266] {
            let answer = server.get(target, fields);
            let expected =
                if target.contains("_catalog") || !fields.is_empty() { status } else { 403 };
            assert_eq!(answer.status, expected, "{target}");
            assert!(!injected(&answer.head), "{target}: {}", answer.head);
            assert!(!answer.head.contains('\0') && !answer.head.contains("\r\n\r\n"), "{target}");
            assert!(!injected(&String::from_utf8_lossy(&answer.body)), "{target}");
        }
    };
    check("/_catalog?op=list%0d%0aX-Injected:%20yes", 403);
    check("/_catalog?op=%0d%0aX-Injected:%20yes%0d%0a%0d%0a", 403);
    check("/_catalog?op=list&path=%0d%0aX-Injected:%20yes", 404);
    check("/_catalog?op=list&path=%0aX-Injected:%20yes", 404);
    check("/a%0d%0aX-Injected:%20yes%0d%0a%0d%0a.bin", 404);
    check("/a%0aX-Injected:%20yes.bin", 404);
    check("/%0d%0aX-Injected:%20yes", 404);
    check("/none.bin?%0d%0aX-Injected:%20yes", 404);
    // Names that are really there.
    check("/a%250d%250aX-Injected:%20yes.bin", 200);
    check("/a%22;%20x=%22b.bin", 200);
    check("/f%c3%a4hrte.bin", 200);
    let answer = server.get("/a%22;%20x=%22b.bin", ESP8266);
    assert_eq!(answer.field("content-disposition"), r#"attachment; filename="a\"; x=\"b.bin""#);
    // Pages for people neither.
    for target in ["/?path=%0d%0aX-Injected:%20yes", "/healthz?%0d%0aX-Injected:%20yes"] {
        assert!(!injected(&server.get(target, "").head), "{target}");
    }
}

#[test]
fn nothing_a_client_says_starts_a_log_line_of_its_own() {
    let server = setup().args(&["--log-format", "text", "-l", "trace"]).start();
    server.get("/a%0d%0aforged%0a.bin", ESP8266);
    // The control sequences that HTTP lets through.
    server.get("/\u{9b}2Jnone.bin", &format!("{ESP8266}x-ESP8266-version: 1\u{9b}31m\r\n"));
    server.get("/last.bin", "User-Agent: a\u{9b}2Jforged\r\n");
    server.logged(|line| line.as_str().is_some_and(|line| line.contains("/last.bin: 403")));
    for line in server.log() {
        let line = line.as_str().unwrap_or_default().to_owned();
        assert!(!line.starts_with("forged"), "{line:?}");
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}
