//! The public operation of RSA. What a message must look like is not known here.

use super::SignatureError;
use super::modular::{Modulus, words};
use super::number::Number;

/// An RSA key. Its modulus is odd and has as many bits as its size says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RsaKey<'a> {
    pub(super) modulus: Number<'a>,
    /// Odd, at least 3.
    pub(super) exponent: u64,
    pub(super) size: Size,
}

/// Bits of a modulus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Bits2048,
    Bits3072,
    Bits4096,
}

impl RsaKey<'_> {
    /// Length of modulus and signatures in bytes.
    pub(super) fn length(&self) -> usize {
        match self.size {
            Size::Bits2048 => 256,
            Size::Bits3072 => 384,
            Size::Bits4096 => 512,
        }
    }

    /// Has `look` look at the message that a signature (big-endian) holds: as long as the modulus.
    pub(super) fn recover<R>(
        &self,
        signature: &[u8],
        look: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, SignatureError> {
        self.raise(Number::big_endian(signature), look)
    }

    /// [`Self::recover`] for a number in any order.
    pub(super) fn raise<R>(
        &self,
        signature: Number<'_>,
        look: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, SignatureError> {
        match self.size {
            Size::Bits2048 => raise::<64, 256, R>(self, signature, look),
            Size::Bits3072 => raise::<96, 384, R>(self, signature, look),
            Size::Bits4096 => raise::<128, 512, R>(self, signature, look),
        }
    }
}

/// `signature` to the power of the exponent, in numbers of `WORDS` words or `BYTES` bytes.
fn raise<const WORDS: usize, const BYTES: usize, R>(
    key: &RsaKey<'_>,
    signature: Number<'_>,
    look: impl FnOnce(&mut [u8]) -> R,
) -> Result<R, SignatureError> {
    let mut message = [0; BYTES];
    let power = || {
        let modulus = Modulus::<WORDS>::new(&words(key.modulus)?)?;
        modulus.power(&words(signature)?, key.exponent)
    };
    let power: [u32; WORDS] = power().ok_or(SignatureError::OtherKey)?;
    for (bytes, word) in message.chunks_exact_mut(4).zip(power.iter().rev()) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    Ok(look(&mut message))
}
