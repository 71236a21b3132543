//! Takes an image in pieces and puts it into the flash, so that whatever ends it too early leaves the
//! old firmware as it was. It starts nothing: what it gives in the end is for [`Boot`](crate::Boot).
//!
//! An [`Updater`] begins an [`Update`]; that takes bytes, and is used up when it is finished: it
//! cannot be finished twice, and nothing can be written behind its end. What is dropped before is
//! aborted.
//!
//! What is checked is what is read back from the flash, not what came: MD5, signature, then the image
//! itself, with its sums. Stock updaters do only the first two; the numbers of their errors are kept
//! where they have one.

use embedded_storage::nor_flash::NorFlash;
use updraft_core::signature::{PublicKey, Scheme};
use updraft_core::{Inflater, OtaTarget};

use crate::led::Ticker;

mod area;
mod check;
mod error;
mod esp32;
mod esp8266;
mod platform;
mod update;

pub use self::error::{Cause, UpdateError};
pub use self::esp32::{Esp32, OtaSlot, Rollback};
pub use self::esp8266::{BootMode, Esp8266};
pub use self::platform::Platform;
pub use self::update::Update;

use self::area::Area;

/// Begins updates of one device: one at a time, for it lends its flash.
///
/// ```
/// # use embedded_storage::nor_flash::NorFlash;
/// use updraft_agent::{Esp8266, Request, Size, Staged, UpdateError, Updater};
/// use updraft_core::{EbootCommand, OtaTarget};
///
/// # fn update<F: NorFlash>(flash: &mut F, device: Esp8266, blocks: &[&[u8]])
/// # -> Result<Staged<EbootCommand>, UpdateError> {
/// let mut scratch = [0; 4096];
/// let mut updater = Updater::new(flash, device, &mut scratch);
/// let mut update = updater.begin(Request::new(OtaTarget::Sketch, Size::Unknown))?;
/// for block in blocks {
///     update.write(block)?;
/// }
/// update.finish()
/// # }
/// ```
pub struct Updater<'a, F, P> {
    flash: &'a mut F,
    platform: P,
    scratch: &'a mut [u8],
}

/// What an update is to be.
pub struct Request<'a> {
    /// What is written.
    pub target: OtaTarget,
    /// How many bytes will come.
    pub size: Size,
    /// The MD5 of all of them, signature included; `None`: it is not compared. (A stock ESP8266 does
    /// not compare it where it checks a signature.)
    pub md5: Option<[u8; 16]>,
    /// Who must have signed them; `None`: no signature is asked for.
    pub trust: Option<Trust<'a>>,
    /// What a gzip is inflated with to look into it. Without, eboot is the first to do so.
    pub inflater: Option<&'a mut Inflater>,
    /// Is told how far it is, at the start and after every block that was written.
    pub progress: Option<&'a mut dyn FnMut(Progress)>,
    /// Blinks meanwhile.
    pub led: Option<Ticker<'a>>,
}

/// How many bytes an update has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// So many, no less and no more.
    Known(u32),
    /// As many as come (`UPDATE_SIZE_UNKNOWN`).
    Unknown,
}

/// Who is trusted.
#[derive(Clone, Copy, Debug)]
pub struct Trust<'a> {
    /// Where signatures stand, and of what form they are.
    pub scheme: Scheme,
    /// The keys of those whose signature is enough, each of them alone.
    pub keys: &'a [PublicKey<'a>],
}

/// How far an update is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that were written.
    pub written: u32,
    /// Bytes in all.
    pub total: Size,
}

/// An update that is in the flash and was found to be good, with what its boot loader has to be told:
/// [`EbootCommand`](updraft_core::EbootCommand) or [`OtaSlot`]. A sketch does not start before
/// [`Boot::activate`](crate::Boot::activate) was told of it; a filesystem is in its place.
///
/// The next update goes to the same place, so this one is to be activated before, or never.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a sketch that is not activated never starts"]
pub struct Staged<N> {
    target: OtaTarget,
    length: u32,
    next: Option<N>,
}

impl Request<'_> {
    /// Nothing but the image: no digest, no signature, nobody who watches.
    pub fn new(target: OtaTarget, size: Size) -> Self {
        Self { target, size, md5: None, trust: None, inflater: None, progress: None, led: None }
    }
}

impl<'a, F: NorFlash, P: Platform> Updater<'a, F, P> {
    /// For the device that `platform` describes. An image passes through `scratch`, in pieces as long
    /// as that: 4096 bytes are usual, 64 are enough as long as no signature is asked for, which must fit
    /// into it beside two of the flash's units of reading.
    pub fn new(flash: &'a mut F, platform: P, scratch: &'a mut [u8]) -> Self {
        Self { flash, platform, scratch }
    }

    /// Begins an update. Sectors are erased as they are reached, so the flash is as it was until the
    /// first bytes are written, but that an ESP32 whose next partition was already chosen to start
    /// next is told to stay with the one that runs. On an ESP8266, where that is not in the flash, say
    /// [`Boot::cancel`](crate::Boot::cancel) before: else a command for eboot that still stands would
    /// have it copy what is half written.
    pub fn begin<'u, 'r>(
        &'u mut self,
        request: Request<'r>,
    ) -> Result<Update<'u, 'r, F, P>, UpdateError> {
        self.try_begin(request).map_err(|cause| UpdateError { family: P::FAMILY, cause })
    }

    fn try_begin<'u, 'r>(
        &'u mut self,
        request: Request<'r>,
    ) -> Result<Update<'u, 'r, F, P>, Cause> {
        if request.size == Size::Known(0) {
            return Err(Cause::Size);
        }
        let place = self.platform.place(self.flash, request.target, request.size)?;
        let mut area = Area::new(self.flash, place, self.scratch)?;
        if request.trust.is_some_and(|trust| check::field(&trust) > area.reach()) {
            return Err(Cause::Memory);
        }
        self.platform.prepare(area.flash(), &place)?;
        Ok(Update::new(area, &self.platform, place, request))
    }

    /// The flash, between two updates.
    pub fn flash(&mut self) -> &mut F {
        self.flash
    }

    /// What is known of the device.
    pub fn platform(&self) -> &P {
        &self.platform
    }

    /// What an update command as Arduino's protocols number them writes (`U_FLASH` 0, `U_FS` 100;
    /// 101 to 103 on an ESP32).
    pub fn target(command: u16) -> Result<OtaTarget, UpdateError> {
        let cause = Cause::Command(command);
        P::target(command).ok_or(UpdateError { family: P::FAMILY, cause })
    }
}

impl Size {
    /// How many, if that is known.
    pub fn known(self) -> Option<u32> {
        match self {
            Self::Known(bytes) => Some(bytes),
            Self::Unknown => None,
        }
    }
}

impl<N> Staged<N> {
    /// What was written.
    pub fn target(&self) -> OtaTarget {
        self.target
    }

    /// Bytes that came.
    pub fn length(&self) -> u32 {
        self.length
    }

    /// What the boot loader has to be told; `None` after a filesystem.
    pub fn next(&self) -> Option<&N> {
        self.next.as_ref()
    }
}
