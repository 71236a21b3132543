//! One device's way to one image: what was offered, what arrived, what became of it.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use crate::digest::Sha256;

use super::named::named;
use super::rhythm::since;
use super::{DeviceKey, LastTwo, Part, ReleaseKey, SketchDigest};

/// Number of an attempt's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct AttemptKey(pub(crate) i64);

/// A device on its way to one release or catalog image. There is one for each device, part and goal;
/// offered again, it starts again and keeps its counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// Its row.
    pub key: AttemptKey,
    /// The device.
    pub device: DeviceKey,
    /// What is to be replaced.
    pub part: Part,
    /// Where it is to go.
    pub goal: Goal,
    /// The image that was offered: of a release, one of several.
    pub image: Sha256,
    /// What the device ran when it was offered.
    pub from: Option<SketchDigest>,
    /// The version that it reported then.
    pub from_version: Option<String>,
    /// Where it called from: a call from elsewhere during the download may be another device's.
    pub address: Option<IpAddr>,
    /// How the device had shown who it is.
    pub strength: Strength,
    /// How far it is.
    pub state: State,
    /// Since when.
    pub state_since: Timestamp,
    /// Why the last download failed.
    pub cause: Option<Cause>,
    /// Bytes of the image.
    pub size: u64,
    /// Bytes of it that the device acknowledged.
    pub acknowledged: u64,
    /// How well the delivery is known.
    pub proof: Option<Proof>,
    /// When it was first offered.
    pub opened_at: Timestamp,
    /// When it was last offered.
    pub offered_at: Timestamp,
    /// When the new image was first seen to run.
    pub running_at: Option<Timestamp>,
    /// What went wrong before.
    pub counts: Counts,
    /// The last check-ins since the new image runs: those of a boot loop stand close together.
    pub watch: LastTwo,
}

/// Where an attempt is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Goal {
    /// To a release, by one of its images.
    Release(ReleaseKey),
    /// To a catalog file that the device asked for.
    Catalog(Sha256),
}

/// What went wrong with an attempt before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Times that it came to nothing after delivery. Only these are limited.
    pub tries: u32,
    /// When the last of these was.
    pub tried_at: Option<Timestamp>,
    /// Downloads in a row that died on the way.
    pub deaths: u32,
    /// When the last of these was.
    pub died_at: Option<Timestamp>,
}

impl Counts {
    /// Tries that came to nothing, after which an image is not offered again.
    pub(crate) const MOST_TRIES: u32 = 3;
    /// Time after which they are forgotten.
    const FORGOTTEN: Duration = Duration::from_hours(7 * 24);
    /// How long the next download waits after so many that died; the last one holds from there on.
    const BACKOFF: [Duration; 4] = [
        Duration::from_mins(1),
        Duration::from_mins(5),
        Duration::from_mins(30),
        Duration::from_hours(6),
    ];

    /// Tries that count now.
    pub(crate) fn tries_at(&self, now: Timestamp) -> u32 {
        let is_recent = self.tried_at.is_some_and(|then| since(then, now) < Self::FORGOTTEN);
        if is_recent { self.tries } else { 0 }
    }

    /// Until when no download is to be started.
    pub(crate) fn backs_off_until(&self) -> Option<Timestamp> {
        let last = Self::BACKOFF.len() - 1;
        let place = usize::try_from(self.deaths).unwrap_or(last).checked_sub(1)?.min(last);
        self.died_at?.checked_add(Self::BACKOFF[place]).ok()
    }
}

/// What an attempt starts with.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    /// The device.
    pub device: DeviceKey,
    /// What is to be replaced.
    pub part: Part,
    /// Where it is to go.
    pub goal: Goal,
    /// The image that is offered.
    pub image: Sha256,
    /// Its length in bytes.
    pub size: u64,
    /// What the device runs now.
    pub from: Option<SketchDigest>,
    /// The version that it reports.
    pub from_version: Option<String>,
    /// Where it calls from.
    pub address: Option<IpAddr>,
    /// How it showed who it is.
    pub strength: Strength,
}

impl Attempt {
    /// An offer: the first for this goal, or another one, which keeps what was counted.
    pub(crate) fn offer(
        key: AttemptKey,
        before: Option<&Self>,
        with: Opening,
        now: Timestamp,
    ) -> Self {
        Self {
            key,
            device: with.device,
            part: with.part,
            goal: with.goal,
            image: with.image,
            from: with.from,
            from_version: with.from_version,
            address: with.address,
            strength: with.strength,
            state: State::Offered,
            state_since: now,
            cause: None,
            size: with.size,
            acknowledged: 0,
            proof: None,
            opened_at: before.map_or(now, |before| before.opened_at),
            offered_at: now,
            running_at: None,
            counts: before.map(|before| before.counts).unwrap_or_default(),
            watch: LastTwo::default(),
        }
    }

    /// A person wants it to be tried again: nothing that was counted counts any more.
    pub(crate) fn retry(&self, now: Timestamp) -> Self {
        let counts = Counts::default();
        if self.is_open() {
            return Self { counts, ..self.clone() };
        }
        Self { counts, state: State::Superseded, state_since: now, ..self.clone() }
    }

    /// Whether something else may still be expected of it.
    pub(crate) fn is_open(&self) -> bool {
        matches!(
            self.state,
            State::Offered
                | State::Downloading
                | State::Delivered
                | State::Running
                | State::Unstable
        )
    }
}

named! {
    /// How far an attempt is.
    pub(crate) enum State: "state of an attempt" {
        /// An answer with the image is about to be sent.
        Offered = "offered",
        /// Bytes are on their way.
        Downloading = "downloading",
        /// All of them arrived.
        Delivered = "delivered",
        /// The new image was seen to run.
        Running = "running",
        /// It runs, and stays. The end.
        Confirmed = "confirmed",
        /// A filesystem arrived and the device came back; whether it took it nobody can tell. The end.
        Applied = "applied",
        /// The download died.
        Failed = "failed",
        /// All arrived, and the device started the old image again.
        NotTaken = "not_taken",
        /// The new image ran, and the old one is back.
        Reverted = "reverted",
        /// The new image restarts again and again.
        Unstable = "unstable",
        /// The device did not come back.
        Lost = "lost",
        /// Something else took its place.
        Superseded = "superseded",
    }
}

named! {
    /// Why a download came to no end.
    pub(crate) enum Cause: "cause of a failed download" {
        /// The device closed or reset the connection.
        Vanished = "vanished",
        /// The device took nothing for too long.
        Stalled = "stalled",
        /// It took longer than any download may.
        TooSlow = "too_slow",
        /// The device asked anew, and how the download before had ended was never known.
        Unknown = "unknown",
        /// The file changed under the download.
        FileChanged = "file_changed",
        /// This server stopped.
        Shutdown = "shutdown",
        /// A limit of this server.
        Limit = "limit",
    }
}

named! {
    /// How well a delivery is known.
    pub(crate) enum Proof: "proof of a delivery" {
        /// The device acknowledged every byte.
        Acknowledged = "acknowledged",
        /// A proxy did: weaker.
        Proxy = "proxy",
    }
}

named! {
    /// How a device showed who it is.
    pub(crate) enum Strength: "strength of an identity" {
        /// By a MAC or chip id, which anybody can claim.
        Weak = "weak",
        /// By a token or a certificate of its own.
        Strong = "strong",
    }
}
