//! What a list holds: which files, of which type, by which name.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;

use serde_json::Value;
use updraft_core::Chip;
use updraft_pack::{eboot, esp32_boot_loader, merged_flash, partition_table};

use super::{DATE, dated, list};
use crate::harness::{ESP8266, setup};
use crate::images;

/// `bin` is what a person can choose and a device would survive.
#[test]
fn only_sketches_that_can_go_over_the_air_can_be_chosen() {
    let sketch = images::sketch(1);
    let app = images::app(Chip::Esp32, 2);
    let end = app.len() - 1;
    let files = [
        ("app-c3.bin", "bin", images::app(Chip::Esp32C3, 3)),
        ("app-s3.bin", "bin", images::app(Chip::Esp32S3, 3)),
        ("app.bin", "bin", app.clone()),
        ("boot-loader.bin", "file", esp32_boot_loader(Chip::Esp32).unwrap()),
        ("cut.bin", "file", sketch[..sketch.len() - 16].to_vec()),
        ("damaged-app.bin", "file", images::damaged(&app, 400)),
        ("damaged-hash.bin", "file", images::damaged(&app, end)),
        ("damaged-sketch.bin", "file", images::damaged(&sketch, 0x1100)),
        ("eboot.bin", "file", eboot().unwrap()),
        ("empty.bin", "file", Vec::new()),
        ("fs.bin", "file", images::littlefs()),
        ("garbage.bin", "file", images::unknown(3000)),
        ("magic.bin", "file", vec![0xE9]),
        ("merged.bin", "file", merged_flash(Chip::Esp32, &app).unwrap()),
        ("partitions.bin", "file", partition_table()),
        ("signed.bin", "bin", images::signed(&sketch)),
        ("sketch.BIN", "file", sketch.clone()),
        ("sketch.Bin.gz", "file", images::gzip(&sketch)),
        ("sketch.bin", "bin", sketch.clone()),
        ("sketch.bin.gz", "file", images::gzip(&sketch)),
        ("zipped.bin", "bin", images::gzip(&sketch)),
    ];
    let mut setup = setup();
    for (name, _, content) in &files {
        setup = setup.file(name, content);
    }
    let server = dated(setup).start();

    let list = list(&server, ".");

    let entries: Vec<_> = files
        .iter()
        .map(|(name, kind, content)| {
            let size = content.len();
            format!(r#"{{"name": "{name}", "type": "{kind}", {DATE}, "size": {size}}}"#)
        })
        .collect();
    assert_eq!(list.text, format!("[{}]", entries.join(", ")));
    let choices: Vec<_> =
        files.iter().filter(|(_, kind, _)| *kind == "bin").map(|(name, ..)| *name).collect();
    assert_eq!(list.choices(), choices);
}

#[test]
fn a_gzip_can_be_chosen_where_that_is_wanted() {
    let server = setup()
        .file("app.bin.gz", images::gzip(&images::app(Chip::Esp32, 1)))
        .file("fs.bin.gz", images::gzip(&images::littlefs()))
        .file("sketch.bin.gz", images::gzip(&images::sketch(1)))
        .config("[catalog]\nlist_gzip = true\n")
        .start();
    let list = list(&server, ".");
    assert_eq!(list.names(), ["app.bin.gz", "fs.bin.gz", "sketch.bin.gz"]);
    assert_eq!(list.choices(), ["sketch.bin.gz"]);
}

/// AutoConnect writes names into its page as they are, and asks for them as they are.
#[test]
fn names_that_autoconnect_cannot_handle_are_left_out_with_a_warning() {
    let fits = format!("{}.bin", "x".repeat(96));
    let fits_in_two = format!("{}.bin", "ä".repeat(48));
    let names = [
        "a b.bin",
        "a\u{a0}b.bin",
        "a\"b.bin",
        "a<b.bin",
        "a>b.bin",
        "a&b.bin",
        "a%b.bin",
        "a?b.bin",
        "a#b.bin",
        "a\\b.bin",
        &format!("{}.bin", "y".repeat(97)),
        &format!("{}.bin", "ö".repeat(49)),
    ];
    let mut setup = setup().file("'a'-(1)+[2]=$,;~.bin", images::sketch(1));
    for name in names.into_iter().chain([&*fits, &*fits_in_two]) {
        setup = setup.file(name, images::sketch(1));
    }
    fs::create_dir(setup.catalog().join("a folder")).unwrap();
    let server = setup.start();

    assert_eq!(list(&server, ".").names(), ["'a'-(1)+[2]=$,;~.bin", &*fits, &*fits_in_two]);
    for name in names.into_iter().chain(["a folder"]) {
        let line = server.logged(|line| line["level"] == "WARN" && line["file"] == name);
        let message = line["message"].as_str().unwrap();
        assert!(message.contains("left out of the list"), "{message}");
    }
    // Only the list does without them. Warnings are given once.
    assert_eq!(server.get("/a%20b.bin", ESP8266).status, 200);
    list(&server, ".");
    let is_warning = |line: &&Value| line["level"] == "WARN" && line["file"] == "a b.bin";
    assert_eq!(server.log().iter().filter(is_warning).count(), 1);
}

#[test]
fn names_with_control_characters_are_left_out_with_a_warning() {
    let server = setup().file("a\tb.bin", images::sketch(1)).file("a\nb.bin", "").start();
    assert_eq!(list(&server, ".").names(), ["-"]);
    for name in [r"a\tb.bin", r"a\nb.bin"] {
        server.logged(|line| {
            line["level"] == "WARN" && line["message"].as_str().is_some_and(|m| m.contains(name))
        });
    }
}

#[test]
fn what_is_never_served_is_not_listed() {
    let sketch = images::sketch(1);
    let mut setup = setup().file("door.bin", &sketch);
    for name in [
        ".hidden.bin",
        ".bin",
        ".git/x.bin",
        "README.md",
        "door.elf",
        "door.bin~",
        "door.bin.part",
        "door.gz",
        "bin",
        "keys.pem",
        "updraft.toml",
    ] {
        setup = setup.file(name, &sketch);
    }
    let (beside, catalog) = (setup.beside().to_owned(), setup.catalog());
    fs::create_dir(beside.join("fw-secret")).unwrap();
    fs::write(beside.join("fw-secret/secret.bin"), &sketch).unwrap();
    for (name, to) in [
        ("outside.bin", beside.join("fw-secret/secret.bin")),
        ("outside", beside.join("fw-secret")),
        ("relative.bin", "../fw-secret/secret.bin".into()),
        ("hidden.bin", ".git/x.bin".into()),
        ("data.bin", "data/x.bin".into()),
        ("nowhere.bin", "none.bin".into()),
        ("loop.bin", "loop.bin".into()),
        ("zero.bin", "/dev/zero".into()),
    ] {
        symlink(to, catalog.join(name)).unwrap();
    }
    // A pipe would stop whoever opens it.
    assert!(Command::new("mkfifo").arg(catalog.join("pipe.bin")).status().unwrap().success());
    let _socket = UnixListener::bind(catalog.join("socket.bin")).unwrap();
    let data = catalog.join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("lock"), "").unwrap();
    fs::write(data.join("x.bin"), &sketch).unwrap();
    let server = setup.args(&["--data", data.to_str().unwrap()]).start();

    assert_eq!(list(&server, ".").names(), ["door.bin"]);
    for folder in ["data", "outside"] {
        let answer = server.get(&format!("/_catalog?op=list&path={folder}"), "");
        assert_eq!(answer.status, 403, "{folder}");
    }
    for name in fs::read_dir(&catalog).unwrap().map(|entry| entry.unwrap().file_name()) {
        let target = format!("/{}", name.to_str().unwrap());
        let expected = if target == "/door.bin" { 200 } else { 404 };
        assert_eq!(server.get(&target, ESP8266).status, expected, "{target}");
    }
    for target in ["/data/x.bin", "/data/catalog-index.json", "/outside/secret.bin", "/.git/x.bin"]
    {
        assert_eq!(server.get(target, ESP8266).status, 404, "{target}");
    }
}

#[test]
fn a_file_that_cannot_be_read_spoils_no_list() {
    use std::os::unix::fs::PermissionsExt as _;
    let setup = setup().file("door.bin", images::sketch(1)).file("locked.bin", images::sketch(2));
    let locked = setup.catalog().join("locked.bin");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&locked).is_ok() {
        return; // Nothing is locked to root.
    }
    let server = setup.start();
    assert_eq!(list(&server, ".").choices(), ["door.bin"]);
    server.logged(|line| line["level"] == "WARN" && line["file"] == "locked.bin");
    assert_eq!(server.get("/locked.bin", ESP8266).status, 404);
}

#[test]
fn links_inside_the_folder_are_followed() {
    let setup = setup().file("fw/door-1.2.0.bin", images::sketch(1));
    symlink("fw/door-1.2.0.bin", setup.catalog().join("door.bin")).unwrap();
    symlink(setup.catalog().join("fw"), setup.catalog().join("stable")).unwrap();
    let server = setup.start();
    let types = [("door.bin", "bin"), ("fw", "directory"), ("stable", "directory")];
    assert_eq!(list(&server, ".").types(), types.map(|(n, t)| (n.into(), t.into())));
    assert_eq!(list(&server, "stable").choices(), ["door-1.2.0.bin"]);
}

#[test]
fn a_folder_named_like_a_firmware_is_a_folder() {
    let server =
        setup().file("door.bin", images::sketch(1)).file("x.bin/y.bin", images::sketch(2)).start();
    let root = list(&server, ".");
    let types = [("door.bin", "bin"), ("x.bin", "directory")];
    assert_eq!(root.types(), types.map(|(n, t)| (n.into(), t.into())));
    assert_eq!(list(&server, "x.bin").choices(), ["y.bin"]);
    let answer = server.get("/x.bin", ESP8266);
    answer.check_head(404, &[("Content-Length", "0"), ("Connection", "close")]);
    assert_eq!(server.get("/x.bin/y.bin", ESP8266).status, 200);
}

/// AutoConnect takes `[]` for an error; this it calls "No available firmwares".
#[test]
fn a_folder_without_anything_to_list_lists_one_file() {
    let setup = setup().file("texts/README.md", "").file("texts/.x.bin", "");
    fs::create_dir(setup.catalog().join("empty")).unwrap();
    let server = setup.start();
    for folder in ["empty", "texts"] {
        let list = list(&server, folder);
        assert_eq!(list.text, r#"[{"name": "-", "type": "file"}]"#, "{folder}");
        assert_eq!(list.choices(), [""; 0], "{folder}");
    }
}

#[test]
fn a_folder_of_200_files_is_listed_whole() {
    let mut setup = setup();
    let name = |number: u64| format!("{}-{number:03}.bin", "firmware".repeat(11));
    for number in 0..200 {
        setup = setup.file(&name(number), images::sketch(number));
    }
    let server = setup.start();
    let names: Vec<_> = (0..200).map(name).collect();
    assert_eq!(list(&server, ".").choices(), names);
}

#[test]
fn what_is_served_can_be_configured() {
    let server = setup()
        .file("a.bin", images::sketch(1))
        .file("b.fw", images::sketch(1))
        .config("[catalog]\nextensions = [\".fw\"]\n")
        .start();
    let list = list(&server, ".");
    assert_eq!(list.names(), ["b.fw"]);
    assert_eq!(list.types()[0].1, "file", "only the ending .bin can be chosen");
    assert_eq!(server.get("/a.bin", ESP8266).status, 404);
    assert_eq!(server.get("/b.fw", ESP8266).status, 200);
}

#[test]
fn the_log_names_the_folder_that_was_listed() {
    let server = setup().file("fw/door.bin", images::sketch(1)).start();
    assert_eq!(server.get("/_catalog?op=list&path=./fw/", "").status, 200);
    server.logged(|line| line["message"] == "client asked /_catalog: 200, listed fw");
}
