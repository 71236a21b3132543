//! RSA signatures by PKCS#1 v1.5 (RFC 8017, 9.2): the message that a signature holds is the digest in
//! a fixed frame.

use super::SignatureError;
use super::der::{NULL, OBJECT_IDENTIFIER, OCTET_STRING, Reader};
use super::hash::{Digest, Hash};

/// Object identifiers below 2.16.840.1.101.3.4.2, the hash functions (RFC 8017, B.1).
const HASHES: [u8; 8] = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];

/// Checks the message of a signature. As `BearSSL`, this takes the identifier of the hash with and
/// without the empty parameters behind it.
pub(super) fn check(message: &[u8], digest: &Digest) -> Result<(), SignatureError> {
    let signed = unpad(message).ok_or(SignatureError::OtherKey)?;
    if let Some((hash, found)) = digest_info(signed) {
        return match hash {
            Some(hash) if hash == digest.hash && found == &**digest => Ok(()),
            Some(hash) if hash == digest.hash => Err(SignatureError::OtherBytes),
            _ => Err(SignatureError::OtherHash),
        };
    }
    let is_bare = signed.len() == digest.hash.length();
    Err(if is_bare { SignatureError::Legacy } else { SignatureError::OtherKey })
}

/// What stands behind the padding: 0, 1, at least eight FF, 0.
fn unpad(message: &[u8]) -> Option<&[u8]> {
    let padded = message.strip_prefix(&[0, 1])?;
    let end = padded.iter().position(|&byte| byte != 0xFF).filter(|&end| end >= 8)?;
    padded.get(end..)?.strip_prefix(&[0])
}

/// The digest in a `DigestInfo`, and the hash function if it is a known one.
fn digest_info(bytes: &[u8]) -> Option<(Option<Hash>, &[u8])> {
    let mut outer = Reader::new(bytes);
    let mut info = outer.sequence()?;
    let mut algorithm = info.sequence()?;
    let name = algorithm.value(OBJECT_IDENTIFIER)?;
    let has_parameters = !algorithm.is_empty();
    if has_parameters && (algorithm.value(NULL) != Some(&[]) || !algorithm.is_empty()) {
        return None;
    }
    let digest = info.value(OCTET_STRING)?;
    if !info.is_empty() || !outer.is_empty() {
        return None;
    }
    let hash = match name.strip_prefix(&HASHES) {
        Some([1]) => Some(Hash::Sha256),
        Some([2]) => Some(Hash::Sha384),
        Some([3]) => Some(Hash::Sha512),
        _ => None,
    };
    Some((hash, digest))
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// The message of a 2048-bit signature that holds `signed`.
    fn message(signed: &[u8]) -> Vec<u8> {
        let mut message = [&[0, 1][..], &[0xFF].repeat(256 - 3 - signed.len()), &[0]].concat();
        message.extend(signed);
        message
    }

    #[test]
    fn a_message_is_read_as_bearssl_reads_it() {
        let digest = Hash::Sha256.digest(&[b"payload"]);
        let info = |name: u8, digest: &[u8], parameters: &[u8]| {
            let mut algorithm = [&[6, 9][..], &HASHES, &[name], parameters].concat();
            algorithm.splice(..0, [0x30, u8::try_from(algorithm.len()).unwrap()]);
            algorithm.extend([4, u8::try_from(digest.len()).unwrap()]);
            algorithm.extend(digest);
            algorithm.splice(..0, [0x30, u8::try_from(algorithm.len()).unwrap()]);
            message(&algorithm)
        };
        let check = |message: &[u8]| check(message, &digest);
        assert_eq!(check(&info(1, &digest, &[5, 0])), Ok(()));
        assert_eq!(check(&info(1, &digest, &[])), Ok(()));
        assert_eq!(check(&info(1, &digest, &[4, 0])), Err(SignatureError::OtherKey));
        assert_eq!(check(&info(1, &[7; 32], &[5, 0])), Err(SignatureError::OtherBytes));
        assert_eq!(check(&info(2, &[7; 48], &[5, 0])), Err(SignatureError::OtherHash));
        assert_eq!(check(&info(9, &[7; 20], &[5, 0])), Err(SignatureError::OtherHash));
        assert_eq!(check(&message(&digest)), Err(SignatureError::Legacy));
        assert_eq!(check(&message(&[7; 32])), Err(SignatureError::Legacy));
        assert_eq!(check(&message(&[7; 33])), Err(SignatureError::OtherKey));
        for (at, value) in [(0, 1), (1, 2), (2, 0), (9, 0)] {
            let mut damaged = info(1, &digest, &[5, 0]);
            damaged[at] = value;
            assert_eq!(check(&damaged), Err(SignatureError::OtherKey), "{at}");
        }
    }
}
