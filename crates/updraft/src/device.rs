//! `updraft device`: a simulated device beside a server. Arguments to the simulator, what happens to
//! lines; how a device updates itself is not known here.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::anyhow;
use updraft_agent::pull::{Scheme, Url};
use updraft_agent::{Permission, Policy as _, Regular, Situation, Use};
use updraft_core::{Chip, Esp8266Layout, Family, PartitionTable};
use updraft_pack::{Esp32Image, Esp8266Image};
use updraft_server::config::Env as _;
use updraft_sim::boot::eboot::Copied;
use updraft_sim::client::{Checked, Client, Event, Identity, Light};
use updraft_sim::{Device, Model};

use crate::failure::Failure;
use crate::image::{FlashLayout, chip};
use crate::serve::ProcessEnv;

/// The password of `--user`; not an option, which everybody on the computer could read.
const PASSWORD: &str = "UPDRAFT_DEVICE_PASSWORD";
/// Bytes of the firmware that a device starts with.
const FIRMWARE: usize = 16 << 10;

/// Simulate a device that updates itself from a server.
///
/// It has a flash, the boot loader of its chip and Updraft's own device software. A new image is
/// installed, and started by a restart; the flash can be kept in a file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    updraft device --chip esp8266 --flash 4m2m --path /door.bin --once\n  \
    updraft device --chip esp32 --server http://192.168.4.1:8000 --path /update/gate --interval 30s\n\n\
    Exit status: 0 done; 1 with --once, if the update failed, or if the device does not start; 2 if \
    the command was called wrongly. UPDRAFT_DEVICE_PASSWORD holds the password of --user.")]
pub(crate) struct DeviceArgs {
    /// The device's chip: esp8266, esp32, esp32s3, ...
    #[arg(long, value_parser = chip)]
    chip: Chip,
    /// How its flash is divided: a layout of the ESP8266 (4m2m, 1m64), a table of Arduino-ESP32
    /// (default, minimal), or the file of a partition table [default: 4m2m or default].
    #[arg(long, value_name = "LAYOUT", value_parser = FlashLayout::parse)]
    flash: Option<FlashLayout>,
    /// The server.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8000")]
    server: String,
    /// What to ask it for: a file of the catalog, or /update and a product.
    #[arg(long, value_name = "PATH", default_value = "/update")]
    path: String,
    /// Keep the flash in this file; it is made if there is none.
    #[arg(long, value_name = "FILE")]
    flash_file: Option<PathBuf>,
    /// The MAC address.
    #[arg(long, value_name = "MAC", default_value = "5C:CF:7F:00:00:01", value_parser = mac)]
    mac: [u8; 6],
    /// The version it says it has, until it is updated [default: what its image says].
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// From one question to the next: 10s, 5m, 1h.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    interval: Duration,
    /// Ask once; after an update restart, ask once more, and end.
    #[arg(long)]
    once: bool,
    /// Show the LED, which blinks during an update.
    #[arg(long)]
    led: bool,
    /// The name to log in with.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
}

/// Runs until it is told to stop, or with `--once` until the update is done.
pub(crate) fn run(args: &DeviceArgs) -> ExitCode {
    match simulate(args) {
        Ok(code) => code,
        Err(failure) => failure.end(),
    }
}

fn simulate(args: &DeviceArgs) -> Result<ExitCode, Failure> {
    let identity = identity(args)?;
    let model = model(args)?;
    let image = firmware(&model)?;
    let device = match &args.flash_file {
        Some(path) => Device::open(model, path, &image).map_err(|error| {
            Failure::usage(format_args!(
                "--flash-file {}: {:#}; it must be of a device with this --chip and --flash",
                path.display(),
                anyhow!(error)
            ))
        })?,
        None => Device::new(model, &image).map_err(Failure::usage)?,
    };
    let mut client = Client::start(device, identity).map_err(dead)?;
    let mut log = Log { led: args.led, ..Log::default() };
    log.line(format_args!("{} at {}{}", args.chip, args.server, args.path));
    log.running(&client);
    if args.once { once(&mut client, &mut log) } else { forever(&mut client, &mut log, args) }
}

/// One update: the image that it brings is asked after once more, which confirms it.
fn once(client: &mut Client, log: &mut Log) -> Result<ExitCode, Failure> {
    let mut checked = check(client, log)?;
    if checked == Checked::WasOnTrial {
        checked = check(client, log)?;
    }
    if checked == Checked::Staged {
        restart(client, log)?;
        checked = check(client, log)?;
        if checked == Checked::Staged {
            restart(client, log)?;
        }
    }
    Ok(match checked {
        Checked::Failed { .. } => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

fn forever(client: &mut Client, log: &mut Log, args: &DeviceArgs) -> Result<ExitCode, Failure> {
    let policy = Regular { interval: args.interval, ..Regular::default() };
    let mut failures = 0_u8;
    loop {
        match check(client, log)? {
            Checked::Staged => {
                restart(client, log)?;
                continue;
            }
            Checked::WasOnTrial => continue,
            Checked::UpToDate => failures = 0,
            Checked::Failed { .. } => failures = failures.saturating_add(1),
        }
        let trial = client.trial().map_err(Failure::no)?;
        let now =
            Situation { since_check: Some(Duration::ZERO), failures, trial, in_use: Use::Idle };
        if let Permission::Later(wait) = policy.may_check(&now) {
            thread::sleep(wait);
        }
    }
}

fn check(client: &mut Client, log: &mut Log) -> Result<Checked, Failure> {
    let checked = client.check(&mut |event| log.event(event)).map_err(Failure::no)?;
    match &checked {
        Checked::UpToDate => log.line("nothing newer (304)"),
        Checked::Staged => log.line("staged and checked"),
        Checked::WasOnTrial => log.line("an image is offered, but the running one was on trial"),
        Checked::Failed { number, text } => log.line(format_args!("failed: {text} ({number})")),
    }
    Ok(checked)
}

fn restart(client: &mut Client, log: &mut Log) -> Result<(), Failure> {
    log.line("restart");
    match client.restart().map_err(dead)? {
        Some(Copied::Done) => log.line("eboot: copied"),
        Some(copied) => log.line(format_args!("eboot: not copied, {copied:?}")),
        None => {}
    }
    log.running(client);
    Ok(())
}

/// The device does not start.
fn dead(fault: impl Display) -> Failure {
    Failure::no(anyhow!(
        "the device does not start: {fault}; flash it anew: remove its --flash-file"
    ))
}

fn identity(args: &DeviceArgs) -> Result<Identity, Failure> {
    let separator = if args.path.starts_with('/') { "" } else { "/" };
    let url = format!("{}{separator}{}", args.server.trim_end_matches('/'), args.path);
    let usage = |problem: &dyn Display| {
        Failure::usage(format_args!("{url}: {problem}; --server http://HOST:PORT and --path /PATH"))
    };
    match Url::parse(&url) {
        Ok(parsed) if parsed.scheme() == Scheme::Https => {
            return Err(usage(&"a simulated device has no TLS"));
        }
        Ok(_) => {}
        Err(fault) => return Err(usage(&fault)),
    }
    let credentials = match (&args.user, ProcessEnv.var(PASSWORD)) {
        (None, _) => None,
        (Some(user), Some(password)) => Some((user.clone(), password)),
        (Some(_), None) => {
            return Err(Failure::usage(format_args!("--user needs the password in {PASSWORD}")));
        }
    };
    Ok(Identity { url, mac: args.mac, version: args.version.clone(), credentials })
}

fn model(args: &DeviceArgs) -> Result<Model, Failure> {
    let family = args.chip.family();
    let layout = match (&args.flash, family) {
        (Some(layout), _) => Some(layout.clone()),
        (None, Family::Esp8266) => Esp8266Layout::named("4m2m").map(FlashLayout::Esp8266),
        (None, Family::Esp32) => PartitionTable::standard("default")
            .map(|table| FlashLayout::Esp32 { name: "default".to_owned(), table: table.into() }),
    };
    let layout = layout.ok_or_else(|| Failure::usage("--flash is missing"))?;
    match layout {
        FlashLayout::Esp8266(layout) if family == Family::Esp8266 => Ok(Model::Esp8266(layout)),
        FlashLayout::Esp32 { table, .. } if family == Family::Esp32 => {
            let size = flash_size(&table);
            Ok(Model::esp32(args.chip, *table, size))
        }
        other => Err(Failure::usage(format_args!(
            "--flash {} is not for the {}",
            other.name(),
            args.chip
        ))),
    }
}

/// The smallest flash that holds the table, of those that are made.
fn flash_size(table: &PartitionTable) -> u32 {
    let sizes = [2, 4, 8, 16_u32].map(|mib| mib << 20);
    sizes.into_iter().find(|size| table.fits(*size).is_ok()).unwrap_or(32 << 20)
}

/// The image that a new device has.
fn firmware(model: &Model) -> Result<Vec<u8>, Failure> {
    let image = match model {
        Model::Esp8266(layout) => {
            Esp8266Image::new().flash_size(layout.flash()).filler(FIRMWARE, 0).build()
        }
        Model::Esp32 { loader, .. } => {
            Esp32Image::new(loader.chip).version("0.0.0").filler(FIRMWARE, 0).build()
        }
    };
    image.map_err(Failure::usage)
}

fn mac(text: &str) -> Result<[u8; 6], String> {
    let problem = || "not a MAC address, as 5C:CF:7F:00:00:01".to_owned();
    let mut mac = [0; 6];
    let mut bytes = text.split([':', '-']);
    for slot in &mut mac {
        let byte = bytes.next().filter(|byte| byte.len() == 2).ok_or_else(problem)?;
        *slot = u8::from_str_radix(byte, 16).map_err(|_| problem())?;
    }
    if bytes.next().is_some() { Err(problem()) } else { Ok(mac) }
}

fn time(text: &str) -> Result<Duration, String> {
    let problem = || "not a time, as 10s, 5m or 1h".to_owned();
    let unit = text.chars().next_back().ok_or_else(problem)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return Err(problem()),
    };
    let number: u32 = text.strip_suffix(unit).and_then(|n| n.parse().ok()).ok_or_else(problem)?;
    match number {
        0 => Err("it must be longer than nothing".to_owned()),
        _ => Ok(Duration::from_secs(u64::from(number) * seconds)),
    }
}

/// Lines on standard output; the LED blinks in a line of its own.
#[derive(Default)]
struct Log {
    led: bool,
    /// Whether the line of the LED has not ended.
    blinks: bool,
    tenths: u32,
}

impl Log {
    fn line(&mut self, text: impl Display) {
        let end = if std::mem::take(&mut self.blinks) { "\n" } else { "" };
        put(format_args!("{end}{text}\n"));
    }

    fn running(&mut self, client: &Client) {
        let running = client.running();
        let version = client.version().map(|version| format!(" version {version}"));
        let md5 = running.md5.iter().fold(String::new(), |md5, byte| md5 + &format!("{byte:02x}"));
        let slot = running.slot.map(|slot| format!(" from {slot:?}"));
        self.line(format_args!(
            "runs{}{}: {} bytes, MD5 {md5}",
            version.unwrap_or_default(),
            slot.unwrap_or_default(),
            running.size
        ));
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Checking => self.line("check"),
            Event::Offered(image) => {
                self.tenths = 0;
                let version = image.version.map(|version| format!(", version {version}"));
                self.line(format_args!(
                    "offered: {} bytes{}",
                    image.size,
                    version.unwrap_or_default()
                ));
            }
            Event::Progress(progress) => {
                let total = progress.total.known().unwrap_or_default().max(1);
                let tenths = u64::from(progress.written) * 10 / u64::from(total);
                let tenths = u32::try_from(tenths).unwrap_or(10);
                if tenths > self.tenths {
                    self.tenths = tenths;
                    self.line(format_args!("written: {tenths}0 %"));
                }
            }
            Event::Light(light) if self.led => {
                self.blinks = true;
                put(match light {
                    Light::On => "●",
                    Light::Off => "○",
                });
            }
            Event::Light(_) => {}
            Event::Confirmed => self.line("confirmed: this image stays"),
        }
    }
}

fn put(text: impl Display) {
    // Nobody is left to be told if this fails.
    let mut out = io::stdout().lock();
    let _ = write!(out, "{text}").and_then(|()| out.flush());
}
