//! Tells the boot loader what starts next, and whether what runs is to stay. It never looks at an
//! image: what it is given was checked when it was written.

use core::fmt;

use crate::updater::Staged;

mod eboot;
mod otadata;

pub use self::eboot::{Eboot, RtcMemory};
pub use self::otadata::OtaBoot;

pub(crate) use self::otadata::Entries;

/// The way to a boot loader: [`Eboot`] on an ESP8266, [`OtaBoot`] on an ESP32.
///
/// Nothing here restarts the device; what was told counts from the next start on.
///
/// ```
/// use updraft_agent::{Boot, BootError, Trial};
///
/// /// What a firmware does soon after its start; `works` is its own test of itself.
/// fn settle(boot: &mut impl Boot, works: impl FnOnce() -> bool) -> Result<(), BootError> {
///     match boot.trial()? {
///         Trial::Over => Ok(()),
///         Trial::Pending if works() => boot.confirm(),
///         // And restart.
///         Trial::Pending => boot.roll_back(),
///     }
/// }
/// ```
pub trait Boot {
    /// What it is told: the [`Staged::next`] of its family.
    type Next;

    /// Has a sketch started next. Of a filesystem nobody needs to know.
    fn activate(&mut self, staged: Staged<Self::Next>) -> Result<(), BootError>;

    /// What was activated and has not started yet does not start: what runs starts again.
    fn cancel(&mut self) -> Result<(), BootError>;

    /// Whether the application that runs still has to say that it works.
    fn trial(&mut self) -> Result<Trial, BootError>;

    /// The application that runs works: it stays. To be said once it has reached what it needs, its
    /// server for one. Nothing happens if it was said before.
    fn confirm(&mut self) -> Result<(), BootError>;

    /// The application that runs does not work: the one before it starts next.
    fn roll_back(&mut self) -> Result<(), BootError>;
}

/// Where the application that runs stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trial {
    /// It has not said that it works: another start without that goes back to the one before.
    Pending,
    /// It stays, whatever happens.
    Over,
}

/// Why a boot loader could not be told something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BootError {
    /// What it reads could not be read.
    Read,
    /// What it reads could not be written, or did not stay.
    Write,
    /// What it reads could not be erased, or shares its sectors with something else.
    Erase,
    /// There is no otadata partition.
    NoOtaData,
    /// There is no such slot, or it has been updated four thousand million times.
    NoSlot,
    /// There is nothing to go back to.
    NothingBefore,
}

impl core::error::Error for BootError {}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "cannot read what the boot loader reads",
            Self::Write => "cannot write what the boot loader reads",
            Self::Erase => "cannot erase what the boot loader reads",
            Self::NoOtaData => "no partition says what starts",
            Self::NoSlot => "no such slot for applications",
            Self::NothingBefore => "nothing to go back to",
        })
    }
}
