//! Signs images as the updaters of the two Arduino cores ask for, and refuses what would be signed in
//! vain. On request a signature that is wrong, in one way that has a name.

use std::fmt;

use p256::ecdsa::signature::hazmat::RandomizedPrehashSigner as _;
use rsa::rand_core::TryCryptoRng;
use rsa::{Pkcs1v15Sign, Pss};
use sha2::{Digest as _, Sha256};
use updraft_core::signature::{ARDUINO_ESP32_FIELD, KeyKind};
use updraft_core::{Facts, Family, Kind, NotOta, Signature};

use crate::image::inspect;
use crate::keys::{Secret, SigningKey};
use crate::note::Note;

/// Bytes of a SHA-256.
const HASH: usize = 32;

/// How a signature is made and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Arduino's ESP8266 core: the signature, then its length as a little-endian word. SHA-256; RSA
    /// PKCS#1 v1.5, P-256 as r and s.
    Esp8266,
    /// Arduino-ESP32: a field of 512 bytes. SHA-256; RSA PSS with the longest salt, P-256 in DER.
    ArduinoEsp32,
}

/// A signed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// How many of them are the payload, over which the signature is.
    pub payload: usize,
    /// What a person should know before devices get it.
    pub notes: Vec<Note>,
}

/// Why a file is not signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// Devices would read the second signature and check it over the first.
    #[error("the file is signed already: {0}")]
    AlreadySigned(Signature),
    /// No device could install it.
    #[error("no device would take it: {0}")]
    NotOta(NotOta),
    /// The format is that of other devices.
    #[error("the image is for the {family}, which knows no {format} signature")]
    OtherFamily {
        /// What the image is for.
        family: Family,
        /// The form asked for.
        format: Format,
    },
    /// A filesystem is for either family.
    #[error("the file does not say which devices it is for")]
    NoFamily,
    /// Where the field would be is not known to who reads the filesystem.
    #[error("a filesystem for an ESP32 cannot be signed: it fills its partition")]
    Filesystem,
    /// The form of signature asks for other keys.
    #[error("secure boot version 2 takes an RSA-3072 or P-256 key, not {0}")]
    KeyKind(KeyKind),
    /// The key and the random numbers at hand make no signature.
    #[error("the key makes no signature, or the system gives no random numbers")]
    NoSignature,
}

/// A way in which a signature can be wrong. That it is by another key needs no name: sign with that
/// key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureDefect {
    /// One bit of it.
    Bit,
    /// It is over all bytes but the last.
    OtherBytes,
    /// It is in another form. ESP8266: RSA over the bare digest, which cores up to 2.5.2 took
    /// (`.legacy`), and P-256 in DER. Arduino-ESP32: RSA PKCS#1 v1.5, and P-256 as r and s.
    OtherForm,
    /// ESP8266: the word behind it names another length. Arduino-ESP32: the field is 16 bytes short.
    Length,
}

impl Format {
    /// What the devices ask for that `file` is for; an error if nobody would take it signed, or it
    /// does not say who.
    pub fn for_file(file: &[u8]) -> Result<Self, SignError> {
        let facts = inspect(file);
        check(&facts)?;
        match facts.family() {
            Some(Family::Esp8266) => Ok(Self::Esp8266),
            Some(Family::Esp32) => Ok(Self::ArduinoEsp32),
            None => Err(SignError::NoFamily),
        }
    }

    fn family(self) -> Family {
        match self {
            Self::Esp8266 => Family::Esp8266,
            Self::ArduinoEsp32 => Family::Esp32,
        }
    }
}

/// Signs `file`: an image, its gzip, or a filesystem for an ESP8266.
pub fn sign<R: TryCryptoRng + ?Sized>(
    file: &[u8],
    key: &SigningKey,
    format: Format,
    random: &mut R,
) -> Result<Signed, SignError> {
    let facts = inspect(file);
    check(&facts)?;
    if let Some(family) = facts.family().filter(|&family| family != format.family()) {
        return Err(SignError::OtherFamily { family, format });
    }
    if matches!(facts.kind, Kind::Filesystem(_)) && format == Format::ArduinoEsp32 {
        return Err(SignError::Filesystem);
    }
    let signature = signature(file, key, format, random)?;
    let bytes = attach(file, &signature, format);
    Ok(Signed { bytes, payload: file.len(), notes: notes(&facts, key.kind(), format) })
}

/// `file`, whatever it is, with a signature that is wrong in this way.
pub fn sign_wrongly<R: TryCryptoRng + ?Sized>(
    file: &[u8],
    key: &SigningKey,
    format: Format,
    defect: SignatureDefect,
    random: &mut R,
) -> Result<Vec<u8>, SignError> {
    let payload = match defect {
        SignatureDefect::OtherBytes => &file[..file.len().saturating_sub(1)],
        _ => file,
    };
    let digest = Sha256::digest(payload);
    let mut made = match (defect, format, &key.0) {
        (SignatureDefect::OtherForm, Format::Esp8266, Secret::Rsa(key, _)) => key
            .sign_with_rng(random, Pkcs1v15Sign::new_unprefixed(), &digest)
            .map_err(|_| SignError::NoSignature)?,
        (SignatureDefect::OtherForm, Format::Esp8266, _) => {
            signature(payload, key, Format::ArduinoEsp32, random)?
        }
        (SignatureDefect::OtherForm, Format::ArduinoEsp32, _) => {
            signature(payload, key, Format::Esp8266, random)?
        }
        _ => signature(payload, key, format, random)?,
    };
    if defect == SignatureDefect::Bit {
        let middle = made.len() / 2;
        made[middle] ^= 1;
    }
    let mut bytes = attach(file, &made, format);
    match (defect, format) {
        (SignatureDefect::Length, Format::Esp8266) => {
            let word = bytes.len() - 4;
            bytes[word] ^= 1;
        }
        (SignatureDefect::Length, Format::ArduinoEsp32) => bytes.truncate(bytes.len() - 16),
        _ => {}
    }
    Ok(bytes)
}

/// The signature of `payload` alone.
fn signature<R: TryCryptoRng + ?Sized>(
    payload: &[u8],
    key: &SigningKey,
    format: Format,
    random: &mut R,
) -> Result<Vec<u8>, SignError> {
    let digest = Sha256::digest(payload);
    loop {
        let signature = match (format, &key.0) {
            (Format::Esp8266, Secret::Rsa(rsa, _)) => {
                let scheme = Pkcs1v15Sign::new::<Sha256>();
                rsa.sign_with_rng(random, scheme, &digest).map_err(|_| SignError::NoSignature)?
            }
            (Format::ArduinoEsp32, Secret::Rsa(_, kind)) => {
                // The longest salt that fits (RFC 8017, 9.1.1: emLen - hLen - 2).
                let salt = usize::from(kind.signature_length()) - HASH - 2;
                pss(key, &digest, salt, random)?
            }
            (Format::Esp8266, Secret::P256(_)) => ecdsa(key, &digest, random)?.to_bytes().to_vec(),
            (Format::ArduinoEsp32, Secret::P256(_)) => {
                ecdsa(key, &digest, random)?.to_der().as_bytes().to_vec()
            }
        };
        // `bin_signing.py` takes off zeros at the end of the field when it verifies, of the
        // signature's own bytes, too. Another salt, another signature.
        if format == Format::Esp8266 || signature.last() != Some(&0) {
            return Ok(signature);
        }
    }
}

/// RSA PSS with SHA-256 and a salt of so many bytes.
pub(crate) fn pss<R: TryCryptoRng + ?Sized>(
    key: &SigningKey,
    digest: &[u8],
    salt: usize,
    random: &mut R,
) -> Result<Vec<u8>, SignError> {
    let Secret::Rsa(rsa, _) = &key.0 else { return Err(SignError::KeyKind(key.kind())) };
    let scheme = Pss::<Sha256>::new_with_salt(salt);
    rsa.sign_with_rng(random, scheme, digest).map_err(|_| SignError::NoSignature)
}

/// ECDSA on P-256.
pub(crate) fn ecdsa<R: TryCryptoRng + ?Sized>(
    key: &SigningKey,
    digest: &[u8],
    random: &mut R,
) -> Result<p256::ecdsa::Signature, SignError> {
    let Secret::P256(secret) = &key.0 else { return Err(SignError::KeyKind(key.kind())) };
    let signer = p256::ecdsa::SigningKey::from(secret);
    signer.sign_prehash_with_rng(random, digest).map_err(|_| SignError::NoSignature)
}

/// `file` with `signature` behind it.
fn attach(file: &[u8], signature: &[u8], format: Format) -> Vec<u8> {
    let mut bytes = [file, signature].concat();
    match format {
        Format::Esp8266 => {
            // No signature here is longer than 512 bytes.
            let length = u32::try_from(signature.len()).unwrap_or(u32::MAX);
            bytes.extend(length.to_le_bytes());
        }
        Format::ArduinoEsp32 => bytes.resize(file.len() + ARDUINO_ESP32_FIELD, 0),
    }
    bytes
}

fn notes(facts: &Facts, key: KeyKind, format: Format) -> Vec<Note> {
    let mut notes = Vec::new();
    if format == Format::Esp8266 {
        let mode = facts.flash.map(|flash| flash.mode);
        notes.extend(mode.map(|mode| match facts.gzip {
            Some(_) => Note::GzipMode(mode),
            None => Note::SignedMode(mode),
        }));
        if matches!(facts.kind, Kind::Filesystem(_)) {
            notes.push(Note::FilesystemRoom);
        }
        if key == KeyKind::P256 {
            notes.push(Note::Verifier);
        }
    }
    notes
}

/// Whether it can be signed at all.
fn check(facts: &Facts) -> Result<(), SignError> {
    match (facts.signature, facts.ota()) {
        (Some(signature), _) => Err(SignError::AlreadySigned(signature)),
        (None, Err(reason)) => Err(SignError::NotOta(reason)),
        (None, Ok(_)) => Ok(()),
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Esp8266 => "Arduino ESP8266",
            Self::ArduinoEsp32 => "Arduino ESP32",
        })
    }
}
