//! What a decision looked at, step by step. The decision tells each as it goes; the words are made only
//! if somebody listens.

use std::borrow::Cow;
use std::fmt;

use crate::check_in::DeviceId;
use crate::fleet::settle::Happened;
use crate::fleet::{ProductName, Strength};

use super::reason::{Hold, NoGzip, Refusal};
use super::runs::Runs;

/// Hears the steps of a decision.
pub(super) type Trace<'t> = &'t mut dyn FnMut(&Step<'_>);

/// One thing that a decision looked at.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// Who asks.
    Who {
        /// Its identity.
        device: DeviceId,
        /// How it showed that.
        strength: Strength,
        /// Whether it is registered.
        standing: Standing,
    },
    /// What it runs.
    Runs(&'a Runs<'a>),
    /// The image that it runs has another version than it reports.
    VersionDiffers {
        /// What it reports.
        reported: &'a str,
        /// What the image has.
        image: &'a str,
    },
    /// What that made of an attempt.
    Settled(&'a Happened),
    /// The product that answers it.
    Product {
        /// Its name.
        name: &'a ProductName,
        /// How it was found.
        by: ProductBy,
    },
    /// Where it is to go.
    Target {
        /// The version.
        version: &'a str,
        /// What says so.
        by: TargetBy<'a>,
    },
    /// A version on the way that it must not skip.
    Floor(&'a str),
    /// Its build is unknown and may be replaced.
    Replaceable(Replaceable),
    /// The image that it would get.
    Image(Cow<'a, str>),
    /// Why that is no gzip.
    Plain(NoGzip),
    /// A gate.
    Gate(Gate, Option<&'a Hold>),
    /// It would be held for this reason alone.
    Held(&'a Hold),
    /// It is turned away.
    Refused(Refusal),
}

/// Whether a device is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is.
    Known,
    /// It is seen for the first time.
    New,
}

/// How the product of a device was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProductBy {
    /// It asks for it.
    Url,
    /// It asks for it, and belonged to another one until now.
    Move,
    /// It belongs to it.
    Registered,
    /// The server's configuration names it.
    Default,
    /// There is no other.
    Only,
}

/// What says where a device is to go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TargetBy<'a> {
    /// A person tied it to this release.
    Pin,
    /// The channel that it follows.
    Channel(&'a crate::fleet::ChannelName),
}

/// Why an unknown build may be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replaceable {
    /// A person said so, of this build.
    Adopted,
    /// The product's rule is to replace them.
    Policy,
    /// It reports a lower version.
    Older,
}

/// The gates between a device and an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    Yank,
    Bytes,
    Ota,
    Family,
    Chip,
    Form,
    Room,
    FlashMode,
    FlashSize,
    Signature,
    Downgrade,
    Filesystem,
    Tries,
    Backoff,
}

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It only says something.
    Note,
    /// Nothing stands against it.
    Passed,
    /// It stands in the way.
    Failed,
}

/// A step in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// How it went.
    pub mark: Mark,
    /// In words.
    pub words: String,
}

impl Step<'_> {
    /// How it went.
    pub(crate) fn mark(&self) -> Mark {
        match self {
            Self::Gate(_, None) | Self::Replaceable(_) => Mark::Passed,
            Self::Gate(_, Some(_)) | Self::Held(_) | Self::Refused(_) => Mark::Failed,
            _ => Mark::Note,
        }
    }

    /// The step in words.
    pub(crate) fn said(&self) -> Said {
        Said { mark: self.mark(), words: self.to_string() }
    }
}

impl Gate {
    fn words(self) -> &'static str {
        match self {
            Self::Yank => "the release is not yanked",
            Self::Bytes => "the image is there",
            Self::Ota => "the image can be installed over the air",
            Self::Family => "the image is for its family of chips",
            Self::Chip => "the image is for its chip, as far as that is known",
            Self::Form => "the image is of the kind that it asks for",
            Self::Room => "the image fits",
            Self::FlashMode => "the flash mode can stay",
            Self::FlashSize => "the flash is large enough",
            Self::Signature => "the signature is what the product demands",
            Self::Downgrade => "its version would not fall",
            Self::Filesystem => "this filesystem was not sent before",
            Self::Tries => "it did not fail too often",
            Self::Backoff => "no download died just now",
        }
    }
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Who { device, strength, standing } => {
                let standing = match standing {
                    Standing::Known => "known",
                    Standing::New => "seen for the first time",
                };
                write!(f, "{device}, {strength} identity, {standing}")
            }
            Self::Runs(runs) => runs.fmt(f),
            Self::VersionDiffers { reported, image } => {
                write!(f, "it reports version {reported}, but runs the image of {image}")
            }
            Self::Settled(happened) => write!(f, "last attempt: {}", happened.words),
            Self::Product { name, by } => match by {
                ProductBy::Url => write!(f, "product {name}, as it asks for"),
                ProductBy::Move => write!(f, "product {name} from now on, as it asks for it"),
                ProductBy::Registered => write!(f, "product {name}, to which it belongs"),
                ProductBy::Default => write!(f, "product {name}, the default"),
                ProductBy::Only => write!(f, "product {name}, the only one"),
            },
            Self::Target { version, by: TargetBy::Pin } => {
                write!(f, "target {version}, to which it is pinned")
            }
            Self::Target { version, by: TargetBy::Channel(channel) } => {
                write!(f, "target {version}, by channel {channel}")
            }
            Self::Floor(floor) => write!(f, "on its way it must not skip {floor}"),
            Self::Replaceable(why) => f.write_str(match why {
                Replaceable::Adopted => "its unknown build was adopted, so it may be replaced",
                Replaceable::Policy => "its unknown build is replaced, as the product says",
                Replaceable::Older => "its unknown build reports a lower version",
            }),
            Self::Image(name) => write!(f, "image {name}"),
            Self::Plain(why) => write!(f, "no gzip, for {why}"),
            Self::Gate(gate, None) => f.write_str(gate.words()),
            Self::Gate(_, Some(hold)) | Self::Held(hold) => hold.fmt(f),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}
