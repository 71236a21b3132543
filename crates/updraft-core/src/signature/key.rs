//! Public keys: read from DER, named, told apart.

use core::fmt;

use super::der::{BIT_STRING, INTEGER, NULL, OBJECT_IDENTIFIER, Reader, SEQUENCE};
use super::ecdsa::{FIELD, Point};
use super::hash::{Hash, Hasher};
use super::number::Number;
use super::rsa::{RsaKey, Size};

/// rsaEncryption, 1.2.840.113549.1.1.1 (RFC 8017, A.1).
const RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01];
/// id-ecPublicKey, 1.2.840.10045.2.1 (RFC 5480, 2.1.1).
const EC: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
/// secp256r1, 1.2.840.10045.3.1.7 (RFC 5480, 2.1.1.1).
const P256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];

/// A public key that the signatures here can be checked with. It borrows the bytes it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey<'a>(pub(super) Key<'a>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key<'a> {
    Rsa(RsaKey<'a>),
    P256(Point<'a>),
}

/// What a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "their own names")]
pub enum KeyKind {
    Rsa2048,
    Rsa3072,
    Rsa4096,
    P256,
}

/// Elliptic curves that are known by name, but for P-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "their own names")]
pub enum Curve {
    P192,
    P224,
    P384,
    P521,
    Secp256k1,
}

/// Why a key cannot be used. `Display` gives the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyError {
    /// It is not a public key in DER (`SubjectPublicKeyInfo`, RFC 5280).
    NotAKey,
    /// RSA of a size that is not supported.
    RsaSize {
        /// Its size.
        bits: u16,
    },
    /// RSA with an even modulus, or with an exponent that is even, 1, or longer than 8 bytes.
    RsaNumbers,
    /// An elliptic curve that is not supported; `None` for one without a known name.
    Curve(Option<Curve>),
    /// The point is not on its curve, or is compressed, which no device takes.
    Point,
    /// Neither RSA nor ECDSA.
    Algorithm,
}

/// SHA-256 of a public key in DER (`SubjectPublicKeyInfo`), as `openssl pkey -pubin -outform DER`
/// writes it. `Display` gives 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl<'a> PublicKey<'a> {
    /// Reads a `SubjectPublicKeyInfo` (RFC 5280, 4.1), nothing before or behind it.
    pub fn from_der(der: &'a [u8]) -> Result<Self, KeyError> {
        let (name, mut parameters, key) = public_key_info(der).ok_or(KeyError::NotAKey)?;
        match name {
            RSA if parameters.value(NULL) == Some(&[]) && parameters.is_empty() => {
                Self::from_pkcs1(key)
            }
            RSA => Err(KeyError::NotAKey),
            EC => Self::from_point(parameters, key),
            _ => Err(KeyError::Algorithm),
        }
    }

    /// Reads an `RSAPublicKey` (RFC 8017, A.1.1): modulus and exponent.
    pub fn from_pkcs1(der: &'a [u8]) -> Result<Self, KeyError> {
        let read = || {
            let mut outer = Reader::new(der);
            let mut list = outer.sequence()?;
            let (modulus, exponent) = (list.unsigned()?, list.unsigned()?);
            (list.is_empty() && outer.is_empty()).then_some((modulus, exponent))
        };
        let (modulus, exponent) = read().ok_or(KeyError::NotAKey)?;
        Self::rsa(Number::big_endian(modulus), Number::big_endian(exponent))
    }

    fn from_point(mut curve: Reader<'a>, point: &'a [u8]) -> Result<Self, KeyError> {
        let name = curve.value(OBJECT_IDENTIFIER).filter(|_| curve.is_empty());
        let name = name.ok_or(KeyError::Curve(None))?;
        if name != P256 {
            return Err(KeyError::Curve(Curve::from_identifier(name)));
        }
        let coordinates = point.strip_prefix(&[4]).filter(|both| both.len() == 2 * FIELD);
        let (x, y) =
            coordinates.and_then(|both| both.split_at_checked(FIELD)).ok_or(KeyError::Point)?;
        Self::p256(Number::big_endian(x), Number::big_endian(y))
    }

    /// An RSA key of these numbers.
    pub(super) fn rsa(modulus: Number<'a>, exponent: Number<'a>) -> Result<Self, KeyError> {
        let mut digits = modulus.bytes().skip_while(|&byte| byte == 0);
        let highest = digits.next().ok_or(KeyError::NotAKey)?;
        let bits = digits.count().saturating_mul(8).saturating_add(8);
        let bits = bits.saturating_sub(highest.leading_zeros() as usize);
        let size = match bits {
            2048 => Size::Bits2048,
            3072 => Size::Bits3072,
            4096 => Size::Bits4096,
            bits => {
                return Err(KeyError::RsaSize { bits: u16::try_from(bits).unwrap_or(u16::MAX) });
            }
        };
        let exponent = exponent.to_array().map(u64::from_be_bytes).ok_or(KeyError::RsaNumbers)?;
        let is_odd = modulus.bytes().last().is_some_and(|byte| byte & 1 == 1);
        if !is_odd || exponent & 1 == 0 || exponent < 3 {
            return Err(KeyError::RsaNumbers);
        }
        Ok(Self(Key::Rsa(RsaKey { modulus, exponent, size })))
    }

    /// A key of P-256 with these coordinates, 32 bytes each.
    pub(super) fn p256(x: Number<'a>, y: Number<'a>) -> Result<Self, KeyError> {
        let point = Point { x, y };
        if point.is_valid() { Ok(Self(Key::P256(point))) } else { Err(KeyError::Point) }
    }

    /// What it is.
    pub fn kind(&self) -> KeyKind {
        match &self.0 {
            Key::Rsa(RsaKey { size: Size::Bits2048, .. }) => KeyKind::Rsa2048,
            Key::Rsa(RsaKey { size: Size::Bits3072, .. }) => KeyKind::Rsa3072,
            Key::Rsa(RsaKey { size: Size::Bits4096, .. }) => KeyKind::Rsa4096,
            Key::P256(_) => KeyKind::P256,
        }
    }

    /// Length in bytes of its signatures, r and s as they are for P-256.
    pub fn signature_length(&self) -> u16 {
        self.kind().signature_length()
    }

    /// SHA-256 of its DER form, whatever form it was read from.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hasher = Hash::Sha256.hasher();
        match &self.0 {
            Key::Rsa(key) => hash_rsa(&mut hasher, key),
            Key::P256(point) => {
                hasher.update(&[SEQUENCE, 89, SEQUENCE, 19, OBJECT_IDENTIFIER, 7]);
                hasher.update(EC);
                hasher.update(&[OBJECT_IDENTIFIER, 8]);
                hasher.update(P256);
                hasher.update(&[BIT_STRING, 66, 0]);
                hasher.update(&point.encode());
            }
        }
        let digest = hasher.finish();
        Fingerprint(digest.first_chunk().copied().unwrap_or_default())
    }
}

/// Name of the algorithm, its parameters, the key itself.
fn public_key_info(der: &[u8]) -> Option<(&[u8], Reader<'_>, &[u8])> {
    let mut outer = Reader::new(der);
    let mut info = outer.sequence()?;
    let mut algorithm = info.sequence()?;
    let name = algorithm.value(OBJECT_IDENTIFIER)?;
    // No bit of the last byte is unused.
    let key = info.value(BIT_STRING)?.strip_prefix(&[0])?;
    (info.is_empty() && outer.is_empty()).then_some((name, algorithm, key))
}

/// Hashes an RSA key in DER, without writing it anywhere.
fn hash_rsa(hasher: &mut Hasher, key: &RsaKey<'_>) {
    let exponent = key.exponent.to_be_bytes();
    let zeros = exponent.iter().take_while(|&&byte| byte == 0).count();
    // A zero stands before a number whose first bit is set, as that of every modulus here is.
    let signed = exponent.get(zeros).is_some_and(|&byte| byte >= 0x80);
    let exponent_length = exponent.len().saturating_sub(zeros) + usize::from(signed);
    let modulus_length = key.length() + 1;
    let numbers = 4 + modulus_length + 2 + exponent_length;
    let bits = 1 + 4 + numbers;

    hash_long(hasher, SEQUENCE, 15 + 4 + bits);
    hasher.update(&[SEQUENCE, 13, OBJECT_IDENTIFIER, 9]);
    hasher.update(RSA);
    hasher.update(&[NULL, 0]);
    hash_long(hasher, BIT_STRING, bits);
    hasher.update(&[0]);
    hash_long(hasher, SEQUENCE, numbers);
    hash_long(hasher, INTEGER, modulus_length);
    hasher.update(&[0]);
    for byte in key.modulus.bytes().skip_while(|&byte| byte == 0) {
        hasher.update(&[byte]);
    }
    hasher.update(&[INTEGER, u8::try_from(exponent_length).unwrap_or_default()]);
    hasher.update(if signed { &[0] } else { &[] });
    hasher.update(exponent.get(zeros..).unwrap_or_default());
}

/// Tag and length, 256 to 65535, of a value.
fn hash_long(hasher: &mut Hasher, tag: u8, length: usize) {
    let [high, low] = u16::try_from(length).unwrap_or_default().to_be_bytes();
    hasher.update(&[tag, 0x82, high, low]);
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Rsa2048, Self::Rsa3072, Self::Rsa4096, Self::P256];

    /// Length in bytes of its signatures, r and s as they are for P-256.
    pub fn signature_length(self) -> u16 {
        match self {
            Self::Rsa2048 => 256,
            Self::Rsa3072 => 384,
            Self::Rsa4096 => 512,
            Self::P256 => 64,
        }
    }
}

impl Curve {
    /// The curve with this object identifier, as its DER encoding has it (RFC 5480, 2.1.1.1; SEC 2,
    /// A.2).
    pub fn from_identifier(name: &[u8]) -> Option<Self> {
        match name {
            [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x01] => Some(Self::P192),
            [0x2B, 0x81, 0x04, 0x00, 0x21] => Some(Self::P224),
            [0x2B, 0x81, 0x04, 0x00, 0x22] => Some(Self::P384),
            [0x2B, 0x81, 0x04, 0x00, 0x23] => Some(Self::P521),
            [0x2B, 0x81, 0x04, 0x00, 0x0A] => Some(Self::Secp256k1),
            _ => None,
        }
    }
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

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::P192 => "P-192",
            Self::P224 => "P-224",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::Secp256k1 => "secp256k1",
        })
    }
}

impl core::error::Error for KeyError {}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAKey => f.write_str("not a public key"),
            Self::RsaSize { bits } => {
                write!(f, "an RSA key of {bits} bits; 2048, 3072 and 4096 are supported")
            }
            Self::RsaNumbers => f.write_str("an RSA key with an impossible modulus or exponent"),
            Self::Curve(Some(curve)) => {
                write!(f, "a key on the curve {curve}; of curves P-256 is supported")
            }
            Self::Curve(None) => {
                f.write_str("a key on a curve without a known name; of curves P-256 is supported")
            }
            Self::Point => f.write_str("a key whose point is compressed, or not on its curve"),
            Self::Algorithm => f.write_str("a key that is neither RSA nor ECDSA"),
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
