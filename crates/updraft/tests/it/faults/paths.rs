//! Paths and links that lead out of the catalog, things in it that are no files, and the server's own
//! data.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{request, sketch, statuses, still_serves};
use crate::harness::{ESP8266, Server, setup};

/// What lies where nobody may reach it.
const SECRET: u64 = 666;

/// That a download brings nothing.
#[track_caller]
fn is_absent(server: &Server, target: &str) {
    let answer = server.get(target, ESP8266);
    assert!(matches!(answer.status, 400 | 404), "{target}: {}", answer.head);
    assert!(answer.body.is_empty(), "{target}");
}

/// The names in the list of a folder.
fn listed(server: &Server, folder: &str) -> Vec<String> {
    let answer = server.get(&format!("/_catalog?op=list&path={folder}"), "");
    assert_eq!(answer.status, 200, "{folder}");
    let list: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    list.as_array().unwrap().iter().map(|e| e["name"].as_str().unwrap().to_owned()).collect()
}

fn mkfifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

#[test]
fn no_path_leads_out_of_the_catalog() {
    let inside = sketch(5000, 1);
    let setup = setup().file("x.bin", &inside).file("sub/x.bin", &inside);
    let secret = setup.beside().join("secret.bin");
    fs::write(&secret, sketch(5000, SECRET)).unwrap();
    // A neighbour whose name starts with the catalog's.
    fs::create_dir(setup.beside().join("fw-secret")).unwrap();
    fs::copy(&secret, setup.beside().join("fw-secret/secret.bin")).unwrap();
    let server = setup.start();
    let ups = [
        "..",
        "%2e%2e",
        "%2E%2E",
        ".%2e",
        "%2e.",
        "..%2f",
        "%2e%2e%2f",
        "%2E%2E%2F",
        "..\\",
        "..%5c",
        "%2e%2e%5c",
        "%252e%252e",
        "%252e%252e%252f",
        "%25%32%65%25%32%65",
        "....",
        "..%00",
        "..;",
        "..%09",
        "..%20",
        "%c0%ae%c0%ae",
        "%c0%ae%c0%ae%c0%af",
        "\u{2025}",
        "%u002e%u002e",
        "\u{ff0e}\u{ff0e}",
        "sub/../..",
        "sub/%2e%2e/%2e%2e",
        "./..",
        "x.bin/..",
        "x.bin/../..",
        "sub/..%2f..",
        "../fw/..",
        "/..",
        "//..",
        "/./..",
    ];
    for up in ups {
        for file in ["secret.bin", "fw-secret/secret.bin", "updraft.toml", "data/lock"] {
            for target in [format!("/{up}/{file}"), format!("{up}/{file}"), format!("/{up}{file}")]
            {
                is_absent(&server, &target);
            }
        }
        for folder in [up.to_owned(), format!("{up}/"), format!("/{up}/fw-secret")] {
            let answer = server.get(&format!("/_catalog?op=list&path={folder}"), "");
            assert!(matches!(answer.status, 403 | 404), "{folder}: {}", answer.head);
            assert!(answer.body.is_empty(), "{folder}");
        }
    }
    for target in [
        &format!("/{}", secret.display()),
        &format!("{}", secret.display()),
        &format!("/%2f{}", secret.display()),
        &format!("http://a{}", secret.display()),
        "http://a/../secret.bin",
        &format!("file://{}", secret.display()),
        &format!("/_catalog/../{}", secret.display()),
        "/etc/hosts",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/%5cetc%5cpasswd",
        "/proc/self/environ",
        "/~root/x.bin",
        "/x.bin%00",
        "/x.bin%00.txt",
        "/%00x.bin",
        "/x.bin%0a",
        "/x.bin%ff",
        "/x.bin\\",
        "/.",
        "/",
        "",
        "*",
        "?",
        "%",
        "%2",
        "/_catalog/",
    ] {
        // Without a target, `HTTP/1.0` is it.
        is_absent(&server, target);
    }
    is_absent(&server, &format!("/{}.bin", "x".repeat(300)));
    is_absent(&server, &format!("/{}x.bin", "x/".repeat(2000)));
    assert_eq!(statuses(&server, request("/x\0.bin")), [400]);
    // Other spellings of what is inside are fine.
    for target in
        ["//x.bin", "/./x.bin", "x.bin", "./x.bin", "/%78.bin", "/sub//x.bin", "/x.bin?v=1"]
    {
        still_serves(&server, target, &inside);
    }
}

#[test]
fn no_link_leads_out_of_the_catalog() {
    let inside = sketch(5000, 1);
    let setup = setup().file("sub/x.bin", &inside).file(".hidden/x.bin", sketch(5000, SECRET));
    let (catalog, beside) = (setup.catalog(), setup.beside().to_owned());
    fs::create_dir_all(beside.join("fw-secret/deeper")).unwrap();
    for file in ["fw-secret/x.bin", "fw-secret/deeper/x.bin"] {
        fs::write(beside.join(file), sketch(5000, SECRET)).unwrap();
    }
    mkfifo(&beside.join("fifo"));
    let link = |to: &str, name: &str| symlink(to, catalog.join(name)).unwrap();
    let secret = beside.join("fw-secret");
    link("../fw-secret/x.bin", "relative.bin");
    link(&secret.join("x.bin").to_string_lossy(), "absolute.bin");
    link("../fw-secret", "folder");
    link(&secret.to_string_lossy(), "absolute-folder");
    link("..", "up");
    link("/", "root");
    link("relative.bin", "chained.bin");
    link("folder/deeper/x.bin", "through-a-folder.bin");
    link("/proc/self/environ", "environ.bin");
    link("/proc/self/mem", "mem.bin");
    link("/proc/self/fd/0", "stdin.bin");
    link("/proc", "proc");
    link("/dev/zero", "zero.bin");
    link("/dev/stdin", "terminal.bin");
    link("../fifo", "fifo.bin");
    link("nowhere", "broken.bin");
    link("loop.bin", "loop.bin");
    link(".hidden/x.bin", "hidden.bin");
    link(".hidden", "hidden");
    link("../data", "data");
    link("../data/lock", "lock.bin");
    link("../updraft.toml", "config.bin");
    link("sub/x.bin", "good.bin");
    link(&catalog.join("sub/x.bin").to_string_lossy(), "good-absolute.bin");
    link("sub", "good-folder");
    let server = setup.start();
    for name in [
        "relative.bin",
        "absolute.bin",
        "folder/x.bin",
        "folder/deeper/x.bin",
        "absolute-folder/x.bin",
        "up/fw-secret/x.bin",
        "up/secret.bin",
        "root/etc/passwd",
        "chained.bin",
        "through-a-folder.bin",
        "environ.bin",
        "mem.bin",
        "stdin.bin",
        "proc/self/environ",
        "zero.bin",
        "terminal.bin",
        "fifo.bin",
        "broken.bin",
        "loop.bin",
        "loop.bin/x.bin",
        "hidden.bin",
        "hidden/x.bin",
        "data/lock",
        "data/x.bin",
        "lock.bin",
        "config.bin",
    ] {
        is_absent(&server, &format!("/{name}"));
    }
    for folder in ["folder", "absolute-folder", "root", "proc", "hidden", "data", "folder/deeper"] {
        let answer = server.get(&format!("/_catalog?op=list&path={folder}"), "");
        assert!(matches!(answer.status, 403 | 404), "{folder}: {}", answer.head);
    }
    // What a link leads to inside is as good as without it.
    for name in ["good.bin", "good-absolute.bin", "good-folder/x.bin", "sub/x.bin"] {
        still_serves(&server, name, &inside);
    }
    assert_eq!(listed(&server, "."), ["good-absolute.bin", "good-folder", "good.bin", "sub"]);
}

#[test]
fn a_link_that_is_turned_outwards_leads_nowhere_from_then_on() {
    let inside = sketch(5000, 1);
    let setup = setup().file("a.bin", &inside).file("sub/b.bin", &inside);
    let catalog = setup.catalog();
    fs::create_dir(setup.beside().join("out")).unwrap();
    fs::write(setup.beside().join("out/b.bin"), sketch(5000, SECRET)).unwrap();
    symlink("a.bin", catalog.join("link.bin")).unwrap();
    symlink("sub", catalog.join("link")).unwrap();
    let server = setup.start();
    still_serves(&server, "/link.bin", &inside);
    still_serves(&server, "/link/b.bin", &inside);
    for (to, name) in [("../out/b.bin", "link.bin"), ("../out", "link")] {
        symlink(to, catalog.join("new")).unwrap();
        fs::rename(catalog.join("new"), catalog.join(name)).unwrap();
    }
    is_absent(&server, "/link.bin");
    is_absent(&server, "/link/b.bin");
    assert_eq!(listed(&server, "."), ["a.bin", "sub"]);
}

#[test]
fn what_is_no_file_is_absent_and_nobody_waits_for_it() {
    let image = sketch(5000, 1);
    let setup = setup().file("x.bin", &image).file("folder.bin/inner.bin", &image);
    let catalog = setup.catalog();
    mkfifo(&catalog.join("pipe.bin"));
    mkfifo(&catalog.join("pipe.bin.gz"));
    let _socket = UnixListener::bind(catalog.join("socket.bin")).unwrap();
    // Only root can make one.
    let device = rustix::fs::makedev(1, 5);
    let _ = mknodat(CWD, catalog.join("zero.bin"), FileType::CharacterDevice, Mode::RUSR, device);
    let server = setup.start();
    for name in
        ["/pipe.bin", "/pipe.bin.gz", "/socket.bin", "/folder.bin", "/folder.bin/", "/zero.bin"]
    {
        is_absent(&server, name);
    }
    still_serves(&server, "/folder.bin/inner.bin", &image);
    assert_eq!(listed(&server, "."), ["folder.bin", "x.bin"]);
    // One that appears later is no different.
    mkfifo(&catalog.join("later.bin"));
    is_absent(&server, "/later.bin");
    assert_eq!(listed(&server, "."), ["folder.bin", "x.bin"]);
    assert_eq!(server.get("/", "").status, 200);
}

#[test]
fn a_file_that_cannot_be_read_is_absent() {
    let setup = setup().file("x.bin", sketch(5000, 1)).file("closed.bin", sketch(5000, 2));
    let closed = setup.catalog().join("closed.bin");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&closed).is_ok() {
        println!("skipped: root reads everything");
        return;
    }
    let server = setup.start();
    is_absent(&server, "/closed.bin");
    assert_eq!(listed(&server, "."), ["x.bin"]);
}

#[test]
fn names_with_a_dot_and_other_endings_are_never_served() {
    let image = sketch(5000, 1);
    let names = [
        ".git/config",
        ".git/x.bin",
        ".env",
        ".bin",
        ".x.bin",
        "sub/.x.bin",
        "sub/.git/x.bin",
        "updraft.toml",
        "notes.txt",
        "x.bin.bak",
        "x.bin~",
        "keys/id_rsa",
        "x.elf",
        "bin",
        "xbin",
    ];
    let server = names.iter().fold(setup(), |setup, name| setup.file(name, &image)).start();
    for name in names {
        is_absent(&server, &format!("/{name}"));
    }
    is_absent(&server, "/%2egit/x.bin");
    is_absent(&server, "/sub/%2ex.bin");
    assert_eq!(listed(&server, "."), ["keys", "sub"]);
    assert_eq!(listed(&server, "sub"), ["-"]);
    assert_eq!(server.get("/_catalog?op=list&path=.git", "").status, 404);
}

/// That nothing of a data folder in the catalog can be reached by `name`.
#[track_caller]
fn is_private(server: &Server, name: &str) {
    for file in ["lock", "catalog-index.json", "x.bin", "sub/x.bin"] {
        is_absent(server, &format!("/{name}/{file}"));
    }
    for folder in [name.to_owned(), format!("{name}/sub")] {
        let answer = server.get(&format!("/_catalog?op=list&path={folder}"), "");
        assert!(matches!(answer.status, 403 | 404), "{folder}: {}", answer.head);
        let page = server.get(&format!("/?path={folder}"), "");
        assert!(!String::from_utf8_lossy(&page.body).contains("x.bin"), "{folder}");
    }
}

#[test]
fn the_data_folder_in_the_catalog_is_private() {
    let image = sketch(5000, 1);
    let setup = setup()
        .file("x.bin", &image)
        .file("updraft-data/lock", "of a server before")
        .file("updraft-data/x.bin", sketch(5000, SECRET))
        .file("updraft-data/sub/x.bin", sketch(5000, SECRET))
        .config("bind = \"127.0.0.1\"\nport = [0]\n")
        .bare();
    let catalog = setup.catalog();
    let data = catalog.join("updraft-data");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    symlink("updraft-data", catalog.join("link")).unwrap();
    symlink(&data, catalog.join("absolute")).unwrap();
    symlink("updraft-data/x.bin", catalog.join("link.bin")).unwrap();
    let server = setup.start();
    assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o7777, 0o700);
    for name in ["updraft-data", "link", "absolute", "./updraft-data", "%75pdraft-data"] {
        is_private(&server, name);
    }
    is_absent(&server, "/link.bin");
    is_absent(&server, "/updraft.toml");
    until_known(&server);
    still_serves(&server, "/x.bin", &image);
    assert_eq!(listed(&server, "."), ["x.bin"]);
    let page = server.get("/", "");
    assert!(!page.text().contains("updraft-data"), "{}", page.text());
}

/// Waits until files count as complete although nobody saw them being closed.
fn until_known(server: &Server) {
    super::until("x.bin is complete", || server.get("/x.bin", ESP8266).status == 200);
}

#[test]
fn a_data_folder_that_is_new_is_made_for_its_user_alone() {
    let server = setup().config("bind = \"127.0.0.1\"\nport = [0]\n").bare().start();
    let data = server.catalog().join("updraft-data");
    assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o7777, 0o700);
    // Named like a file that would be served, it is none.
    let server = setup().args(&["--data", "fw/own.bin"]).start();
    is_absent(&server, "/own.bin");
    is_private(&server, "own.bin");
    assert_eq!(listed(&server, "."), ["-"]);
}

/// Links can give one file any number of names: it is read once for all of them.
#[test]
fn a_file_is_inspected_once_whatever_its_names() {
    let image = sketch(5000, 1);
    let setup = setup().file("x.bin", &image);
    for link in ["l", "m"] {
        symlink(".", setup.catalog().join(link)).unwrap();
    }
    symlink("x.bin", setup.catalog().join("latest.bin")).unwrap();
    let server = setup.start();
    server.scanned();
    for path in ["latest.bin", "l/x.bin", "m/l/x.bin", "l/l/m/m/latest.bin", "m/m/m/m/m/x.bin"] {
        still_serves(&server, &format!("/{path}"), &image);
    }
    let inspected = |line: &&serde_json::Value| {
        line["message"].as_str().is_some_and(|message| message.starts_with("inspected"))
    };
    assert_eq!(server.log().iter().filter(inspected).count(), 1);
}
