//! The hash functions that signatures are made over.

use core::fmt;

use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "their own names")]
pub enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// A hash on its way.
#[derive(Clone, Debug)]
pub(super) enum Hasher {
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

/// A digest, with the function it is of. Dereferences to its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digest {
    pub(super) hash: Hash,
    bytes: [u8; 64],
}

impl Hash {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// Length of its digests in bytes.
    pub fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    pub(super) fn hasher(self) -> Hasher {
        match self {
            Self::Sha256 => Hasher::Sha256(Sha256::new()),
            Self::Sha384 => Hasher::Sha384(Sha384::new()),
            Self::Sha512 => Hasher::Sha512(Sha512::new()),
        }
    }

    /// The digest of these parts, one behind the other.
    pub(super) fn digest(self, parts: &[&[u8]]) -> Digest {
        let mut hasher = self.hasher();
        for part in parts {
            hasher.update(part);
        }
        hasher.finish()
    }
}

impl Hasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha384(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    pub(super) fn finish(self) -> Digest {
        match self {
            Self::Sha256(hasher) => Digest::new(Hash::Sha256, &hasher.finalize()),
            Self::Sha384(hasher) => Digest::new(Hash::Sha384, &hasher.finalize()),
            Self::Sha512(hasher) => Digest::new(Hash::Sha512, &hasher.finalize()),
        }
    }
}

impl Digest {
    /// `bytes` are as many as the function's digests have.
    pub(super) fn new(hash: Hash, bytes: &[u8]) -> Self {
        let mut digest = Self { hash, bytes: [0; 64] };
        digest.bytes.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = *byte);
        digest
    }
}

impl core::ops::Deref for Digest {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.hash.length()).unwrap_or_default()
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        })
    }
}
