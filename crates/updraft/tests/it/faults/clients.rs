//! Clients that go away, stop reading, read too slowly, or never finish what they say.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::{
    BIG, Download, keep_alive, narrow, read_to_close, request, sketch, statuses, still_serves,
};
use crate::harness::{ESP8266, Server, read_next, setup};

/// From memory, and from the file.
const SOURCES: [&[&str]; 2] = [&[], &["--cache-size", "0"]];

/// Waits for the line about a download that did not arrive: what it says, and how much arrived.
fn logged_failure(server: &Server, says: &str) -> u64 {
    let line = server.logged(|line| {
        line["asked"] == "/big.bin" && line["message"].as_str().is_some_and(|m| m.contains(says))
    });
    assert_eq!(line["level"], "WARN", "{line}");
    assert_eq!(line["status"], 200, "{line}");
    assert_eq!(line["device"], "5C:CF:7F:B1:E0:42", "{line}");
    line["bytes_acknowledged"].as_u64().unwrap_or_else(|| panic!("no bytes in {line}"))
}

#[test]
fn a_device_that_vanishes_is_noted_with_what_it_got() {
    for args in SOURCES {
        let big = sketch(BIG, 1);
        let server = setup().file("big.bin", &big).args(args).start();
        let mut stream = narrow(&server);
        let download = Download::begin(&mut stream, &request("/big.bin"));
        assert_eq!(download.length, big.len());
        drop(stream);
        let acknowledged = logged_failure(&server, "the device went away before the end");
        assert!(acknowledged >= download.body.len() as u64, "{acknowledged} bytes, {args:?}");
        assert!(acknowledged < big.len() as u64, "{acknowledged} bytes, {args:?}");
        still_serves(&server, "/big.bin", &big);
    }
}

#[test]
fn a_device_that_vanishes_from_a_kept_connection_is_noted_too() {
    let big = sketch(BIG, 1);
    let server = setup().file("big.bin", &big).start();
    let mut stream = narrow(&server);
    Download::begin(&mut stream, &keep_alive("/big.bin"));
    drop(stream);
    let acknowledged = logged_failure(&server, "the device went away before the end");
    assert!(acknowledged < big.len() as u64, "{acknowledged} bytes");
}

#[test]
fn a_device_that_says_no_more_but_listens_gets_everything() {
    let big = sketch(BIG, 1);
    let server = setup().file("big.bin", &big).start();
    let mut stream = narrow(&server);
    let mut download = Download::begin(&mut stream, &request("/big.bin"));
    stream.shutdown(Shutdown::Write).unwrap();
    download.read_on(&mut stream);
    assert!(download.body == big, "{} of {} bytes", download.body.len(), big.len());
}

#[test]
fn a_device_that_takes_nothing_is_dropped() {
    for args in SOURCES {
        let big = sketch(BIG, 1);
        let server = setup()
            .file("big.bin", &big)
            .args(args)
            .config("[delivery]\nstall = \"200ms\"\n")
            .start();
        let mut stream = narrow(&server);
        let mut download = Download::begin(&mut stream, &request("/big.bin"));
        let acknowledged = logged_failure(&server, "the device took nothing for too long");
        assert!(acknowledged < big.len() as u64, "{acknowledged} bytes, {args:?}");
        download.read_on(&mut stream);
        assert!(download.was_reset(), "{} bytes, {:?}", download.body.len(), download.ended);
        assert!(download.body.len() < big.len());
        still_serves(&server, "/big.bin", &big);
    }
}

#[test]
fn a_device_that_takes_nothing_of_the_last_bytes_is_dropped() {
    // All of it fits into the kernel's buffer: the server is done sending at once.
    let small = sketch(60_000, 1);
    let server = setup().file("big.bin", &small).config("[delivery]\nstall = \"200ms\"\n").start();
    let mut stream = narrow(&server);
    Download::begin(&mut stream, &request("/big.bin"));
    let acknowledged = logged_failure(&server, "the device took nothing for too long");
    assert!(acknowledged < small.len() as u64, "{acknowledged} bytes");
}

#[test]
fn a_device_that_pauses_less_than_the_limit_gets_everything() {
    let big = sketch(200_000, 1);
    let config = "[delivery]\nstall = \"10s\"\nat_least = \"1h\"\nsocket_buffer = \"8KiB\"\n";
    let server = setup().file("big.bin", &big).config(config).start();
    let mut stream = narrow(&server);
    let mut download = Download::begin(&mut stream, &request("/big.bin"));
    download.read_paced(&mut stream, 16 * 1024, Duration::from_millis(30));
    assert!(download.body == big);
    drop(stream);
    let line = server.logged_request("/big.bin");
    assert_eq!(line["bytes_acknowledged"].as_u64(), Some(big.len() as u64), "{line}");
    assert_eq!(line["level"], "INFO", "{line}");
}

#[test]
fn a_device_that_is_too_slow_is_dropped() {
    for args in SOURCES {
        let big = sketch(BIG, 1);
        let config = "[delivery]\nat_least = \"300ms\"\nslowest = \"1GiB\"\n";
        let server = setup().file("big.bin", &big).args(args).config(config).start();
        let mut stream = narrow(&server);
        let mut download = Download::begin(&mut stream, &request("/big.bin"));
        // Never quiet for long, yet much too slow.
        download.read_paced(&mut stream, 1024, Duration::from_millis(5));
        assert!(download.body.len() < big.len(), "{} bytes", download.body.len());
        let acknowledged = logged_failure(&server, "the download took too long");
        assert!(acknowledged < big.len() as u64, "{acknowledged} bytes, {args:?}");
    }
}

#[test]
fn the_last_bytes_have_the_same_deadline() {
    // Small enough to be the kernel's at once: what is left is to wait for the device.
    let small = sketch(60_000, 1);
    let config = "[delivery]\nat_least = \"300ms\"\nslowest = \"1GiB\"\n";
    let server = setup().file("big.bin", &small).config(config).start();
    let mut stream = narrow(&server);
    let mut download = Download::begin(&mut stream, &request("/big.bin"));
    download.read_paced(&mut stream, 256, Duration::from_millis(10));
    assert!(download.body.len() < small.len(), "{} bytes", download.body.len());
    let acknowledged = logged_failure(&server, "the download took too long");
    assert!(acknowledged < small.len() as u64, "{acknowledged} bytes");
}

#[test]
fn a_kept_connection_waits_for_a_slow_device_to_take_the_last_bytes() {
    // Once the server has handed the kernel everything, the connection is idle to it: not to the
    // device, which is still reading.
    let small = sketch(60_000, 1);
    let server = setup().file("big.bin", &small).config("[limits]\nidle = \"100ms\"\n").start();
    let mut stream = narrow(&server);
    let mut download = Download::begin(&mut stream, &keep_alive("/big.bin"));
    download.read_paced(&mut stream, 4096, Duration::from_millis(40));
    assert!(download.body == small, "{} bytes", download.body.len());
    drop(stream);
    let line = server.logged_request("/big.bin");
    assert_eq!(line["bytes_acknowledged"].as_u64(), Some(small.len() as u64), "{line}");
    assert_eq!(line["level"], "INFO", "{line}");
}

#[test]
fn a_request_that_comes_byte_by_byte_is_answered() {
    let image = sketch(5000, 1);
    let server = setup().file("x.bin", &image).start();
    for request in [request("/x.bin"), request("/x.bin").replace("\r\n", "\n")] {
        let mut stream = server.connect();
        stream.set_nodelay(true).unwrap();
        for byte in request.as_bytes() {
            stream.write_all(&[*byte]).unwrap();
        }
        assert!(read_next(&mut stream).body == image);
    }
}

#[test]
fn a_head_that_never_ends_is_not_waited_for() {
    let server = setup().config("[limits]\nhead = \"150ms\"\n").start();
    for start in ["G", "GET /x.bin HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n", "\r\n"] {
        let mut stream = server.connect();
        stream.write_all(start.as_bytes()).unwrap();
        assert_eq!(read_to_close(&mut stream), b"", "{start:?}");
    }
    // Not even when there is always one more byte.
    let mut stream = server.connect();
    stream.write_all(b"GET /x.bin HTTP/1.1\r\nX: ").unwrap();
    let mut writing = stream.try_clone().unwrap();
    let writer = thread::spawn(move || {
        while writing.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    assert_eq!(read_to_close(&mut stream), b"");
    drop(stream);
    writer.join().unwrap();
}

#[test]
fn an_idle_connection_is_closed() {
    let image = sketch(5000, 1);
    let config = "[limits]\nidle = \"150ms\"\nhead = \"10m\"\n";
    let server = setup().file("x.bin", &image).config(config).start();
    assert_eq!(read_to_close(&mut server.connect()), b"");
    let people = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    for request in [keep_alive("/x.bin").as_str(), people] {
        let mut stream = server.connect();
        for _ in 0..2 {
            stream.write_all(request.as_bytes()).unwrap();
            assert_eq!(read_next(&mut stream).status, 200);
        }
        assert_eq!(read_to_close(&mut stream), b"", "{request:?}");
    }
}

#[test]
fn a_large_head_is_answered_and_a_huge_one_is_refused() {
    let server = setup().file("x.bin", sketch(5000, 1)).start();
    let with = |fields: &str| format!("GET /x.bin HTTP/1.0\r\n{ESP8266}{fields}\r\n");
    let field = |length: usize| format!("X-Long: {}\r\n", "x".repeat(length));
    let check = |fields: String, status: u16| {
        assert_eq!(statuses(&server, with(&fields)), [status], "{} bytes", fields.len());
    };
    check(field(9000), 200);
    check(field(15_000), 200);
    check(field(17_000), 431);
    check(field(1 << 20), 431);
    // ESP8266 has seven lines of its own.
    check("a: b\r\n".repeat(64 - 7), 200);
    check("a: b\r\n".repeat(65 - 7), 431);
    check("a: b\r\n".repeat(5000), 431);
    // A person's head is measured the same way.
    for (length, status) in [(9000, 200), (1 << 20, 431)] {
        let request = format!("GET / HTTP/1.0\r\n{}\r\n", field(length));
        assert_eq!(statuses(&server, request), [status], "{length}");
    }
}

#[test]
fn an_endless_head_takes_no_memory() {
    let server = setup().start();
    // Whatever a first request makes it take, it has.
    server.get("/", "");
    let before = peak_memory(&server);
    for line in [&b"GET / HTTP/1.1\r\nX: "[..], b"GET /", b"\r\n"] {
        let mut stream = server.connect();
        let mut writing = stream.try_clone().unwrap();
        let writer = thread::spawn(move || {
            let block = vec![if line == b"\r\n" { b'\n' } else { b'x' }; 64 * 1024];
            let _ = writing.write_all(line);
            // 64 MB, if anybody took them.
            for _ in 0..1000 {
                if writing.write_all(&block).is_err() {
                    break;
                }
            }
        });
        let received = read_to_close(&mut stream);
        assert!(received.is_empty() || received.starts_with(b"HTTP/1.1 431"), "{received:?}");
        drop(stream);
        writer.join().unwrap();
    }
    let grown = peak_memory(&server) - before;
    assert!(grown < 8 << 10, "{grown} kB more");
}

/// The most memory that the server ever had, in kB.
fn peak_memory(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_client_that_never_reads_a_refusal_is_dropped() {
    let server = setup().config("[delivery]\nstall = \"100ms\"\n").start();
    let mut stream = narrow(&server);
    stream.write_all(b"garbage\r\n\r\n").unwrap();
    server.logged(|line| line["status"] == 400);
    let mut writing = stream.try_clone().unwrap();
    let writer = thread::spawn(move || while writing.write_all(&[b'x'; 4096]).is_ok() {});
    // What it sends on and on keeps no connection open.
    writer.join().unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 400"), "{rest:?}");
}

#[test]
fn a_device_on_a_connection_that_a_browser_began_is_dropped_when_it_takes_nothing() {
    let big = sketch(BIG, 1);
    let config = "[delivery]\nstall = \"200ms\"\n[limits]\nconnections_per_address = 1\n";
    for args in SOURCES {
        let server = setup().file("big.bin", &big).args(args).config(config).start();
        let mut stream = narrow(&server);
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert_eq!(read_next(&mut stream).status, 200);
        let mut download = Download::begin(&mut stream, &keep_alive("/big.bin"));
        // Its place is free only once it is gone.
        super::until("the place of the connection is given back", || {
            let mut other = server.connect();
            let asked = other.write_all(request("/none.bin").as_bytes());
            asked.is_ok() && read_to_close(&mut other).starts_with(b"HTTP/1.1 404")
        });
        download.read_on(&mut stream);
        assert!(download.body.len() < big.len(), "{} bytes", download.body.len());
    }
}

#[test]
fn the_log_tells_of_no_bytes_where_there_was_no_image() {
    let server = setup().start();
    assert_eq!(server.get("/none.bin", ESP8266).status, 404);
    let line: Value = server.logged_request("/none.bin");
    assert!(line.get("bytes_acknowledged").is_none(), "{line}");
}
