//! What is tried: a device, the image that it runs, the file that it gets.

use updraft_core::Family;
use updraft_pack::{BuildError, SignError};

use crate::boot::Dead;
use crate::device::{Device, DeviceError, Running};
use crate::software::{Delivery, SoftwareError};

/// A device and a file for it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What is tried, in words.
    pub(super) name: String,
    /// It runs the old image, and has power.
    pub(super) device: Device,
    /// The old image.
    pub(super) running: Running,
    /// MD5 of the old and of the new image as they run.
    pub(super) old: [u8; 16],
    pub(super) new: [u8; 16],
    /// And that of one that was chosen to start next, and had not started: it may run, too.
    pub(super) between: Option<[u8; 16]>,
    /// What the filesystem holds, if it is one that is updated.
    pub(super) filesystem: Option<Filesystems>,
    /// What is delivered when the power goes.
    pub(super) tried: Delivery,
    /// What comes of that if it does not.
    pub(super) expected: Expected,
    /// The same without a fault: what is delivered afterwards.
    pub(super) good: Delivery,
    /// Whether the new image works.
    pub(super) trial: Trial,
    /// After which of the first cuts there are second ones.
    pub(super) second: Second,
}

/// A filesystem before and after.
#[derive(Clone, Debug)]
pub(super) struct Filesystems {
    pub(super) old: Vec<u8>,
    pub(super) new: Vec<u8>,
}

/// What comes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// It is written, and started.
    Installed,
    /// It is not taken.
    Refused,
}

/// Whether the new image works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trial {
    /// It says so.
    Passed,
    /// It never does.
    Failed,
}

/// After which of the first cuts there are second ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Second {
    /// After every one.
    All,
    /// After one of sixteen.
    Some,
    /// After none.
    None,
}

/// Why there is nothing to try.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// An image cannot be built.
    #[error("cannot build an image")]
    Build(#[from] BuildError),
    /// A file cannot be signed.
    #[error("cannot sign a file")]
    Sign(#[from] SignError),
    /// A device cannot be made.
    #[error("cannot make a device")]
    Device(#[from] DeviceError),
    /// A device that is new does not start.
    #[error("a device does not start: {0}")]
    Dead(Dead),
    /// It cannot be brought to where the scenario begins.
    #[error("a device cannot be made ready")]
    Software(#[from] SoftwareError),
    /// There is no such layout or table.
    #[error("there is no layout {0}")]
    Layout(&'static str),
}

impl Scenario {
    /// What is tried, in words.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What kind of device.
    pub fn family(&self) -> Family {
        self.device.model().family()
    }
}

impl Filesystems {
    /// Bytes that are compared.
    pub(super) fn length(&self) -> u32 {
        u32::try_from(self.new.len()).unwrap_or(u32::MAX)
    }
}
