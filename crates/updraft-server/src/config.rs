//! Configuration: what the command line, the environment and `updraft.toml` say, in this order of
//! weight, checked once at start. Only [`Config`] reaches the server.

mod settings;
mod units;

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use settings::{Env, Overrides};
pub use units::{ByteSize, Span};

use crate::decide::Policy;
use crate::decide::managed::FleetPolicy;
use crate::fleet::UnknownDevices;

/// A configuration the server can start with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses to listen on; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// The folder of images.
    pub catalog: CatalogConfig,
    /// The server's own folder.
    pub data: PathBuf,
    /// What direct downloads are held back for.
    pub policy: Policy,
    /// How images are sent.
    pub delivery: DeliveryConfig,
    /// What holds for devices of no product.
    pub fleet: FleetConfig,
    /// What one client may take.
    pub limits: LimitsConfig,
    /// What is logged.
    pub log: LogConfig,
}

/// Section `[catalog]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CatalogConfig {
    /// The folder whose files are listed and served.
    pub path: PathBuf,
    /// Endings of the names that are listed and served; everything else does not exist.
    pub extensions: Vec<String>,
    /// Whether a gzip of an ESP8266 sketch can be chosen in AutoConnect's list.
    pub list_gzip: bool,
    /// How long a file must be unchanged to count as complete, unless it was seen to be closed after
    /// writing. Also the longest time a list may be out of date.
    pub settle: Span,
    /// How long one look at a file's stamp answers for: a replaced file is noticed that much later.
    pub recheck: Span,
    /// Whether files that would break a device are refused to it.
    pub gate: bool,
    /// Whether a device gets a file again that it runs already.
    pub resend: bool,
}

/// Section `[delivery]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeliveryConfig {
    /// Memory for images that are shared by all connections.
    pub cache_size: ByteSize,
    /// How long a device may take no byte before it is dropped. Erasing flash takes a while.
    pub stall: Span,
    /// How long a download may take, whatever its size.
    pub at_least: Span,
    /// Bytes a second below which a download is dropped once `at_least` is over.
    pub slowest: ByteSize,
    /// The kernel's send buffer for one connection. It takes twice as much memory.
    pub socket_buffer: ByteSize,
    /// The same for a client that takes a download faster than any device does.
    pub fast_socket_buffer: ByteSize,
    /// How many downloads at a time may have that much.
    pub fast_downloads: u32,
}

/// Section `[limits]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Connections from one address.
    pub connections_per_address: u32,
    /// Downloads to one device at a time. One more is answered "nothing new".
    pub downloads_per_device: u32,
    /// Bytes of one request head.
    pub head_size: ByteSize,
    /// How long a client may take to send a request head.
    pub head: Span,
    /// How long a connection may wait for its next request.
    pub idle: Span,
    /// How long downloads may go on once the server is told to stop.
    pub drain: Span,
}

/// Section `[fleet]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FleetConfig {
    /// What becomes of a device that nobody knows and that asks for no product: `open`, `pending`,
    /// `closed`.
    pub unknown_devices: String,
    /// The product of devices that ask for none; empty: there is none.
    pub default_product: String,
    /// Devices that may be registered without a person having vouched for them.
    pub unknown_devices_most: u32,
    /// Devices that one address may register in an hour.
    pub new_devices_per_address: u32,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// From which level on.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
}

/// Log levels by Python's names and Rust's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// `critical`: nothing, for there is nothing so bad that the server goes on.
    Critical,
    /// `error`.
    Error,
    /// `warning`, `warn`.
    Warning,
    /// `info`.
    Info,
    /// `debug`: header fields, too.
    Debug,
    /// `trace`.
    Trace,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// A line for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why there is no configuration to start with. Every message names the setting and what it takes.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The configuration file cannot be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The configuration file holds something that is no setting.
    #[error("{origin}: {message}")]
    Parse {
        /// Where it stands.
        origin: String,
        /// What is wrong.
        message: String,
    },
    /// A setting has a value it cannot have.
    #[error("{setting}: {message}")]
    Value {
        /// Name of the setting.
        setting: &'static str,
        /// What is wrong.
        message: String,
    },
}

impl ConfigError {
    pub(crate) fn value(setting: &'static str, message: impl Into<String>) -> Self {
        Self::Value { setting, message: message.into() }
    }
}

impl CatalogConfig {
    /// Whether a file of that name is listed and served at all. Endings count in any case.
    pub fn serves(&self, name: &str) -> bool {
        !name.starts_with('.')
            && self.extensions.iter().any(|ending| {
                name.len().checked_sub(ending.len()).filter(|&stem| stem > 0).is_some_and(|stem| {
                    name.as_bytes()[stem..].eq_ignore_ascii_case(ending.as_bytes())
                })
            })
    }
}

impl DeliveryConfig {
    /// The longest time a download of `size` bytes may take.
    pub(crate) fn longest(&self, size: u64) -> std::time::Duration {
        let by_rate = std::time::Duration::from_secs(size / self.slowest.0.max(1));
        self.at_least.to_std().max(by_rate)
    }
}

impl Default for CatalogConfig {
    fn default() -> Self {
        Self {
            path: ".".into(),
            extensions: vec![".bin".into(), ".bin.gz".into()],
            list_gzip: false,
            settle: Span::seconds(2),
            recheck: Span(jiff::SignedDuration::from_millis(10)),
            gate: true,
            resend: false,
        }
    }
}

impl Default for DeliveryConfig {
    fn default() -> Self {
        Self {
            cache_size: ByteSize(64 << 20),
            stall: Span::seconds(60),
            at_least: Span::seconds(600),
            slowest: ByteSize(2 << 10),
            socket_buffer: ByteSize(76 << 10),
            fast_socket_buffer: ByteSize(256 << 10),
            fast_downloads: 256,
        }
    }
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self {
            unknown_devices: UnknownDevices::Open.name().to_owned(),
            default_product: String::new(),
            unknown_devices_most: 10_000,
            new_devices_per_address: 100,
        }
    }
}

impl FleetConfig {
    /// The same as a policy for decisions.
    pub(crate) fn policy(&self) -> Result<FleetPolicy, ConfigError> {
        let unknown_devices = self.unknown_devices.parse();
        let default_product = match self.default_product.as_str() {
            "" => Ok(None),
            name => name.parse().map(Some),
        };
        Ok(FleetPolicy {
            unknown_devices: unknown_devices.map_err(|_| {
                ConfigError::value("fleet.unknown_devices", "it is one of open, pending, closed")
            })?,
            default_product: default_product.map_err(|error: crate::fleet::BadName| {
                ConfigError::value("fleet.default_product", error.to_string())
            })?,
        })
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connections_per_address: 1024,
            downloads_per_device: 2,
            head_size: ByteSize(16 << 10),
            head: Span::seconds(30),
            idle: Span::seconds(30),
            drain: Span::seconds(30),
        }
    }
}

impl LogLevel {
    /// Every name a level can be given by.
    pub const NAMES: [(&'static str, Self); 9] = [
        ("critical", Self::Critical),
        ("fatal", Self::Critical),
        ("error", Self::Error),
        ("warning", Self::Warning),
        ("warn", Self::Warning),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
        ("notset", Self::Trace),
    ];
}

impl std::str::FromStr for LogLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        named.map(|(_, level)| *level).ok_or_else(|| {
            format!(
                "unknown level {text:?}: it is one of critical, error, warning (or warn), info, debug, \
                 trace"
            )
        })
    }
}

impl std::str::FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("unknown log format {text:?}: it is one of auto, text, json")),
        }
    }
}

/// The addresses of a host name or address.
fn resolve(bind: &str, ports: &[u16]) -> Result<Vec<SocketAddr>, ConfigError> {
    let host: IpAddr = match bind.parse() {
        Ok(address) => address,
        Err(_) => (bind, 0)
            .to_socket_addrs()
            .ok()
            .and_then(|mut addresses| addresses.next())
            .map(|address| address.ip())
            .ok_or_else(|| {
                ConfigError::value("bind", format!("{bind:?} is no address of this machine"))
            })?,
    };
    Ok(ports.iter().map(|&port| SocketAddr::new(host, port)).collect())
}

/// The folder of the catalog, as it must be for the server to start.
fn check_catalog(path: &Path) -> Result<(), ConfigError> {
    let problem = |message: String| Err(ConfigError::value("catalog", message));
    match std::fs::metadata(path) {
        Err(error) => problem(format!("cannot use {} as the catalog: {error}", path.display())),
        Ok(metadata) if !metadata.is_dir() => problem(format!(
            "{} is no folder; give the folder your .bin files are in",
            path.display()
        )),
        Ok(_) => match std::fs::read_dir(path) {
            Ok(_) => Ok(()),
            Err(error) => problem(format!("cannot list {}: {error}", path.display())),
        },
    }
}
