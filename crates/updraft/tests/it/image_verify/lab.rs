//! Where files are made and shown to `updraft image verify`.

use std::io::{Write as _, stdout};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with files, keys, and the tools that make them.
pub(super) struct Lab {
    folder: TempDir,
}

impl Lab {
    pub(super) fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// Runs a program on files of the folder; gives what it says.
    pub(super) fn run(&self, program: impl AsRef<Path>, words: &str) -> Vec<u8> {
        let mut command = Command::new(program.as_ref());
        let words = words.split_whitespace();
        let output = command.args(words).current_dir(&self.folder).output().unwrap();
        assert!(output.status.success(), "{command:?}: {output:?}");
        output.stdout
    }

    /// Makes `NAME.pem`, and `NAME.pub`: `rsa:BITS`, or a curve as OpenSSL calls it.
    pub(super) fn key(&self, name: &str, kind: &str) {
        match kind.strip_prefix("rsa:") {
            Some(bits) => self.run("openssl", &format!("genrsa -out {name}.pem {bits}")),
            None => {
                let words = format!("ecparam -name {kind} -genkey -noout -out {name}.pem");
                self.run("openssl", &words)
            }
        };
        self.run("openssl", &format!("pkey -in {name}.pem -pubout -out {name}.pub"));
    }

    /// A signature by `NAME.pem`, as `openssl dgst` makes it.
    pub(super) fn sign(&self, name: &str, payload: &[u8], options: &str) -> Vec<u8> {
        self.write("payload", payload);
        self.run("openssl", &format!("dgst -sign {name}.pem {options} payload"))
    }

    /// RSA over the bare digest, as the ESP8266 core's `signing.py` made `.legacy` files.
    pub(super) fn sign_legacy(&self, name: &str, payload: &[u8]) -> Vec<u8> {
        self.write("payload", payload);
        self.run("openssl", "dgst -sha256 -binary -out digest payload");
        self.run("openssl", &format!("pkeyutl -sign -inkey {name}.pem -in digest"))
    }

    /// `image` with a signature sector by these keys; `None` if espsecure is not installed.
    pub(super) fn secure_boot(&self, names: &[&str], image: &[u8]) -> Option<Vec<u8>> {
        let espsecure = espsecure()?;
        self.write("image", image);
        let keys: Vec<_> = names.iter().map(|name| format!("{name}.pem")).collect();
        self.run(espsecure, &format!("sign-data -v 2 -k {} -o secure_boot image", keys.join(" ")));
        Some(std::fs::read(self.path("secure_boot")).unwrap())
    }

    /// Runs `updraft image verify` on a file, with options that name files of the folder.
    pub(super) fn updraft(&self, file: &[u8], options: &str) -> Output {
        self.write("firmware.bin", file);
        Command::new(env!("CARGO_BIN_EXE_updraft"))
            .args(["image", "verify", "firmware.bin"])
            .args(options.split_whitespace())
            .current_dir(&self.folder)
            .output()
            .unwrap()
    }

    /// What is said of a file, and the exit code.
    pub(super) fn verify(&self, file: &[u8], options: &str) -> (Value, Option<i32>) {
        let output = self.updraft(file, &format!("--json {options}"));
        let report = serde_json::from_slice(&output.stdout);
        (report.unwrap_or_else(|error| panic!("{error}: {output:?}")), output.status.code())
    }
}

/// The names and reasons of the checks that came to this.
pub(super) fn checks(report: &Value, outcome: &str) -> Vec<(String, String)> {
    let checks = report["checks"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    checks
        .filter(|check| check["outcome"] == outcome)
        .map(|check| (text(&check["name"]), text(&check["reason"])))
        .collect()
}

/// r and s of an ECDSA signature in DER, 32 bytes each.
pub(super) fn raw(der: &[u8]) -> Vec<u8> {
    let mut rest = &der[2..];
    let mut raw = Vec::new();
    for _ in 0..2 {
        let (number, after) = rest[2..].split_at(rest[1].into());
        let number = &number[number.len().saturating_sub(32)..];
        raw.extend([0].repeat(32 - number.len()));
        raw.extend(number);
        rest = after;
    }
    raw
}

/// `payload` with the trailer of a signed ESP8266 file.
pub(super) fn trailer(payload: &[u8], signature: &[u8]) -> Vec<u8> {
    let length = u32::try_from(signature.len()).unwrap().to_le_bytes();
    [payload, signature, &length].concat()
}

/// `payload` with the field of a signed Arduino-ESP32 image.
pub(super) fn field(payload: &[u8], signature: &[u8]) -> Vec<u8> {
    let mut file = [payload, signature].concat();
    file.resize(payload.len() + 512, 0);
    file
}

/// espsecure, if the judges are installed; in CI they must be.
fn espsecure() -> Option<PathBuf> {
    let judges = variable("UPDRAFT_JUDGES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/judges"),
        PathBuf::from,
    );
    let program = judges.join("bin/espsecure");
    if program.exists() {
        return Some(program);
    }
    assert!(variable("CI").is_none(), "no espsecure in {}", judges.display());
    let _ = writeln!(stdout(), "left out: no espsecure in {}", judges.display());
    None
}

#[expect(clippy::disallowed_methods, reason = "a test has no other way to its surroundings")]
fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}
