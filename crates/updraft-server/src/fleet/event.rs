//! What happened: the history of a device, and the audit of who changed what.

use jiff::Timestamp;

use super::named::named;
use super::{ChannelName, DeviceKey, ProductName, ReleaseKey};

/// Number of an event's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct EventKey(pub(crate) i64);

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its row.
    pub key: EventKey,
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// What it happened to.
    pub subject: Subject,
    /// What happened.
    pub kind: EventKind,
    /// The same in words, as shown to people.
    pub words: String,
}

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    /// The server, by its rules.
    Server,
    /// The device itself.
    Device,
    /// A person, by name.
    Person(String),
    /// A program, by the name of its token.
    Token(String),
}

/// What something happened to: each that applies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subject {
    /// A device.
    pub device: Option<DeviceKey>,
    /// A product.
    pub product: Option<ProductName>,
    /// A channel of that product.
    pub channel: Option<ChannelName>,
    /// A release.
    pub release: Option<ReleaseKey>,
}

named! {
    /// What happened.
    pub(crate) enum EventKind: "kind of event" {
        /// A device was seen for the first time.
        Registered = "registered",
        /// A device asked for another product, and is that one's now.
        MovedProduct = "moved_product",
        /// It runs another build than at its last check-in.
        RunsOther = "runs_other",
        /// An image was offered.
        Offered = "offered",
        /// A download ended before its end.
        DownloadFailed = "download_failed",
        /// All bytes arrived.
        Delivered = "delivered",
        /// The new image was seen to run.
        Running = "running",
        /// The new image runs and stays.
        Confirmed = "confirmed",
        /// The filesystem was sent, and the device came back.
        Applied = "applied",
        /// It still runs the old image after a restart.
        NotTaken = "not_taken",
        /// It ran the new image and is back at the old one.
        Reverted = "reverted",
        /// It restarts again and again.
        Unstable = "unstable",
        /// It did not come back.
        Lost = "lost",
        /// It runs something else, or is on its way to something else.
        Superseded = "superseded",
        /// After a confirmation it runs what it was not sent.
        Strayed = "strayed",
        /// Two modules seem to use one identity.
        Conflict = "conflict",
        /// It reports another version than the image that it runs has.
        VersionDiffers = "version_differs",
        /// A person or a program changed something.
        Changed = "changed",
    }
}
