//! What is asked: the request as the stock client of the family sends it, field for field. Answers
//! are not read here.

use core::fmt;

use updraft_core::{Family, OtaTarget};

use super::credentials::{Authorization, Credentials};
use super::url::Url;

/// One question to a server.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Where to ask.
    pub url: Url<'a>,
    /// What for.
    pub mode: Mode,
    /// Who asks.
    pub device: Device<'a>,
    /// The version that runs (`x-ESP8266-version`); no field if there is none, or an empty one.
    /// `AutoConnect` sends none.
    pub version: Option<&'a str>,
    /// Sent with the request (`setAuthorization`), instead of those in the URL.
    pub credentials: Option<Credentials<'a>>,
    /// What else the device says of itself.
    pub evidence: Evidence,
}

/// What is asked for (`x-ESP8266-mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// An image to install: `sketch` or `spiffs`, whatever the filesystem is.
    Update(OtaTarget),
    /// Only which version there is (`getAvailableVersion`). The stock client of the ESP32 has no such
    /// question; ours asks it in the same words.
    Version,
}

/// The device that asks, as it describes itself. The stock clients read all of this from the chip.
#[derive(Clone, Copy, Debug)]
pub struct Device<'a> {
    /// Which client it speaks like.
    pub family: Family,
    /// ESP32 with core 3.x: the base MAC address.
    pub base_mac: Option<[u8; 6]>,
    /// The MAC address as a station. An ESP8266's Chip-ID is its last three bytes.
    pub sta_mac: Option<[u8; 6]>,
    /// The MAC address as an access point.
    pub ap_mac: Option<[u8; 6]>,
    /// Bytes there are for a new sketch: on an ESP8266 what is free between sketch and filesystem, on
    /// an ESP32 the size of the next partition, 0 if there is none.
    pub free_space: u32,
    /// Bytes there are for a filesystem image; `None` if there is no filesystem. Never sent.
    pub filesystem_size: Option<u32>,
    /// Bytes of the sketch that runs.
    pub sketch_size: u32,
    /// MD5 of the sketch that runs, as it is in the flash. ESP32: since core 1.0.3.
    pub sketch_md5: Option<[u8; 16]>,
    /// ESP32: the digest appended to the application that runs.
    pub sketch_sha256: Option<[u8; 32]>,
    /// Bytes of the flash chip.
    pub chip_size: u32,
    /// The SDK's version: `2.2.2-dev(38a443e)`.
    pub sdk_version: &'a str,
}

/// What a device may say beyond the fields of the stock clients, for its history: in the query of the
/// URL (`?e=-5&r=1&rssi=-67&up=3600&hold=1`). Nothing depends on it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence {
    /// `e`: number of the last error of an update.
    pub last_error: Option<i32>,
    /// `r`: why it restarted, in the codes of its SDK.
    pub reset_reason: Option<u32>,
    /// `rssi`: strength of the signal in dBm.
    pub rssi: Option<i32>,
    /// `up`: seconds since it started.
    pub uptime_seconds: Option<u64>,
    /// `hold=1`: whether it wants to be offered an update now.
    pub offers: Offers,
}

/// Whether a device wants to be offered an update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offers {
    /// Yes.
    #[default]
    Wanted,
    /// Not now: it has other things to do.
    Unwanted,
}

/// Which fields are left after a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fields {
    /// All of them.
    All,
    /// Those that every request of `HTTPClient` has: nothing of the device, and no evidence.
    Common,
}

impl<'a> Request<'a> {
    /// The question of a device for an image, with nothing else to say.
    pub fn new(device: Device<'a>, url: Url<'a>, target: OtaTarget) -> Self {
        Self {
            url,
            mode: Mode::Update(target),
            device,
            version: None,
            credentials: None,
            evidence: Evidence::default(),
        }
    }

    /// Writes the request, byte for byte as the stock client. Control characters are left out of
    /// texts: they would end a line.
    pub fn write(&self, to: &mut impl fmt::Write) -> fmt::Result {
        self.write_to(Fields::All, self.authorization(), to)
    }

    /// What is sent to the server of the URL: the credentials, else those in the URL.
    pub(crate) fn authorization(&self) -> Option<Authorization<'a>> {
        self.credentials.map(Authorization::Credentials).or_else(|| self.url.authorization())
    }

    /// Writes the request with some of its fields.
    pub(crate) fn write_to(
        &self,
        fields: Fields,
        authorization: Option<Authorization<'_>>,
        to: &mut impl fmt::Write,
    ) -> fmt::Result {
        let target = self.url.target;
        write!(to, "GET {}", if target.is_empty() { "/" } else { target })?;
        self.evidence.write(target, to)?;
        // HTTP/1.0, so that no server thinks of chunks (`useHTTP10`).
        to.write_str(" HTTP/1.0\r\nHost: ")?;
        self.url.write_host(to)?;
        write!(to, "\r\nUser-Agent: {}-http-Update\r\n", self.device.tag())?;
        let authorization = |to: &mut _| match authorization {
            Some(authorization) => authorization.write_field(to),
            None => Ok(()),
        };
        let connection = "Connection: close\r\n";
        match self.device.family {
            Family::Esp8266 => {
                authorization(to)?;
                to.write_str(connection)?;
                if fields == Fields::All {
                    self.write_device(to)?;
                }
                to.write_str("Content-Length: 0\r\n")?;
            }
            Family::Esp32 => {
                to.write_str(connection)?;
                authorization(to)?;
                if fields == Fields::All {
                    to.write_str("Cache-Control: no-cache\r\n")?;
                    self.write_device(to)?;
                }
            }
        }
        to.write_str("\r\n")
    }

    /// The `x-ESP8266-*` or `x-ESP32-*` fields.
    fn write_device(&self, to: &mut impl fmt::Write) -> fmt::Result {
        let device = &self.device;
        let mut to = DeviceFields { tag: device.tag(), to };
        match device.family {
            // ESP.getChipId(): the last three bytes of the MAC address, in decimal.
            Family::Esp8266 => {
                let id = device.sta_mac.map(|[.., a, b, c]| u32::from_be_bytes([0, a, b, c]));
                to.field("Chip-ID", id)?;
            }
            Family::Esp32 => to.field("BASE-MAC", device.base_mac.map(Mac))?,
        }
        to.field("STA-MAC", device.sta_mac.map(Mac))?;
        to.field("AP-MAC", device.ap_mac.map(Mac))?;
        to.field("free-space", Some(device.free_space))?;
        to.field("sketch-size", Some(device.sketch_size))?;
        to.field("sketch-md5", device.sketch_md5.map(|digest| Hex(digest, Case::Lower)))?;
        if device.family == Family::Esp32 {
            let digest = device.sketch_sha256.map(|digest| Hex(digest, Case::Upper));
            to.field("sketch-sha256", digest)?;
        }
        to.field("chip-size", Some(device.chip_size))?;
        to.field("sdk-version", Some(Visible(device.sdk_version)))?;
        to.field("mode", Some(self.mode.name()))?;
        let version = self.version.filter(|version| !version.is_empty());
        to.field("version", version.map(Visible))
    }
}

impl Mode {
    /// The word for it on the wire: `sketch`, `spiffs`, `version`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Update(OtaTarget::Sketch) => "sketch",
            Self::Update(OtaTarget::Filesystem) => "spiffs",
            Self::Version => "version",
        }
    }
}

impl Device<'_> {
    fn tag(&self) -> &'static str {
        match self.family {
            Family::Esp8266 => "ESP8266",
            Family::Esp32 => "ESP32",
        }
    }
}

impl Evidence {
    /// Writes it behind a target, whose own query goes first.
    fn write(&self, target: &str, to: &mut impl fmt::Write) -> fmt::Result {
        let separator = if target.contains('?') { '&' } else { '?' };
        let mut to = Query { separator, to };
        to.value("e", self.last_error)?;
        to.value("r", self.reset_reason)?;
        to.value("rssi", self.rssi)?;
        to.value("up", self.uptime_seconds)?;
        to.value("hold", (self.offers == Offers::Unwanted).then_some(1))
    }
}

/// Writes fields that name the family.
struct DeviceFields<'w, W> {
    tag: &'static str,
    to: &'w mut W,
}

impl<W: fmt::Write> DeviceFields<'_, W> {
    /// Writes a field; nothing if it has no value.
    fn field(&mut self, name: &str, value: Option<impl fmt::Display>) -> fmt::Result {
        let Some(value) = value else { return Ok(()) };
        write!(self.to, "x-{}-{name}: {value}\r\n", self.tag)
    }
}

/// Writes the values of a query.
struct Query<'w, W> {
    separator: char,
    to: &'w mut W,
}

impl<W: fmt::Write> Query<'_, W> {
    /// Writes a value; nothing if there is none.
    fn value(&mut self, name: &str, value: Option<impl fmt::Display>) -> fmt::Result {
        let Some(value) = value else { return Ok(()) };
        let separator = core::mem::replace(&mut self.separator, '&');
        write!(self.to, "{separator}{name}={value}")
    }
}

/// A MAC address in the form of the stock clients: `AA:BB:CC:DD:EE:FF`.
struct Mac([u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02X}", if at > 0 { ":" } else { "" })?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Case {
    Lower,
    Upper,
}

/// A digest in hexadecimal digits.
struct Hex<const N: usize>([u8; N], Case);

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| match self.1 {
            Case::Lower => write!(f, "{byte:02x}"),
            Case::Upper => write!(f, "{byte:02X}"),
        })
    }
}

/// A text without its control characters.
struct Visible<'a>(&'a str);

impl fmt::Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        self.0.chars().filter(|c| !c.is_control()).try_for_each(|c| f.write_char(c))
    }
}
