//! Basic authentication: what is written for it. Never challenged for: the stock clients send it at
//! once.

use core::fmt;

/// The alphabet of base64 (RFC 4648, section 4).
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A name and a password, which anybody on the way can read unless TLS is used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// The name; a colon in it would end it.
    pub user: &'a str,
    /// The password.
    pub password: &'a str,
}

/// What goes behind `Authorization: Basic`.
#[derive(Clone, Copy)]
pub(crate) enum Authorization<'a> {
    Credentials(Credentials<'a>),
    /// `user:password`, as it stands in a URL.
    Userinfo(&'a str),
}

impl Authorization<'_> {
    /// Writes the field.
    pub(crate) fn write_field(self, to: &mut impl fmt::Write) -> fmt::Result {
        to.write_str("Authorization: Basic ")?;
        match self {
            Self::Credentials(Credentials { user, password }) => {
                base64(user.bytes().chain(*b":").chain(password.bytes()), to)?;
            }
            Self::Userinfo(userinfo) => base64(userinfo.bytes(), to)?,
        }
        to.write_str("\r\n")
    }
}

/// Without the password, so that no log shows it.
impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({:?})", self.user)
    }
}

/// Writes bytes as base64, padded.
fn base64(mut bytes: impl Iterator<Item = u8>, to: &mut impl fmt::Write) -> fmt::Result {
    while let Some(first) = bytes.next() {
        let (second, third) = (bytes.next(), bytes.next());
        let word =
            u32::from_be_bytes([0, first, second.unwrap_or_default(), third.unwrap_or_default()]);
        let digit = |shift: u32| {
            let value = (word >> shift) as usize % ALPHABET.len();
            ALPHABET.get(value).map_or('=', |digit| char::from(*digit))
        };
        to.write_char(digit(18))?;
        to.write_char(digit(12))?;
        to.write_char(second.map_or('=', |_| digit(6)))?;
        to.write_char(third.map_or('=', |_| digit(0)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use super::*;

    /// Test vectors of RFC 4648, section 10, and some of the rest of the alphabet.
    #[test]
    fn base64_is_written() {
        let check = |bytes: &[u8], expected: &str| {
            let mut text = String::new();
            base64(bytes.iter().copied(), &mut text).unwrap();
            assert_eq!(text, expected);
        };
        check(b"", "");
        check(b"f", "Zg==");
        check(b"fo", "Zm8=");
        check(b"foo", "Zm9v");
        check(b"foob", "Zm9vYg==");
        check(b"fooba", "Zm9vYmE=");
        check(b"foobar", "Zm9vYmFy");
        check(&[0xFB, 0xFF, 0xFE, 0x00], "+//+AA==");
    }

    #[test]
    fn a_password_is_not_shown() {
        let shown = std::format!("{:?}", Credentials { user: "alice", password: "s3cret" });
        assert_eq!(shown, "Credentials(\"alice\")");
    }
}
