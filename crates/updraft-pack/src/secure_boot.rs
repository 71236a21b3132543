//! ESP-IDF's secure boot version 2: an image with its padding and the sector of signature blocks
//! behind it. For test images: ESP-IDF's own tools sign real ones. On request with a sector that is
//! wrong, in one way that has a name.

use crc::{CRC_32_ISO_HDLC, Crc, Table};
use rsa::BoxedUint;
use rsa::rand_core::TryCryptoRng;
use rsa::traits::PublicKeyParts as _;
use sha2::{Digest as _, Sha256};
use updraft_core::signature::KeyKind;

use crate::keys::{Secret, SigningKey};
use crate::sign::{SignError, ecdsa, pss};

/// Bytes of a flash sector: images are padded to whole ones, and the blocks have their own.
const SECTOR: usize = 4096;
/// Bytes of a block (`ets_secure_boot_sig_block_t`, ESP-IDF `esp_secure_boot.h`).
const BLOCK: usize = 1216;
/// Where a block's CRC is, over all that is before it.
const BLOCK_CRC: usize = 1196;
/// Bytes of the salt (`ESP_SECURE_BOOT_SALT_LEN`: that of a SHA-256).
const SALT: usize = 32;
/// Bits of an RSA key.
const RSA_BITS: u32 = 3072;

static CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);

/// A way in which the first block of a sector can be wrong. But for the CRC itself, the CRC is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SectorDefect {
    /// The first byte is not E7.
    Magic,
    /// A version that no boot loader knows.
    Version,
    /// The digest is that of another image.
    Digest,
    /// One bit of the signature.
    Signature,
    /// The number of the elliptic curve, which no boot loader knows. For P-256 keys.
    Curve,
    /// The CRC of the block.
    Crc,
}

/// `image`, padded with FF, and behind it a sector with a block for each of `keys`: RSA-3072 or P-256,
/// at most three.
pub fn secure_boot<R: TryCryptoRng + ?Sized>(
    image: &[u8],
    keys: &[&SigningKey],
    random: &mut R,
) -> Result<Vec<u8>, SignError> {
    build(image, keys, None, random)
}

/// The same with a sector that is wrong in this way.
pub fn broken_secure_boot<R: TryCryptoRng + ?Sized>(
    image: &[u8],
    keys: &[&SigningKey],
    defect: SectorDefect,
    random: &mut R,
) -> Result<Vec<u8>, SignError> {
    build(image, keys, Some(defect), random)
}

fn build<R: TryCryptoRng + ?Sized>(
    image: &[u8],
    keys: &[&SigningKey],
    defect: Option<SectorDefect>,
    random: &mut R,
) -> Result<Vec<u8>, SignError> {
    let mut file = image.to_vec();
    file.resize(file.len().next_multiple_of(SECTOR), 0xFF);
    let end = file.len() + SECTOR;
    let digest = Sha256::digest(&file);
    for (number, key) in keys.iter().take(3).enumerate() {
        let defect = defect.filter(|_| number == 0);
        file.extend(block(&digest, key, defect, random)?);
    }
    file.resize(end, 0xFF);
    Ok(file)
}

/// One block; every number in it is little-endian.
fn block<R: TryCryptoRng + ?Sized>(
    digest: &[u8],
    key: &SigningKey,
    defect: Option<SectorDefect>,
    random: &mut R,
) -> Result<Vec<u8>, SignError> {
    let mut block = vec![0xE7, 0, 0, 0];
    block.extend(digest);
    let (curve, signature);
    match &key.0 {
        Secret::Rsa(rsa, KeyKind::Rsa3072) => {
            block[1] = 2;
            let modulus = rsa.n();
            block.extend(modulus.to_le_bytes().iter());
            block.extend(fixed(&rsa.e().to_le_bytes(), 4));
            // What the ROM's Montgomery multiplication needs: R^2 and -1/n.
            let r2 = BoxedUint::one_with_precision(2 * RSA_BITS + 64).shl(2 * RSA_BITS);
            block.extend(fixed(&r2.rem(modulus).to_le_bytes(), 384));
            block.extend(negative_inverse(&modulus.to_le_bytes()).to_le_bytes());
            (curve, signature) = (None, block.len());
            block.extend(pss(key, digest, SALT, random)?.iter().rev());
        }
        Secret::P256(secret) => {
            block[1] = 3;
            curve = Some(block.len());
            block.push(2); // ECDSA_CURVE_P256
            let point = secret.public_key().to_sec1_bytes();
            // Behind the byte for its form, X and Y.
            let (x, y) = point[1..].split_at(32);
            block.extend(x.iter().rev().chain(y.iter().rev()));
            signature = block.len();
            let (r, s) = ecdsa(key, digest, random)?.split_bytes();
            block.extend(r.iter().rev().chain(s.iter().rev()));
        }
        Secret::Rsa(_, kind) => return Err(SignError::KeyKind(*kind)),
    }
    block.resize(BLOCK_CRC, 0);
    match (defect, curve) {
        (Some(SectorDefect::Magic), _) => block[0] = 0xE6,
        (Some(SectorDefect::Version), _) => block[1] = 4,
        (Some(SectorDefect::Digest), _) => block[4] ^= 1,
        (Some(SectorDefect::Signature), _) => block[signature + 20] ^= 1,
        (Some(SectorDefect::Curve), Some(curve)) => block[curve] = 9,
        _ => {}
    }
    let damage = u32::from(defect == Some(SectorDefect::Crc));
    block.extend((CRC.checksum(&block) ^ damage).to_le_bytes());
    block.resize(BLOCK, 0);
    Ok(block)
}

/// A number in so many bytes: filled up with zeros, or without those that it has too many.
fn fixed(number: &[u8], length: usize) -> Vec<u8> {
    let mut bytes = number.to_vec();
    bytes.resize(length, 0);
    bytes
}

/// -1/n modulo 2^32 of an odd number, little-endian. Newton's iteration doubles the bits that are
/// right, of which there are three at the start.
fn negative_inverse(number: &[u8]) -> u32 {
    let low = number.iter().take(4).rev().fold(0, |word, &byte| word << 8 | u32::from(byte));
    let inverse = (0..4).fold(low, |x, _| x.wrapping_mul(2_u32.wrapping_sub(low.wrapping_mul(x))));
    inverse.wrapping_neg()
}
