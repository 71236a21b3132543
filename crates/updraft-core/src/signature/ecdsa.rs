//! ECDSA on P-256. The three forms of a signature, and what the curve says of it.

use p256::FieldBytes;
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::ecdsa::{Signature, VerifyingKey};

use super::SignatureError;
use super::der::Reader;
use super::number::Number;

/// Length of a coordinate, and of r and s, in bytes.
pub(super) const FIELD: usize = 32;

/// A point of the curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point<'a> {
    pub(super) x: Number<'a>,
    pub(super) y: Number<'a>,
}

impl Point<'_> {
    /// Whether the point is on the curve.
    pub(super) fn is_valid(&self) -> bool {
        self.key().is_some()
    }

    /// The point as SEC 1 writes it uncompressed: 4, x, y.
    pub(super) fn encode(&self) -> [u8; 1 + 2 * FIELD] {
        let mut encoded = [4; 1 + 2 * FIELD];
        let coordinates = self.x.bytes().chain(self.y.bytes());
        encoded.iter_mut().skip(1).zip(coordinates).for_each(|(slot, byte)| *slot = byte);
        encoded
    }

    /// Whether `signature` holds for `digest`; of a longer one the first 32 bytes count.
    pub(super) fn verify(
        &self,
        signature: &Signature,
        digest: &[u8],
    ) -> Result<(), SignatureError> {
        let key = self.key().ok_or(SignatureError::OtherKey)?;
        key.verify_prehash(digest, signature).map_err(|_| SignatureError::OtherKeyOrBytes)
    }

    fn key(&self) -> Option<VerifyingKey> {
        VerifyingKey::from_sec1_bytes(&self.encode()).ok()
    }
}

/// r and s, 32 bytes each.
pub(super) fn from_raw(bytes: &[u8]) -> Result<Signature, SignatureError> {
    let (r, s) = bytes.split_at_checked(FIELD).ok_or(SignatureError::NotEcdsa)?;
    from_numbers(Number::big_endian(r), Number::big_endian(s))
}

/// A SEQUENCE of two INTEGERs; what stands behind it is not looked at.
pub(super) fn from_der(bytes: &[u8]) -> Result<Signature, SignatureError> {
    let read = || {
        let mut list = Reader::new(bytes).sequence()?;
        let (r, s) = (list.unsigned()?, list.unsigned()?);
        list.is_empty().then_some((r, s))
    };
    let (r, s) = read().ok_or(SignatureError::NotEcdsa)?;
    from_numbers(Number::big_endian(r), Number::big_endian(s))
}

/// Neither is zero, and both are less than the order of the curve.
pub(super) fn from_numbers(r: Number<'_>, s: Number<'_>) -> Result<Signature, SignatureError> {
    let field = |number: Number<'_>| number.to_array::<FIELD>().map(FieldBytes::from);
    let (r, s) = field(r).zip(field(s)).ok_or(SignatureError::NotEcdsa)?;
    Signature::from_scalars(r, s).map_err(|_| SignatureError::NotEcdsa)
}
