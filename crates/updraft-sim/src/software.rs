//! The software that runs on a simulated device: our agent, on its flash and its memory. It gets a file
//! as a network delivers it, and knows no network.

use std::convert::Infallible;

use embedded_io::Read;
use md5::{Digest as _, Md5};
use updraft_agent::{
    Boot as _, BootError, BootMode, Eboot, Esp32, Esp8266, OtaBoot, Platform, Request, RtcMemory,
    Size, Staged, Trial, Trust, UpdateError, Updater,
};
use updraft_core::signature::{Hash, KeyError, PublicKey, Scheme};
use updraft_core::{
    AppKind, EbootCommand, Esp8266Layout, Family, Inflater, OtaTarget, PartitionTable,
};

use crate::boot::eboot::Rtc;
use crate::boot::esp32::{Loader, Rollback, Slot};
use crate::device::{Device, Model, Running};
use crate::flash::Flash;

/// Bytes that arrive at a time: what one TCP segment carries.
const SEGMENT: usize = 1460;
/// Memory that an update passes through, as the stock updaters have it.
const SCRATCH: usize = 4096;

/// A file on its way to a device.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// What it is for.
    pub target: OtaTarget,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// How many of them arrive before the connection fails; all: it does not.
    pub arrive: usize,
    /// What the server says its MD5 is.
    pub md5: Option<[u8; 16]>,
    /// The key that the device trusts, in DER; `None`: it asks for no signature.
    pub key: Option<Vec<u8>>,
}

/// Why a device does not take a file, or cannot do with the one it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SoftwareError {
    /// The updater.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// The way to the boot loader.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// The key that is to be trusted is none.
    #[error("the key that the device trusts: {0:?}")]
    Key(KeyError),
}

impl Delivery {
    /// A file that arrives whole, with its MD5; nobody asks for a signature.
    pub fn new(target: OtaTarget, bytes: Vec<u8>) -> Self {
        let md5 = Some(Md5::digest(&bytes).into());
        Self { target, arrive: bytes.len(), bytes, md5, key: None }
    }
}

/// Takes a file, and has the boot loader start it next. The device is not restarted.
pub fn install(
    device: &mut Device,
    running: &Running,
    delivery: &Delivery,
) -> Result<(), SoftwareError> {
    let (model, flash, rtc) = device.split();
    match model {
        Model::Esp8266(layout) => {
            let platform = esp8266(*layout, running);
            let mut boot = Eboot::new(rtc);
            if delivery.target == OtaTarget::Sketch {
                boot.cancel()?;
            }
            let staged = take(flash, platform, delivery)?;
            Ok(boot.activate(staged)?)
        }
        Model::Esp32 { loader, table, .. } => {
            let platform = esp32(*loader, table, running);
            let staged = take(flash, platform, delivery)?;
            Ok(OtaBoot::new(flash, platform).activate(staged)?)
        }
    }
}

/// Says that what runs works.
pub fn confirm(device: &mut Device, running: &Running) -> Result<(), SoftwareError> {
    let (model, flash, rtc) = device.split();
    let confirmed = match model {
        Model::Esp8266(_) => Eboot::new(rtc).confirm(),
        Model::Esp32 { loader, table, .. } => {
            OtaBoot::new(flash, esp32(*loader, table, running)).confirm()
        }
    };
    Ok(confirmed?)
}

/// Whether what runs has still to say that it works.
pub fn trial(device: &mut Device, running: &Running) -> Result<Trial, SoftwareError> {
    let (model, flash, rtc) = device.split();
    let trial = match model {
        Model::Esp8266(_) => Eboot::new(rtc).trial(),
        Model::Esp32 { loader, table, .. } => {
            OtaBoot::new(flash, esp32(*loader, table, running)).trial()
        }
    };
    Ok(trial?)
}

/// What the software on an ESP8266 knows of it.
pub fn esp8266(layout: Esp8266Layout, running: &Running) -> Esp8266 {
    Esp8266 { layout, sketch_size: running.size, boot_mode: BootMode::Flash }
}

/// What the software on a chip of the ESP32 family knows of it.
pub fn esp32<'a>(loader: Loader, table: &'a PartitionTable, running: &Running) -> Esp32<'a> {
    Esp32 {
        chip: loader.chip,
        table,
        running: match running.slot {
            Some(Slot::Ota(number)) => AppKind::Ota(number),
            Some(Slot::Test) => AppKind::Test,
            Some(Slot::Factory) | None => AppKind::Factory,
        },
        rollback: match loader.rollback {
            Rollback::On => updraft_agent::Rollback::Enabled,
            Rollback::Off => updraft_agent::Rollback::Disabled,
        },
        secure_version: loader.secure_version,
        filesystem: None,
    }
}

/// Writes what arrives, as it arrives.
fn take<P: Platform>(
    flash: &mut Flash,
    platform: P,
    delivery: &Delivery,
) -> Result<Staged<P::Next>, SoftwareError> {
    let Delivery { target, bytes, arrive, md5, key } = delivery;
    let key = key.as_deref().map(PublicKey::from_der).transpose().map_err(SoftwareError::Key)?;
    let scheme = match P::FAMILY {
        Family::Esp8266 => Scheme::Esp8266,
        Family::Esp32 => Scheme::ArduinoEsp32(Hash::Sha256),
    };
    let is_gzip = P::FAMILY == Family::Esp8266 && bytes.first() == Some(&0x1F);
    let mut inflater = is_gzip.then(|| Box::new(Inflater::new()));
    let mut scratch = [0; SCRATCH];
    let mut updater = Updater::new(flash, platform, &mut scratch);
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut request = Request::new(*target, Size::Known(length));
    request.md5 = *md5;
    request.trust = key.as_ref().map(|key| Trust { scheme, keys: std::slice::from_ref(key) });
    request.inflater = inflater.as_deref_mut();
    let mut update = updater.begin(request)?;
    update.write_stream(&mut Wire { bytes, arrive: *arrive })?;
    Ok(update.finish()?)
}

/// What the network makes of a file: segments, and perhaps nothing more after some of them.
struct Wire<'a> {
    bytes: &'a [u8],
    arrive: usize,
}

impl embedded_io::ErrorType for Wire<'_> {
    type Error = embedded_io::ErrorKind;
}

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        let length = buffer.len().min(SEGMENT).min(self.bytes.len());
        let (now, later) = self.bytes.split_at(length.min(self.arrive));
        if now.is_empty() && length > 0 {
            return Err(embedded_io::ErrorKind::TimedOut);
        }
        buffer[..now.len()].copy_from_slice(now);
        (self.bytes, self.arrive) = (later, self.arrive - now.len());
        Ok(now.len())
    }
}

impl RtcMemory for &mut Rtc {
    type Error = Infallible;

    fn read(&mut self) -> Result<[u8; EbootCommand::LENGTH], Infallible> {
        Ok(*self.bytes())
    }

    fn write(&mut self, bytes: &[u8; EbootCommand::LENGTH]) -> Result<(), Infallible> {
        Rtc::write(self, bytes);
        Ok(())
    }
}
