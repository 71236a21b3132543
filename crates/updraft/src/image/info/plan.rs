//! What happens in a device's flash when a file is installed over the air: step by step, which bytes
//! hold what. The rules are core's; here they are only laid out.

use updraft_core::{Facts, Family, FilesystemKind, Kind, OtaTarget, gates};

use crate::image::flash::FlashLayout;

mod esp32;
mod esp8266;

/// An update, step by step.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// The layout it is made for, by its name.
    pub(super) layout: String,
    /// Bytes of flash that are drawn.
    pub(super) flash: u64,
    /// What holds it back, in words; empty if it fits.
    pub(super) problems: Vec<String>,
    /// What holds it back in no way, and yet should be known.
    pub(super) notes: Vec<String>,
    /// The steps; the last ones are missing if it does not come so far.
    pub(super) steps: Vec<Step>,
}

/// One step.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// What is done, in words.
    pub(super) title: String,
    /// What the flash holds then, in the order of the offsets. What overlaps is an [`Use::Clash`]
    /// of its own, at the end.
    pub(super) places: Vec<Place>,
}

/// A range of the flash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Its first byte.
    pub(super) start: u64,
    /// Behind its last byte.
    pub(super) end: u64,
    /// What it is used for.
    pub(super) usage: Use,
    /// What it is, in words.
    pub(super) name: String,
}

/// What a range of the flash is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Use {
    /// The sketch that runs before the update.
    Old,
    /// The sketch that is installed.
    New,
    /// The file as it was received, until it is copied.
    Staged,
    /// The filesystem.
    Filesystem,
    /// What the device keeps for itself.
    System,
    /// Nothing.
    Free,
    /// Two things at once: it does not fit.
    Clash,
}

/// What is asked: the file, and what the device runs.
#[derive(Clone, Copy)]
pub(super) struct Update<'a> {
    /// The file to install.
    pub(super) new: &'a Facts,
    /// The image that runs; without one a sketch as long as the new one.
    pub(super) running: Option<&'a Facts>,
}

impl Plan {
    /// The plan for installing a file in a flash that is divided like this.
    pub(super) fn new(update: Update<'_>, layout: &FlashLayout) -> Self {
        let never = |problem| {
            let layout = layout.name().to_owned();
            Self { layout, problems: vec![problem], ..Self::default() }
        };
        let family = layout.family();
        let image = match gates::Image::new(update.new) {
            Ok(image) => image,
            Err(reason) => return never(reason.to_string()),
        };
        let Some(target) = image.target else { return never("not recognised".to_owned()) };
        let images = [Some(update.new), update.running].into_iter().flatten();
        if let Some(other) = images.filter_map(Facts::family).find(|&other| other != family) {
            let problem =
                format!("the layout is one of the {family}, the image is for the {other}");
            return never(problem);
        }
        let Layout { mut plan, device } = match layout {
            FlashLayout::Esp8266(layout) => esp8266::plan(update, target, layout),
            FlashLayout::Esp32 { name, table } => esp32::plan(update, target, name, table),
        };
        let device = gates::Device {
            family,
            chip: update.running.and_then(|running| running.chip),
            asks_for: target,
            flash_mode: mode(update, family),
            ..device
        };
        let reasons = gates::RULES.iter().filter_map(|rule| rule(&image, &device));
        plan.problems.extend(reasons.map(|reason| reason.to_string()));
        plan.notes.extend(other_length(update.new, &device));
        plan
    }
}

/// `LittleFS` and SPIFFS are only mounted if they have as many blocks as the device counts.
fn other_length(image: &Facts, device: &gates::Device) -> Option<String> {
    if image.kind == Kind::Filesystem(FilesystemKind::Fat) {
        return None;
    }
    let (blocks, has) = (image.blocks?, device.filesystem_size?);
    let counted = has / u64::from(blocks.size.max(1));
    let (count, size) = (blocks.count, blocks.size);
    (u64::from(count) < counted).then(|| {
        format!(
            "it has {count} blocks of {size} bytes, the device {counted}: it may not be mounted"
        )
    })
}

/// The steps, and what they were made for.
struct Layout {
    plan: Plan,
    device: gates::Device,
}

/// Flash mode of the image that runs, where it matters.
fn mode(update: Update<'_>, family: Family) -> Option<u8> {
    let flash = update.running?.flash.filter(|_| family == Family::Esp8266)?;
    Some(flash.mode.byte())
}

impl Update<'_> {
    /// Bytes of the sketch that runs: that of a file given, else as many as the new one has, should
    /// they fit into `slot`. 0 is not known.
    fn old_size(&self, target: OtaTarget, slot: u64) -> u64 {
        let of_new = match target {
            OtaTarget::Sketch => Some(self.installed_size()).filter(|&size| size <= slot),
            OtaTarget::Filesystem => None,
        };
        let given = self.running.map(|running| running.sizes.sketch.map(u64::from));
        given.unwrap_or(of_new).unwrap_or_default()
    }

    /// The first step, in words, while a sketch of so many bytes runs.
    fn first_title(&self, old: u64) -> &'static str {
        match (self.running, old) {
            (Some(_), _) => "the device runs the image given",
            (None, 0) => "the device runs some sketch",
            (None, _) => "the device runs a sketch as large as the new one",
        }
    }

    /// Bytes of the new image once it is in its place.
    fn installed_size(&self) -> u64 {
        self.new.inflated().unwrap_or(self.new.sizes.payload)
    }
}

impl Step {
    /// A step in which the flash holds this; what is not named is free.
    fn new(title: impl Into<String>, mut places: Vec<Place>, flash: u64) -> Self {
        places.retain(|place| place.start < place.end);
        places.sort_by_key(|place| place.start);
        let mut clashes = Vec::new();
        let mut free = Vec::new();
        let mut end = 0;
        for place in &places {
            if place.start > end {
                free.push(Place::new(end..place.start, Use::Free, "free"));
            } else if place.start < end {
                let both = place.start..end.min(place.end);
                clashes.push(Place::new(both, Use::Clash, "two things at once"));
            }
            end = end.max(place.end);
        }
        if end < flash {
            free.push(Place::new(end..flash, Use::Free, "free"));
        }
        places.extend(free);
        places.sort_by_key(|place| place.start);
        places.extend(clashes);
        Self { title: title.into(), places }
    }
}

impl Place {
    fn new(range: std::ops::Range<u64>, usage: Use, name: impl Into<String>) -> Self {
        Self { start: range.start, end: range.end, usage, name: name.into() }
    }
}

/// `bytes` in whole sectors.
fn sectors(bytes: u64) -> u64 {
    bytes.next_multiple_of(4096)
}
