//! How the command answers: to people, and to what makes no sense.

use std::fs::File;
use std::process::Command;

use updraft_pack::{DEFAULT_TABLE, TableDefect, broken_table};

use super::lab::Lab;
use crate::images::{littlefs, sketch};

#[test]
fn people_get_a_line_for_each_check_and_one_for_the_verdict() {
    let lab = Lab::new();
    let output = lab.updraft(&sketch(1), "--chip esp8266 --free-space 4096");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "firmware.bin\n  ESP8266 sketch\n",
        "\n  passed       crc\n",
        "\n  failed       room             it needs 8192 bytes, the device has 4096 free\n",
        "\n  not checked  signature        the device's public key is not known (--key)\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let error = String::from_utf8(output.stderr).unwrap();
    let expected = "updraft: firmware.bin would not be taken, or not start: it needs 8192 bytes, \
        the device has 4096 free\n";
    assert_eq!(error, expected);
}

#[test]
fn what_makes_no_sense_is_said_in_one_line() {
    let lab = Lab::new();
    lab.key("rsa", "rsa:2048");
    lab.key("small", "rsa:1024");
    lab.key("p384", "secp384r1");
    lab.write("notes.txt", b"no key");
    lab.write("data.bin", &littlefs());
    let check = |options: &str, words: &str| {
        let output = lab.updraft(&sketch(1), options);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(output.stdout.is_empty());
        assert!(error.starts_with("updraft: ") && error.lines().count() == 1, "{error}");
        assert!(error.contains(words), "{error}");
    };
    check("--key missing.pub", "cannot read missing.pub");
    check("--key notes.txt", "notes.txt: no key in PEM");
    check("--key rsa.pem", "rsa.pem: this is a private key");
    check("--key small.pub", "small.pub: an RSA key of 1024 bits");
    check("--key p384.pub", "p384.pub: a key on the curve P-384");
    check("--chip esp9000", "not one of esp8266, esp32,");
    check("--flash 5m", "5m");
    check("--flash notes.txt", "not a partition table");
    lab.write("table.bin", &broken_table(&DEFAULT_TABLE, TableDefect::Md5));
    check("--flash table.bin", "not a partition table: the MD5");
    check("--running missing.bin", "cannot read missing.bin");
    check("--running data.bin", "no device runs data.bin: LittleFS filesystem");
    lab.write("running.bin", &sketch(2));
    check("--chip esp32 --running running.bin", "--running is an image for the esp8266");
    check("--chip esp32 --flash 4m2m", "--flash 4m2m is not for the esp32");
    check("--running running.bin --flash default", "--flash default is not for the esp8266");
    check("--free-space much", "invalid value 'much'");
    check("--free-space 1M", "not a number of bytes, as 1044464 is");
    check("--free", "unexpected argument '--free' found; --help says more");
    check("--running /dev/null", "cannot read /dev/null: it is a pipe or a device, not a file");
}

/// That it cannot be said must not look like a verdict.
#[test]
fn an_answer_that_cannot_be_written_is_no_verdict() {
    let lab = Lab::new();
    lab.write("door.bin", &sketch(1));
    let full = File::create("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_updraft"));
    command.args(["image", "verify"]).arg(lab.path("door.bin")).stdout(full);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.starts_with("updraft: cannot write to standard output: "), "{error}");
}
