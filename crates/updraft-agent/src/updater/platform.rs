//! What differs between the families of chips, for the one updater of both. Nobody else implements it.

use embedded_storage::nor_flash::NorFlash;
use updraft_core::{Facts, Family, NotOta, OtaTarget, gates};

use super::error::Cause;
use super::{Size, esp32::Esp32, esp8266::Esp8266};

/// A family of chips, with what has to be known of the device: [`Esp8266`] or [`Esp32`].
pub trait Platform: Steps {}

impl Platform for Esp8266 {}
impl Platform for Esp32<'_> {}

/// The steps of an update that differ.
pub trait Steps {
    /// What the boot loader is told about a new sketch.
    type Next: Clone + core::fmt::Debug + PartialEq;
    /// Whose numbers the errors have.
    const FAMILY: Family;
    /// What a sketch may start with.
    const MAGIC: &'static [u8];

    /// What an update of this number writes (`U_FLASH` and its like).
    fn target(command: u16) -> Option<OtaTarget>;

    /// Where an update goes. Nothing is written.
    fn place<F: NorFlash>(
        &self,
        flash: &mut F,
        target: OtaTarget,
        size: Size,
    ) -> Result<Place, Cause>;

    /// What has to be done before the first byte is written to that place.
    fn prepare<F: NorFlash>(&self, flash: &mut F, place: &Place) -> Result<(), Cause>;

    /// Whether the sketch that was written would start.
    fn judge(&self, facts: &Facts, place: &Place) -> Result<(), Cause>;

    /// What the boot loader has to be told: the sketch is `payload` bytes long without its signature.
    fn next(&self, place: &Place, payload: u32) -> Option<Self::Next>;
}

/// Where an update goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where it starts in the flash.
    pub(super) start: u32,
    /// Bytes there are.
    pub(super) room: u32,
    /// Bytes of the whole flash.
    pub(super) flash: u32,
    /// Whether its first bytes are written last of all.
    pub(super) head: Head,
    /// What byte 2 of a plain sketch is replaced by.
    pub(super) mode: Option<u8>,
}

/// When the first bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// With the others.
    InOrder,
    /// When all others are there, and were found to be good.
    Last,
}

/// Whether `device` would take and survive a sketch, by the rules that the server has, too. What is
/// not recognised is refused as well: here it would be started.
pub(super) fn gate(facts: &Facts, device: &gates::Device) -> Result<(), Cause> {
    let image = gates::Image::new(facts).map_err(Cause::Image)?;
    match gates::contradiction(&image, device) {
        None if image.target.is_none() => Err(Cause::Image(NotOta::Unknown)),
        None => Ok(()),
        Some(gates::Reason::FlashSize { chip, .. }) => {
            Err(Cause::FlashSize { real: u32::try_from(chip).unwrap_or(u32::MAX) })
        }
        Some(reason) => Err(Cause::Device(reason)),
    }
}
