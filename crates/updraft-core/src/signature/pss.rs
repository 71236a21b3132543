//! RSA signatures by PSS (RFC 8017, 9.1.2), with the same hash function for the mask.

use super::SignatureError;
use super::hash::{Digest, Hash};

/// How long the salt of a signature must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Salt {
    /// As long as the key allows.
    Longest,
    /// This many bytes.
    Bytes(u16),
}

/// Checks the message of a signature, and takes its mask off on the way. The modulus has all bits of
/// its bytes, so the first bit of the message is no part of it.
pub(super) fn check(message: &mut [u8], digest: &Digest, salt: Salt) -> Result<(), SignatureError> {
    let (hash, length) = (digest.hash, digest.hash.length());
    let (masked, hashed) = split(message, length).ok_or(SignatureError::OtherKey)?;
    unmask(masked, hashed, hash);

    // Zeros, a one, the salt.
    let zeros = masked.iter().take_while(|&&byte| byte == 0).count();
    let Some([1, found @ ..]) = masked.get(zeros..) else { return Err(SignatureError::OtherKey) };
    let longest = masked.len().saturating_sub(1);
    let expected = match salt {
        Salt::Longest => longest,
        Salt::Bytes(bytes) => bytes.into(),
    };
    let holds = *hash.digest(&[&[0; 8], digest, found]) == *hashed;
    match (holds, found.len() == expected) {
        (true, true) => Ok(()),
        (true, false) => {
            let short = |length| u16::try_from(length).unwrap_or(u16::MAX);
            let (found, expected) = (short(found.len()), short(expected));
            Err(SignatureError::SaltLength { found, expected })
        }
        (false, true) => Err(SignatureError::OtherBytes),
        // One in a few hundred random messages looks like one up to here.
        (false, false) => Err(SignatureError::OtherKey),
    }
}

/// The masked block and the hash behind it, before the BC that ends every message.
fn split(message: &mut [u8], hash: usize) -> Option<(&mut [u8], &[u8])> {
    let (0xBC, rest) = message.split_last_mut()? else { return None };
    let (masked, hashed) = rest.split_at_mut_checked(rest.len().checked_sub(hash)?)?;
    (*masked.first()? < 0x80).then_some((masked, hashed))
}

/// Takes the mask (MGF1, RFC 8017, B.2.1) off, in place.
fn unmask(masked: &mut [u8], seed: &[u8], hash: Hash) {
    for (counter, block) in (0_u32..).zip(masked.chunks_mut(hash.length())) {
        let mask = hash.digest(&[seed, &counter.to_be_bytes()]);
        block.iter_mut().zip(&*mask).for_each(|(byte, mask)| *byte ^= mask);
    }
    if let Some(first) = masked.first_mut() {
        *first &= 0x7F;
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// A message of 256 bytes, made by the steps of RFC 8017, 9.1.1.
    fn message(digest: &Digest, salt: &[u8]) -> Vec<u8> {
        let hash = digest.hash;
        let hashed = hash.digest(&[&[0; 8], digest, salt]);
        let mut block = [0].repeat(256 - 1 - hash.length() - salt.len() - 1);
        block.push(1);
        block.extend(salt);
        unmask(&mut block, &hashed, hash);
        [&block[..], &hashed, &[0xBC]].concat()
    }

    #[test]
    fn a_message_holds_for_its_bytes_and_its_salt() {
        for hash in Hash::ALL {
            let digest = hash.digest(&[b"payload"]);
            let check = |mut message: Vec<u8>, salt| check(&mut message, &digest, salt);
            let longest = 256 - hash.length() - 2;
            for (length, wanted) in [(longest, Salt::Longest), (32, Salt::Bytes(32))] {
                let salt = [9].repeat(length);
                assert_eq!(check(message(&digest, &salt), wanted), Ok(()));
                let other = hash.digest(&[b"other"]);
                let result = check(message(&other, &salt), wanted);
                assert_eq!(result, Err(SignatureError::OtherBytes));
                let shorter = check(message(&digest, &salt[1..]), wanted);
                assert!(matches!(shorter, Err(SignatureError::SaltLength { .. })), "{shorter:?}");
            }
        }
    }

    #[test]
    fn what_is_no_message_is_of_another_key() {
        let digest = Hash::Sha256.digest(&[b"payload"]);
        for (at, bits) in [(0, 0x80), (0, 1), (255, 1), (230, 1)] {
            let mut damaged = message(&digest, &[9; 32]);
            damaged[at] ^= bits;
            let result = check(&mut damaged, &digest, Salt::Bytes(32));
            assert_eq!(result, Err(SignatureError::OtherKey), "{at}");
        }
        assert!(check(&mut [], &digest, Salt::Longest).is_err());
        assert!(check(&mut [0xBC; 20], &digest, Salt::Longest).is_err());
    }
}
