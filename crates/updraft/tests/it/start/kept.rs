//! What a server keeps from one start to the next: what it knows of its files, and nothing that could
//! stop it from starting.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::faults::{sketch, until};
use crate::harness::{ESP8266, Server, Setup, setup};

/// Starts a server and waits until it knows its files: how many they are.
fn start(setup: Setup) -> (Server, u64) {
    let server = setup.start();
    let line =
        server.logged(|line| line["message"].as_str().is_some_and(|m| m.starts_with("catalog ")));
    let files = line["files"].as_u64().unwrap();
    (server, files)
}

/// The files it had to read for that, in order.
fn inspected(server: &Server) -> Vec<String> {
    let name =
        |line: &Value| Some(line["message"].as_str()?.strip_prefix("inspected ")?.to_owned());
    let mut names: Vec<String> = server.log().iter().filter_map(name).collect();
    names.sort();
    names
}

/// Stops a server as a service manager does; what to start the next one with.
fn stop(server: Server) -> Setup {
    let again = server.again();
    server.terminate();
    assert_eq!(server.wait(), Some(0));
    again
}

fn index(setup: &Setup) -> PathBuf {
    setup.beside().join("data/catalog-index.json")
}

fn three_files() -> Setup {
    setup()
        .file("a.bin", sketch(5000, 1))
        .file("b.bin", sketch(5000, 2))
        .file("sub/c.bin", sketch(5000, 3))
}

#[test]
fn a_second_start_inspects_what_is_new() {
    let (server, files) = start(three_files());
    assert_eq!(
        (files, inspected(&server)),
        (3, vec!["a.bin".into(), "b.bin".into(), "sub/c.bin".into()])
    );
    let again = stop(server);

    let (server, files) = start(again);
    assert_eq!((files, inspected(&server)), (3, vec![]));
    let again = stop(server);

    let changed = sketch(6000, 4);
    fs::write(again.catalog().join("b.bin"), &changed).unwrap();
    fs::write(again.catalog().join("new.bin"), sketch(5000, 5)).unwrap();
    fs::remove_file(again.catalog().join("a.bin")).unwrap();
    let (server, files) = start(again);
    assert_eq!((files, inspected(&server)), (3, vec!["b.bin".into(), "new.bin".into()]));
    assert!(server.get("/b.bin", ESP8266).body == changed);
    assert_eq!(server.get("/a.bin", ESP8266).status, 404);
    let again = stop(server);

    let kept = fs::read_to_string(index(&again)).unwrap();
    assert!(!kept.contains("a.bin"), "{kept}");
    let (server, files) = start(again);
    assert_eq!((files, inspected(&server)), (3, vec![]));
}

#[test]
fn a_server_stopped_in_its_first_moment_forgets_nothing() {
    let old = (0..2000).fold(setup(), |setup, number| {
        setup.file(&format!("old{number}.bin"), format!("file {number}"))
    });
    let (server, _) = start(old.args(&["-l", "info"]));
    let mut again = stop(server).args(&["-l", "debug"]);
    // It finds something new to keep, but has not seen everything.
    for round in 0..3 {
        for number in 0..100 {
            again = again.file(&format!("new{round}-{number}.bin"), format!("new {number}"));
        }
        let server = again.start();
        server.logged(|line| {
            let inspected = format!("inspected new{round}-");
            line["message"].as_str().is_some_and(|m| m.starts_with(&inspected))
        });
        again = stop(server);
    }
    let (server, files) = start(again);
    assert_eq!(files, 2300);
    let forgotten: Vec<_> =
        inspected(&server).into_iter().filter(|name| name.starts_with("old")).collect();
    assert_eq!(forgotten, [""; 0]);
}

#[test]
fn what_was_taken_up_is_answered_like_what_was_inspected() {
    let (server, _) = start(three_files());
    let ask = |server: &Server| {
        let list = server.get("/_catalog?op=list&path=.", "").body;
        let file = server.get("/sub/c.bin", ESP8266);
        (list, file.field("x-MD5").to_owned(), file.field("etag").to_owned(), file.body)
    };
    let before = ask(&server);
    let (server, _) = start(stop(server));
    assert!(ask(&server) == before);
    assert_eq!(inspected(&server), [""; 0]);
}

type Damage = fn(&Setup);

#[test]
fn an_index_that_is_lost_or_broken_costs_time_only() {
    let broken: [(&str, Damage); 8] = [
        ("gone", |setup| fs::remove_file(index(setup)).unwrap()),
        ("empty", |setup| fs::write(index(setup), "").unwrap()),
        ("garbage", |setup| fs::write(index(setup), b"\xff\x00garbage").unwrap()),
        ("cut", |setup| {
            let whole = fs::read(index(setup)).unwrap();
            fs::write(index(setup), &whole[..whole.len() / 2]).unwrap();
        }),
        ("other JSON", |setup| fs::write(index(setup), "[1, 2]").unwrap()),
        ("another revision", |setup| {
            let mut document: Value =
                serde_json::from_slice(&fs::read(index(setup)).unwrap()).unwrap();
            document["revision"] = 0.into();
            fs::write(index(setup), document.to_string()).unwrap();
        }),
        ("all of the data folder gone", |setup| {
            fs::remove_dir_all(setup.beside().join("data")).unwrap();
        }),
        ("half of the next one left", |setup| {
            fs::write(index(setup).with_extension("json.new"), "{\"revi").unwrap();
            fs::remove_file(index(setup)).unwrap();
        }),
    ];
    for (what, damage) in broken {
        let (server, _) = start(three_files());
        let again = stop(server);
        damage(&again);
        let (server, files) = start(again);
        assert_eq!((files, inspected(&server).len()), (3, 3), "{what}");
        assert_eq!(server.get("/a.bin", ESP8266).status, 200, "{what}");
        let (server, files) = start(stop(server));
        assert_eq!((files, inspected(&server).len()), (3, 0), "{what}: made anew");
    }
}

#[test]
fn an_index_that_cannot_be_kept_is_a_warning() {
    let setup = three_files();
    fs::create_dir_all(index(&setup)).unwrap();
    fs::write(setup.beside().join("data/lock"), "").unwrap();
    let (server, files) = start(setup);
    assert_eq!(files, 3);
    let line = server.logged(|line| line["message"] == "cannot keep what is known of the catalog");
    assert_eq!(line["level"], "WARN", "{line}");
    assert_eq!(server.get("/a.bin", ESP8266).status, 200);
    stop(server);
}

#[test]
fn records_of_other_files_are_no_way_out_of_the_catalog() {
    let (server, _) = start(three_files());
    let again = stop(server);
    let secret = again.beside().join("secret.bin");
    fs::write(&secret, sketch(5000, 666)).unwrap();
    let kept = fs::read_to_string(index(&again)).unwrap();
    for path in ["../secret.bin", "/../secret.bin", ".hidden.bin", secret.to_str().unwrap()] {
        fs::write(index(&again), kept.replace("\"a.bin\"", &format!("{path:?}"))).unwrap();
        let (server, files) = start(again.clone());
        assert_eq!(files, 3, "{path}");
        for target in [path, "/../secret.bin", "/.hidden.bin"] {
            assert_eq!(server.get(target, ESP8266).status, 404, "{path}");
        }
        stop(server);
    }
}

#[test]
fn a_server_that_was_killed_leaves_nothing_in_the_way() {
    let (server, _) = start(three_files());
    until("the index is kept", || index(&server.again()).exists());
    for _ in 0..3 {
        let again = server.again();
        let port = server.address().port().to_string();
        let (victim, _) = start(again.clone().args(&["--data", "other"]));
        victim.kill();
        let (survivor, files) = start(again.args(&["--data", "other"]));
        assert_eq!(files, 3);
        assert_ne!(survivor.address().port().to_string(), port);
        survivor.kill();
    }
    // What was kept before is there after.
    let again = server.again();
    server.kill();
    let (server, files) = start(again);
    assert_eq!((files, inspected(&server)), (3, vec![]));
}

#[test]
fn ten_thousand_files_are_known_at_once_the_second_time() {
    const FILES: usize = 10_000;
    let setup = setup();
    for number in 0..FILES {
        // A hundred folders of a hundred files.
        let folder = setup.catalog().join(format!("f{}", number / 100));
        if number % 100 == 0 {
            fs::create_dir(&folder).unwrap();
        }
        fs::write(folder.join(format!("{number}.bin")), format!("file {number}")).unwrap();
    }
    let (server, files) = start(setup.args(&["-l", "info"]));
    assert_eq!(files, FILES as u64);
    let (server, files) = start(stop(server).args(&["-l", "debug"]));
    assert_eq!((files, inspected(&server)), (FILES as u64, vec![]));
    assert_eq!(server.get("/f99/9999.bin", ESP8266).text(), "file 9999");
    let list = server.get("/_catalog?op=list&path=f50", "");
    assert_eq!(list.text().matches(".bin").count(), 100);
    assert_eq!(inspected(&server), [""; 0]);
}
