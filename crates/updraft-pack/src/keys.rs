//! Keys that sign images: made, read, written. Where their files are is up to the caller; a private
//! key is never shown.

use std::fmt;

use p256::elliptic_curve::Generate as _;
use p256::elliptic_curve::zeroize::Zeroizing;
use p256::pkcs8::EncodePrivateKey as _;
use rsa::pkcs1::{self, DecodeRsaPrivateKey as _};
use rsa::pkcs8::der::asn1::BitStringRef;
use rsa::pkcs8::der::pem::{LineEnding, PemLabel as _};
use rsa::pkcs8::der::{Decode as _, Document, Encode as _, SecretDocument};
use rsa::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePublicKey as _, ObjectIdentifier,
    PrivateKeyInfoRef, SubjectPublicKeyInfoRef,
};
use rsa::rand_core::TryCryptoRng;
use sec1::{EcParameters, EcPrivateKey};
use updraft_core::signature::{self, Curve, Fingerprint, KeyKind};

use crate::pem::{self, Block};

/// id-ecPublicKey (RFC 5480, 2.1.1).
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// secp256r1 (RFC 5480, 2.1.1.1).
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// A private key. `Debug` shows what kind it is and no more.
#[derive(Clone)]
pub struct SigningKey(pub(crate) Secret);

#[derive(Clone)]
pub(crate) enum Secret {
    Rsa(Box<rsa::PrivateKey>, KeyKind),
    P256(p256::SecretKey),
}

/// A public key that owns its bytes; core's borrows them, and says which keys there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    der: Vec<u8>,
    kind: KeyKind,
    fingerprint: Fingerprint,
}

/// Why a key cannot be made or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file holds no key that anybody could use here.
    #[error("no key in PEM, the form whose first line is -----BEGIN PRIVATE (or PUBLIC) KEY-----")]
    NoKey,
    /// A public key where a private one is needed.
    #[error("this is a public key: signing takes the private one")]
    Public,
    /// A private key where a public one is needed.
    #[error("this is a private key: `openssl pkey -in FILE -pubout` gives the public one")]
    Private,
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
    /// A key of a kind that no device checks.
    #[error("{0}")]
    Unsupported(signature::KeyError),
    /// No random numbers could be had.
    #[error("the system gives no random numbers")]
    Random,
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
                "CERTIFICATE" => reason = KeyError::Certificate,
                label if label.ends_with("PUBLIC KEY") => reason = KeyError::Public,
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
            _ => Err(signature::KeyError::Algorithm.into()),
        }
    }

    fn from_pkcs1(der: &[u8]) -> Result<Self, KeyError> {
        let numbers = pkcs1::RsaPrivateKeyRef::from_der(der).map_err(|_| KeyError::Damaged)?;
        let public = numbers.public_key().to_der().map_err(|_| KeyError::Damaged)?;
        let kind = signature::PublicKey::from_pkcs1(&public)?.kind();
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
        PublicKey::from_der(der.map_err(|_| KeyError::Damaged)?.as_bytes())
    }
}

impl PublicKey {
    /// Reads the first public key of a PEM file: `PUBLIC KEY` or PKCS#1 (`RSA PUBLIC KEY`).
    pub fn from_pem(file: &str) -> Result<Self, KeyError> {
        let mut reason = KeyError::NoKey;
        for block in pem::blocks(file) {
            let der = || Document::from_pem(block.text).map_err(|_| KeyError::Damaged);
            match block.label {
                SubjectPublicKeyInfoRef::PEM_LABEL => return Self::from_der(der()?.1.as_bytes()),
                pkcs1::RsaPublicKeyRef::PEM_LABEL => return Self::from_pkcs1(der()?.1.as_bytes()),
                "CERTIFICATE" => reason = KeyError::Certificate,
                label if label.ends_with("PRIVATE KEY") => reason = KeyError::Private,
                _ => {}
            }
        }
        Err(reason)
    }

    /// Reads a `SubjectPublicKeyInfo` (RFC 5280, 4.1). A compressed point, which no device takes, is
    /// written out.
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let der = match signature::PublicKey::from_der(der) {
            Err(signature::KeyError::Point) => {
                let key = p256::PublicKey::from_public_key_der(der);
                let whole = key.and_then(|key| key.to_public_key_der());
                whole.map_err(|_| KeyError::Damaged)?.into_vec()
            }
            _ => der.to_vec(),
        };
        let key = signature::PublicKey::from_der(&der)?;
        let (kind, fingerprint) = (key.kind(), key.fingerprint());
        Ok(Self { der, kind, fingerprint })
    }

    fn from_pkcs1(der: &[u8]) -> Result<Self, KeyError> {
        let info = || {
            let subject_public_key = BitStringRef::from_bytes(der)?;
            SubjectPublicKeyInfoRef { algorithm: pkcs1::ALGORITHM_ID, subject_public_key }.to_der()
        };
        Self::from_der(&info().map_err(|_| KeyError::Damaged)?)
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
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

fn secret(block: Block<'_>) -> Result<SecretDocument, KeyError> {
    Ok(SecretDocument::from_pem(block.text).map_err(|_| KeyError::Damaged)?.1)
}

/// A key without a named curve gives its numbers instead: no tool asks for that.
fn check_curve(curve: Option<ObjectIdentifier>) -> Result<(), KeyError> {
    if curve == Some(P256) {
        return Ok(());
    }
    let known = curve.and_then(|name| Curve::from_identifier(name.as_bytes()));
    Err(signature::KeyError::Curve(known).into())
}

impl From<signature::KeyError> for KeyError {
    fn from(error: signature::KeyError) -> Self {
        match error {
            signature::KeyError::NotAKey => Self::Damaged,
            other => Self::Unsupported(other),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.kind()).finish()
    }
}
