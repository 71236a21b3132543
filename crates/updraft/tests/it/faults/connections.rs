//! Many connections at once: those that only wait, and those that are too many.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpStream};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

use super::{
    BIG, Download, connect_from, keep_alive, narrow, read_to_close, request, sketch, still_serves,
    until,
};
use crate::harness::{ESP8266, Server, read_next, setup};

/// A request as another device sends it.
fn request_of(device: u8, target: &str) -> String {
    let identity = ESP8266.replace("5C:CF:7F:B1:E0:42", &format!("5C:CF:7F:B1:E1:{device:02X}"));
    format!("GET {target} HTTP/1.0\r\n{identity}\r\n")
}

/// One of this computer's addresses.
fn address(number: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, number).into()
}

#[test]
fn two_thousand_idle_connections_disturb_no_download() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let image = sketch(BIG, 1);
    let server = setup().file("big.bin", &image).start();
    let idle: Vec<TcpStream> = (0..2000_u32)
        .map(|number| {
            let from = address(2 + u8::try_from(number % 10).unwrap());
            let mut stream = connect_from(server.address(), from, None);
            // Some say nothing, some have begun to, some have been answered.
            match number % 3 {
                0 => {}
                1 => stream.write_all(b"GET /big.bin HT").unwrap(),
                _ => {
                    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
                    assert_eq!(read_next(&mut stream).status, 200);
                }
            }
            stream
        })
        .collect();
    for _ in 0..5 {
        still_serves(&server, "/big.bin", &image);
    }
    drop(idle);
    still_serves(&server, "/big.bin", &image);
}

#[test]
fn a_server_out_of_descriptors_goes_on_when_some_are_free() {
    let server = setup().file("x.bin", sketch(5000, 1)).start();
    // By then every thread has what it needs for itself.
    server.scanned();
    for _ in 0..30 {
        assert_eq!(server.get("/none.bin", ESP8266).status, 404);
    }
    let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap());
    let limit = Rlimit { current: Some(50), maximum: Some(50) };
    prlimit(pid, Resource::Nofile, limit).unwrap();
    let open: Vec<_> = (0..100).map(|_| server.connect()).collect();
    server.logged(|line| line["message"] == "cannot accept a connection");
    drop(open);
    assert_eq!(server.get("/x.bin", ESP8266).status, 200);
}

#[test]
fn a_slow_device_holds_up_nobody() {
    let image = sketch(BIG, 1);
    for args in [&["--cache-size", "0"][..], &[]] {
        let server = setup().file("big.bin", &image).args(args).start();
        let slow: Vec<_> = (0..50)
            .map(|device| {
                let mut stream = narrow(&server);
                let download = Download::begin(&mut stream, &request_of(device, "/big.bin"));
                (stream, download)
            })
            .collect();
        still_serves(&server, "/big.bin", &image);
        for (mut stream, mut download) in slow {
            download.read_on(&mut stream);
            assert!(download.body == image, "{} bytes", download.body.len());
        }
    }
}

/// Whether the server answers one more connection from that address.
fn is_answered(server: &Server, from: IpAddr) -> bool {
    let mut stream = connect_from(server.address(), from, None);
    let asked = stream.write_all(request("/none.bin").as_bytes());
    asked.is_ok() && read_to_close(&mut stream).starts_with(b"HTTP/1.1 404")
}

/// A connection that the server has taken, and keeps.
fn kept(server: &Server, from: IpAddr) -> TcpStream {
    let mut stream = connect_from(server.address(), from, None);
    stream.write_all(keep_alive("/none.bin").as_bytes()).unwrap();
    assert_eq!(read_next(&mut stream).status, 404);
    stream
}

#[test]
fn an_address_has_only_so_many_connections() {
    let server = setup().config("[limits]\nconnections_per_address = 5\n").start();
    let mut open: Vec<_> = (0..5).map(|_| kept(&server, address(1))).collect();
    assert!(!is_answered(&server, address(1)), "the sixth was answered");
    let line = server.logged(|line| {
        line["message"].as_str().is_some_and(|m| m.contains("too many connections"))
    });
    assert_eq!((line["level"].as_str(), line["peer"].as_str()), (Some("WARN"), Some("127.0.0.1")));
    assert!(is_answered(&server, address(2)), "another address has places of its own");
    // Those that are open go on, and one that ends leaves its place.
    for stream in &mut open {
        stream.write_all(keep_alive("/none.bin").as_bytes()).unwrap();
        assert_eq!(read_next(stream).status, 404);
    }
    open.pop();
    until("the place is given back", || is_answered(&server, address(1)));
    // However they end, and as often as you like.
    for _ in 0..20 {
        open.clear();
        until("all places are given back", || {
            open.clear();
            open.extend((0..5).filter_map(|_| {
                let mut stream = connect_from(server.address(), address(1), None);
                stream.write_all(keep_alive("/none.bin").as_bytes()).ok()?;
                (stream.read(&mut [0; 1024]).ok()? > 0).then_some(stream)
            }));
            open.len() == 5
        });
    }
}

#[test]
fn a_device_has_only_so_many_downloads() {
    let image = sketch(BIG, 1);
    let server = setup().file("big.bin", &image).start();
    let asked = request("/big.bin");
    let mut running: Vec<_> = (0..2)
        .map(|_| {
            let mut stream = narrow(&server);
            let download = Download::begin(&mut stream, &asked);
            (stream, download)
        })
        .collect();
    assert_eq!(server.get("/big.bin", ESP8266).status, 304);
    assert_eq!(server.send(request_of(1, "/big.bin")).status, 200);
    // One is given up, one ends: both places are free.
    drop(running.pop());
    until("the place is given back", || server.get("/big.bin", ESP8266).status == 200);
    let (mut stream, mut download) = running.pop().unwrap();
    download.read_on(&mut stream);
    assert!(download.body == image);
}
