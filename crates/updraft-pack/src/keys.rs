//! Keys that sign images: made, read, written. Where their files are is up to the caller; a private
//! key is never shown.

use std::fmt;

use p256::elliptic_curve::Generate as _;
use p256::elliptic_curve::zeroize::Zeroizing;
use p256::pkcs8::EncodePrivateKey as _;
use rsa::pkcs1::{self, DecodeRsaPrivateKey as _};
use rsa::pkcs8::der::pem::{LineEnding, PemLabel as _};
use rsa::pkcs8::der::{Decode as _, Document, SecretDocument};
use rsa::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePublicKey as _, ObjectIdentifier,
    PrivateKeyInfoRef, SubjectPublicKeyInfoRef,
};
use rsa::rand_core::TryCryptoRng;
use sec1::{EcParameters, EcPrivateKey};
use sha2::{Digest as _, Sha256};

use crate::pem::{self, Block};

/// id-ecPublicKey (RFC 5480, 2.1.1).
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// secp256r1 (RFC 5480, 2.1.1.1).
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// What a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "their own names")]
pub enum KeyKind {
    Rsa2048,
    Rsa3072,
    Rsa4096,
    P256,
}

/// A private key. `Debug` shows what kind it is and no more.
#[derive(Clone)]
pub struct SigningKey(pub(crate) Secret);

#[derive(Clone)]
pub(crate) enum Secret {
    Rsa(Box<rsa::PrivateKey>, KeyKind),
    P256(p256::SecretKey),
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    kind: KeyKind,
    der: Vec<u8>,
}

/// Why a key cannot be made or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file holds no key that anybody could use here.
    #[error(
        "no key in PEM: a private key is PKCS#8, PKCS#1 or SEC1, a public one PKCS#8 or PKCS#1"
    )]
    NoKey,
    /// A public key where a private one is needed.
    #[error("this is a public key: signing takes the private one")]
    Public,
    /// A private key under a passphrase.
    #[error(
        "the private key is encrypted: `openssl pkey -in FILE -out PLAIN` takes the passphrase off"
    )]
    Encrypted,
    /// A certificate, which holds a public key.
    #[error("this is a certificate: `openssl x509 -in FILE -noout -pubkey` gives its public key")]
    Certificate,
    /// The content is not what the first line says.
    #[error("the key is damaged")]
    Damaged,
    /// RSA of a size that is not supported.
    #[error("an RSA key of {bits} bits: 2048, 3072 and 4096 are possible, and P-256")]
    RsaSize {
        /// Its size.
        bits: usize,
    },
    /// Another elliptic curve.
    #[error("a key on another curve than P-256, the only one possible beside RSA")]
    Curve,
    /// Neither RSA nor ECDSA.
    #[error("a key that is neither RSA nor ECDSA: RSA-2048, -3072, -4096 and P-256 are possible")]
    Algorithm,
    /// No random numbers could be had.
    #[error("the system gives no random numbers")]
    Random,
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Rsa2048, Self::Rsa3072, Self::Rsa4096, Self::P256];

    /// Bytes of its signatures; r and s as they are for P-256.
    pub fn signature_length(self) -> usize {
        match self {
            Self::Rsa2048 => 256,
            Self::Rsa3072 => 384,
            Self::Rsa4096 => 512,
            Self::P256 => 64,
        }
    }

    /// The kind of an RSA key with this modulus, big-endian and without zeros before it.
    fn of_modulus(modulus: &[u8]) -> Result<Self, KeyError> {
        let unused = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
        match modulus.len() * 8 - unused {
            2048 => Ok(Self::Rsa2048),
            3072 => Ok(Self::Rsa3072),
            4096 => Ok(Self::Rsa4096),
            bits => Err(KeyError::RsaSize { bits }),
        }
    }
}

impl SigningKey {
    /// A new key. RSA takes seconds.
    pub fn generate<R: TryCryptoRng + ?Sized>(
        kind: KeyKind,
        random: &mut R,
    ) -> Result<Self, KeyError> {
        let bits = match kind {
            KeyKind::P256 => {
                let key = p256::SecretKey::try_generate_from_rng(random);
                return Ok(Self(Secret::P256(key.map_err(|_| KeyError::Random)?)));
            }
            KeyKind::Rsa2048 => 2048,
            KeyKind::Rsa3072 => 3072,
            KeyKind::Rsa4096 => 4096,
        };
        let key = rsa::PrivateKey::new(random, bits).map_err(|_| KeyError::Random)?;
        Ok(Self(Secret::Rsa(Box::new(key), kind)))
    }

    /// Reads the first private key of a PEM file: PKCS#8, PKCS#1 (`RSA PRIVATE KEY`) or SEC1 (`EC
    /// PRIVATE KEY`), not encrypted.
    pub fn from_pem(file: &str) -> Result<Self, KeyError> {
        let mut reason = KeyError::NoKey;
        for block in pem::blocks(file) {
            if block.is_encrypted() {
                return Err(KeyError::Encrypted);
            }
            match block.label {
                PrivateKeyInfoRef::PEM_LABEL => return Self::from_pkcs8(secret(block)?.as_bytes()),
                pkcs1::RsaPrivateKeyRef::PEM_LABEL => {
                    return Self::from_pkcs1(secret(block)?.as_bytes());
                }
                EcPrivateKey::PEM_LABEL => return Self::from_sec1(secret(block)?.as_bytes()),
                _ if PublicKey::is_public(block.label) => reason = KeyError::Public,
                "CERTIFICATE" => reason = KeyError::Certificate,
                _ => {}
            }
        }
        Err(reason)
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let info = PrivateKeyInfoRef::try_from(der).map_err(|_| KeyError::Damaged)?;
        match info.algorithm.oid {
            pkcs1::ALGORITHM_OID => Self::from_pkcs1(info.private_key.as_bytes()),
            EC => {
                check_curve(info.algorithm.parameters_oid().ok())?;
                let key = p256::SecretKey::from_pkcs8_der(der).map_err(|_| KeyError::Damaged)?;
                Ok(Self(Secret::P256(key)))
            }
            _ => Err(KeyError::Algorithm),
        }
    }

    fn from_pkcs1(der: &[u8]) -> Result<Self, KeyError> {
        let numbers = pkcs1::RsaPrivateKeyRef::from_der(der).map_err(|_| KeyError::Damaged)?;
        let kind = KeyKind::of_modulus(numbers.modulus.as_bytes())?;
        let key = rsa::PrivateKey::from_pkcs1_der(der).map_err(|_| KeyError::Damaged)?;
        Ok(Self(Secret::Rsa(Box::new(key), kind)))
    }

    fn from_sec1(der: &[u8]) -> Result<Self, KeyError> {
        let key = EcPrivateKey::from_der(der).map_err(|_| KeyError::Damaged)?;
        check_curve(key.parameters.and_then(EcParameters::named_curve))?;
        let key = p256::SecretKey::from_sec1_der(der).map_err(|_| KeyError::Damaged)?;
        Ok(Self(Secret::P256(key)))
    }

    /// The key as a PEM file, PKCS#8, not encrypted. Memory is cleaned when it goes.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let pem = match &self.0 {
            Secret::Rsa(key, _) => key.to_pkcs8_pem(LineEnding::LF),
            Secret::P256(key) => key.to_pkcs8_pem(LineEnding::LF),
        };
        pem.map_err(|_| KeyError::Damaged)
    }

    /// What it is.
    pub fn kind(&self) -> KeyKind {
        match &self.0 {
            Secret::Rsa(_, kind) => *kind,
            Secret::P256(_) => KeyKind::P256,
        }
    }

    /// The public key that goes with it.
    pub fn public(&self) -> Result<PublicKey, KeyError> {
        let der = match &self.0 {
            Secret::Rsa(key, _) => key.to_public_key().to_public_key_der(),
            Secret::P256(key) => key.public_key().to_public_key_der(),
        };
        Ok(PublicKey { kind: self.kind(), der: der.map_err(|_| KeyError::Damaged)?.into_vec() })
    }
}

impl PublicKey {
    /// Reads the first key of a PEM file: `PUBLIC KEY`, PKCS#1 (`RSA PUBLIC KEY`), or the public half
    /// of a private one.
    pub fn from_pem(file: &str) -> Result<Self, KeyError> {
        for block in pem::blocks(file) {
            let der = || Document::from_pem(block.text).map_err(|_| KeyError::Damaged);
            match block.label {
                SubjectPublicKeyInfoRef::PEM_LABEL => return Self::from_der(der()?.1.as_bytes()),
                pkcs1::RsaPublicKeyRef::PEM_LABEL => return Self::from_pkcs1(der()?.1.as_bytes()),
                _ => {}
            }
        }
        SigningKey::from_pem(file)?.public()
    }

    /// Reads a `SubjectPublicKeyInfo` (RFC 5280, 4.1).
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let info = SubjectPublicKeyInfoRef::try_from(der).map_err(|_| KeyError::Damaged)?;
        let key = info.subject_public_key.as_bytes().ok_or(KeyError::Damaged)?;
        match info.algorithm.oid {
            pkcs1::ALGORITHM_OID => Self::from_pkcs1(key),
            EC => {
                check_curve(info.algorithm.parameters_oid().ok())?;
                let key = p256::PublicKey::from_public_key_der(der);
                let der = key.and_then(|key| key.to_public_key_der());
                let der = der.map_err(|_| KeyError::Damaged)?;
                Ok(Self { kind: KeyKind::P256, der: der.into_vec() })
            }
            _ => Err(KeyError::Algorithm),
        }
    }

    fn from_pkcs1(der: &[u8]) -> Result<Self, KeyError> {
        let numbers = pkcs1::RsaPublicKeyRef::from_der(der).map_err(|_| KeyError::Damaged)?;
        let kind = KeyKind::of_modulus(numbers.modulus.as_bytes())?;
        let key = rsa::PublicKey::try_from(numbers).map_err(|_| KeyError::Damaged)?;
        let der = key.to_public_key_der().map_err(|_| KeyError::Damaged)?;
        Ok(Self { kind, der: der.into_vec() })
    }

    fn is_public(label: &str) -> bool {
        [SubjectPublicKeyInfoRef::PEM_LABEL, pkcs1::RsaPublicKeyRef::PEM_LABEL].contains(&label)
    }

    /// What it is.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The key as `SubjectPublicKeyInfo` in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The key as a PEM file, as `openssl pkey -pubout` writes it.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        let document = Document::try_from(self.der.as_slice()).map_err(|_| KeyError::Damaged)?;
        let label = SubjectPublicKeyInfoRef::PEM_LABEL;
        document.to_pem(label, LineEnding::LF).map_err(|_| KeyError::Damaged)
    }

    /// SHA-256 of [`Self::der`]: its name, short enough to be compared by eye.
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.der).into()
    }
}

fn secret(block: Block<'_>) -> Result<SecretDocument, KeyError> {
    Ok(SecretDocument::from_pem(block.text).map_err(|_| KeyError::Damaged)?.1)
}

/// A key without a named curve gives its numbers instead: no tool asks for that.
fn check_curve(curve: Option<ObjectIdentifier>) -> Result<(), KeyError> {
    if curve == Some(P256) { Ok(()) } else { Err(KeyError::Curve) }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Rsa2048 => "RSA-2048",
            Self::Rsa3072 => "RSA-3072",
            Self::Rsa4096 => "RSA-4096",
            Self::P256 => "P-256",
        })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.kind()).finish()
    }
}
