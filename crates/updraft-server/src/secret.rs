//! Secrets that the server makes: 256 random bits, shown once, kept as their SHA-256. Guessing one is
//! hopeless, so no slow hash is needed; people's passwords are another matter and not made here.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::digest::Digest;

/// A secret in the clear. It prints as dots; [`Secret::reveal`] is the one way to its text.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

/// Lets scanners of public places recognise a token that should not be there.
const PREFIX: &str = "updraft_";

impl Secret {
    /// A new one.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits)?;
        Ok(Self(format!("{PREFIX}{}", Digest(bits))))
    }

    /// The text, to be shown to its owner once.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of a secret that somebody presents.
    pub(crate) fn hash(text: &str) -> Digest<32> {
        Digest(Sha256::digest(text.as_bytes()).into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_secrets_are_equal_and_none_is_printed() {
        let (one, other) = (Secret::random().unwrap(), Secret::random().unwrap());
        assert_ne!(one, other);
        assert_ne!(Secret::hash(one.reveal()), Secret::hash(other.reveal()));
        assert_eq!(one.reveal().len(), PREFIX.len() + 64);
        assert!(!format!("{one:?}").contains(PREFIX));
    }
}
