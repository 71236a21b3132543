//! Names that people give: of products, channels and tags. They stand in URLs and in filters, so they
//! are plain ASCII. A device's own name is free text and not of these.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest name in bytes.
const MAX_NAME: usize = 64;

/// A text that can be no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name has 1 to {MAX_NAME} letters, digits, '.', '_' or '-' and starts with a letter or digit"
)]
pub(crate) struct BadName;

fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME
        && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) struct $type(Box<str>);

        impl $type {
            /// The name.
            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                if is_name(text) { Ok(Self(text.into())) } else { Err(BadName) }
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

name! {
    /// Names a product, and with it `/update/<product>`.
    ProductName
}
name! {
    /// Names a channel within its product.
    ChannelName
}
name! {
    /// A word that a person puts on devices.
    Tag
}

impl ChannelName {
    /// The channel that a device follows unless told otherwise.
    pub(crate) fn stable() -> Self {
        Self("stable".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_ascii() {
        for text in ["door", "Door-2", "9", "a.b_c", &"x".repeat(MAX_NAME)] {
            assert_eq!(text.parse::<ProductName>().unwrap().as_str(), text);
        }
        for text in ["", "-door", ".", "a b", "tür", "a/b", &"x".repeat(MAX_NAME + 1)] {
            assert_eq!(text.parse::<ProductName>(), Err(BadName), "{text}");
        }
    }
}
