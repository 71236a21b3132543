//! What is logged, by Python's names for the levels and by Rust's, and how a line looks.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::faults::until;
use crate::harness::{PATIENCE, Setup, setup, updraft};

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

/// A server whose standard error the test reads itself.
struct Plain {
    child: Child,
    port: u16,
    _setup: Setup,
}

impl Plain {
    fn start(level: &str) -> Self {
        let setup = setup();
        // Perhaps nothing will tell which port it took, so it is told.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = updraft()
            .args(["serve", "-b", "127.0.0.1", "--log-format", "json", "-p", &port.to_string()])
            .args(["-l", level])
            .current_dir(setup.catalog())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let server = Self { child, port, _setup: setup };
        until("it listens", || server.ask("GET /healthz HTTP/1.0\r\n\r\n").is_some());
        server
    }

    /// What it answers until it closes; `None` if it does not listen.
    fn ask(&self, request: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    fn terminate(&self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        // Both fail if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Levels of the lines that a server writes in its life: a good request, a bad one, its end.
fn levels_at(level: &str) -> Vec<String> {
    let mut server = Plain::start(level);
    assert!(server.ask("garbage\r\n\r\n").unwrap().starts_with("HTTP/1.1 400"));
    server.terminate();
    let mut said = String::new();
    server.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(server.child.wait().unwrap().code(), Some(0), "{said}");
    let level = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["level"].as_str().unwrap().to_owned()
    };
    let mut levels: Vec<String> = said.lines().map(level).collect();
    levels.sort();
    levels.dedup();
    levels
}

#[test]
fn a_log_that_nobody_reads_any_more_stops_nobody() {
    let mut server = Plain::start("trace");
    // As in `updraft serve 2>&1 | head`.
    drop(server.child.stderr.take());
    for _ in 0..10 {
        let one = "GET /none.bin HTTP/1.1\r\nHost: a\r\n\r\n";
        let last = "GET /last.bin HTTP/1.0\r\n\r\n";
        let answers = server.ask(&format!("{one}{one}{last}")).unwrap();
        assert_eq!(answers.matches("HTTP/1.1 403").count(), 3, "{answers}");
        assert!(server.ask("garbage\r\n\r\n").unwrap().starts_with("HTTP/1.1 400"));
    }
    server.terminate();
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
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
