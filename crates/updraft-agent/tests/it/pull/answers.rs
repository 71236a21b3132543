//! Each answer that was tried on the real ESP8266 client gives the result, the number and the text that
//! it gave there; on an ESP32, those of its client's source.

use updraft_agent::pull::{Device, Mode, Options};
use updraft_core::OtaTarget;

use super::{
    At, Board, ESP32, ESP8266, FILESYSTEM, SKETCH, UpdaterError, answer, ask, md5, request, sketch,
    wire,
};

/// Checks an answer on both families; what an updater got then.
#[track_caller]
fn check(mode: Mode, answer: &[u8], expected: &str) -> Board {
    check_on(ESP32, mode, answer, expected);
    check_on(ESP8266, mode, answer, expected)
}

#[track_caller]
fn check_on(device: Device<'_>, mode: Mode, answer: &[u8], expected: &str) -> Board {
    let (request, options) = (request(device, mode), Options::of(device.family));
    let (outcome, board) = ask(&request, options, answer, &[usize::MAX], Board::default());
    assert_eq!(outcome, expected, "{}", device.family);
    board
}

/// An answer with a body and its right length.
fn with_length(fields: &[&str], body: &[u8]) -> Vec<u8> {
    let length = format!("Content-Length: {}", body.len());
    answer("200 OK", &[&[&*length], fields].concat(), body)
}

#[test]
fn an_image_with_its_md5_is_installed() {
    let image = sketch();
    let digest = md5(&image);
    let upper = digest.to_uppercase();
    for field in [
        format!("x-MD5: {digest}"),
        format!("X-md5:{upper}  "),
        "Content-MD5: aGVsbG8=".to_owned(),
        "ETag: \"0123\"".to_owned(),
        "Connection: keep-alive".to_owned(),
        format!("x-long: {}", "x".repeat(9_000)),
    ] {
        let board = check(SKETCH, &with_length(&[&field], &image), "ok");
        assert_eq!((board.image, board.aborted), (image.clone(), 0), "{field}");
        let (target, size, md5, version) = board.offered.unwrap();
        assert_eq!((target, size as usize, version), (OtaTarget::Sketch, image.len(), None));
        assert_eq!(md5.is_some(), field.to_lowercase().starts_with("x-md5"));
    }
    let lower = format!("HTTP/1.0 200 OK\ncontent-length: {}\nx-version: 2.0\n\n", image.len());
    let board = check(SKETCH, &[lower.as_bytes(), &image].concat(), "ok");
    assert_eq!(board.offered.unwrap().3.as_deref(), Some("2.0"));
}

#[test]
fn the_answer_of_updateserver_py_is_taken() {
    let head = wire("autoconnect/firmware-response-head.http");
    let answer = [head.as_bytes(), &sketch()].concat();
    let board = check_on(ESP8266, SKETCH, &answer, STALLED);
    let (target, size, md5, _) = board.offered.unwrap();
    assert_eq!((target, size), (OtaTarget::Sketch, 264_272));
    assert_eq!(super::hex(&md5.unwrap()), "3efb75911b5bedba688e4469db3ee44b");
}

const STALLED: &str = "6 Update error: ERROR[6]: Stream Read Timeout";

#[test]
fn a_wrong_md5_is_the_updaters_error_7() {
    let image = sketch();
    let zeros = "0".repeat(32);
    let text = format!("MD5 verification failed: expected: {zeros}, calculated: {}", md5(&image));
    let answer = with_length(&[&format!("x-MD5: {zeros}")], &image);
    check_on(ESP8266, SKETCH, &answer, &format!("7 Update error: ERROR[7]: {text}"));
    check_on(ESP32, SKETCH, &answer, &format!("7 Update error: {text}"));
    // Content-Encoding is ignored: what is checked is what comes.
    let digest = format!("x-MD5: {}", md5(b"the image before it was compressed"));
    let answer = with_length(&["Content-Encoding: gzip", &digest], &[0x1F, 0x8B, 8, 0]);
    let (outcome, _) = ask(
        &request(ESP8266, SKETCH),
        Options::of(ESP8266.family),
        &answer,
        &[usize::MAX],
        Board::default(),
    );
    assert!(outcome.starts_with("7 Update error: ERROR[7]: MD5"), "{outcome}");
    // A length that is too short cuts the image.
    let fields = ["Content-Length: 100", &format!("x-MD5: {}", md5(&image))];
    let (outcome, board) = ask(
        &request(ESP8266, SKETCH),
        Options::of(ESP8266.family),
        &super::answer("200 OK", &fields, &image),
        &[usize::MAX],
        Board::default(),
    );
    assert!(outcome.starts_with("7 Update error: ERROR[7]: MD5"), "{outcome}");
    assert_eq!(board.image, image[..100]);
}

#[test]
fn an_md5_that_is_none_is_refused_before_anything_is_written() {
    let digest = md5(&sketch());
    let quoted = format!("\"{digest}\"");
    // The last one is stricter than the stock clients, which load and then say error 7.
    for value in ["0123", &quoted, &digest[1..], &"z".repeat(32)] {
        let answer = with_length(&[&format!("x-MD5: {value}")], &sketch());
        let board = check(SKETCH, &answer, "-105 Wrong MD5");
        assert_eq!(board.offered, None);
        assert_eq!(check(FILESYSTEM, &answer, "-105 Wrong MD5").offered, None);
    }
    let field = format!("x-MD5: {digest}");
    let twice = with_length(&[&field, &field], &sketch());
    check_on(ESP8266, SKETCH, &twice, "-105 Wrong MD5");
    check_on(ESP32, SKETCH, &twice, "ok");
}

#[test]
fn not_modified_is_no_update() {
    for mode in [SKETCH, FILESYSTEM] {
        check(mode, &answer("304 Not Modified", &[], b""), "no updates");
        check(
            mode,
            &answer("304 Not Modified", &["Content-Length: 4"], b"\xE9\x01\x02\x40"),
            "no updates",
        );
    }
}

#[test]
fn statuses_have_their_numbers() {
    for mode in [SKETCH, FILESYSTEM, Mode::Version] {
        check(mode, &answer("403 Forbidden", &[], b""), "-103 Forbidden (403)");
        check(mode, &answer("404 Not Found", &[], b""), "-102 File Not Found (404)");
        check_on(ESP8266, mode, &answer("401 No", &[], b""), "-108 Unauthorized (401)");
        check_on(ESP32, mode, &answer("401 No", &[], b""), "-104 Wrong HTTP Code");
        for status in [
            "400",
            "405",
            "429",
            "500",
            "503",
            "204",
            "206",
            "301",
            "302",
            "303",
            "307",
            "308",
            "100",
            "101 Switching",
            "70000",
        ] {
            let answer =
                answer(status, &["Location: /ok", "Content-Length: 4"], b"\xE9\x01\x02\x40");
            check(mode, &answer, "-104 Wrong HTTP Code");
        }
    }
}

#[test]
fn a_size_must_be_told() {
    let image = sketch();
    for mode in [SKETCH, FILESYSTEM] {
        for fields in
            [&[][..], &["Content-Length: 0"], &["Content-Length: -5"], &["Content-Length: x"]]
        {
            check(mode, &answer("200 OK", fields, &image), "-101 Server Did Not Report Size");
        }
        let chunked = answer(
            "200 OK",
            &["Transfer-Encoding: chunked"],
            b"4\r\n\xE9\x01\x02\x40\r\n0\r\n\r\n",
        );
        check(mode, &chunked, "-101 Server Did Not Report Size");
    }
}

#[test]
fn a_body_in_another_form_is_refused() {
    let fields = ["Transfer-Encoding: chunked", "Content-Length: 4"];
    let chunked = answer("200 OK", &fields, b"4\r\n\xE9\x01\x02\x40\r\n0\r\n\r\n");
    check(SKETCH, &chunked, "-106 Verify Bin Header Failed");
    // Stricter than the stock clients, which write the chunks' sizes into the filesystem.
    let board = check(FILESYSTEM, &chunked, "-9 HTTP error: Transfer-Encoding not supported");
    assert_eq!(board.offered, None);
    let gzip = with_length(&["Transfer-Encoding: gzip"], &sketch());
    check(SKETCH, &gzip, "-9 HTTP error: Transfer-Encoding not supported");
    let identity = with_length(&["Transfer-Encoding: identity"], &sketch());
    check_on(ESP8266, SKETCH, &identity, "-9 HTTP error: Transfer-Encoding not supported");
    check_on(ESP32, SKETCH, &identity, "ok");
}

#[test]
fn a_body_that_ends_early_is_error_6() {
    let answer = answer("200 OK", &["Content-Length: 5000"], &sketch());
    for mode in [SKETCH, FILESYSTEM] {
        let board = check_on(ESP8266, mode, &answer, STALLED);
        assert_eq!((board.image, board.aborted), (sketch(), 1));
        check_on(ESP32, mode, &answer, "6 Update error: Stream Read Timeout");
    }
}

#[test]
fn what_is_no_http_is_an_error_of_the_transfer() {
    check(SKETCH, b"", "-5 HTTP error: connection lost");
    check(SKETCH, b"HTTP/1.1 200 OK\r\nContent-Le", "-5 HTTP error: connection lost");
    check(SKETCH, b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "-7 HTTP error: no HTTP server");
    check(SKETCH, b"\r\n\r\n", "-7 HTTP error: no HTTP server");
    check(SKETCH, b"HTTP/1.1 -200 OK\r\n\r\n", "-7 HTTP error: no HTTP server");
}

#[test]
fn a_sketch_starts_as_one() {
    let check_body = |device, body: &[u8], expected: &str| {
        let board = check_on(device, SKETCH, &with_length(&[], body), expected);
        assert_eq!(board.offered.is_some(), expected == "ok");
    };
    for device in [ESP8266, ESP32] {
        check_body(device, b"<html>", "-106 Verify Bin Header Failed");
        check_body(device, &[0xE9, 1, 2, 0x40], "ok");
        check_body(device, b"\xE9\x01\x02\x40 and then anything", "ok");
        let nothing = answer("200 OK", &["Content-Length: 4"], b"");
        check_on(device, SKETCH, &nothing, "-106 Verify Bin Header Failed");
    }
    // The ESP8266's client looks at four bytes, the ESP32's at one.
    check_body(ESP8266, b"\xE9", "-106 Verify Bin Header Failed");
    check_body(ESP32, b"\xE9", "ok");
    let gzip = b"\x1F\x8B\x08\x00 and so on";
    check_body(ESP8266, gzip, "ok");
    check_body(ESP32, gzip, "-106 Verify Bin Header Failed");
    // Flash sizes of 8 and 4 MiB, on 4 MiB; an ESP32's codes are others, and not looked at.
    check_body(ESP8266, &[0xE9, 1, 2, 0x8F], "-107 New Binary Does Not Fit Flash Size");
    check_body(ESP32, &[0xE9, 1, 2, 0x8F], "ok");
    check_body(ESP8266, &[0xE9, 1, 2, 0x4F], "ok");
    // "4MB-c1": stricter than the stock client, which does not know that code.
    let small = Device { chip_size: 2 << 20, ..ESP8266 };
    check_body(small, &[0xE9, 1, 2, 0x6F], "-107 New Binary Does Not Fit Flash Size");
    check_body(ESP8266, &[0xE9, 1, 2, 0x6F], "ok");
    check_body(small, &[0xE9, 1, 2, 0xFF], "ok");
}

#[test]
fn a_body_longer_than_its_length_is_cut() {
    let board = check(SKETCH, &answer("200 OK", &["Content-Length: 6"], &sketch()), "ok");
    assert_eq!(board.image, sketch()[..6]);
    let board = check(SKETCH, &answer("200 OK", &["Content-Length: 2"], &sketch()), "ok");
    assert_eq!(board.image, sketch()[..2]);
}

#[test]
fn an_image_must_fit() {
    let image = sketch();
    let size = u32::try_from(image.len()).unwrap();
    let answer = with_length(&[], &image);
    let check_room = |device, mode, expected: &str| {
        let board = check_on(device, mode, &answer, expected);
        assert_eq!(board.offered.is_some(), expected == "ok");
    };
    for device in [ESP8266, ESP32] {
        check_room(Device { free_space: size, ..device }, SKETCH, "ok");
        check_room(Device { free_space: size - 1, ..device }, SKETCH, "-100 Not Enough space");
        let room = |filesystem_size| Device { filesystem_size, ..device };
        check_room(room(Some(size)), FILESYSTEM, "ok");
        check_room(room(Some(size - 1)), FILESYSTEM, "-100 Not Enough space");
    }
    check_room(Device { free_space: 0, ..ESP8266 }, SKETCH, "-100 Not Enough space");
    check_room(Device { free_space: 0, ..ESP32 }, SKETCH, "-108 Partition Could Not be Found");
    let none = |device| Device { filesystem_size: None, ..device };
    check_room(none(ESP8266), FILESYSTEM, "-100 Not Enough space");
    check_room(none(ESP32), FILESYSTEM, "-108 Partition Could Not be Found");
    for size in ["4294967297", "99999999999999999999999"] {
        let field = format!("Content-Length: {size}");
        let answer = super::answer("200 OK", &[&field], &image);
        check(SKETCH, &answer, "-100 Not Enough space");
    }
}

#[test]
fn a_filesystem_image_is_written_as_it_comes() {
    for body in [&b"\x1F\x8B\x08\x00 and so on"[..], b"x", b"littlefs"] {
        let board = check(FILESYSTEM, &with_length(&[], body), "ok");
        assert_eq!((board.image, board.offered.unwrap().0), (body.into(), OtaTarget::Filesystem));
    }
}

#[test]
fn a_version_is_told() {
    let check = |answer: &[u8], expected: &str| check(Mode::Version, answer, expected);
    check(&answer("200 OK", &["x-version: 1.2.0-rc.1 "], b""), "version 1.2.0-rc.1");
    let digest = "x-MD5: 3efb75911b5bedba688e4469db3ee44b";
    let both = answer("200 OK", &["X-VERSION: any text", digest, "Content-Length: 0"], b"");
    check(&both, "version any text 3efb75911b5bedba688e4469db3ee44b");
    check(&answer("200 OK", &["Content-Length: 0"], b""), "-109");
    check(&answer("200 OK", &["x-version:"], b""), "-109");
    check(b"HTTP/1.1 200 OK\r\nx-version: \xFF\r\n\r\n", "-109");
    check(&answer("304 Not Modified", &["x-version: 1"], b""), "-104 Wrong HTTP Code");
    let long = format!("x-version: {}", "1".repeat(300));
    let answer = answer("200 OK", &[&long], b"");
    check_on(ESP8266, Mode::Version, &answer, "-8 HTTP error: not enough ram");
    check_on(ESP32, Mode::Version, &answer, "-8 HTTP error: too less ram");
    // It only matters to whom it is asked.
    let image = with_length(&[&long], &sketch());
    let board = super::answers::check(SKETCH, &image, "ok");
    assert_eq!(board.offered.unwrap().3, None);
}

#[test]
fn an_error_of_the_updater_is_told_and_ends_it() {
    for (at, written) in [(At::Begin, 0), (At::Write, 4), (At::Finish, sketch().len())] {
        let board = Board {
            fails: Some((at, UpdaterError(4, "Not Enough Space".to_owned()))),
            ..Board::default()
        };
        let answer = with_length(&[], &sketch());
        let options = Options::of(ESP8266.family);
        let (outcome, board) = ask(&request(ESP8266, SKETCH), options, &answer, &[7], board);
        assert_eq!(outcome, "4 Update error: ERROR[4]: Not Enough Space");
        assert_eq!((board.image.len(), board.aborted), (written, 0), "{at:?}");
    }
}
