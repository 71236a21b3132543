//! AutoConnect's list over the wire: the captured request, everything `updateserver.py` answers that
//! devices rely on, and none of its faults. Every list is read as AutoConnect reads it.

mod changes;
mod contents;
mod reader;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use updraft_core::Chip;

use crate::harness::{Answer, ESP8266, Server, Setup, setup, wire};
use crate::images;

/// The date of every file that [`dated`] has seen, as the lists show it in UTC.
const DATE: &str = r#""date": "11/21/26", "time": "09:18:13""#;

/// What a list was.
struct List {
    text: String,
    choices: Vec<reader::Choice>,
}

/// Asks for the list of a folder as AutoConnect does. The answer must be one that AutoConnect takes.
fn list(server: &Server, path: &str) -> List {
    let target = format!("/_catalog?op=list&path={path}");
    read(&server.send(wire("autoconnect/catalog-request.http", &target)))
}

fn read(answer: &Answer) -> List {
    let length = answer.body.len().to_string();
    answer.check_head(
        200,
        &[
            ("Content-Type", "application/json"),
            ("Content-Length", &length),
            ("Connection", "close"),
        ],
    );
    let text = answer.text().to_owned();
    assert!(!text.contains("\\u"), "an old parser shows escapes as they are: {text}");
    match reader::read(&answer.body) {
        Ok(choices) => List { text, choices },
        Err(caption) => panic!("Invalid catalog list:{caption} {text}"),
    }
}

impl List {
    fn entries(&self) -> Vec<Value> {
        serde_json::from_str(&self.text).unwrap()
    }

    /// Every name in the list, in its order.
    fn names(&self) -> Vec<String> {
        self.entries().iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Name and type of every entry.
    fn types(&self) -> Vec<(String, String)> {
        let word = |entry: &Value, key| entry[key].as_str().unwrap().to_owned();
        self.entries().iter().map(|entry| (word(entry, "name"), word(entry, "type"))).collect()
    }

    /// The names a person can choose.
    fn choices(&self) -> Vec<&str> {
        self.choices.iter().map(|choice| &*choice.name).collect()
    }
}

/// Gives all files one date, and has the server show it in UTC.
fn dated(setup: Setup) -> Setup {
    fn walk(folder: &Path, date: SystemTime) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, date);
            } else {
                fs::File::open(&path).unwrap().set_modified(date).unwrap();
            }
        }
    }
    walk(&setup.catalog(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_252_693));
    setup.env("TZ", "UTC0")
}

/// Head and body of a captured answer.
fn captured(name: &str) -> (String, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/wire/autoconnect");
    let text = fs::read_to_string(path.join(name)).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.into(), body.into())
}

/// What devices rely on, byte for byte: five keys in their order, names sorted, date and time of 8
/// characters each. A folder has name and type, as `updateserver.py` has it.
#[test]
fn the_captured_request_gets_a_list_of_exactly_this_form() {
    let (door, lamp) = (images::sketch(1), images::app(Chip::Esp32C3, 2));
    let server = dated(
        setup()
            .file("lamp.bin", &lamp)
            .file("fährte.bin", &door)
            .file("Door.bin", &door)
            .file("fs.bin", images::littlefs())
            .file("beta/x.bin", &door),
    )
    .start();

    let list = list(&server, ".");

    let (door, lamp) = (door.len(), lamp.len());
    let expected = [
        format!(r#"{{"name": "Door.bin", "type": "bin", {DATE}, "size": {door}}}"#),
        r#"{"name": "beta", "type": "directory"}"#.into(),
        format!(r#"{{"name": "fs.bin", "type": "file", {DATE}, "size": 8192}}"#),
        format!(r#"{{"name": "fährte.bin", "type": "bin", {DATE}, "size": {door}}}"#),
        format!(r#"{{"name": "lamp.bin", "type": "bin", {DATE}, "size": {lamp}}}"#),
    ];
    assert_eq!(list.text, format!("[{}]", expected.join(", ")));
    assert_eq!(list.choices(), ["Door.bin", "fährte.bin", "lamp.bin"]);
    assert_eq!(list.choices[0].tag, format!("11/21/26 09:18 {door}"));
    let line = server.logged_request("/_catalog");
    assert_eq!((&line["status"], &line["peer"]), (&200.into(), &"127.0.0.1".into()));
}

/// The head that `updateserver.py` sends has nothing that ours lacks, but for its name.
#[test]
fn the_list_has_every_header_field_that_was_captured() {
    let server = setup().start();
    let answer = server.get("/_catalog?op=list", "");
    let (head, _) = captured("catalog-response.http");
    let names = head.lines().skip(1).map(|line| line.split_once(": ").unwrap().0);
    for name in names.filter(|&name| name != "Server") {
        answer.field(name);
    }
}

#[test]
fn every_client_gets_the_same_list() {
    let server = setup().file("door.bin", images::sketch(1)).start();
    let expected = list(&server, ".").text;
    let requests = [
        "GET /_catalog?op=list&path=. HTTP/1.0\r\n\r\n".to_owned(),
        "GET /_catalog?op=list&path=. HTTP/1.1\r\nHost: updates.lan\r\n\r\n".to_owned(),
        "GET /_catalog?path=.&op=list HTTP/1.1\nConnection: keep-alive\n\n".to_owned(),
        "GET _catalog?op=list HTTP/1.0\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "GET http://updates.lan:8000/_catalog?op=list HTTP/1.1\r\n\r\n".to_owned(),
        "GET /_catalog?op=list HTTP/1.0\r\nUser-Agent: ESP32HTTPClient\r\n\r\n".to_owned(),
        format!("GET /_catalog?op=list HTTP/1.0\r\n{ESP8266}\r\n"),
    ];
    for request in requests {
        assert_eq!(read(&server.send(&request)).text, expected, "{request}");
    }
}

#[test]
fn a_head_request_tells_the_length_alone() {
    let server = setup().file("door.bin", images::sketch(1)).start();
    let whole = server.get("/_catalog?op=list", "");
    let head = server.send("HEAD /_catalog?op=list HTTP/1.0\r\n\r\n");
    assert_eq!((head.status, head.fields_but_date()), (200, whole.fields_but_date()));
    assert_eq!(head.text(), "");
}

/// Devices put the `uri` of their sketch in there as it is.
#[test]
fn every_spelling_of_a_folder_is_understood() {
    let server =
        setup().file("root.bin", images::sketch(1)).file("fw/x.bin", images::sketch(2)).start();
    for path in ["&path=.", "&path=", "", "&path", "&path=/", "&path=./", "&path=.&path=fw"] {
        let answer = server.get(&format!("/_catalog?op=list{path}"), "");
        assert_eq!(read(&answer).names(), ["fw", "root.bin"], "{path:?}");
    }
    for path in ["fw", "/fw", "./fw", "fw/", "/fw/", "//fw", "%66w", "%2Ffw", "fw/."] {
        assert_eq!(list(&server, path).names(), ["x.bin"], "{path:?}");
    }
}

#[test]
fn what_is_no_list_is_refused_with_the_code_that_devices_know() {
    let setup =
        setup().file("door.bin", images::sketch(1)).file("fw/x.bin", "").file(".git/x.bin", "");
    fs::create_dir(setup.beside().join("fw-secret")).unwrap();
    fs::write(setup.beside().join("fw-secret/x.bin"), images::sketch(2)).unwrap();
    symlink(setup.beside().join("fw-secret"), setup.catalog().join("link")).unwrap();
    let server = setup.start();
    for (target, status) in [
        // The operation is missing, blank, or another one.
        ("/_catalog", 403),
        ("/_catalog?", 403),
        ("/_catalog?path=.", 403),
        ("/_catalog?op=&path=.", 403),
        ("/_catalog?op=delete&path=.", 403),
        ("/_catalog?op=LIST&path=.", 403),
        ("/_catalog?op=list%0d%0aSet-Cookie:%20a=b", 403),
        ("/_catalog?op=%ff%c4", 403),
        // The folder is outside, above all the neighbour whose path starts the same.
        ("/_catalog?op=list&path=..", 403),
        ("/_catalog?op=list&path=../fw-secret", 403),
        ("/_catalog?op=list&path=%2e%2e%2ffw-secret", 403),
        ("/_catalog?op=list&path=fw/../../fw-secret", 403),
        ("/_catalog?op=list&path=..\\fw-secret", 403),
        ("/_catalog?op=list&path=/../etc", 403),
        ("/_catalog?op=list&path=link", 403),
        // There is no such folder.
        ("/_catalog?op=list&path=none", 404),
        ("/_catalog?op=list&path=/etc", 404),
        ("/_catalog?op=list&path=door.bin", 404),
        ("/_catalog?op=list&path=.git", 404),
        ("/_catalog?op=list&path=-secret", 404),
        ("/_catalog?op=list&path=a%00b", 404),
        ("/_catalog?op=list&path=%ff", 404),
    ] {
        for version in ["1.0", "1.1"] {
            let answer = server.send(format!("GET {target} HTTP/{version}\r\n\r\n"));
            let expected = [("Content-Length", "0"), ("Connection", "close")];
            answer.check_head(status, &expected);
            assert_eq!(answer.text(), "", "{target}");
        }
    }
}

/// With a slash behind it, it is a name that no file has.
#[test]
fn only_the_exact_path_is_the_catalog() {
    let server = setup().start();
    for path in ["/_catalog/", "/_catalog/?op=list", "/_catalogue?op=list", "/fw/_catalog?op=list"]
    {
        assert_eq!(server.get(path, ESP8266).status, 404, "{path}");
        assert_eq!(server.get(path, "").status, 403, "{path}");
    }
}

#[test]
fn other_methods_are_not_implemented() {
    let server = setup().file("door.bin", images::sketch(1)).start();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get", "PROPFIND"] {
        for (target, fields) in [
            ("/_catalog?op=list&path=.", ""),
            ("/door.bin", ESP8266),
            ("/", ESP8266),
            ("/none", "Content-Length: 0\r\n"),
        ] {
            let answer = server.send(format!("{method} {target} HTTP/1.1\r\n{fields}\r\n"));
            answer.check_head(501, &[("Content-Length", "0"), ("Connection", "close")]);
            assert_eq!(answer.text(), "", "{method} {target}");
        }
    }
}

/// However the folder is given, it is resolved once: lists and downloads are there.
#[test]
fn every_way_to_give_the_folder_works() {
    let door = images::sketch(1);
    let check = |folder: &str, sub: &str| {
        let setup = setup().file("sub/door.bin", &door);
        symlink("fw", setup.beside().join("link")).unwrap();
        fs::create_dir(setup.beside().join("fw-secret")).unwrap();
        let folder = folder.replace("BESIDE", setup.beside().to_str().unwrap());
        let server = setup.args(&["-d", &folder]).start();
        assert_eq!(list(&server, &format!("./{sub}")).names(), ["door.bin"], "{folder}");
        assert_eq!(list(&server, &format!("{sub}/")).choices(), ["door.bin"], "{folder}");
        let answer = server.get(&format!("{sub}/door.bin"), ESP8266);
        assert_eq!((answer.status, answer.body), (200, door.clone()), "{folder}");
        assert_eq!(server.get("/_catalog?op=list&path=../fw-secret", "").status, 403, "{folder}");
    };
    for folder in
        ["fw", "fw/", "./fw", "fw/.", "fw/../fw", "link", "link/", "BESIDE/fw/", "BESIDE/link"]
    {
        check(folder, "sub");
    }
    check("fw/sub", "");
    check("./link/sub/", ".");
}
