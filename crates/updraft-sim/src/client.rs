//! A device that asks a server: the agent's pull and updater on a simulated device, and a restart by its
//! boot loader. When it asks is its owner's affair, and so is what is shown.

use std::cell::RefCell;

use updraft_agent::pull::{
    self, Cause, Credentials, Evidence, Incoming, Network as _, Options, Outcome, Sink, Url,
};
use updraft_agent::{
    BootError, Install, Led, Level, Platform, Polarity, Progress, Request, Size, Staged, Ticker,
    Trial, UpdateError, Updater,
};
use updraft_core::{Family, Inflater, Inspector, OtaTarget};

use crate::boot::Dead;
use crate::boot::eboot::Copied;
use crate::device::{Device, Model, Running};
use crate::flash::{Flash, FlashError};
use crate::network::Tcp;
use crate::software::{self, SoftwareError};

/// Memory for heads of answers.
const BUFFER: usize = 512;
/// Memory for what is sent and received: what one TCP segment carries.
const BLOCK: usize = 1460;
/// Memory that an update passes through.
const SCRATCH: usize = 4096;
/// Milliseconds that a body may stall. (A stock ESP32 would wait for 40 minutes.)
const BODY_TIMEOUT: u32 = 73_000;

/// Who a device is, and whom it asks.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The URL of its server with the path it asks for. Without TLS: a simulated device has none.
    pub url: String,
    /// The MAC address as a station.
    pub mac: [u8; 6],
    /// The version that the image says it started with has; `None`: what stands in the image, if
    /// anything does.
    pub version: Option<String>,
    /// A name and a password, sent with every request.
    pub credentials: Option<(String, String)>,
}

/// A device with software that updates it.
#[derive(Debug)]
pub struct Client {
    device: Device,
    identity: Identity,
    running: Running,
    version: Option<String>,
    /// The version that the server gave to what is staged.
    offered: Option<String>,
    last_error: Option<i32>,
    reset: Reset,
    network: Tcp,
    /// When it started, by the network's clock.
    started: u64,
}

/// Something that happens on a device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event<'a> {
    /// It asks its server.
    Checking,
    /// The server sends an image, and it fits.
    Offered(&'a Incoming<'a>),
    /// So much of it is in the flash.
    Progress(Progress),
    /// The LED changes.
    Light(Light),
    /// The image that runs was told to stay.
    Confirmed,
}

/// What an LED shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Light {
    /// It is lit.
    On,
    /// It is not.
    Off,
}

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// The server has nothing newer.
    UpToDate,
    /// An image is in its place, and starts next.
    Staged,
    /// The server was reached, but the image that ran then had not been confirmed. Now it is: ask again.
    WasOnTrial,
    /// No update, in the number and the words of the stock client.
    Failed {
        /// The number.
        number: i32,
        /// The words.
        text: String,
    },
}

/// Why a device restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reset {
    Power,
    Software,
}

/// Who is told of events; a light and a progress are told from two places at once.
type Listener<'l> = RefCell<&'l mut dyn FnMut(Event<'_>)>;

impl Client {
    /// Gives the device power.
    pub fn start(mut device: Device, identity: Identity) -> Result<Self, Dead> {
        device.power_cycle();
        let running = device.boot()?;
        let version = match &identity.version {
            Some(version) => Some(version.clone()),
            None => version_of(device.flash(), &running)?,
        };
        Ok(Self {
            device,
            identity,
            running,
            version,
            offered: None,
            last_error: None,
            reset: Reset::Power,
            network: Tcp::new(),
            started: 0,
        })
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// What runs on it.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// The version that it says it has.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Whether what runs has still to say that it works.
    pub fn trial(&mut self) -> Result<Trial, SoftwareError> {
        software::trial(&mut self.device, &self.running)
    }

    /// Asks the server once, and installs what it sends. A new image on trial that reaches its server
    /// works: it is confirmed.
    pub fn check(&mut self, tell: &mut dyn FnMut(Event<'_>)) -> Result<Checked, SoftwareError> {
        let trial = self.trial()?;
        let tell = RefCell::new(tell);
        say(&tell, Event::Checking);
        let checked = self.ask(&tell)?;
        let (reached, checked) = match checked {
            Asked::Done(checked) => (!matches!(checked, Checked::Failed { .. }), checked),
            Asked::Pending => (true, Checked::WasOnTrial),
        };
        if reached && trial == Trial::Pending {
            software::confirm(&mut self.device, &self.running)?;
            say(&tell, Event::Confirmed);
        }
        self.last_error = match &checked {
            Checked::Failed { number, .. } => Some(*number),
            _ => None,
        };
        Ok(checked)
    }

    /// Restarts the device by its software, and says what eboot came to, if it had to copy. An error
    /// is a device that does not start any more.
    pub fn restart(&mut self) -> Result<Option<Copied>, Dead> {
        let before = self.running.md5;
        self.running = self.device.boot()?;
        let offered = self.offered.take();
        if self.running.md5 != before {
            self.version = version_of(self.device.flash(), &self.running)?.or(offered);
        }
        self.reset = Reset::Software;
        self.started = self.network.now();
        Ok(self.device.copied())
    }

    fn ask(&mut self, tell: &Listener<'_>) -> Result<Asked, SoftwareError> {
        let uptime = self.network.now().saturating_sub(self.started);
        let question = Question {
            url: &self.identity.url,
            device: described(self.device.model(), &self.running, self.identity.mac),
            version: self.version.as_deref(),
            credentials: self.identity.credentials.as_ref(),
            evidence: Evidence {
                last_error: self.last_error,
                reset_reason: Some(self.reset.code(self.device.model().family())),
                uptime_seconds: Some(uptime / 1000),
                ..Evidence::default()
            },
        };
        let network = &mut self.network;
        let (model, flash, rtc) = self.device.split();
        match model {
            Model::Esp8266(layout) => {
                let device = software::esp8266(*layout, &self.running);
                let mut boot = updraft_agent::Eboot::new(rtc);
                updraft_agent::Boot::cancel(&mut boot)?;
                let (asked, staged) =
                    question.ask(network, flash, device, Polarity::ActiveLow, tell);
                activate(boot, staged, &mut self.offered)?;
                Ok(asked)
            }
            Model::Esp32 { loader, table, .. } => {
                let device = software::esp32(*loader, table, &self.running);
                let (asked, staged) =
                    question.ask(network, flash, device, Polarity::ActiveHigh, tell);
                let boot = updraft_agent::OtaBoot::new(flash, device);
                activate(boot, staged, &mut self.offered)?;
                Ok(asked)
            }
        }
    }
}

/// What an answer comes to.
enum Asked {
    Done(Checked),
    /// The updater keeps what an image on trial could go back to.
    Pending,
}

/// What is asked, once.
struct Question<'a> {
    url: &'a str,
    device: pull::Device<'a>,
    version: Option<&'a str>,
    credentials: Option<&'a (String, String)>,
    evidence: Evidence,
}

/// What is in the flash, and the version that the server gave it.
type Installed<N> = (Staged<N>, Option<String>);

impl Question<'_> {
    fn ask<P: Platform>(
        &self,
        network: &mut Tcp,
        flash: &mut Flash,
        platform: P,
        polarity: Polarity,
        tell: &Listener<'_>,
    ) -> (Asked, Option<Installed<P::Next>>) {
        let failed = |number, text| (Asked::Done(Checked::Failed { number, text }), None);
        let url = match Url::parse(self.url) {
            Ok(url) => url,
            Err(fault) => return failed(-1, format!("{}: {fault}", self.url)),
        };
        let request = pull::Request {
            version: self.version,
            credentials: self.credentials.map(|(user, password)| Credentials { user, password }),
            evidence: self.evidence,
            ..pull::Request::new(self.device, url, OtaTarget::Sketch)
        };
        let mut options = Options::of(P::FAMILY);
        options.timeouts.body = options.timeouts.body.min(BODY_TIMEOUT);

        let mut scratch = [0; SCRATCH];
        let mut inflater = Box::new(Inflater::new());
        let mut progress = |progress| say(tell, Event::Progress(progress));
        let mut pin = Pin { polarity, tell };
        let mut updater = Updater::new(flash, platform, &mut scratch);
        let mut install = Request::new(OtaTarget::Sketch, Size::Unknown);
        install.inflater = Some(&mut inflater);
        install.progress = Some(&mut progress);
        install.led = Some(Ticker::new(&mut pin, polarity));
        let install = Install::new(&mut updater, install);
        let mut sink = Told { install, version: None, tell };

        let (mut buffer, mut block) = ([0; BUFFER], [0; BLOCK]);
        let outcome = pull::run(network, &request, options, &mut buffer, &mut block, &mut sink);
        let Told { install, version, .. } = sink;
        match outcome {
            Outcome::UpToDate | Outcome::Version { .. } => (Asked::Done(Checked::UpToDate), None),
            Outcome::Updated => {
                let staged = install.into_staged().map(|staged| (staged, version));
                (Asked::Done(Checked::Staged), staged)
            }
            Outcome::Failed(error) => match error.cause {
                Cause::Update(UpdateError { cause: updraft_agent::Cause::Pending, .. }) => {
                    (Asked::Pending, None)
                }
                _ => failed(error.number(), error.to_string()),
            },
        }
    }
}

/// Has the boot loader start what is staged, if anything is.
fn activate<B: updraft_agent::Boot>(
    mut boot: B,
    installed: Option<Installed<B::Next>>,
    offered: &mut Option<String>,
) -> Result<(), BootError> {
    let Some((staged, version)) = installed else { return Ok(()) };
    *offered = version;
    boot.activate(staged)
}

/// Tells what comes, on its way into the flash.
struct Told<'l, 't, S> {
    install: S,
    version: Option<String>,
    tell: &'l Listener<'t>,
}

impl<S: Sink> Sink for Told<'_, '_, S> {
    type Error = S::Error;

    fn begin(&mut self, image: &Incoming<'_>) -> Result<(), S::Error> {
        say(self.tell, Event::Offered(image));
        self.version = image.version.map(str::to_owned);
        self.install.begin(image)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), S::Error> {
        self.install.write(bytes)
    }

    fn finish(&mut self) -> Result<(), S::Error> {
        self.install.finish()
    }

    fn abort(&mut self) {
        self.install.abort();
    }
}

/// The pin of the LED.
struct Pin<'l, 't> {
    polarity: Polarity,
    tell: &'l Listener<'t>,
}

impl Led for Pin<'_, '_> {
    fn set(&mut self, level: Level) {
        let light = match (level, self.polarity) {
            (Level::High, Polarity::ActiveHigh) | (Level::Low, Polarity::ActiveLow) => Light::On,
            (Level::High, Polarity::ActiveLow) | (Level::Low, Polarity::ActiveHigh) => Light::Off,
        };
        say(self.tell, Event::Light(light));
    }
}

impl Reset {
    /// The code of the SDK (`rst_reason`, `esp_reset_reason_t`).
    fn code(self, family: Family) -> u32 {
        match (family, self) {
            (Family::Esp8266, Self::Power) => 0,
            (Family::Esp8266, Self::Software) => 4,
            (Family::Esp32, Self::Power) => 1,
            (Family::Esp32, Self::Software) => 3,
        }
    }
}

fn say(tell: &Listener<'_>, event: Event<'_>) {
    (tell.borrow_mut())(event);
}

/// The device, as its own functions describe it to a server.
fn described(model: &Model, running: &Running, mac: [u8; 6]) -> pull::Device<'static> {
    let family = model.family();
    let mut ap_mac = mac;
    match family {
        // The bit of addresses that nobody has assigned; the address after that of the station.
        Family::Esp8266 => ap_mac[0] |= 2,
        Family::Esp32 => ap_mac[5] = ap_mac[5].wrapping_add(1),
    }
    let filesystem = model.filesystem();
    pull::Device {
        family,
        base_mac: (family == Family::Esp32).then_some(mac),
        sta_mac: Some(mac),
        ap_mac: Some(ap_mac),
        free_space: running.free_space,
        filesystem_size: (!filesystem.is_empty()).then_some(filesystem.end - filesystem.start),
        sketch_size: running.size,
        sketch_md5: Some(running.md5),
        sketch_sha256: running.sha256,
        chip_size: model.flash_size(),
        sdk_version: match family {
            Family::Esp8266 => "2.2.2-dev(38a443e)",
            Family::Esp32 => "v5.4.2-dirty",
        },
    }
}

/// The version that stands in an image of the ESP32 family.
fn version_of(flash: &Flash, running: &Running) -> Result<Option<String>, FlashError> {
    let mut inspector = Inspector::new(running.size.into());
    let start = u64::from(running.start);
    flash.visit(start..start + u64::from(running.size), |piece| inspector.update(piece))?;
    let facts = inspector.finish();
    Ok(facts.version().map(str::to_owned))
}
