//! The signatures that devices check, made and judged by OpenSSL and by Espressif's espsecure.

mod arduino;
mod corpus;
mod keys;
mod secure_boot;

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use updraft_core::signature::{PublicKey, Scheme, SignatureError, Verifier};

/// OpenSSL, and a place for its keys and files. Without OpenSSL a test fails: `cargo xtask test`
/// brings it.
struct OpenSsl {
    folder: TempDir,
}

impl OpenSsl {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Runs it on files of the folder; gives what it says.
    fn run(&self, words: &str) -> Vec<u8> {
        let words = words.split_whitespace();
        let mut command = Command::new("openssl");
        let output = command.args(words).current_dir(self.folder.path()).output().unwrap();
        assert!(output.status.success(), "{command:?}: {output:?}");
        output.stdout
    }

    /// Makes a key, `NAME.pem`: `rsa:BITS`, or a curve as OpenSSL calls it. Gives the public one.
    fn key(&self, name: &str, kind: &str) -> Vec<u8> {
        match kind.split_once(':') {
            Some((_, bits)) => self.run(&format!("genrsa -out {name}.pem {bits}")),
            None => self.run(&format!("ecparam -name {kind} -genkey -noout -out {name}.pem")),
        };
        self.run(&format!("pkey -in {name}.pem -pubout -outform DER"))
    }

    /// Signs `payload` with `NAME.pem`.
    fn sign(&self, name: &str, payload: &[u8], options: &str) -> Vec<u8> {
        self.write("payload", payload);
        self.run(&format!("dgst -sign {name}.pem {options} payload"))
    }
}

/// Checks in pieces of a few sizes, which makes no difference.
fn verify(
    scheme: Scheme,
    key: &[u8],
    payload: &[u8],
    signature: &[u8],
) -> Result<(), SignatureError> {
    let key = PublicKey::from_der(key).unwrap();
    let results = [payload.len().max(1), 7, 4096].map(|size| {
        let mut verifier = Verifier::new(scheme);
        for piece in payload.chunks(size) {
            verifier.update(piece);
        }
        verifier.finish(&key, signature)
    });
    assert_eq!(results[0], results[1]);
    assert_eq!(results[0], results[2]);
    results[0]
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
    None
}

#[expect(clippy::disallowed_methods, reason = "a test has no other way to its surroundings")]
fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}
