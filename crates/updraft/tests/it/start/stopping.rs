//! How a server ends: what is under way ends whole, what waits is let go.

use std::io::Write as _;
use std::net::TcpStream;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use crate::faults::{BIG, Download, keep_alive, narrow, read_to_close, request, sketch, until};
use crate::harness::{Server, Setup, read_next, setup};

fn send(server: &Server, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Waits for a log line that starts with these words.
fn logged(server: &Server, words: &str) {
    server.logged(|line| line["message"].as_str().is_some_and(|m| m.starts_with(words)));
}

/// Tells the server to stop, and waits until it takes no more connections.
fn stop(server: &Server, signal: Signal) {
    send(server, signal);
    logged(server, "stopping");
    until("nobody can connect any more", || TcpStream::connect(server.address()).is_err());
}

fn big() -> (Vec<u8>, Setup) {
    let image = sketch(BIG, 1);
    let setup = setup().file("big.bin", &image);
    (image, setup)
}

#[test]
fn downloads_under_way_end_whole() {
    for args in [&[][..], &["--cache-size", "0"]] {
        for request in [request("/big.bin"), keep_alive("/big.bin")] {
            for signal in [Signal::TERM, Signal::INT] {
                let (image, setup) = big();
                let server = setup.args(args).start();
                let mut stream = narrow(&server);
                let mut download = Download::begin(&mut stream, &request);
                stop(&server, signal);
                download.read_on(&mut stream);
                assert!(download.body == image, "{args:?}: {} bytes", download.body.len());
                assert_eq!(read_to_close(&mut stream), b"", "{args:?}");
                drop(stream);
                let line = server.logged_request("/big.bin");
                assert_eq!(line["level"], "INFO", "{line}");
                assert_eq!(line["bytes_acknowledged"].as_u64(), Some(image.len() as u64), "{line}");
                server.logged(|line| line["message"] == "stopped");
                assert_eq!(server.wait(), Some(0));
            }
        }
    }
}

#[test]
fn the_last_bytes_of_a_download_are_waited_for() {
    // The kernel has all of it: the server alone knows that the device does not.
    let image = sketch(60_000, 1);
    let server = setup().file("big.bin", &image).start();
    let mut stream = narrow(&server);
    let mut download = Download::begin(&mut stream, &keep_alive("/big.bin"));
    stop(&server, Signal::TERM);
    assert!(!server.log().iter().any(|line| line["message"] == "stopped"));
    download.read_on(&mut stream);
    assert!(download.body == image);
    drop(stream);
    let line = server.logged_request("/big.bin");
    assert_eq!(line["bytes_acknowledged"].as_u64(), Some(image.len() as u64), "{line}");
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn connections_that_only_wait_are_closed_at_once() {
    let (image, setup) = big();
    let server = setup.config("[limits]\nidle = \"10m\"\nhead = \"10m\"\n").start();
    let mut slow = narrow(&server);
    let mut download = Download::begin(&mut slow, &request("/big.bin"));
    let health = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".to_owned();
    let mut waiting: Vec<TcpStream> = Vec::new();
    for asked in [keep_alive("/none.bin"), health] {
        let mut stream = server.connect();
        stream.write_all(asked.as_bytes()).unwrap();
        read_next(&mut stream);
        waiting.push(stream);
    }
    // One that has said nothing, one that has begun to.
    waiting.push(server.connect());
    let mut stream = server.connect();
    stream.write_all(b"GET /big.bin HT").unwrap();
    waiting.push(stream);
    send(&server, Signal::TERM);
    for mut stream in waiting {
        assert_eq!(read_to_close(&mut stream), b"");
    }
    // Meanwhile the download goes on.
    download.read_on(&mut slow);
    assert!(download.body == image);
    drop(slow);
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn who_connected_in_time_is_answered() {
    let (_, setup) = big();
    let server = setup.start();
    let streams: Vec<_> = (0..20).map(|_| server.connect()).collect();
    send(&server, Signal::TERM);
    logged(&server, "stopping");
    for mut stream in streams {
        stream.write_all(keep_alive("/none.bin").as_bytes()).unwrap();
        let answer = read_next(&mut stream);
        assert_eq!((answer.status, answer.field("connection")), (404, "close"));
        assert_eq!(read_to_close(&mut stream), b"");
    }
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn downloads_are_waited_for_only_so_long() {
    for asked in [request("/big.bin"), keep_alive("/big.bin")] {
        let (_, setup) = big();
        let server = setup.config("[limits]\ndrain = \"200ms\"\n").start();
        let mut stream = narrow(&server);
        let download = Download::begin(&mut stream, &asked);
        assert!(download.body.len() < download.length);
        server.terminate();
        logged(&server, "stopped; 1 connections were cut off");
        assert_eq!(server.wait(), Some(0));
    }
    // On a connection that a browser began, too.
    let (_, setup) = big();
    let server = setup.config("[limits]\ndrain = \"200ms\"\n").start();
    let mut stream = narrow(&server);
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    read_next(&mut stream);
    Download::begin(&mut stream, &keep_alive("/big.bin"));
    server.terminate();
    logged(&server, "stopped; 1 connections were cut off");
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let (_, setup) = big();
    let server = setup.start();
    let mut stream = narrow(&server);
    Download::begin(&mut stream, &request("/big.bin"));
    send(&server, Signal::TERM);
    logged(&server, "stopping");
    send(&server, Signal::INT);
    logged(&server, "stopped at once");
    assert_eq!(server.wait(), Some(1));
}

#[test]
fn a_signal_in_its_first_moment_ends_it_in_order() {
    for _ in 0..20 {
        let server = setup().start();
        send(&server, Signal::TERM);
        assert_eq!(server.wait(), Some(0));
    }
}

#[test]
fn one_that_takes_its_place_finds_everything_free() {
    let (_, setup) = big();
    let first = setup.start();
    let port = first.address().port().to_string();
    let again = first.again().args(&["-p", &port]);
    let mut stream = first.connect();
    stream.write_all(keep_alive("/none.bin").as_bytes()).unwrap();
    read_next(&mut stream);
    first.terminate();
    assert_eq!(first.wait(), Some(0));
    // The connection of before still lingers in the kernel, on the same port.
    let second = again.start();
    assert_eq!(second.address().port().to_string(), port);
    let mut stream = second.connect();
    let mut download = Download::begin(&mut stream, &request("/big.bin"));
    download.read_on(&mut stream);
    assert_eq!(download.body.len(), download.length);
}

#[test]
fn devices_that_keep_coming_do_not_keep_it_up() {
    let (_, setup) = big();
    let server = setup.start();
    let address = server.address();
    let devices: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(move || {
                while let Ok(mut stream) = TcpStream::connect(address) {
                    if stream.write_all(keep_alive("/none.bin").as_bytes()).is_err() {
                        break;
                    }
                    read_to_close_quietly(stream);
                }
            })
        })
        .collect();
    server.logged_request("/none.bin");
    server.terminate();
    assert_eq!(server.wait(), Some(0));
    for device in devices {
        device.join().unwrap();
    }
}

/// Reads what there is, however it ends.
fn read_to_close_quietly(mut stream: TcpStream) {
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
}
