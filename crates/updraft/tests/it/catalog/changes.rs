//! What a list says of a folder that changes, and of its dates.

use std::fs;
use std::io::Write as _;
use std::time::{Duration, SystemTime};

use super::list;
use crate::harness::{ESP8266, Server, setup};
use crate::images;

/// What changes, and what the list and the file are afterwards.
fn check_changes(settle: &'static str) {
    let (first, second) = (images::sketch(1), images::sketch(2));
    assert_eq!(first.len(), second.len());
    let server = setup().settle(settle).file("sub/README.md", "").start();
    server.scanned();
    let file = |name: &str| server.catalog().join(name);
    assert_eq!(list(&server, ".").choices(), [""; 0]);

    let added = |name: &str, content: &[u8]| {
        fs::write(file(name), content).unwrap();
        inspected(&server, name, content);
    };
    added("a.bin", &first);
    assert_eq!(list(&server, ".").choices(), ["a.bin"]);

    fs::rename(file("a.bin"), file("b.bin")).unwrap();
    inspected(&server, "b.bin", &first);
    assert_eq!(list(&server, ".").choices(), ["b.bin"]);
    assert_eq!(server.get("/a.bin", ESP8266).status, 404);

    // Replaced as a careful person does it, then as a careless one; of the same length each time.
    fs::write(server.catalog().join(".new"), &second).unwrap();
    fs::rename(file(".new"), file("b.bin")).unwrap();
    inspected(&server, "b.bin", &second);
    let mut open = fs::File::options().write(true).open(file("b.bin")).unwrap();
    open.write_all(&first).unwrap();
    drop(open);
    inspected(&server, "b.bin", &first);

    // Grown, and not a sketch any more.
    let garbage = images::unknown(9000);
    added("b.bin", &garbage);
    let after = list(&server, ".");
    assert_eq!(after.types()[0], ("b.bin".into(), "file".into()));
    assert_eq!(after.entries()[0]["size"], 9000);

    assert_eq!(list(&server, "sub").names(), ["-"]);
    added("sub/c.bin", &first);
    assert_eq!(list(&server, "sub").choices(), ["c.bin"]);

    fs::remove_file(file("b.bin")).unwrap();
    assert_eq!(list(&server, ".").names(), ["sub"]);
    assert_eq!(server.get("/b.bin", ESP8266).status, 404);
}

#[test]
fn folders_come_and_go() {
    let server = setup().start();
    let sub = server.catalog().join("sub");
    assert_eq!(server.get("/_catalog?op=list&path=sub", "").status, 404);
    fs::create_dir(&sub).unwrap();
    assert_eq!(list(&server, ".").names(), ["sub"]);
    assert_eq!(list(&server, "sub").names(), ["-"]);
    fs::write(sub.join("c.bin"), images::sketch(1)).unwrap();
    assert_eq!(list(&server, "sub").choices(), ["c.bin"]);
    fs::rename(&sub, server.catalog().join("moved")).unwrap();
    assert_eq!(list(&server, ".").names(), ["moved"]);
    assert_eq!(list(&server, "moved").choices(), ["c.bin"]);
    assert_eq!(server.get("/sub/c.bin", ESP8266).status, 404);
    assert_eq!(server.get("/moved/c.bin", ESP8266).status, 200);
    fs::remove_dir_all(server.catalog().join("moved")).unwrap();
    assert_eq!(list(&server, ".").names(), ["-"]);
    assert_eq!(server.get("/_catalog?op=list&path=moved", "").status, 404);
}

/// Waits until the server knows a file with that content, by asking for it.
fn inspected(server: &Server, name: &str, content: &[u8]) {
    let fields = format!("{ESP8266}x-ESP8266-version: 1.0.0(tasmota)\r\n");
    for _ in 0..2000 {
        let answer = server.get(&format!("/{name}"), &fields);
        if answer.status == 200 && answer.body == content {
            assert_eq!(answer.field("x-MD5"), images::md5(content));
            return;
        }
        assert!([200, 404].contains(&answer.status), "{}", answer.head);
        assert_eq!(answer.body.len() % 16, 0);
    }
    panic!("{name} never came");
}

#[test]
fn changes_show_at_once_where_files_count_at_once() {
    check_changes("0s");
}

/// Here only the kernel's word that a file was closed or renamed in makes it count.
#[test]
fn changes_show_as_soon_as_files_are_closed() {
    check_changes("1h");
}

#[test]
fn a_file_that_is_still_being_written_is_absent() {
    let server = setup().settle("1h").start();
    server.scanned();
    let mut file = fs::File::create(server.catalog().join("x.bin")).unwrap();
    file.write_all(&images::sketch(1)).unwrap();
    assert_eq!(list(&server, ".").names(), ["-"]);
    assert_eq!(server.get("/x.bin", ESP8266).status, 404);
    drop(file);
    inspected(&server, "x.bin", &images::sketch(1));
    assert_eq!(list(&server, ".").choices(), ["x.bin"]);
}

/// The device shows date and time as they come; a person compares them with a clock on the wall.
#[test]
fn dates_are_local() {
    let check = |zone: &str, seconds: u64, date: &str, time: &str| {
        let setup = setup().file("x.bin", images::sketch(1)).env("TZ", zone);
        let date_of_file = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let file = fs::File::open(setup.catalog().join("x.bin")).unwrap();
        file.set_modified(date_of_file).unwrap();
        let server = setup.start();
        let entry = &list(&server, ".").entries()[0];
        assert_eq!((&entry["date"], &entry["time"]), (&date.into(), &time.into()), "{zone}");
    };
    // 2026-01-01 00:00:00 and 2026-07-01 22:59:59 UTC.
    let (winter, summer) = (1_767_225_600, 1_782_946_799);
    let berlin = "CET-1CEST,M3.5.0,M10.5.0/3";
    check("UTC0", winter, "01/01/26", "00:00:00");
    check("EST5", winter, "12/31/25", "19:00:00");
    check("IST-5:30", winter, "01/01/26", "05:30:00");
    check(berlin, winter, "01/01/26", "01:00:00");
    check(berlin, summer, "07/02/26", "00:59:59");
}
