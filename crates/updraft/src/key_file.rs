//! Keys in PEM files, as options name them. Keys come from files only: what stands in a command can be
//! read by every process.

use std::path::Path;

use updraft_pack::{KeyError, PublicKey, SigningKey};

use crate::failure::Failure;
use crate::files;

/// A private key.
pub(crate) fn private(path: &Path) -> Result<SigningKey, Failure> {
    read(path, SigningKey::from_pem)
}

/// A public key, or the public half of a private one.
pub(crate) fn public(path: &Path) -> Result<PublicKey, Failure> {
    read(path, PublicKey::from_pem)
}

/// A fingerprint as people compare it.
pub(crate) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// What is wrong with the key `path` is said with its name.
pub(crate) fn wrong(path: &Path, error: &KeyError) -> Failure {
    Failure::usage(format_args!("{}: {error}", path.display()))
}

fn read<K>(path: &Path, parse: fn(&str) -> Result<K, KeyError>) -> Result<K, Failure> {
    let bytes = files::read(path)?;
    // A key in DER is no text, and so no PEM.
    parse(&String::from_utf8_lossy(&bytes)).map_err(|error| wrong(path, &error))
}
