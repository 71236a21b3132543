//! A device of the registry: who it is, what people decided for it, what it said last. Weak identity
//! only so far: whoever sends its MAC is it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::Timestamp;
use updraft_core::{Chip, Family};

use crate::check_in::{CheckIn, DeviceId};
use crate::digest::{Md5, Sha256};

use super::named::named;
use super::{ChannelName, ProductName, ReleaseKey, Rhythm, SketchDigest, Tag};

/// Number of a device's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct DeviceKey(pub(crate) i64);

/// One physical module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    /// Its row.
    pub key: DeviceKey,
    /// Who it says it is: MAC, else chip id.
    pub identity: DeviceId,
    /// Which client speaks for it.
    pub family: Family,
    /// Its chip, once that is known. The ESP32's clients do not say.
    pub chip: Option<KnownChip>,
    /// What people call it.
    pub name: Option<String>,
    /// What people wrote down about it.
    pub notes: String,
    /// Words that people put on it.
    pub tags: BTreeSet<Tag>,
    /// The line of firmware that it belongs to.
    pub product: Option<ProductName>,
    /// The channel it follows; `None`: its product's default.
    pub channel: Option<ChannelName>,
    /// The release that a person tied it to.
    pub pin: Option<ReleaseKey>,
    /// Whether a person let it in.
    pub admission: Admission,
    /// Gets nothing until unblocked: something is wrong with it.
    pub is_blocked: bool,
    /// Gets nothing: a person works on it.
    pub is_hands_off: bool,
    /// The unknown build that a person said may be replaced.
    pub adopted: Option<SketchDigest>,
    /// Whether it may be sent a gzip.
    pub gzip: GzipUse,
    /// Bytes of its filesystem, which no device reports.
    pub filesystem_size: Option<u64>,
    /// What it said last.
    pub reported: Reported,
    /// Its first check-in.
    pub first_seen: Timestamp,
    /// Its last check-in.
    pub last_seen: Timestamp,
    /// How often it checks in.
    pub rhythm: Rhythm,
    /// What speaks for two modules with one MAC.
    pub conflict: Conflict,
    /// When, after a confirmation, it ran something that it was not sent: somebody flashes it.
    pub strays: LastTwo,
}

impl Device {
    /// A device that checks in for the first time; the store gives its number.
    pub(crate) fn first_seen(
        check_in: &CheckIn,
        product: Option<ProductName>,
        admission: Admission,
        now: Timestamp,
    ) -> Self {
        Self {
            key: DeviceKey(0),
            identity: check_in.device,
            family: check_in.family,
            chip: None,
            name: None,
            notes: String::new(),
            tags: BTreeSet::new(),
            product,
            channel: None,
            pin: None,
            admission,
            is_blocked: false,
            is_hands_off: false,
            adopted: None,
            gzip: GzipUse::Unproven,
            filesystem_size: None,
            reported: Reported::default(),
            first_seen: now,
            last_seen: now,
            rhythm: Rhythm::default(),
            conflict: Conflict::default(),
            strays: LastTwo::default(),
        }
    }
}

/// A chip, and how it came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KnownChip {
    /// The chip.
    pub chip: Chip,
    /// Who said so.
    pub from: KnownFrom,
}

named! {
    /// How a chip came to be known.
    pub(crate) enum KnownFrom: "source of a chip" {
        /// The client names it: the ESP8266's does.
        Client = "client",
        /// It ran an image that is made for this chip.
        Digest = "digest",
        /// A person said so.
        Person = "person",
    }
}

named! {
    /// Whether a device was let in.
    pub(crate) enum Admission: "admission" {
        /// Not yet: it is registered and gets "no update".
        Pending = "pending",
        /// It was, by a person or by the product's policy.
        Accepted = "accepted",
    }
}

named! {
    /// Whether a device may be sent a gzip.
    pub(crate) enum GzipUse: "use of gzip" {
        /// It never ran what came as one, and nobody said that it can.
        Unproven = "unproven",
        /// It was sent one and confirmed it.
        Confirmed = "confirmed",
        /// A person says that it can.
        Always = "always",
        /// A person says that it must not.
        Never = "never",
    }
}

/// What a device said in its last check-in, as it said it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reported {
    /// Its version.
    pub version: Option<String>,
    /// MD5 of the running sketch.
    pub sketch_md5: Option<Md5>,
    /// The digest appended to the running ESP32 image.
    pub sketch_sha256: Option<Sha256>,
    /// Bytes of the running sketch.
    pub sketch_size: Option<u64>,
    /// Bytes free for a sketch.
    pub free_space: Option<u64>,
    /// Bytes of its flash.
    pub chip_size: Option<u64>,
    /// The SDK it was built with.
    pub sdk: Option<String>,
    /// Byte 2 of the image header in its flash, as its digest betrayed it.
    pub flash_mode: Option<u8>,
    /// Where it called from.
    pub address: Option<IpAddr>,
}

/// What tells two modules apart that use one identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hardware {
    /// The client that spoke.
    pub family: Family,
    /// Bytes of flash that it reported.
    pub chip_size: Option<u64>,
}

/// What speaks for two modules with one MAC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conflict {
    /// Since when it is taken for two; a person ends it.
    pub since: Option<Timestamp>,
    /// The hardware that it had before what it has now.
    pub other_hardware: Option<Hardware>,
    /// The digest that it ran before the one it runs now.
    pub other_digest: Option<SketchDigest>,
    /// Changes between those two digests that were not our doing.
    pub flips: u32,
    /// When the first of these was.
    pub flips_since: Option<Timestamp>,
}

/// The last two times that something happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LastTwo {
    /// The last time.
    pub last: Option<Timestamp>,
    /// The time before that.
    pub before: Option<Timestamp>,
}

impl LastTwo {
    /// It happens again.
    pub(crate) fn then(self, now: Timestamp) -> Self {
        Self { last: Some(now), before: self.last }
    }
}
