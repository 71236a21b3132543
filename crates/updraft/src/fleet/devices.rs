//! `updraft devices`: what is registered, and what people decide for it.

use serde_json::json;
use updraft_server::api::wire::{Device, DeviceDetail, Explanation, PatchDevice};
use ureq::http::Method;

use super::screen::{self, Screen, or_dash};
use crate::client::{ApiArgs, Client, Path};
use crate::failure::Failure;

/// Look at devices, and decide for them. A device is named by name, MAC or number.
#[derive(Debug, clap::Args)]
pub(crate) struct DevicesArgs {
    #[command(flatten)]
    pub(super) api: ApiArgs,
    #[command(subcommand)]
    command: DevicesCommand,
}

#[derive(Debug, clap::Subcommand)]
enum DevicesCommand {
    /// List devices: all, or those that fit.
    #[command(after_help = "Example:\n  updraft devices list --product door --tag kitchen")]
    List {
        /// Of this product.
        #[arg(long)]
        product: Option<String>,
        /// With this tag.
        #[arg(long)]
        tag: Option<String>,
        /// Those that run this digest.
        #[arg(long, value_name = "DIGEST")]
        running: Option<String>,
        /// Those that wait to be let in.
        #[arg(long)]
        pending: bool,
    },
    /// Show a device with its attempts.
    #[command(after_help = "Example:\n  updraft devices show \"front door\"")]
    Show { device: String },
    /// Say what a device would get now, and why.
    #[command(after_help = "Example:\n  updraft devices explain AA:BB:CC:DD:EE:FF")]
    Explain {
        device: String,
        /// Of which part.
        #[arg(long, default_value = "sketch", value_parser = ["sketch", "filesystem"])]
        part: String,
    },
    /// Give a device a name; without one it loses its own.
    #[command(after_help = "Example:\n  updraft devices name AA:BB:CC:DD:EE:FF \"front door\"")]
    Name { device: String, name: Option<String> },
    /// Put tags on a device, or take them off.
    #[command(after_help = "Example:\n  updraft devices tag 7 kitchen --off garage")]
    Tag {
        device: String,
        /// Tags to put on.
        tags: Vec<String>,
        /// A tag to take off; may be repeated.
        #[arg(long, value_name = "TAG")]
        off: Vec<String>,
    },
    /// Tie a device to a version of its product; without one it is free again.
    #[command(after_help = "Example:\n  updraft devices pin 7 1.2.0")]
    Pin { device: String, version: Option<String> },
    /// Give a device nothing: something is wrong with it.
    #[command(after_help = "Example:\n  updraft devices block 7")]
    Block {
        device: String,
        /// It is well again.
        #[arg(long)]
        undo: bool,
    },
    /// Let a device in that waits.
    #[command(after_help = "Example:\n  updraft devices accept 7")]
    Accept { device: String },
    /// Give up the build of nobody's that a device runs: it may be replaced.
    #[command(after_help = "Example:\n  updraft devices adopt 7")]
    Adopt {
        device: String,
        /// It may not, after all.
        #[arg(long)]
        undo: bool,
    },
    /// Let a device try again what it failed at too often.
    #[command(after_help = "Example:\n  updraft devices retry 7")]
    Retry { device: String },
    /// Set what no device says of itself, and where it belongs. An empty text takes a value away.
    #[command(after_help = "Example:\n  updraft devices set 7 --product door --chip esp32c3")]
    Set {
        device: String,
        #[command(flatten)]
        values: ValueArgs,
    },
    /// Give a device nothing: a person works on it.
    #[command(after_help = "Example:\n  updraft devices hands-off 7")]
    HandsOff {
        device: String,
        /// The work is done.
        #[arg(long)]
        undo: bool,
    },
    /// Forget a device. It is registered anew if it calls again.
    #[command(after_help = "Example:\n  updraft devices remove 7")]
    Remove {
        device: String,
        /// Ask nothing.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
struct ValueArgs {
    /// Its product.
    #[arg(long)]
    product: Option<String>,
    /// The channel that it follows.
    #[arg(long)]
    channel: Option<String>,
    /// Its chip.
    #[arg(long)]
    chip: Option<String>,
    /// What is to be known about it.
    #[arg(long)]
    notes: Option<String>,
    /// Whether it may be sent a gzip.
    #[arg(long, value_parser = ["always", "never", "unproven"])]
    gzip: Option<String>,
    /// Bytes of its filesystem; 0: not known.
    #[arg(long, value_name = "BYTES")]
    filesystem_size: Option<u64>,
    /// It is one module after all, not two with one MAC.
    #[arg(long)]
    no_conflict: bool,
}

pub(super) fn run(args: &DevicesArgs, screen: &mut Screen<'_>) -> Result<(), Failure> {
    use DevicesCommand as Cmd;

    let client = args.api.client()?;
    let none = PatchDevice::default();
    let (device, patch) = match &args.command {
        Cmd::List { product, tag, running, pending } => {
            let mut path = Path::of(&["devices"]);
            let pending = pending.then(|| "pending".to_owned());
            let wanted =
                [("product", product), ("tag", tag), ("running", running), ("admission", &pending)];
            for (name, value) in wanted {
                path = value.iter().fold(path, |path, value| path.query(name, value));
            }
            let all: Vec<Device> = client.all(&path)?;
            return screen.show(&all, |all, screen| list(all, screen));
        }
        Cmd::Show { device } => {
            let detail: DeviceDetail = client.get(&Path::of(&["devices", device]))?;
            return screen.show(&detail, detailed);
        }
        Cmd::Explain { device, part } => {
            let path = Path::of(&["devices", device, "explain"]).query("part", part);
            let explanation: Explanation = client.get(&path)?;
            return screen.show(&explanation, explain);
        }
        Cmd::Retry { device } => {
            let path = Path::of(&["devices", device, "retry"]);
            let device: Device = client.change(Method::POST, &path, &json!({}))?;
            return screen.show(&device, say);
        }
        Cmd::Remove { device, yes } => {
            if !yes {
                screen::agree(&format!("{device} is forgotten, with all that it did."))?;
            }
            client.delete(&Path::of(&["devices", device]))?;
            return screen.show(&json!({ "removed": device }), |_, screen| {
                screen.line(format_args!("{device} is forgotten"))
            });
        }
        Cmd::Name { device, name } => (device, PatchDevice { name: Some(name.clone()), ..none }),
        Cmd::Tag { device, tags, off } => {
            (device, PatchDevice { add_tags: tags.clone(), remove_tags: off.clone(), ..none })
        }
        Cmd::Pin { device, version } => {
            (device, PatchDevice { pin: Some(version.clone()), ..none })
        }
        Cmd::Block { device, undo } => (device, PatchDevice { block: Some(!undo), ..none }),
        Cmd::Accept { device } => (device, PatchDevice { accept: Some(true), ..none }),
        Cmd::Adopt { device, undo } => (device, PatchDevice { adopt: Some(!undo), ..none }),
        Cmd::HandsOff { device, undo } => (device, PatchDevice { hands_off: Some(!undo), ..none }),
        Cmd::Set { device, values } => (device, values.patch()),
    };
    if patch == PatchDevice::default() {
        return Err(Failure::usage("nothing to change; --help says what there is"));
    }
    let device = change(&client, device, &patch)?;
    screen.show(&device, say)
}

fn change(client: &Client, device: &str, patch: &PatchDevice) -> Result<Device, Failure> {
    client.change(Method::PATCH, &Path::of(&["devices", device]), patch)
}

impl ValueArgs {
    fn patch(&self) -> PatchDevice {
        let or_none = |text: &Option<String>| {
            text.clone().map(|text| Some(text).filter(|text| !text.is_empty()))
        };
        PatchDevice {
            product: or_none(&self.product),
            channel: or_none(&self.channel),
            chip: or_none(&self.chip),
            notes: self.notes.clone(),
            gzip: self.gzip.clone(),
            filesystem_size: self.filesystem_size.map(|size| (size != 0).then_some(size)),
            no_conflict: self.no_conflict.then_some(true),
            ..PatchDevice::default()
        }
    }
}

fn list(all: &[Device], screen: &mut Screen<'_>) -> Result<(), Failure> {
    let rows = all.iter().map(|device| {
        [
            device.id.to_string(),
            or_dash(device.name.as_ref()),
            device.identity.clone(),
            or_dash(device.product.as_ref()),
            or_dash(device.reported.version.as_ref()),
            or_dash(device.last_seen),
            condition(device),
        ]
    });
    screen.table(["ID", "NAME", "DEVICE", "PRODUCT", "VERSION", "LAST SEEN", "STATE"], rows)
}

/// What keeps a device from getting anything.
fn condition(device: &Device) -> String {
    let states = [
        (device.blocked, "blocked"),
        (device.hands_off, "hands-off"),
        (device.conflict_since.is_some(), "conflict"),
        (device.pin.is_some(), "pinned"),
        (device.admission == "pending", "pending"),
    ];
    let states: Vec<_> = states.iter().filter(|state| state.0).map(|state| state.1).collect();
    if states.is_empty() { "-".to_owned() } else { states.join(",") }
}

fn say(device: &Device, screen: &mut Screen<'_>) -> Result<(), Failure> {
    let name = device.name.as_deref().unwrap_or(&device.identity);
    screen.line(format_args!("{name} ({})", device.id))?;
    let said = &device.reported;
    let tags = device.tags.join(", ");
    let fields = [
        ("identity", Some(&device.identity)),
        ("chip", device.chip.as_ref().or(Some(&device.family))),
        ("product", device.product.as_ref()),
        ("channel", device.channel.as_ref()),
        ("tags", Some(&tags).filter(|tags| !tags.is_empty())),
        ("notes", Some(&device.notes).filter(|notes| !notes.is_empty())),
        ("version", said.version.as_ref()),
        ("running", said.running.as_ref()),
        ("address", said.address.as_ref()),
        ("gzip", Some(&device.gzip)),
        ("state", Some(&condition(device))),
    ];
    fields.into_iter().try_for_each(|(name, value)| screen.field(&format!("  {name}"), value))?;
    screen.field("  first seen", Some(device.first_seen))?;
    screen.field("  last seen", device.last_seen)
}

fn detailed(detail: &DeviceDetail, screen: &mut Screen<'_>) -> Result<(), Failure> {
    say(&detail.device, screen)?;
    screen.field("  image", detail.running_image.as_ref())?;
    screen.field("  pinned to", detail.pin_version.as_ref())?;
    if detail.attempts.is_empty() {
        return Ok(());
    }
    screen.line("")?;
    let rows = detail.attempts.iter().map(|attempt| {
        [
            attempt.id.to_string(),
            attempt.part.clone(),
            attempt.version.clone().unwrap_or_else(|| attempt.image.chars().take(12).collect()),
            attempt.state.clone(),
            attempt.state_since.to_string(),
            format!("{}/{}", attempt.acknowledged, attempt.size),
            or_dash(attempt.cause.as_ref()),
        ]
    });
    screen.table(["ID", "PART", "TO", "STATE", "SINCE", "BYTES", "CAUSE"], rows)
}

fn explain(explanation: &Explanation, screen: &mut Screen<'_>) -> Result<(), Failure> {
    for step in &explanation.steps {
        screen.line(format_args!("  {:<8}{}", step.mark, step.words))?;
    }
    screen.line(&explanation.words)
}
