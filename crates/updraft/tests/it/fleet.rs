//! The commands of the fleet at their edges: what they refuse before a server is asked, what they send, and
//! how they say what it answered.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::thread::{self, JoinHandle};

use crate::harness::{setup, updraft};

/// Takes one request and gives this answer; what was asked is the thread's result.
fn answering(status: &str, body: &str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
    let asked = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let mut request = String::new();
        while !request.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut request).unwrap(), 0, "{request}");
        }
        let head = request.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).unwrap();
        request.push_str(&String::from_utf8(body).unwrap());
        reader.get_mut().write_all(answer.as_bytes()).unwrap();
        request
    });
    (url, asked)
}

fn run(args: &[&str], url: Option<&str>) -> Output {
    let mut command: Command = updraft();
    command.args(args).stdin(Stdio::null()).env_remove("UPDRAFT_SERVER");
    command.env_remove("UPDRAFT_TOKEN");
    if let Some(url) = url {
        command.env("UPDRAFT_SERVER", url).env("UPDRAFT_TOKEN", "updraft_secret");
    }
    command.output().unwrap()
}

/// Exit code and what is said on standard error.
fn refused(output: &Output) -> (Option<i32>, String) {
    assert!(output.stdout.is_empty(), "{output:?}");
    (output.status.code(), String::from_utf8(output.stderr.clone()).unwrap())
}

#[test]
fn without_a_token_nothing_is_asked() {
    let (code, words) = refused(&run(&["devices", "list"], None));
    assert_eq!(code, Some(2));
    assert!(words.contains("--token-file or UPDRAFT_TOKEN"), "{words}");
}

#[test]
fn a_problem_is_one_line() {
    let body = r#"{"status":404,"title":"Not Found","detail":"there is no\ndevice 7"}"#;
    let (url, asked) = answering("404 Not Found", body);
    let (code, words) = refused(&run(&["devices", "show", "7"], Some(&url)));
    assert_eq!((code, words.as_str()), (Some(1), "updraft: there is no device 7\n"));
    let asked = asked.join().unwrap();
    assert!(asked.starts_with("GET /api/v1/devices/7 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.to_ascii_lowercase().contains("authorization: bearer updraft_secret\r\n"));
}

#[test]
fn a_pin_is_set_and_taken_away() {
    for (args, body) in [
        (&["devices", "pin", "front door", "1.2.0"][..], "{\"pin\":\"1.2.0\"}"),
        (&["devices", "pin", "front door"], "{\"pin\":null}"),
    ] {
        let (url, asked) = answering("403 Forbidden", "");
        let (code, words) = refused(&run(args, Some(&url)));
        assert_eq!(
            (code, words.as_str()),
            (Some(1), "updraft: the server answers 403 Forbidden\n")
        );
        let asked = asked.join().unwrap();
        assert!(asked.starts_with("PATCH /api/v1/devices/front%20door "), "{asked}");
        assert!(asked.ends_with(body), "{asked}");
    }
}

#[test]
fn a_list_is_a_table_or_a_document() {
    let body = r#"{"items":[{"name":"stable","release":3,"version":"1.2.0",
        "moved_at":"2026-01-02T03:04:05Z","moved_by":"ci"}]}"#;
    let args = ["channels", "list", "door"];
    let (url, _asked) = answering("200 OK", body);
    let said = String::from_utf8(run(&args, Some(&url)).stdout).unwrap();
    let expected = "CHANNEL  VERSION  MOVED                 BY\n\
        stable   1.2.0    2026-01-02T03:04:05Z  ci\n";
    assert_eq!(said, expected);
    let (url, _asked) = answering("200 OK", body);
    let said = run(&[&args[..], &["--json"]].concat(), Some(&url)).stdout;
    let document: serde_json::Value = serde_json::from_slice(&said).unwrap();
    assert_eq!(document["items"][0]["release"], 3);
}

#[test]
fn what_no_device_could_install_is_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("half.bin");
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/firmware/");
    let whole = std::fs::read(format!("{examples}door-1.2.0.bin")).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let file = path.to_str().unwrap();
    let args = ["publish", file, "--product", "door", "--version", "1"];
    // No server listens there: it is not asked.
    let (code, words) = refused(&run(&args, Some("http://127.0.0.1:9")));
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("half.bin: "), "{words}");
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let (code, words) = refused(&run(&["tokens", "list"], Some("http://127.0.0.1:9")));
    assert_eq!(code, Some(2));
    assert!(words.starts_with("updraft: cannot reach http://127.0.0.1:9: "), "{words}");
}

#[test]
fn a_token_publishes_moves_and_imports() {
    let setup = setup();
    let data = setup.beside().join("data");
    let csv = setup.beside().join("devices.csv");
    std::fs::write(&csv, "mac,name,product\nAA:BB:CC:DD:EE:01,front door,door\n").unwrap();
    let server = setup.start();
    let url = format!("http://{}", server.address());
    let data = data.to_str().unwrap();
    let scope = ["--name", "ci", "--scope", "admin", "--data", data];
    let made = run(&[&["tokens", "create"], &scope[..]].concat(), None);
    let made = String::from_utf8(made.stdout).unwrap();
    let token = made.lines().last().unwrap();
    let say = |args: &[&str]| {
        let mut command = updraft();
        command.args(args).args(["--server", &url]).env("UPDRAFT_TOKEN", token);
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let check = |args: &[&str], words: &str| {
        let said = say(args);
        assert!(said.contains(words), "{args:?}: {said}");
    };
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/firmware/door-1.2.0.bin");
    let named = ["--product", "door", "--version", "1.2.0", "--channel", "stable"];
    check(&[&["publish", file], &named[..]].concat(), "stable points to 1.2.0");
    check(&["import", "devices", csv.to_str().unwrap()], "1 devices are new, 0 were known");
    check(&["devices", "list"], "front door");
    check(&["devices", "pin", "front door", "1.2.0"], "pinned");
    check(&["products", "set", "door", "--floor", "1.0.0"], "1.0.0");
    check(&["releases", "yank", "door", "1.2.0", "--reason", "loses wifi"], "loses wifi");
    check(&["devices", "explain", "front door"], "does not say what it runs");
    check(&["tokens", "list"], "admin");
    let script = csv.with_file_name("script.php");
    std::fs::write(&script, "$db = array('AA:BB:CC:DD:EE:02' => 'gate-2.0.1');").unwrap();
    let firmware = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/firmware");
    let php = say(&["import", "php", script.to_str().unwrap(), "--bin", firmware]);
    assert_eq!(php, "published gate 2.0.1\n1 devices are new, 0 were known\n");
    check(&["devices", "show", "AA:BB:CC:DD:EE:02"], "pinned to     2.0.1");
    check(&["import", "folder", firmware], "published lamp 0.9.3");
}
