//! Parts of a file, its tag, and its head alone.

use super::{check_image, check_not_modified};
use crate::harness::{Answer, ESP8266, Server, setup};
use crate::images;

fn get(server: &Server, fields: &str) -> Answer {
    server.get("/door.bin", &format!("{ESP8266}{fields}\r\n"))
}

/// Checks that an answer sends just these bytes of `file`.
fn check_part(answer: &Answer, file: &[u8], first: usize, last: usize) {
    answer.check_head(
        206,
        &[
            ("Content-Type", "application/octet-stream"),
            ("Content-Disposition", "attachment; filename=door.bin"),
            ("Content-Range", &format!("bytes {first}-{last}/{}", file.len())),
            ("Content-Length", &(last + 1 - first).to_string()),
            ("ETag", &format!("\"{}\"", images::sha256(file))),
            ("Accept-Ranges", "bytes"),
            ("Connection", "close"),
        ],
    );
    assert!(answer.body == file[first..=last], "other bytes than {first} to {last}");
}

fn check_ranges(server: &Server, door: &[u8]) {
    let size = door.len();
    let end = size - 1;
    for (range, first, last) in [
        ("0-0".to_owned(), 0, 0),
        ("0-".to_owned(), 0, end),
        ("100-199".to_owned(), 100, 199),
        ("100-".to_owned(), 100, end),
        (format!("{end}-{end}"), end, end),
        ("4000-999999".to_owned(), 4000, end),
        ("-16".to_owned(), size - 16, end),
        ("-999999".to_owned(), 0, end),
    ] {
        let answer = get(server, &format!("Range: bytes={range}"));
        check_part(&answer, door, first, last);
        server
            .logged(|line| line["status"] == 206 && line["bytes_acknowledged"] == last + 1 - first);
    }
    for range in [format!("{size}-"), format!("{size}-{size}"), "-0".to_owned()] {
        let answer = get(server, &format!("Range: bytes={range}"));
        let total = format!("bytes */{size}");
        answer.check_head(
            416,
            &[("Content-Range", &total), ("Content-Length", "0"), ("Connection", "close")],
        );
    }
    for range in ["bytes=0-1,4-5", "bytes=0-1,", "bytes=9-8", "lines=0-1", "bytes=x-y", "bytes", ""]
    {
        check_image(&get(server, &format!("Range: {range}")), "door.bin", door);
    }
}

#[test]
fn one_range_is_sent_and_several_are_ignored() {
    let door = images::sketch(1);
    let server = setup().file("door.bin", &door).start();
    check_ranges(&server, &door);
}

/// The same answers where nothing is kept in memory.
#[test]
fn ranges_are_read_from_the_file_where_there_is_no_memory_for_it() {
    let door = images::sketch(1);
    let server = setup().file("door.bin", &door).args(&["--cache-size", "0"]).start();
    check_image(&server.get("/door.bin", ESP8266), "door.bin", &door);
    check_ranges(&server, &door);
}

#[test]
fn a_range_of_another_version_of_the_file_is_the_whole_of_this_one() {
    let door = images::sketch(1);
    let server = setup().file("door.bin", &door).start();
    let tag = images::sha256(&door);
    let answer = get(&server, &format!("Range: bytes=0-15\r\nIf-Range: \"{tag}\""));
    check_part(&answer, &door, 0, 15);
    for other in [
        "\"0\"".to_owned(),
        tag.clone(),
        format!("W/\"{tag}\""),
        "Sat, 21 Nov 2026 09:18:13 GMT".to_owned(),
    ] {
        let answer = get(&server, &format!("Range: bytes=0-15\r\nIf-Range: {other}"));
        check_image(&answer, "door.bin", &door);
    }
}

#[test]
fn who_has_the_file_by_its_tag_is_not_sent_it() {
    let door = images::sketch(1);
    let server = setup().file("door.bin", &door).start();
    let tag = images::sha256(&door);
    check_not_modified(&get(&server, &format!("If-None-Match: \"{tag}\"")));
    for other in ["\"0\"", "\"\"", &tag] {
        check_image(&get(&server, &format!("If-None-Match: {other}")), "door.bin", &door);
    }
}

#[test]
fn a_head_request_gets_the_head_of_a_download() {
    let door = images::sketch(1);
    let server = setup().file("door.bin", &door).start();
    for range in ["", "Range: bytes=100-199\r\n", "Range: bytes=999999-\r\n"] {
        let whole = server.get("/door.bin", &format!("{ESP8266}{range}"));
        let head = server.send(format!("HEAD /door.bin HTTP/1.0\r\n{ESP8266}{range}\r\n"));
        assert_eq!((head.status, head.fields_but_date()), (whole.status, whole.fields_but_date()));
        assert_eq!(head.text(), "", "{range}");
    }
    // Nor does any other answer to it have a body.
    for (target, fields) in [("/none.bin", ESP8266), ("/door.bin", "")] {
        let whole = server.get(target, fields);
        let head = server.send(format!("HEAD {target} HTTP/1.0\r\n{fields}\r\n"));
        assert_eq!((head.status, head.fields_but_date()), (whole.status, whole.fields_but_date()));
        assert_eq!(head.text(), "", "{target}");
    }
}
