//! The answers that a decision can have, and what is offered.

use std::borrow::Cow;

use crate::digest::{Md5, Sha256};
use crate::fleet::{DeviceKey, Goal, Opening, Part, ReleaseKey, SketchDigest};

use super::Call;
use super::reason::{Hold, Refusal};

/// The answer to a check-in, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Send this.
    Offer(Offer),
    /// It runs what it should.
    UpToDate,
    /// Nothing now.
    Hold(Hold),
    /// It is turned away.
    Refuse(Refusal),
}

/// An image for a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// The release.
    pub release: ReleaseKey,
    /// Its version.
    pub version: String,
    /// What it replaces.
    pub part: Part,
    /// The image.
    pub image: Sha256,
    /// MD5 of its file.
    pub md5: Md5,
    /// Length of its file in bytes.
    pub size: u64,
    /// Its form.
    pub form: Form,
    /// What a person should know of it.
    pub note: Note,
}

/// How an image is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it will stand in flash.
    Plain,
    /// Compressed.
    Gzip,
}

/// What a person should know of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// Nothing.
    None,
    /// It is signed, so its flash mode stays, and which mode the device runs is not known.
    FlashModeUnknown,
}

impl Decision {
    /// The decision with its reason, in the words that people are shown.
    pub(crate) fn words(&self) -> Cow<'static, str> {
        match self {
            Self::Offer(offer) => offer.words().into(),
            Self::UpToDate => "runs it already".into(),
            Self::Hold(hold) => hold.to_string().into(),
            Self::Refuse(refusal) => refusal.to_string().into(),
        }
    }
}

impl Offer {
    fn words(&self) -> String {
        let Self { version, part, .. } = self;
        let form = match self.form {
            Form::Plain => "",
            Form::Gzip => " as gzip",
        };
        let note = match self.note {
            Note::None => "",
            Note::FlashModeUnknown => {
                ", though its flash mode could not be compared with the running one"
            }
        };
        format!("sent the {part} of {version}{form}{note}")
    }

    /// What its attempt starts with.
    pub(crate) fn opening(&self, call: &Call<'_>, device: DeviceKey) -> Opening {
        Opening {
            device,
            part: self.part,
            goal: Goal::Release(self.release),
            image: self.image,
            size: self.size,
            from: SketchDigest::reported(call.check_in),
            from_version: call.check_in.version.clone(),
            address: call.address,
            strength: call.strength,
        }
    }
}
