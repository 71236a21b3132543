//! Digests as they travel: hex in any case coming in, lower-case hex going out.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// MD5: 16 bytes.
pub(crate) type Md5 = Digest<16>;
/// SHA-256: 32 bytes.
pub(crate) type Sha256 = Digest<32>;

/// A digest of `N` bytes. Prints and serialises as lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Digest<const N: usize>(pub [u8; N]);

/// What is known of things by their digest.
pub(crate) type ByDigest<const N: usize, V> = HashMap<Digest<N>, V, BuildHasherDefault<Prefix>>;

/// Hashes a digest to its first eight bytes: they are as good as random already. Nobody can fill a map
/// with digests that begin alike but who can put files into the catalog, and at great cost.
#[derive(Debug, Default)]
pub(crate) struct Prefix(u64);

/// A text that is not `2 * N` hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a digest: it takes {0} hex digits")]
pub(crate) struct NotADigest(usize);

impl<const N: usize> Digest<N> {
    /// Reads hex digits of either case.
    pub(crate) fn from_hex(text: &[u8]) -> Result<Self, NotADigest> {
        let (pairs, rest) = text.as_chunks::<2>();
        if pairs.len() != N || !rest.is_empty() {
            return Err(NotADigest(2 * N));
        }
        let mut bytes = [0; N];
        let mut all = 0;
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let (high, low) = (VALUES[usize::from(*high)], VALUES[usize::from(*low)]);
            all |= high | low;
            *byte = high << 4 | low;
        }
        if all & NO_DIGIT == 0 { Ok(Self(bytes)) } else { Err(NotADigest(2 * N)) }
    }
}

/// The value of a hex digit of either case.
pub(crate) fn digit(byte: u8) -> Option<u8> {
    Some(VALUES[usize::from(byte)]).filter(|value| value & NO_DIGIT == 0)
}

/// The value of what is no hex digit: a bit that no value of one has.
const NO_DIGIT: u8 = 0x80;

/// The value of each byte as a hex digit.
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value as usize] as usize] = value;
        values[b"0123456789ABCDEF"[value as usize] as usize] = value;
        value += 1;
    }
    values
};

impl<const N: usize> Hash for Digest<N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

impl Hasher for Prefix {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.first_chunk().map_or(0, |prefix| u64::from_le_bytes(*prefix));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl<const N: usize> fmt::Display for Digest<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<const N: usize> fmt::Debug for Digest<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> FromStr for Digest<N> {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        Self::from_hex(text.as_bytes())
    }
}

impl<const N: usize> Serialize for Digest<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Digest<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_of_either_case_comes_in_and_lower_case_goes_out() {
        let md5: Md5 = "D41D8cd98f00b204e9800998ecf8427E".parse().unwrap();
        assert_eq!(md5.to_string(), "d41d8cd98f00b204e9800998ecf8427e");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "d41d8cd98f00b204e9800998ecf8427", "g41d8cd98f00b204e9800998ecf8427e"] {
            assert!(text.parse::<Md5>().is_err(), "{text:?}");
        }
    }
}
