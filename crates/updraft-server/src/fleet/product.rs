//! A product and the rules that its owner sets. What they mean for a device is decided elsewhere.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use crate::digest::{Digest, Sha256};

use super::named::named;
use super::{ChannelName, ProductName};

/// A line of firmware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Product {
    /// Its name.
    pub name: ProductName,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its rules.
    pub settings: Settings,
}

/// The rules of a product. What a stored text does not name has its default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// What a device that nobody knows gets.
    pub unknown_devices: UnknownDevices,
    /// What becomes of a build that nobody published.
    pub unknown_build: UnknownBuild,
    /// Whether a channel may take a device to a lower version.
    pub downgrade: Downgrade,
    /// Versions that no device may skip on its way up, in any order.
    pub floors: Vec<String>,
    /// What a device gets that cannot be placed above or below a floor.
    pub unknown_version: UnknownVersion,
    /// Images must hold a signature of this key.
    pub signing_key: Option<PublicKey>,
    /// What a device must show to be answered.
    pub auth: Auth,
    /// Whether weak identity is enough to get its images.
    pub privacy: Privacy,
    /// To which devices a gzip is sent.
    pub gzip: GzipPolicy,
    /// The channel of devices that follow no other.
    pub default_channel: ChannelName,
    /// What becomes of a device that asks for another product than its own.
    pub mismatch: Mismatch,
    /// How often its devices check in, if that is not to be learnt.
    #[serde(with = "seconds")]
    pub expected_poll: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            unknown_devices: UnknownDevices::Open,
            unknown_build: UnknownBuild::OlderOnly,
            downgrade: Downgrade::Refuse,
            floors: Vec::new(),
            unknown_version: UnknownVersion::Hold,
            signing_key: None,
            auth: Auth::None,
            privacy: Privacy::Public,
            gzip: GzipPolicy::Proven,
            default_channel: ChannelName::stable(),
            mismatch: Mismatch::Move,
            expected_poll: None,
        }
    }
}

named! {
    /// What a device that nobody knows gets.
    pub(crate) enum UnknownDevices: "policy for unknown devices" {
        /// It is registered and treated as all others.
        Open = "open",
        /// It is registered and gets nothing until a person accepts it.
        Pending = "pending",
        /// It is refused.
        Closed = "closed",
    }
}

named! {
    /// What becomes of a build that nobody published: somebody's bench, perhaps.
    pub(crate) enum UnknownBuild: "policy for unknown builds" {
        /// It is replaced only if it reports a lower version.
        OlderOnly = "older-only",
        /// It stays until a person adopts it.
        Hold = "hold",
        /// It is replaced.
        Replace = "replace",
    }
}

named! {
    /// Whether a device may be taken to a lower version.
    pub(crate) enum Downgrade: "policy for downgrades" {
        /// Only by a pin.
        Refuse = "refuse",
        /// By its channel, too.
        Permit = "allow",
    }
}

named! {
    /// What a device gets whose version cannot be compared with a floor.
    pub(crate) enum UnknownVersion: "policy for unknown versions" {
        /// Nothing: it might skip the floor.
        Hold = "hold",
        /// The lowest floor below its target.
        Floor = "floor",
        /// Its target, as if there was no floor.
        Skip = "skip",
    }
}

named! {
    /// Whether weak identity is enough to get an image.
    pub(crate) enum Privacy: "privacy" {
        /// It is.
        Public = "public",
        /// It is not: anybody can claim a MAC.
        Private = "private",
    }
}

named! {
    /// To which devices a gzip is sent.
    pub(crate) enum GzipPolicy: "policy for gzip" {
        /// To those that confirmed one before, or of which a person said it.
        Proven = "proven",
        /// To all that could inflate it and are not known to fail.
        Always = "always",
        /// To none.
        Never = "never",
    }
}

named! {
    /// What becomes of a device that asks for another product than its own.
    pub(crate) enum Mismatch: "policy for another product" {
        /// It becomes that product's, if that one is open to unknown devices.
        Move = "move",
        /// It gets nothing.
        Hold = "hold",
    }
}

/// What a device must show before its product answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Auth {
    /// Nothing.
    None,
    /// HTTP Basic, which stock clients send.
    Basic {
        /// The user.
        user: String,
        /// A random text that stands before the password when it is hashed.
        salt: String,
        /// SHA-256 of salt and password.
        password: Sha256,
    },
    /// `/t/<token>/` before the path.
    PathToken {
        /// SHA-256 of the token.
        token: Sha256,
    },
}

/// What a device showed of its own accord.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Shown<'a> {
    /// User and password of HTTP Basic.
    pub basic: Option<(&'a str, &'a str)>,
    /// The token in its path.
    pub path_token: Option<&'a str>,
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither is ever to be read in a log.
        f.debug_struct("Shown").finish_non_exhaustive()
    }
}

impl Auth {
    /// Whether what a device showed is enough. Hashes are compared, so the time that it takes says
    /// nothing about the secret.
    pub(crate) fn admits(&self, shown: &Shown<'_>) -> bool {
        match self {
            Self::None => true,
            Self::Basic { user, salt, password } => shown.basic.is_some_and(|(name, text)| {
                name == user && hash(&[salt.as_bytes(), text.as_bytes()]) == *password
            }),
            Self::PathToken { token } => {
                shown.path_token.is_some_and(|text| hash(&[text.as_bytes()]) == *token)
            }
        }
    }
}

fn hash(parts: &[&[u8]]) -> Sha256 {
    let hasher = parts.iter().fold(sha2::Sha256::new(), sha2::Digest::chain_update);
    Digest(hasher.finalize().into())
}

/// Names a public key: SHA-256 over its DER form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct KeyId(pub(crate) Sha256);

/// A public key that images are checked against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PublicKey {
    /// Its name.
    pub id: KeyId,
    /// The key as PEM.
    pub pem: String,
}

/// Lengths of time are kept in whole seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde's `with` hands over references")]
    pub(super) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        duration.map(|duration| duration.as_secs()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Duration::from_secs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_kept_whole_and_what_is_missing_has_its_default() {
        let settings = Settings {
            floors: vec!["1.5.0".into()],
            auth: Auth::Basic { user: "door".into(), salt: "s".into(), password: Digest([7; 32]) },
            expected_poll: Some(Duration::from_mins(5)),
            ..Settings::default()
        };
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), settings);
        assert_eq!(serde_json::from_str::<Settings>("{}").unwrap(), Settings::default());
        assert!(serde_json::from_str::<Settings>("{\"floor\": 1}").is_err());
    }

    #[test]
    fn a_device_is_admitted_by_what_its_product_asks_for_and_nothing_else() {
        let basic = |user, password| Shown { basic: Some((user, password)), path_token: None };
        let token = |token| Shown { basic: None, path_token: Some(token) };
        let auth =
            Auth::Basic { user: "door".into(), salt: "s".into(), password: hash(&[b"ssesame"]) };
        assert!(auth.admits(&basic("door", "sesame")));
        for shown in
            [basic("door", "Sesame"), basic("", "sesame"), token("sesame"), Shown::default()]
        {
            assert!(!auth.admits(&shown));
            assert!(Auth::None.admits(&shown));
        }
        let auth = Auth::PathToken { token: hash(&[b"sesame"]) };
        assert!(auth.admits(&token("sesame")));
        assert!(!auth.admits(&token("")) && !auth.admits(&basic("sesame", "sesame")));
    }
}
