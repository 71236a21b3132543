//! How the server is started: options, environment and file, what it says when it cannot start, and
//! where it listens then.

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;

use crate::harness::{ESP8266, Setup, setup, updraft};

mod kept;
mod levels;
mod stopping;

/// That a server does not start, and says why in one line.
#[track_caller]
fn is_refused(setup: Setup, says: &[&str]) {
    let output = setup.refused();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("updraft: "), "{said}");
    for part in says {
        assert!(said.contains(part), "{said:?} does not say {part:?}");
    }
    assert!(output.stdout.is_empty());
}

#[test]
fn a_port_in_use_is_named() {
    let other = setup().start();
    let port = other.address().port().to_string();
    is_refused(setup().args(&["-p", &port]), &["port", &port, "in use", "choose another with -p"]);
    // One of several is enough, and every interface is in each other's way.
    is_refused(setup().args(&["-p", "0", "-p", &port]), &[&port, "in use"]);
    is_refused(setup().bare().args(&["-p", &port]), &[&port, "in use"]);

    let foreign = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = foreign.local_addr().unwrap().port().to_string();
    is_refused(setup().args(&["-p", &port]), &[&port, "in use"]);
    drop(foreign);
    setup().args(&["-p", &port]).start();
}

#[test]
fn an_address_of_another_machine_is_named() {
    is_refused(setup().args(&["-b", "203.0.113.1"]), &["cannot listen on 203.0.113.1:0"]);
}

#[test]
fn a_catalog_that_is_none_is_named() {
    let missing = ["cannot use", "no/such/folder", "catalog"];
    is_refused(setup().args(&["-d", "no/such/folder"]), &missing);
    let file = setup().file("x.bin", "");
    is_refused(file.args(&["-d", "fw/x.bin"]), &["fw/x.bin is no folder"]);
    is_refused(setup().config("[catalog]\npath = \"nowhere\"").args(&[]).bare(), &["nowhere"]);
    is_refused(setup().env("UPDRAFT_CATALOG_PATH", "nowhere").bare(), &["nowhere"]);
}

#[test]
fn an_option_with_a_bad_value_is_named_with_what_it_takes() {
    let check = |args: &[&str], says: &[&str]| is_refused(setup().args(args), says);
    check(&["-l", "loud"], &["--log", "loud", "critical, error, warning (or warn), info, debug"]);
    check(&["-p", "x"], &["--port", "'x'"]);
    check(&["-p", "70000"], &["--port", "70000", "65535"]);
    check(&["--port=-1"], &["--port", "-1"]);
    check(&["--cache-size", "64MB"], &["--cache-size", "64MB", "64MiB"]);
    check(&["--cache-size=-1"], &["--cache-size", "-1"]);
    check(&["--log-format", "xml"], &["--log-format", "xml", "auto, text, json"]);
}

#[test]
fn what_is_no_option_is_named() {
    let output = setup().args(&["--nope"]).refused();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("--nope"));
}

#[test]
fn a_bad_configuration_file_is_named_with_its_fault() {
    let check = |toml: &str, says: &[&str]| is_refused(setup().config(toml), says);
    check("prot = [1]", &["prot"]);
    check("[limits]\nidel = \"1s\"", &["idel"]);
    check("[limit]\nidle = \"1s\"", &["limit"]);
    check("[limits]\nidle = \"soon\"", &["soon", "250ms"]);
    check("[limits]\nidle = 5", &["string"]);
    check("[limits]\nhead_size = \"64MB\"", &["64MB", "64MiB"]);
    check("[limits]\nhead_size = -1", &[]);
    check("[limits]\nconnections_per_address = -1", &["-1"]);
    check("port = 8000", &["8000"]);
    check("port = [70000]", &["70000"]);
    check("port = [", &["updraft.toml"]);
    check("port [0]", &["updraft.toml"]);
    check("[catalog]\nextensions = [\"bin\"]", &["catalog.extensions", "\".bin\""]);
    check("\u{0}", &["updraft.toml"]);
    is_refused(setup().bare().config("log = \"loud\"\n"), &["log", "critical, error, warning"]);
    is_refused(setup().bare().config("log_format = \"xml\"\n"), &["log_format", "auto, text"]);
}

#[test]
fn a_configuration_file_that_cannot_be_read_is_named() {
    is_refused(setup().bare().args(&["--config", "none.toml"]), &["cannot read", "none.toml"]);
    is_refused(setup().bare().env("UPDRAFT_CONFIG", "none.toml"), &["cannot read", "none.toml"]);
    is_refused(setup().bare().args(&["--config", "."]), &["cannot read", "directory"]);
    let setup = setup().file("latin.toml", b"# f\xe4hrte\n").bare();
    is_refused(setup.args(&["--config", "latin.toml"]), &["cannot read", "latin.toml", "UTF-8"]);
}

#[test]
fn a_bad_variable_is_named() {
    let check = |name: &str, value: &str, says: &str| {
        is_refused(setup().bare().args(&["-p", "0"]).env(name, value), &[says]);
    };
    check("UPDRAFT_CATALOG_GATE", "maybe", "UPDRAFT_CATALOG_GATE");
    check("UPDRAFT_PORT", "x", "UPDRAFT_PORT");
    check("UPDRAFT_PORT", "8000,", "UPDRAFT_PORT");
    check("UPDRAFT_LIMITS_IDLE", "soon", "250ms");
    check("UPDRAFT_DELIVERY_CACHE_SIZE", "lots", "64MiB");
    check("UPDRAFT_LOG", "loud", "critical, error, warning");
    check("UPDRAFT_LOG_FORMAT", "xml", "auto, text, json");
}

#[test]
fn a_data_folder_that_cannot_be_used_is_named() {
    let other = setup().start();
    let data = other.catalog().with_file_name("data").display().to_string();
    is_refused(setup().args(&["--data", &data]), &["another server uses", &data, "--data"]);
    is_refused(setup().env("UPDRAFT_DATA", &data).args(&["--data", &data]), &["another server"]);
    let others = tempfile::tempdir().unwrap();
    fs::write(others.path().join("diary.txt"), "mine").unwrap();
    let mode = |path: &std::path::Path| {
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions())
    };
    let before = mode(others.path());
    let path = others.path().to_str().unwrap();
    is_refused(setup().args(&["--data", path]), &["holds other files", path, "--data"]);
    assert_eq!(mode(others.path()), before, "nobody else's folder is closed");

    let check = |data: &str, says: &str| {
        let setup = setup().file("x.bin", "");
        fs::create_dir_all(setup.beside().join("taken/lock")).unwrap();
        is_refused(setup.args(&["--data", data]), &[says]);
    };
    check("fw/x.bin", "cannot use the data folder fw/x.bin");
    check("fw/x.bin/data", "cannot use the data folder fw/x.bin/data");
    check("/proc/updraft-data", "cannot use the data folder /proc/updraft-data");
    check("taken", "cannot use the data folder taken");
    // Nothing could be served then.
    check("fw", "the catalog");
    check(".", "the catalog");
    check("/", "the catalog");
}

#[test]
fn a_refused_start_leaves_the_catalog_as_it_was() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |setup: &Setup| fs::metadata(setup.catalog()).unwrap().permissions().mode();
    let setup = setup();
    let before = mode(&setup);
    is_refused(setup.clone().args(&["--data", "fw"]), &["the catalog"]);
    assert_eq!(mode(&setup), before);
}

#[test]
fn several_ports_are_served() {
    let check = |setup: Setup, count: usize| {
        let server = setup.start();
        // By then every address has been told.
        server.logged(|line| line["message"].as_str().is_some_and(|m| m.starts_with("catalog ")));
        let addresses = server.addresses();
        assert_eq!(addresses.len(), count, "{addresses:?}");
        for address in addresses {
            let mut stream = TcpStream::connect((IpAddr::from([127, 0, 0, 1]), address.port()))
                .unwrap_or_else(|error| panic!("{address}: {error}"));
            std::io::Write::write_all(&mut stream, b"GET /healthz HTTP/1.0\r\n\r\n").unwrap();
            assert_eq!(crate::harness::read_answer(&mut stream).status, 200);
        }
    };
    check(setup().args(&["-p", "0", "-p", "0", "--port", "0"]), 3);
    check(setup().bare().config("port = [0, 0]\n"), 2);
    check(setup().bare().env("UPDRAFT_PORT", "0, 0"), 2);
    check(setup().bare().config("port = [0, 0]\n").args(&["-p", "0"]), 1);
}

#[test]
fn an_option_given_twice_counts_as_given_last() {
    let server = setup().args(&["-b", "127.0.0.2", "-b", "127.0.0.3"]).start();
    assert_eq!(server.address().ip().to_string(), "127.0.0.3");
}

#[test]
fn every_interface_is_the_default_and_it_says_so() {
    let connects = |ip: &str, port: u16| {
        TcpStream::connect(SocketAddr::new(ip.parse().unwrap(), port)).is_ok()
    };
    let server = setup().bare().args(&["-p", "0"]).start();
    let line = server.logged(|line| line["address"].is_string());
    assert_eq!(line["address"], format!("0.0.0.0:{}", server.address().port()));
    let message = line["message"].as_str().unwrap();
    assert!(message.contains("listening on all interfaces, -b ADDR narrows"), "{message}");
    for ip in ["127.0.0.1", "127.0.0.9"] {
        assert!(connects(ip, server.address().port()), "{ip}");
    }

    let server = setup().args(&["-b", "127.0.0.9"]).start();
    let line = server.logged(|line| line["address"].is_string());
    assert!(!line["message"].as_str().unwrap().contains("all interfaces"), "{line}");
    assert!(connects("127.0.0.9", server.address().port()));
    assert!(!connects("127.0.0.1", server.address().port()));

    let server = setup().args(&["-b", "localhost"]).start();
    assert!(server.address().ip().is_loopback(), "{}", server.address());
}

#[test]
fn ipv6_is_served_where_there_is_any() {
    if TcpListener::bind("[::1]:0").is_err() {
        println!("skipped: this computer has no IPv6");
        return;
    }
    let server = setup().args(&["-b", "::1"]).start();
    assert_eq!(server.get("/healthz", "").status, 200);
    // `::` is every interface of both kinds.
    let server = setup().args(&["-b", "::"]).start();
    let port = server.address().port();
    for address in ["[::1]", "127.0.0.1"] {
        assert!(TcpStream::connect(format!("{address}:{port}")).is_ok(), "{address}");
    }
}

#[test]
fn the_command_line_goes_before_the_environment_before_the_file() {
    // Where it listens tells which one counted.
    let check = |setup: Setup, bind: &str| {
        assert_eq!(setup.start().address().ip().to_string(), bind);
    };
    let file = || setup().config("bind = \"127.0.0.2\"\nport = [0]\n").bare();
    check(file(), "127.0.0.2");
    check(file().env("UPDRAFT_BIND", "127.0.0.3"), "127.0.0.3");
    check(file().env("UPDRAFT_BIND", "127.0.0.3").args(&["-b", "127.0.0.4"]), "127.0.0.4");
    // So it is with the file itself: named, named by the environment, in the working folder.
    let named = |setup: Setup, number: u8| {
        setup.file(&format!("{number}.toml"), format!("bind = \"127.0.0.{number}\"\nport = [0]\n"))
    };
    let files = || named(named(file(), 5), 6);
    check(files(), "127.0.0.2");
    check(files().env("UPDRAFT_CONFIG", "5.toml"), "127.0.0.5");
    check(files().env("UPDRAFT_CONFIG", "5.toml").args(&["--config", "6.toml"]), "127.0.0.6");
}

#[test]
fn the_folder_it_is_started_in_is_the_catalog() {
    let image = updraft_pack::Esp8266Image::new().build().unwrap();
    let server = setup()
        .file("x.bin", &image)
        .bare()
        .args(&["-p", "0", "-b", "127.0.0.1"])
        .env("UPDRAFT_CATALOG_SETTLE", "0s")
        .start();
    assert!(server.get("/x.bin", ESP8266).body == image);
    assert!(server.catalog().join("updraft-data/lock").exists());
    let server = setup()
        .file("sub/x.bin", &image)
        .config("port = [0]\n[catalog]\npath = \"sub\"\nsettle = \"0s\"\n")
        .bare()
        .args(&["-b", "127.0.0.1"])
        .start();
    assert!(server.get("/x.bin", ESP8266).body == image);
}

#[test]
fn help_tells_of_everything() {
    let check = |args: &[&str], says: &[&str]| {
        let output = updraft().args(args).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        for part in says {
            assert!(said.contains(part), "{args:?} does not tell of {part}:\n{said}");
        }
    };
    check(&["--help"], &["serve", "image", "ESP8266 and ESP32", "--version", "--help"]);
    check(&["--version"], &[env!("CARGO_PKG_VERSION")]);
    let options = [
        "-p, --port",
        "-b, --bind",
        "-d, --catalog",
        "-l, --log",
        "--log-format",
        "--data",
        "--config",
        "--cache-size",
        "--resend",
        "--no-gate",
        "updraft.toml",
        "UPDRAFT_",
        "Example:",
        "updraft serve -p",
        "critical, error, warning, info, debug",
        "8000",
        "0.0.0.0",
        "./updraft-data",
        "64MiB",
    ];
    check(&["serve", "--help"], &options);
    check(&["serve", "-h"], &options[..10]);
    check(&["help", "serve"], &options);
    // Without a word it is wrong usage.
    let output = updraft().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("Usage: updraft"));
}
