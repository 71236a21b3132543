//! What the API and its clients say to each other: one type for each JSON text. Names of policies, states
//! and chips travel as text, so that a client shows values that it does not know yet; fields that are
//! not known are ignored. Sizes are bytes, times RFC 3339 in UTC. Nothing is checked or decided here.
//!
//! Every request carries `Authorization: Bearer updraft_…`; the scope that it needs stands first.
//! Errors are `application/problem+json`: [`Problem`]. Lists with a [`Paged`] answer take `?cursor=` (the
//! `next` of the piece before) and `?limit=` (at most 1000, 100 by default).
//!
//! | Scope | Request | Body → answer |
//! |---|---|---|
//! | admin | `POST /api/v1/tokens` | [`NewToken`] → 201 [`CreatedToken`] |
//! | admin | `GET /api/v1/tokens` | [`Tokens`] |
//! | admin | `DELETE /api/v1/tokens/{id}` | 204 |
//! | read | `GET /api/v1/products` | [`Paged`] of [`Product`] |
//! | publish | `POST /api/v1/products` | [`NewProduct`] → 201 [`Product`] |
//! | read | `GET /api/v1/products/{product}` | [`Product`] |
//! | publish | `PATCH /api/v1/products/{product}` | [`PatchSettings`] → [`Product`] |
//! | publish | `DELETE /api/v1/products/{product}` | 204 |
//! | publish | `POST /api/v1/images?name=NAME` | the file, with `Content-Length` → 201 [`UploadedImage`] |
//! | read | `GET /api/v1/images` | [`Paged`] of [`Image`] |
//! | read | `GET /api/v1/images/{sha256}` | [`Image`] |
//! | publish | `POST /api/v1/releases` | [`NewRelease`] → 201 [`Release`] |
//! | read | `GET /api/v1/products/{product}/releases` | [`Paged`] of [`Release`], without images |
//! | read | `GET /api/v1/releases/{id}` | [`Release`] |
//! | publish | `POST /api/v1/releases/{id}/yank` | [`Yank`] → [`Release`] |
//! | read | `GET /api/v1/products/{product}/channels` | [`Channels`] |
//! | read | `GET /api/v1/products/{product}/channels/{channel}/reach` | [`Reach`] |
//! | publish | `PUT /api/v1/products/{product}/channels/{channel}` | [`MoveChannel`] → [`MovedChannel`] |
//! | read | `GET /api/v1/devices?product=&tag=&running=&admission=` | [`Paged`] of [`Device`] |
//! | devices | `POST /api/v1/devices/import` | [`Import`] → [`Imported`] |
//! | read | `GET /api/v1/devices/{device}` | [`DeviceDetail`] |
//! | devices | `PATCH /api/v1/devices/{device}` | [`PatchDevice`] → [`Device`] |
//! | devices | `POST /api/v1/devices/{device}/retry` | nothing → [`Device`] |
//! | devices | `DELETE /api/v1/devices/{device}` | 204 |
//! | read | `GET /api/v1/devices/{device}/explain?part=sketch\|filesystem` | [`Explanation`] |
//! | read | `GET /api/v1/events?device=&product=` | [`Paged`] of [`Event`], the latest first |
//! | read | `GET /api/v1/health` | [`Health`] |
//!
//! `{device}` is a name, a MAC in any form, or a number; `{product}` and `{channel}` are names; `{id}` is a
//! number.

use std::collections::BTreeMap;

mod devices;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

pub use devices::{
    Attempt, Device, DeviceDetail, Explanation, Import, ImportRow, Imported, PatchDevice, Reported,
    Step,
};

/// An error (RFC 9457).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// The status of the answer.
    pub status: u16,
    /// What the status means.
    pub title: String,
    /// What is wrong here, and what to do about it.
    pub detail: String,
}

/// A piece of a long list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paged<T> {
    /// What is in it.
    pub items: Vec<T>,
    /// The `cursor` of the next piece; `None`: this is the last.
    #[serde(default)]
    pub next: Option<String>,
}

/// A token to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewToken {
    /// What to call it.
    pub name: String,
    /// What it may do: `read`, `devices`, `publish`, `rollout`, `admin`.
    pub scopes: Vec<String>,
}

/// A token that was made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedToken {
    /// What is kept of it.
    #[serde(flatten)]
    pub token: Token,
    /// The token itself, shown this once.
    pub secret: String,
}

impl std::fmt::Debug for CreatedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The secret is for its owner's eyes.
        f.debug_struct("CreatedToken").field("token", &self.token).finish_non_exhaustive()
    }
}

/// All tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Those that were withdrawn too, by number.
    pub items: Vec<Token>,
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its number.
    pub id: i64,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to a minute or so.
    #[serde(default)]
    pub last_used_at: Option<Timestamp>,
    /// When it was withdrawn.
    #[serde(default)]
    pub revoked_at: Option<Timestamp>,
}

/// A product to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewProduct {
    /// Its name, which stands in `/update/<name>`.
    pub name: String,
    /// Its rules; what is left out has its default.
    #[serde(default)]
    pub settings: PatchSettings,
}

/// A product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its rules.
    pub settings: Settings,
}

/// The rules of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// `open`, `pending` or `closed`: what a device that nobody knows gets.
    pub unknown_devices: String,
    /// `older-only`, `hold` or `replace`: what becomes of a build that nobody published.
    pub unknown_build: String,
    /// `refuse` or `allow`: whether a channel may take a device to a lower version.
    pub downgrade: String,
    /// Versions that no device may skip on its way up.
    pub floors: Vec<String>,
    /// `hold`, `floor` or `skip`: what a device gets that cannot be compared with a floor.
    pub unknown_version: String,
    /// The key that images must be signed with.
    #[serde(default)]
    pub signing_key: Option<SigningKey>,
    /// What a device must show.
    pub auth: Auth,
    /// `public` or `private`: whether weak identity is enough.
    pub privacy: String,
    /// `proven`, `always` or `never`: to which devices a gzip is sent.
    pub gzip: String,
    /// The channel of devices that follow no other.
    pub default_channel: String,
    /// `move` or `hold`: what becomes of a device that asks for another product than its own.
    pub mismatch: String,
    /// Seconds between two check-ins, if that is not to be learnt.
    #[serde(default)]
    pub expected_poll: Option<u64>,
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKey {
    /// SHA-256 over its DER form.
    pub id: String,
    /// The key as PEM.
    pub pem: String,
}

/// What devices of a product must show; no secret is ever given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Auth {
    /// Nothing.
    None,
    /// HTTP Basic.
    Basic {
        /// The user.
        user: String,
    },
    /// `/t/<token>/` before the path.
    PathToken,
}

/// What is to change of a product's rules: what is left out stays as it is. An outer `None` is "left
/// out", an inner one takes the value away (`null`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PatchSettings {
    /// See [`Settings::unknown_devices`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_devices: Option<String>,
    /// See [`Settings::unknown_build`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_build: Option<String>,
    /// See [`Settings::downgrade`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downgrade: Option<String>,
    /// See [`Settings::floors`]: all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floors: Option<Vec<String>>,
    /// See [`Settings::unknown_version`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_version: Option<String>,
    /// See [`Settings::signing_key`], as PEM.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub signing_key: Option<Option<String>>,
    /// See [`Settings::auth`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<SetAuth>,
    /// See [`Settings::privacy`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy: Option<String>,
    /// See [`Settings::gzip`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gzip: Option<String>,
    /// See [`Settings::default_channel`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_channel: Option<String>,
    /// See [`Settings::mismatch`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mismatch: Option<String>,
    /// See [`Settings::expected_poll`].
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub expected_poll: Option<Option<u64>>,
}

/// What devices of a product must show from now on. The server keeps only hashes of the secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum SetAuth {
    /// Nothing.
    None,
    /// HTTP Basic.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// `/t/<token>/` before the path.
    PathToken {
        /// The token.
        token: String,
    },
}

impl std::fmt::Debug for SetAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic { … }",
            Self::PathToken { .. } => "PathToken { … }",
        })
    }
}

/// An image that is on the server now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadedImage {
    /// What it is.
    #[serde(flatten)]
    pub image: Image,
    /// How many devices run it already.
    pub running: i64,
}

/// An image that the server knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// SHA-256 of the file, by which it is named.
    pub sha256: String,
    /// MD5 of the file.
    pub md5: String,
    /// The name of the file that it came as.
    pub name: String,
    /// What it is, in words.
    pub kind: String,
    /// `sketch`, `filesystem`, `unrecognised` or `never`.
    pub target: String,
    /// Why it is for no device, if it is.
    #[serde(default)]
    pub why_never: Option<String>,
    /// The chip it is for.
    #[serde(default)]
    pub chip: Option<String>,
    /// Length of the file in bytes.
    pub size: u64,
    /// Length in bytes once inflated; `None` if it is no gzip.
    #[serde(default)]
    pub inflated: Option<u64>,
    /// Flash size in bytes that its header names.
    #[serde(default)]
    pub flash_size: Option<u32>,
    /// Whether a signature stands behind it.
    pub signed: bool,
    /// The product's key that its signature holds under, by its id.
    #[serde(default)]
    pub signed_by: Option<String>,
    /// The version that it holds, if its author chose one.
    #[serde(default)]
    pub version: Option<String>,
    /// `store`, `catalog` or `gone`: where its bytes are.
    pub place: String,
    /// When it was first seen.
    pub stored_at: Timestamp,
}

/// A release to be published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRelease {
    /// The product, which is made when new.
    pub product: String,
    /// Its version; if left out, that of its images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What is to be said about it.
    #[serde(default)]
    pub notes: String,
    /// SHA-256 of each of its images, all uploaded before.
    pub images: Vec<String>,
}

/// A release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its number.
    pub id: i64,
    /// Its product.
    pub product: String,
    /// Its version.
    pub version: String,
    /// What the publisher wrote about it.
    pub notes: String,
    /// When it was published.
    pub published_at: Timestamp,
    /// By whom.
    pub published_by: String,
    /// That it was taken back.
    #[serde(default)]
    pub yanked: Option<Yanked>,
    /// Its images; `None` in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<Vec<ReleaseImage>>,
}

/// That a release was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Yanked {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// An image of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseImage {
    /// `sketch` or `filesystem`.
    pub part: String,
    /// The chip it is for; `None`: any.
    #[serde(default)]
    pub chip: Option<String>,
    /// Bytes of flash that it expects; `None`: any.
    #[serde(default)]
    pub flash_size: Option<u32>,
    /// The image.
    pub image: Image,
}

/// Takes a release back, or gives it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Yank {
    /// Why it is taken back; `None`: it is not, after all.
    pub reason: Option<String>,
}

/// The channels of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channels {
    /// By name.
    pub items: Vec<Channel>,
}

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// The release that it points to.
    #[serde(default)]
    pub release: Option<i64>,
    /// The version of that.
    #[serde(default)]
    pub version: Option<String>,
    /// When it was moved there.
    pub moved_at: Timestamp,
    /// By whom.
    pub moved_by: String,
}

/// How many devices the move of a channel reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Devices that follow it and are neither pinned, blocked nor hands-off.
    pub devices: i64,
}

/// Where a channel is to point: a release by its number or by its version; neither: nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MoveChannel {
    /// The release's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<i64>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// What moving a channel did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedChannel {
    /// The channel as it is now.
    pub channel: Channel,
    /// How many devices that reaches.
    pub devices: i64,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// `server`, `device`, `person` or `token`.
    pub actor: String,
    /// The name of the person or token.
    #[serde(default)]
    pub actor_name: Option<String>,
    /// The device's number.
    #[serde(default)]
    pub device: Option<i64>,
    /// The product.
    #[serde(default)]
    pub product: Option<String>,
    /// The channel.
    #[serde(default)]
    pub channel: Option<String>,
    /// The release's number.
    #[serde(default)]
    pub release: Option<i64>,
    /// What happened.
    pub kind: String,
    /// The same in words.
    pub words: String,
}

/// How the server is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// The server's version.
    pub version: String,
    /// Devices that are registered.
    pub devices: i64,
    /// More to come: what a client does not know it can show.
    #[serde(flatten)]
    pub more: BTreeMap<String, serde_json::Value>,
}

/// Reads a field that is there: `null` is a value, too.
#[expect(clippy::option_option, reason = "left out, null and a value are three things")]
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_and_what_is_taken_away_are_two_things() {
        let patch: PatchDevice = serde_json::from_str("{\"pin\": null}").unwrap();
        assert_eq!((&patch.pin, &patch.name), (&Some(None), &None));
        assert_eq!(serde_json::to_string(&patch).unwrap(), "{\"pin\":null}");
        let patch: PatchDevice = serde_json::from_str("{\"name\": \"a\", \"new\": 1}").unwrap();
        assert_eq!(patch.name, Some(Some("a".into())));
    }

    #[test]
    fn secrets_are_not_printed() {
        let auth = SetAuth::Basic { user: "u".into(), password: "sesame".into() };
        assert!(!format!("{auth:?}").contains("sesame"));
        assert!(serde_json::to_string(&auth).unwrap().contains("sesame"));
    }
}
