//! The signature sector of ESP-IDF's secure boot version 2: up to three blocks behind an image that
//! is padded to whole sectors. What the image is, is not known here.

use core::fmt;

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};
use p256::ecdsa::Signature;

use super::hash::{Digest, Hash};
use super::key::{Curve, Key, KeyError, PublicKey};
use super::modular::{Modulus, words};
use super::number::Number;
use super::pss::{self, Salt};
use super::rsa::RsaKey;
use super::{KeyKind, SignatureError, ecdsa};
use crate::chip::Chip;
use crate::window::word;

/// Length of a block.
const LENGTH: usize = 1216;
/// First byte of a block (`ETS_SECURE_BOOT_V2_SIGNATURE_MAGIC`, ESP-IDF).
const MAGIC: u8 = 0xE7;
/// `ets_secure_boot_sig_block_t.version`: RSA, and ECDSA.
const RSA: u8 = 2;
const ECDSA: u8 = 3;
/// Where the parts of a block stand (`ets_secure_boot_sig_block_t`, ESP-IDF `secure_boot.h`).
const DIGEST: usize = 4;
const CRC: usize = 1196;
/// RSA: modulus, exponent, two numbers for the chip's accelerator, signature; little-endian.
const MODULUS: usize = 36;
const EXPONENT: usize = 420;
const R_SQUARED: usize = 424;
const M_PRIME: usize = 808;
const RSA_SIGNATURE: usize = 812;
const MODULUS_LENGTH: usize = 384;
/// ECDSA: number of the curve, x and y, r and s; little-endian. A SHA-384 moves the curve.
const CURVE: usize = 36;
const CURVE_BEHIND_SHA384: usize = 52;
const POINT: usize = 37;
const ECDSA_SIGNATURE: usize = 101;
/// The boot ROM asks for a salt as long as the digest (`ets_rsa_pss_verify`).
const SALT: Salt = Salt::Bytes(32);

/// A signature sector, or what of it was read, from its start.
#[derive(Clone, Copy, Debug)]
pub struct Sector<'a>(&'a [u8]);

/// One block: its CRC is right, its key is one, and of a kind that is supported.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    bytes: &'a [u8; LENGTH],
    key: PublicKey<'a>,
}

/// Why a block is of no use. `Display` gives the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlockError {
    /// Its CRC is wrong: the boot ROM skips it.
    Crc,
    /// Its version is neither 2 (RSA) nor 3 (ECDSA).
    Version(u8),
    /// It is of a curve that is not supported: P-192 or P-384.
    Curve(Curve),
    /// It is of a curve that no document names.
    UnknownCurve(u8),
    /// What it has for a key is none.
    Key(KeyError),
    /// The two numbers that the chip's accelerator works with are not those of the key.
    Accelerator,
}

impl<'a> Sector<'a> {
    /// Length of a sector in bytes.
    pub const LENGTH: usize = 4096;
    /// Most blocks there may be (`SECURE_BOOT_NUM_BLOCKS`, ESP-IDF).
    pub const BLOCKS: usize = 3;

    /// The sector that starts with these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes it was made of.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// What a chip looks at of the sector that starts with these bytes: as many blocks as it has room
    /// for digests of keys (`SOC_EFUSE_SECURE_BOOT_KEY_DIGESTS`, ESP-IDF `soc_caps.h`), so on some the
    /// first one only.
    pub fn for_chip(chip: Chip, bytes: &'a [u8]) -> Self {
        match chip {
            Chip::Esp32 | Chip::Esp32C2 => Self(bytes.get(..LENGTH).unwrap_or(bytes)),
            _ => Self(bytes),
        }
    }

    /// Its blocks with their places, 0 to 2. A place without the mark of a block is left out, as the
    /// boot ROM does.
    pub fn blocks(self) -> impl Iterator<Item = (usize, Result<Block<'a>, BlockError>)> {
        let places = self.0.chunks_exact(LENGTH).take(Self::BLOCKS).enumerate();
        places.filter_map(|(place, bytes)| {
            let bytes: &[u8; LENGTH] = bytes.first_chunk()?;
            (bytes[0] == MAGIC).then(|| (place, Block::read(bytes)))
        })
    }

    /// The key of the first block that holds for the image; else what is wrong with the first.
    pub(super) fn find(self, digest: &Digest) -> Result<PublicKey<'a>, SignatureError> {
        let mut result = Err(SignatureError::NoBlock);
        for (_, block) in self.blocks() {
            let found = match block {
                Ok(block) => block.check(digest).map(|()| block.key),
                Err(error) => Err(SignatureError::Block(error)),
            };
            if found.is_ok() {
                return found;
            }
            if result == Err(SignatureError::NoBlock) {
                result = found;
            }
        }
        result
    }

    /// Whether a block by the owner of `key` holds for the image: one is enough.
    pub(super) fn verify(self, digest: &Digest, key: &PublicKey<'_>) -> Result<(), SignatureError> {
        if !matches!(key.kind(), KeyKind::Rsa3072 | KeyKind::P256) {
            return Err(SignatureError::KeyKind(key.kind()));
        }
        let mut result = SignatureError::NoBlock;
        for (_, block) in self.blocks() {
            let failure = match block {
                Ok(block) if block.key == *key => match block.check(digest) {
                    Ok(()) => return Ok(()),
                    Err(failure) => failure,
                },
                Ok(_) => SignatureError::OtherKey,
                Err(error) => SignatureError::Block(error),
            };
            // What was wrong with a block of this key says most.
            let says_less = matches!(result, SignatureError::NoBlock | SignatureError::Block(_));
            if says_less || !matches!(failure, SignatureError::Block(_) | SignatureError::OtherKey)
            {
                result = failure;
            }
        }
        Err(result)
    }
}

impl<'a> Block<'a> {
    /// Length of a block in bytes.
    pub const LENGTH: usize = LENGTH;

    fn read(bytes: &'a [u8; LENGTH]) -> Result<Self, BlockError> {
        let [_, version, hash, ..] = *bytes;
        if !matches!(version, RSA | ECDSA) {
            return Err(BlockError::Version(version));
        }
        let crc = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC).checksum(field(bytes, 0, CRC));
        if word(bytes, CRC) != Some(crc) {
            return Err(BlockError::Crc);
        }
        let key = if version == RSA { rsa_key(bytes)? } else { p256_key(bytes, hash)? };
        Ok(Self { bytes, key })
    }

    /// The key in the block, with which it was signed. Whether a device trusts it is the device's
    /// affair: it compares a digest burned into it.
    pub fn key(&self) -> &PublicKey<'a> {
        &self.key
    }

    /// Whether the block holds for an image, padding included, that has this SHA-256.
    pub fn verify(&self, sha256: &[u8; 32]) -> Result<(), SignatureError> {
        self.check(&Digest::new(Hash::Sha256, sha256))
    }

    fn check(&self, digest: &Digest) -> Result<(), SignatureError> {
        if field(self.bytes, DIGEST, digest.len()) != &**digest {
            return Err(SignatureError::OtherBytes);
        }
        let number = |start, length| Number::little_endian(field(self.bytes, start, length));
        match &self.key.0 {
            Key::Rsa(key) => {
                let signature = number(RSA_SIGNATURE, MODULUS_LENGTH);
                key.raise(signature, |message| pss::check(message, digest, SALT))?
            }
            Key::P256(point) => {
                let r = number(ECDSA_SIGNATURE, ecdsa::FIELD);
                let s = number(ECDSA_SIGNATURE + ecdsa::FIELD, ecdsa::FIELD);
                let signature: Signature = ecdsa::from_numbers(r, s)?;
                point.verify(&signature, digest)
            }
        }
    }
}

fn rsa_key(bytes: &[u8; LENGTH]) -> Result<PublicKey<'_>, BlockError> {
    let number = |start, length| Number::little_endian(field(bytes, start, length));
    let modulus = number(MODULUS, MODULUS_LENGTH);
    let key = PublicKey::rsa(modulus, number(EXPONENT, 4)).map_err(BlockError::Key)?;
    match &key.0 {
        Key::Rsa(rsa) if key.kind() == KeyKind::Rsa3072 => {
            let r_squared = number(R_SQUARED, MODULUS_LENGTH);
            let m_prime = word(bytes, M_PRIME).unwrap_or_default();
            if fits_accelerator(rsa, r_squared, m_prime) {
                Ok(key)
            } else {
                Err(BlockError::Accelerator)
            }
        }
        // A modulus of 384 bytes with zeros at its start.
        _ => Err(BlockError::Key(KeyError::RsaSize { bits: 2048 })),
    }
}

/// Whether these are R² modulo the modulus, with R = 2^3072, and the negative of the modulus's inverse
/// modulo 2^32 (Montgomery's multiplication).
fn fits_accelerator(key: &RsaKey<'_>, r_squared: Number<'_>, m_prime: u32) -> bool {
    let expected = || {
        let modulus = Modulus::<{ MODULUS_LENGTH / 4 }>::new(&words(key.modulus)?)?;
        Some((modulus.r_squared(), modulus.m_prime()))
    };
    expected().is_some_and(|expected| Some(expected) == words(r_squared).map(|r| (r, m_prime)))
}

fn p256_key(bytes: &[u8; LENGTH], hash: u8) -> Result<PublicKey<'_>, BlockError> {
    let place = if hash == 1 { CURVE_BEHIND_SHA384 } else { CURVE };
    match (hash, field(bytes, place, 1)) {
        (0, [2]) => {}
        (_, [1]) => return Err(BlockError::Curve(Curve::P192)),
        (_, [3]) => return Err(BlockError::Curve(Curve::P384)),
        (_, other) => {
            return Err(BlockError::UnknownCurve(other.first().copied().unwrap_or_default()));
        }
    }
    let coordinate = |start| Number::little_endian(field(bytes, start, ecdsa::FIELD));
    let (x, y) = (coordinate(POINT), coordinate(POINT + ecdsa::FIELD));
    PublicKey::p256(x, y).map_err(BlockError::Key)
}

/// A part of a block.
fn field(bytes: &[u8; LENGTH], start: usize, length: usize) -> &[u8] {
    bytes.get(start..).and_then(|rest| rest.get(..length)).unwrap_or_default()
}

impl core::error::Error for BlockError {}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crc => f.write_str("the CRC of the signature block is wrong"),
            Self::Version(version) => {
                write!(f, "the signature block has version {version}, neither 2 nor 3")
            }
            Self::Curve(curve) => {
                write!(f, "the signature block is of the curve {curve}; P-256 is supported")
            }
            Self::UnknownCurve(number) => {
                write!(f, "the signature block names curve {number}, which does not exist")
            }
            Self::Key(error) => write!(f, "the signature block holds {error}"),
            Self::Accelerator => f.write_str(
                "the signature block's numbers for the chip's accelerator do not fit its key",
            ),
        }
    }
}
