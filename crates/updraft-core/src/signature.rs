//! Checks the signatures that devices check: a stream of bytes, a public key, and what was made
//! with the private one.
//!
//! Nothing is signed here and nothing secret is touched, so no step takes care to need the same
//! time for every input. Nothing is allocated either: a key borrows its bytes, and a check needs
//! a few KiB of stack (see [`Verifier::finish`]).

use core::fmt;

mod der;
mod ecdsa;
mod hash;
mod key;
mod modular;
mod number;
mod pkcs1;
mod pss;
mod rsa;
mod secure_boot;

pub use self::hash::Hash;
pub use self::key::{Curve, Fingerprint, KeyError, KeyKind, PublicKey};
pub use self::pss::Salt;
pub use self::secure_boot::{Block, BlockError, Sector};

use self::hash::Hasher;
use self::key::Key;

/// Length in bytes of the field behind a signed Arduino-ESP32 image (`bin_signing.py`).
pub const ARDUINO_ESP32_FIELD: usize = 512;

/// Which signature stands behind a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Arduino's ESP8266 core (`BearSSL::SigningVerifier`): SHA-256; PKCS#1 v1.5 for RSA, r and s
    /// as they are (64 bytes) for P-256. The word for the length is no part of it: see
    /// [`esp8266_payload`].
    Esp8266,
    /// Arduino-ESP32 (`Updater_Signing.cpp`): the field of [`ARDUINO_ESP32_FIELD`] bytes, PSS with
    /// the longest salt for RSA, DER for P-256. The hash is the one the sketch chose.
    ArduinoEsp32(Hash),
    /// ESP-IDF's secure boot version 2: the payload is the image with its padding, the signature
    /// the sector behind it, or its first blocks: see [`Sector::for_chip`].
    SecureBootV2,
}

/// Why a signature does not hold. `Display` gives the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureError {
    /// It was made with another key, or is damaged: what it says means nothing under this key.
    OtherKey,
    /// It was made with this key, for other bytes.
    OtherBytes,
    /// An ECDSA signature does not tell the two apart.
    OtherKeyOrBytes,
    /// RSA over the bare digest, the form of Arduino's ESP8266 core up to 2.5.2 (`.legacy` files),
    /// which later ones refuse.
    Legacy,
    /// It was made with this key, over a digest of another hash function.
    OtherHash,
    /// It was made with this key, with a salt of another length than the device asks for.
    SaltLength {
        /// Bytes of salt that it has.
        found: u16,
        /// Bytes of salt that it must have.
        expected: u16,
    },
    /// It is not as long as the key's signatures.
    Length {
        /// Bytes there are.
        found: u16,
        /// Bytes the key asks for.
        expected: u16,
    },
    /// The word at the end of an ESP8266 file is not the length of the key's signatures.
    LengthWord {
        /// What it says.
        found: u32,
        /// What the key asks for.
        expected: u16,
    },
    /// There is no signature.
    Absent,
    /// It is of ESP-IDF's secure boot version 1, which is not supported here.
    SecureBootV1,
    /// The file is no longer than the signature it would have to carry.
    NoPayload,
    /// It is no ECDSA signature: not in DER where it must be, or r or s is out of range.
    NotEcdsa,
    /// The sector has no block that is whole and of a supported kind: the reason for the first.
    Block(BlockError),
    /// The sector has no block at all.
    NoBlock,
    /// The key is of a kind that the scheme does not know.
    KeyKind(KeyKind),
}

/// Checks the signature behind a payload that comes in pieces.
///
/// ```
/// use updraft_core::signature::{PublicKey, Scheme, SignatureError, Verifier};
///
/// # fn check(key: &[u8], payload: &[&[u8]], signature: &[u8]) -> Result<(), SignatureError> {
/// let Ok(key) = PublicKey::from_der(key) else { return Err(SignatureError::OtherKey) };
/// let mut verifier = Verifier::new(Scheme::Esp8266);
/// for piece in payload {
///     verifier.update(piece);
/// }
/// verifier.finish(&key, signature)
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Verifier {
    scheme: Scheme,
    hasher: Hasher,
}

impl Verifier {
    /// Nothing has passed.
    pub fn new(scheme: Scheme) -> Self {
        let hash = match scheme {
            Scheme::Esp8266 | Scheme::SecureBootV2 => Hash::Sha256,
            Scheme::ArduinoEsp32(hash) => hash,
        };
        Self { scheme, hasher: hash.hasher() }
    }

    /// Takes the next bytes of the payload, any number of them. A device must give those that it
    /// read back from its flash: an ESP8266 changes one on the way (the flash mode).
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// Whether `signature` was made over the payload by the owner of `key`.
    ///
    /// Stack: 6 KiB for RSA of any size here, 11 KiB for P-256 (measured on x86-64, optimised for
    /// size). Nothing else is needed: neither a heap nor a buffer of the caller's.
    pub fn finish(self, key: &PublicKey<'_>, signature: &[u8]) -> Result<(), SignatureError> {
        let digest = self.hasher.finish();
        match (self.scheme, &key.0) {
            (Scheme::Esp8266, Key::Rsa(rsa)) => {
                check_length(signature.len(), key.signature_length())?;
                rsa.recover(signature, |message| pkcs1::check(message, &digest))?
            }
            (Scheme::Esp8266, Key::P256(point)) => {
                check_length(signature.len(), key.signature_length())?;
                point.verify(&ecdsa::from_raw(signature)?, &digest)
            }
            (Scheme::ArduinoEsp32(_), Key::Rsa(rsa)) => {
                // What stands behind it in the field is not looked at.
                let own = signature.get(..rsa.length());
                let own = own.ok_or_else(|| too_short(signature.len(), rsa.length()))?;
                rsa.recover(own, |message| pss::check(message, &digest, Salt::Longest))?
            }
            (Scheme::ArduinoEsp32(_), Key::P256(point)) => {
                point.verify(&ecdsa::from_der(signature)?, &digest)
            }
            (Scheme::SecureBootV2, _) => Sector::new(signature).verify(&digest, key),
        }
    }

    /// The key in the first block of `sector` that holds for the payload: whoever has it signed this.
    /// Whether a device trusts that key is another matter. For [`Scheme::SecureBootV2`]; the stack as
    /// for [`Self::finish`].
    pub fn finish_sector(self, sector: Sector<'_>) -> Result<PublicKey<'_>, SignatureError> {
        sector.find(&self.hasher.finish())
    }
}

/// How long the payload of a signed ESP8266 file is: `length` is the file's, `word` its last four
/// bytes (little-endian), which must be the length of a signature by `key`.
pub fn esp8266_payload(length: u64, word: u32, key: &PublicKey<'_>) -> Result<u64, SignatureError> {
    let expected = key.signature_length();
    if word != u32::from(expected) {
        return Err(SignatureError::LengthWord { found: word, expected });
    }
    match length.checked_sub(u64::from(expected) + 4) {
        None | Some(0) => Err(SignatureError::NoPayload),
        Some(payload) => Ok(payload),
    }
}

fn check_length(found: usize, expected: u16) -> Result<(), SignatureError> {
    if found == usize::from(expected) { Ok(()) } else { Err(too_short(found, expected.into())) }
}

fn too_short(found: usize, expected: usize) -> SignatureError {
    let short = |length| u16::try_from(length).unwrap_or(u16::MAX);
    SignatureError::Length { found: short(found), expected: short(expected) }
}

impl core::error::Error for SignatureError {}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherKey => f.write_str("the signature was made with another key, or is damaged"),
            Self::OtherBytes => f.write_str("the key signed other bytes than these"),
            Self::OtherKeyOrBytes => {
                f.write_str("the signature was made with another key, or for other bytes")
            }
            Self::Legacy => f.write_str(
                "the signature has the legacy form (no DigestInfo), which cores since 2.5.2 refuse",
            ),
            Self::OtherHash => f.write_str("the key signed a digest of another hash function"),
            Self::SaltLength { found, expected } => {
                write!(f, "the signature has {found} bytes of salt, the device asks for {expected}")
            }
            Self::Length { found, expected } => {
                write!(f, "the signature has {found} bytes, the key makes {expected}")
            }
            Self::LengthWord { found, expected } => write!(
                f,
                "the last word says {found}, not {expected}, the length of the key's signatures"
            ),
            Self::SecureBootV1 => f.write_str("secure boot version 1 is not supported"),
            Self::Absent => f.write_str("the device asks for a signature, and there is none"),
            Self::NoPayload => f.write_str("the file is no longer than a signature"),
            Self::NotEcdsa => f.write_str("there is no ECDSA signature where it must be"),
            Self::Block(error) => error.fmt(f),
            Self::NoBlock => f.write_str("the signature sector has no signature block"),
            Self::KeyKind(kind) => write!(f, "a device of this kind takes no {kind} key"),
        }
    }
}
