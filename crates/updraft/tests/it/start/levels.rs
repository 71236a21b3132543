//! What is logged, by Python's names for the levels and by Rust's, and how a line looks.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::{PATIENCE, setup, updraft};

#[test]
fn levels_have_python_s_names_and_rust_s_in_any_case() {
    for name in [
        "critical", "CRITICAL", "fatal", "error", "ERROR", "warning", "WARNING", "warn", "Warn",
        "info", "INFO", "debug", "Debug", "trace", "notset", "NOTSET",
    ] {
        // It gets as far as the catalog.
        for setup in [setup().args(&["-l", name]), setup().bare().env("UPDRAFT_LOG", name)] {
            let output = setup.args(&["-d", "nowhere"]).refused();
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(said.contains("nowhere") && !said.contains("level"), "{name}: {said}");
        }
    }
}

/// Levels of the lines that a server writes in its life: a good request, a bad one, its end.
fn levels_at(level: &str) -> Vec<String> {
    let setup = setup();
    // Nothing will tell which port it took, so it is told.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut child = updraft()
        .args(["serve", "-b", "127.0.0.1", "--log-format", "json", "-p", &port.to_string()])
        .args(["-l", level])
        .current_dir(setup.catalog())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let ask = |request: &[u8]| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        Some(answer)
    };
    crate::faults::until("it listens", || ask(b"GET /healthz HTTP/1.0\r\n\r\n").is_some());
    assert!(ask(b"garbage\r\n\r\n").unwrap().starts_with(b"HTTP/1.1 400"));
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
    let mut levels: Vec<String> = said
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["level"].as_str().unwrap().to_owned()
        })
        .collect();
    levels.sort();
    levels.dedup();
    levels
}

#[test]
fn a_level_is_what_it_says() {
    assert_eq!(levels_at("CRITICAL"), [""; 0]);
    assert_eq!(levels_at("error"), [""; 0]);
    assert_eq!(levels_at("WARNING"), ["WARN"]);
    assert_eq!(levels_at("info"), ["INFO", "WARN"]);
    assert_eq!(levels_at("DEBUG"), ["DEBUG", "INFO", "WARN"]);
}

#[test]
fn lines_are_json_or_text() {
    let check = |args: &[&str], json: bool| {
        let server = setup().bare().args(&["-p", "0", "-b", "127.0.0.1"]).args(args).start();
        let line = server.logged(|line| line.to_string().contains("listening on"));
        assert_eq!(line.is_object(), json, "{args:?}: {line}");
        let text = line.to_string();
        assert!(text.contains("INFO") && !text.contains("\\u001b"), "{args:?}: {text}");
    };
    check(&["--log-format", "json"], true);
    check(&["--log-format", "text"], false);
    // This is no terminal.
    check(&["--log-format", "auto"], true);
    check(&[], true);
}
