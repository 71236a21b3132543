//! What the API says of devices, and is told of them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::present;

/// A device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its number.
    pub id: i64,
    /// Its MAC, or `chip` and its chip id.
    pub identity: String,
    /// `esp8266` or `esp32`: which client speaks for it.
    pub family: String,
    /// Its chip, once that is known.
    #[serde(default)]
    pub chip: Option<String>,
    /// `client`, `digest` or `person`: who says so.
    #[serde(default)]
    pub chip_from: Option<String>,
    /// What people call it.
    #[serde(default)]
    pub name: Option<String>,
    /// What people wrote down about it.
    pub notes: String,
    /// Words that people put on it.
    pub tags: Vec<String>,
    /// Its product.
    #[serde(default)]
    pub product: Option<String>,
    /// Its channel; `None`: its product's default.
    #[serde(default)]
    pub channel: Option<String>,
    /// The number of the release that it is tied to.
    #[serde(default)]
    pub pin: Option<i64>,
    /// `pending` or `accepted`.
    pub admission: String,
    /// Whether it is blocked.
    pub blocked: bool,
    /// Whether the server keeps its hands off it.
    pub hands_off: bool,
    /// The unknown build of it that may be replaced.
    #[serde(default)]
    pub adopted: Option<String>,
    /// `unproven`, `confirmed`, `always` or `never`.
    pub gzip: String,
    /// Bytes of its filesystem.
    #[serde(default)]
    pub filesystem_size: Option<u64>,
    /// Since when two modules seem to share this identity.
    #[serde(default)]
    pub conflict_since: Option<Timestamp>,
    /// Its first check-in.
    pub first_seen: Timestamp,
    /// Its last check-in; `None`: it was imported and did not call yet.
    #[serde(default)]
    pub last_seen: Option<Timestamp>,
    /// Seconds between two check-ins, once that is known.
    #[serde(default)]
    pub interval: Option<u64>,
    /// What it said last.
    pub reported: Reported,
}

/// What a device said in its last check-in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reported {
    /// Its version.
    pub version: Option<String>,
    /// The digest that tells what sketch it runs: SHA-256 or MD5.
    pub running: Option<String>,
    /// Bytes of the running sketch.
    pub sketch_size: Option<u64>,
    /// Bytes free for a sketch.
    pub free_space: Option<u64>,
    /// Bytes of its flash.
    pub chip_size: Option<u64>,
    /// The SDK it was built with.
    pub sdk: Option<String>,
    /// Byte 2 of the image header in its flash.
    pub flash_mode: Option<u8>,
    /// Where it called from.
    pub address: Option<String>,
}

/// A device with its attempts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceDetail {
    /// The device.
    #[serde(flatten)]
    pub device: Device,
    /// The file name of the image that it runs, if that is known.
    #[serde(default)]
    pub running_image: Option<String>,
    /// The version of the release that it is tied to.
    #[serde(default)]
    pub pin_version: Option<String>,
    /// Its attempts, by number.
    pub attempts: Vec<Attempt>,
}

/// A device's way to an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its number.
    pub id: i64,
    /// `sketch` or `filesystem`.
    pub part: String,
    /// The number of the release that it goes to; `None`: to a file of the catalog.
    #[serde(default)]
    pub release: Option<i64>,
    /// The version of that.
    #[serde(default)]
    pub version: Option<String>,
    /// SHA-256 of the image.
    pub image: String,
    /// `offered`, `downloading`, `delivered`, `running`, `confirmed`, `applied`, `failed`, `not_taken`,
    /// `reverted`, `unstable`, `lost` or `superseded`.
    pub state: String,
    /// Since when.
    pub state_since: Timestamp,
    /// Why the last download failed.
    #[serde(default)]
    pub cause: Option<String>,
    /// The version that the device reported before.
    #[serde(default)]
    pub from_version: Option<String>,
    /// Bytes of the image.
    pub size: u64,
    /// Bytes of it that the device acknowledged.
    pub acknowledged: u64,
    /// When it was first offered.
    pub opened_at: Timestamp,
    /// When it was last offered.
    pub offered_at: Timestamp,
    /// Times that it came to nothing after delivery.
    pub tries: u32,
    /// Downloads in a row that died on the way.
    pub deaths: u32,
}

/// What is to change of a device: what is left out stays as it is. An outer `None` is "left out", an inner
/// one takes the value away (`null`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PatchDevice {
    /// See [`Device::name`]: free text that looks neither like a number nor like a MAC.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub name: Option<Option<String>>,
    /// See [`Device::notes`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// Words to put on it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add_tags: Vec<String>,
    /// Words to take off it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove_tags: Vec<String>,
    /// See [`Device::product`].
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub product: Option<Option<String>>,
    /// See [`Device::channel`].
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub channel: Option<Option<String>>,
    /// The version of its product that it is tied to.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub pin: Option<Option<String>>,
    /// See [`Device::blocked`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<bool>,
    /// See [`Device::hands_off`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hands_off: Option<bool>,
    /// Lets it in, or has it wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept: Option<bool>,
    /// Gives up the build that it runs, or no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adopt: Option<bool>,
    /// `always`, `never`, or `unproven`: as if nobody had said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gzip: Option<String>,
    /// See [`Device::filesystem_size`].
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub filesystem_size: Option<Option<u64>>,
    /// See [`Device::chip`].
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub chip: Option<Option<String>>,
    /// `true`: it is one module after all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_conflict: Option<bool>,
}

/// Devices to be brought in, all or none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// At most 10 000 at once.
    pub devices: Vec<ImportRow>,
}

/// A device to be brought in. What is left out stays as it is, if the device is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImportRow {
    /// Its MAC in any form.
    pub mac: String,
    /// `esp8266` (if left out) or `esp32`; a chip says it, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// Its chip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chip: Option<String>,
    /// What to call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is to be known about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// Its product, which there must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Its channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Words to put on it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// What an import did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// Devices that are new.
    pub new: usize,
    /// Devices that were known.
    pub known: usize,
}

/// What a device would get now, by what it reported last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// `offer`, `up-to-date`, `hold` or `refuse`.
    pub decision: String,
    /// The name of the reason for `hold` and `refuse`, for programs.
    #[serde(default)]
    pub reason: Option<String>,
    /// The decision with its reason.
    pub words: String,
    /// All that it rests on, in order.
    pub steps: Vec<Step>,
}

/// One thing that a decision looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// `note`, `passed` or `failed`.
    pub mark: String,
    /// In words.
    pub words: String,
}
