//! What is known of a fleet: devices, products, releases, images, attempts, as plain values. `store`
//! keeps them, `decide` reads them. Nothing here does I/O, and no rule of a decision is here.

mod attempt;
mod device;
mod event;
mod evidence;
#[cfg(test)]
pub(crate) mod fixtures;
mod image;
mod name;
mod named;
mod observe;
mod product;
mod published;
mod release;
mod rhythm;
pub(crate) mod settle;
mod span;
mod token;
pub(crate) mod version;

pub(crate) use attempt::{
    Attempt, AttemptKey, Cause, Counts, Goal, Opening, Proof, State, Strength,
};
pub(crate) use device::{
    Admission, Conflict, Device, DeviceKey, GzipUse, Hardware, KnownChip, KnownFrom, LastTwo,
    Reported,
};
pub(crate) use event::{Actor, Event, EventKey, EventKind, Subject};
pub(crate) use evidence::{Evidence, Wants};
pub(crate) use image::{Part, Place, RunningDigest, SketchDigest, StoredImage};
pub(crate) use name::{BadName, ChannelName, ProductName, Tag};
pub(crate) use observe::{Observation, Ours};
pub(crate) use product::{
    Auth, Downgrade, GzipPolicy, KeyId, Mismatch, Privacy, Product, PublicKey, Settings, Shown,
    UnknownBuild, UnknownDevices, UnknownVersion,
};
pub(crate) use published::{Edition, Line, Published, PublishedRows};
pub(crate) use release::{Channel, Release, ReleaseImage, ReleaseKey, Yank};
pub(crate) use rhythm::{Basis, Patience, Rhythm, since};
pub(crate) use span::Span;
pub(crate) use token::{Scope, Token, TokenKey};
pub(crate) use version::Version;
