//! The judges, a folder for their files, and keys.

use std::io::{Write as _, stdout};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use updraft_core::signature::KeyKind;
use updraft_core::{Facts, Inflater, Inspector};
use updraft_pack::SigningKey;

/// A folder, and the programs that look at files in it.
pub(crate) struct Judges {
    pub(crate) folder: TempDir,
}

impl Judges {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.folder.path().join(name), bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(name)).unwrap()
    }

    /// Runs a program in the folder; words are split at spaces.
    pub(crate) fn run(&self, program: impl AsRef<Path>, words: &str) -> Output {
        let mut command = Command::new(program.as_ref());
        command.args(words.split_whitespace()).current_dir(self.folder.path()).output().unwrap()
    }

    /// Runs OpenSSL, which must be content; gives what it says.
    pub(crate) fn openssl(&self, words: &str) -> Vec<u8> {
        let output = self.run("openssl", words);
        assert!(output.status.success(), "openssl {words}: {output:?}");
        output.stdout
    }

    /// Whether OpenSSL accepts what it is given.
    pub(crate) fn openssl_accepts(&self, words: &str) -> bool {
        self.run("openssl", words).status.success()
    }
}

/// A program of esptool's package, if it is installed; in CI it must be.
pub(crate) fn espressif(program: &str) -> Option<PathBuf> {
    installed(&environment().join("bin").join(program))
}

/// An ESP8266 sketch that others built, if it is installed; in CI it must be.
pub(crate) fn real_sketch() -> Option<PathBuf> {
    let library = std::fs::read_dir(environment().join("lib")).into_iter().flatten();
    let name = "site-packages/esp_linker/firmware/esp-linker-esp8266.bin";
    let mut paths = library.map(|entry| entry.unwrap().path().join(name));
    installed(&paths.find(|path| path.exists()).unwrap_or_else(|| PathBuf::from(name)))
}

/// A Python environment.
fn environment() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/judges");
    variable("UPDRAFT_JUDGES").map_or_else(default, PathBuf::from)
}

fn installed(path: &Path) -> Option<PathBuf> {
    if path.exists() {
        return Some(path.to_owned());
    }
    assert!(variable("CI").is_none(), "there is no {}", path.display());
    let _ = writeln!(stdout(), "skipped: there is no {}", path.display());
    None
}

/// A key of `testdata/keys`.
pub(crate) fn key(kind: KeyKind) -> SigningKey {
    SigningKey::from_pem(&key_file(kind)).unwrap()
}

pub(crate) fn key_file(kind: KeyKind) -> String {
    let name = kind.to_string().to_lowercase().replace('-', "");
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/keys");
    std::fs::read_to_string(keys.join(name + ".pem")).unwrap()
}

/// What the inspector says.
pub(crate) fn inspect(file: &[u8]) -> Facts {
    let mut inflater = Box::new(Inflater::new());
    let mut inspector = Inspector::with_inflater(file.len() as u64, &mut inflater);
    inspector.update(file);
    inspector.finish()
}

#[expect(clippy::disallowed_methods, reason = "a test has no other way to its surroundings")]
fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}
