//! Public keys in PEM files, as OpenSSL writes them. What the key is, is core's to say.

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use updraft_core::signature::{KeyError, PublicKey};

/// A public key in DER, and one that is supported.
#[derive(Debug)]
pub(super) struct KeyFile {
    form: Form,
    der: Vec<u8>,
}

#[derive(Debug)]
enum Form {
    /// `PUBLIC KEY`: `SubjectPublicKeyInfo`.
    Info,
    /// `RSA PUBLIC KEY`: `RSAPublicKey` (PKCS#1).
    Pkcs1,
}

impl KeyFile {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let name = path.display();
        let text = std::fs::read(path).with_context(|| format!("cannot read {name}"))?;
        let key = Self::parse(&text).with_context(|| format!("{name} is no public key"))?;
        key.public().map_err(|error| anyhow!("{name} holds {error}"))?;
        Ok(key)
    }

    fn parse(text: &[u8]) -> anyhow::Result<Self> {
        // What stands before the first line of dashes is a comment.
        let dashes = text.windows(5).position(|window| window == b"-----");
        let pem = &text[dashes.unwrap_or_default()..];
        let (label, der) = pem_rfc7468::decode_vec(pem).map_err(|error| anyhow!("{error}"))?;
        let form = match label {
            "PUBLIC KEY" => Form::Info,
            "RSA PUBLIC KEY" => Form::Pkcs1,
            label if label.ends_with("PRIVATE KEY") => {
                bail!("it is a private one; `openssl pkey -in FILE -pubout` gives the public one")
            }
            label => bail!("it holds a {}", label.to_lowercase()),
        };
        Ok(Self { form, der })
    }

    pub(super) fn public(&self) -> Result<PublicKey<'_>, KeyError> {
        match self.form {
            Form::Info => PublicKey::from_der(&self.der),
            Form::Pkcs1 => PublicKey::from_pkcs1(&self.der),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_public_key_is_named() {
        let check = |text: &str, expected: &str| {
            let error = format!("{:#}", KeyFile::parse(text.as_bytes()).unwrap_err());
            assert!(error.contains(expected), "{error}");
        };
        let pem = |label| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
        check(&pem("PRIVATE KEY"), "it is a private one");
        check(&pem("EC PRIVATE KEY"), "it is a private one");
        check(&pem("CERTIFICATE"), "it holds a certificate");
        check("", "PEM");
        check("-----BEGIN PUBLIC KEY-----\n", "PEM");
    }

    #[test]
    fn comments_before_a_key_are_skipped() {
        let pem = "door\n-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
        let file = KeyFile::parse(pem.as_bytes()).unwrap();
        assert_eq!((file.der.as_slice(), file.public()), (&[0; 3][..], Err(KeyError::NotAKey)));
    }
}
