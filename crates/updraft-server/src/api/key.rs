//! Public keys as PEM. Private ones are refused: they have no business here.

use updraft_core::signature;

use super::problem::{Answer, Problem};
use crate::digest::Digest;
use crate::fleet::{KeyId, PublicKey};
use sha2::Digest as _;

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// Reads a key, and names it.
pub(super) fn read(pem: &str) -> Answer<PublicKey> {
    if pem.contains("PRIVATE KEY") {
        return Err(Problem::unfit(
            "this is a private key, which must stay with who signs; give its public half",
        ));
    }
    let der = der(pem).ok_or_else(|| {
        Problem::unfit(format_args!("the signing key has to be PEM, from {BEGIN} to {END}"))
    })?;
    signature::PublicKey::from_der(&der)
        .map_err(|error| Problem::unfit(format_args!("the signing key: {error}")))?;
    let id = KeyId(Digest(sha2::Sha256::digest(&der).into()));
    Ok(PublicKey { id, pem: pem.trim().to_owned() })
}

/// The bytes in a PEM text.
pub(super) fn der(pem: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once(BEGIN)?;
    let (text, _) = rest.split_once(END)?;
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=') {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xFF) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_public_key_is_one() {
        assert_eq!(der(&format!("{BEGIN}\nAQID\nBA==\n{END}\n")).unwrap(), [1, 2, 3, 4]);
        assert!(read(&format!("{BEGIN}\nAQID\n{END}")).is_err());
        assert!(read("-----BEGIN PRIVATE KEY-----").is_err());
        assert_eq!(der("nothing"), None);
    }
}
