//! Keys in PEM files, as options name them, and how reports name a key. Keys come from files only: what
//! stands in a command can be read by every process.

use std::path::Path;

use serde::Serialize;
use updraft_core::signature::{Fingerprint, KeyKind};
use updraft_pack::{KeyError, PublicKey, SigningKey};

use crate::failure::Failure;
use crate::files;

/// A private key.
pub(crate) fn private(path: &Path) -> Result<SigningKey, Failure> {
    read(path, SigningKey::from_pem)
}

/// A public key, and no private one: that has no business where signatures are only checked.
pub(crate) fn public(path: &Path) -> Result<PublicKey, Failure> {
    read(path, PublicKey::from_pem)
}

/// One half of a key.
pub(crate) enum Half {
    /// That which signs.
    Private(SigningKey),
    /// That which checks.
    Public(PublicKey),
}

/// Either half: the private one of a file that holds both.
pub(crate) fn half(path: &Path) -> Result<Half, Failure> {
    read(path, |pem| match SigningKey::from_pem(pem) {
        Err(KeyError::Public) => PublicKey::from_pem(pem).map(Half::Public),
        key => key.map(Half::Private),
    })
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

/// How JSON names a key: names stay, fields are only added.
#[derive(Serialize)]
pub(crate) struct KeyName {
    /// `RSA-3072`, `P-256`.
    pub(crate) kind: String,
    /// SHA-256 of the public key in DER (`SubjectPublicKeyInfo`).
    pub(crate) fingerprint: String,
}

impl KeyName {
    pub(crate) fn new(kind: KeyKind, fingerprint: Fingerprint) -> Self {
        Self { kind: kind.to_string(), fingerprint: fingerprint.to_string() }
    }
}
