//! Files that change while they are sent, and files that are still being written.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::thread;

use super::{BIG, Download, keep_alive, narrow, read_head, request, sketch, still_serves, until};
use crate::harness::{ESP8266, Server, Setup, setup};

const STREAMED: &[&str] = &["--cache-size", "0"];
const CACHED: &[&str] = &[];

/// Changes `big.bin` in the middle of its download; what the device got, and how that ended.
fn changed_in_flight(
    server: &Server,
    request: &str,
    old: &[u8],
    change: impl FnOnce(&Path),
) -> Download {
    let mut stream = narrow(server);
    let mut download = Download::begin(&mut stream, request);
    assert_eq!(download.length, old.len());
    change(&server.catalog().join("big.bin"));
    download.read_on(&mut stream);
    assert!(old.starts_with(&download.body), "bytes of two files");
    download
}

fn replace(file: &Path, new: &[u8]) {
    let beside = file.with_extension("new");
    fs::write(&beside, new).unwrap();
    fs::rename(&beside, file).unwrap();
}

#[test]
fn a_file_replaced_during_its_download_is_sent_as_it_was_or_not_to_its_end() {
    let (old, new) = (sketch(BIG, 1), sketch(BIG, 2));
    for args in [CACHED, STREAMED] {
        for request in [request("/big.bin"), keep_alive("/big.bin")] {
            let server = setup().file("big.bin", &old).args(args).start();
            let download = changed_in_flight(&server, &request, &old, |file| replace(file, &new));
            if download.body.len() < old.len() {
                assert!(download.was_reset(), "ended like a whole body: {:?}", download.ended);
                assert_eq!(args, STREAMED, "what is in memory can be sent to its end");
            }
            still_serves(&server, "/big.bin", &new);
        }
    }
}

#[test]
fn a_file_removed_during_its_download_is_sent_as_it_was_or_not_to_its_end() {
    let old = sketch(BIG, 1);
    for args in [CACHED, STREAMED] {
        let server = setup().file("big.bin", &old).args(args).start();
        let request = request("/big.bin");
        let remove = |file: &Path| fs::remove_file(file).unwrap();
        let download = changed_in_flight(&server, &request, &old, remove);
        assert!(download.body.len() == old.len() || download.was_reset(), "{:?}", download.ended);
        assert_eq!(server.get("/big.bin", ESP8266).status, 404);
    }
}

#[test]
fn a_file_written_over_during_its_download_ends_in_a_reset() {
    let (old, new) = (sketch(BIG, 1), sketch(BIG, 2));
    let check = |what: &str, change: &dyn Fn(&Path)| {
        for request in [request("/big.bin"), keep_alive("/big.bin")] {
            let server = setup().file("big.bin", &old).args(STREAMED).start();
            let download = changed_in_flight(&server, &request, &old, change);
            assert!(download.was_reset(), "{what}: {:?}", download.ended);
            assert!(download.body.len() < old.len(), "{what}");
            let line = server.logged(|line| line["asked"] == "/big.bin");
            let message = line["message"].as_str().unwrap();
            assert!(message.contains("the file changed during the download"), "{what}: {line}");
            assert!(line["bytes_acknowledged"].as_u64().unwrap() < old.len() as u64, "{line}");
        }
    };
    check("written anew", &|file| fs::write(file, &new).unwrap());
    check("one byte at the end", &|file| {
        let file = OpenOptions::new().write(true).open(file).unwrap();
        file.write_all_at(b"!", old.len() as u64 - 1).unwrap();
    });
    check("cut", &|file| {
        OpenOptions::new().write(true).open(file).unwrap().set_len(100_000).unwrap();
    });
    check("emptied", &|file| drop(File::create(file).unwrap()));
    check("longer", &|file| {
        OpenOptions::new().append(true).open(file).unwrap().write_all(b"more").unwrap();
    });
}

#[test]
fn an_image_in_memory_is_sent_to_its_end_whatever_becomes_of_its_file() {
    let (old, new) = (sketch(BIG, 1), sketch(BIG, 2));
    let server = setup().file("big.bin", &old).args(CACHED).start();
    let request = request("/big.bin");
    let download =
        changed_in_flight(&server, &request, &old, |file| fs::write(file, &new).unwrap());
    assert!(download.body == old, "{} bytes, {:?}", download.body.len(), download.ended);
    still_serves(&server, "/big.bin", &new);
}

#[test]
fn every_answer_is_one_whole_file_while_files_are_replaced() {
    let images: Vec<_> = (0..4).map(|seed| sketch(200_000 + 10_000 * seed, seed as u64)).collect();
    for args in [CACHED, STREAMED] {
        let server = setup().file("big.bin", &images[0]).args(args).start();
        let file = server.catalog().join("big.bin");
        let whole = thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for image in images.iter().cycle().take(200) {
                    replace(&file, image);
                }
            });
            let mut whole = 0;
            while !writer.is_finished() {
                let mut stream = server.connect();
                stream.write_all(request("/big.bin").as_bytes()).unwrap();
                if stream.peek(&mut [0]).is_err() {
                    // Exchanged between the decision and its first bytes: reset before anything was sent.
                    continue;
                }
                let head = read_head(&mut stream);
                if head.status == 404 {
                    // Just exchanged: it is there the next time.
                    continue;
                }
                let mut download = Download::begun(head);
                download.read_on(&mut stream);
                if download.body.len() == download.length {
                    assert!(images.contains(&download.body), "a mix of files");
                    whole += 1;
                } else {
                    assert!(download.was_reset(), "{:?}", download.ended);
                }
            }
            whole
        });
        println!("{whole} whole downloads with {args:?}");
        still_serves(&server, "/big.bin", &images[3]);
    }
}

/// That a file is absent for devices, and in the list.
#[track_caller]
fn is_absent(server: &Server, name: &str) {
    let answer = server.get(&format!("/{name}"), ESP8266);
    assert_eq!(answer.status, 404, "{}", answer.head);
    let list = server.get("/_catalog?op=list&path=.", "");
    assert!(!list.text().contains(name), "{}", list.text());
}

/// A server that watches its folder by now.
fn watching(setup: Setup) -> Server {
    let server = setup.start();
    server.scanned();
    server
}

fn logged_inspection(server: &Server, name: &str) {
    let said = format!("inspected {name}");
    server.logged(|line| line["message"] == said.as_str());
}

#[test]
fn a_half_copied_file_is_absent_until_it_is_closed() {
    let image = sketch(100_000, 1);
    let server = watching(setup().settle("1h"));
    let path = server.catalog().join("copy.bin");
    let mut file = File::create(&path).unwrap();
    is_absent(&server, "copy.bin");
    file.write_all(&image[..50_000]).unwrap();
    is_absent(&server, "copy.bin");
    let line = server.logged_request("/copy.bin");
    assert!(line["message"].as_str().unwrap().contains("still being written"), "{line}");
    file.write_all(&image[50_000..]).unwrap();
    is_absent(&server, "copy.bin");
    drop(file);
    // Nobody has to wait for an hour then.
    logged_inspection(&server, "copy.bin");
    still_serves(&server, "/copy.bin", &image);
    assert!(server.get("/_catalog?op=list&path=.", "").text().contains("copy.bin"));
    // Written again, it is absent again.
    let more = sketch(120_000, 2);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&more[..60_000], 0).unwrap();
    until("it is absent", || server.get("/copy.bin", ESP8266).status == 404);
    file.write_all_at(&more[60_000..], 60_000).unwrap();
    drop(file);
    until("the new content is there", || server.get("/copy.bin", ESP8266).body == more);
}

#[test]
fn a_file_renamed_in_counts_at_once() {
    let image = sketch(100_000, 1);
    let server = watching(setup().settle("1h"));
    // Beside the catalog: nothing is seen of it before.
    let beside = server.catalog().with_file_name("upload.part");
    fs::write(&beside, &image).unwrap();
    fs::rename(&beside, server.catalog().join("upload.bin")).unwrap();
    logged_inspection(&server, "upload.bin");
    still_serves(&server, "/upload.bin", &image);
    // From a name that is never served, as many tools upload.
    let hidden = server.catalog().join(".other.bin.part");
    fs::write(&hidden, &image).unwrap();
    fs::rename(&hidden, server.catalog().join("other.bin")).unwrap();
    logged_inspection(&server, "other.bin");
    still_serves(&server, "/other.bin", &image);
    // A folder that is new is watched soon. Until then nobody can tell a file that was renamed in
    // from one half written.
    fs::create_dir(server.catalog().join("new")).unwrap();
    let mut last = 0;
    until("a file renamed into the new folder is served", || {
        let is_there = server.get(&format!("/new/{last}.bin"), ESP8266).status == 200;
        last += 1;
        fs::write(&beside, &image).unwrap();
        fs::rename(&beside, server.catalog().join(format!("new/{last}.bin"))).unwrap();
        is_there
    });
}

#[test]
fn a_file_left_open_counts_once_it_is_left_alone() {
    let image = sketch(100_000, 1);
    let server = setup().settle("100ms").start();
    let mut file = File::create(server.catalog().join("open.bin")).unwrap();
    file.write_all(&image).unwrap();
    until("open.bin is served", || server.get("/open.bin", ESP8266).status == 200);
    still_serves(&server, "/open.bin", &image);
    let list = || server.get("/_catalog?op=list&path=.", "");
    until("open.bin is listed", || list().text().contains("open.bin"));
    drop(file);
}

#[test]
fn a_file_that_lay_there_before_the_start_counts_once_it_is_left_alone() {
    let image = sketch(100_000, 1);
    let server = setup().file("x.bin", &image).settle("1h").start();
    is_absent(&server, "x.bin");
    let server = setup().file("x.bin", &image).settle("100ms").start();
    until("x.bin is served", || server.get("/x.bin", ESP8266).status == 200);
    still_serves(&server, "/x.bin", &image);
}
