//! An update of an ESP8266: staged right below the filesystem, copied to the start by eboot.

use updraft_core::{Esp8266Layout, Family, OtaTarget, gates};

use super::{Layout, Place, Plan, Step, Update, Use, sectors};

pub(super) fn plan(update: Update<'_>, target: OtaTarget, layout: &Esp8266Layout) -> Layout {
    let filesystem = u64::from(layout.filesystem().start)..u64::from(layout.filesystem().end);
    let old = update.old_size(target, filesystem.start);
    let free = layout.free_space(length(old));
    let device = gates::Device {
        family: Family::Esp8266,
        chip: None,
        asks_for: target,
        free_space: Some(free.into()),
        sketch_size: Some(old),
        chip_size: Some(layout.flash().into()),
        filesystem_size: Some(filesystem.end - filesystem.start),
        flash_mode: None,
    };
    let steps = match target {
        OtaTarget::Sketch => sketch(update, old, layout),
        OtaTarget::Filesystem => in_place(update, old, layout),
    };
    let (name, flash) = (layout.name().to_owned(), layout.flash().into());
    Layout { plan: Plan { layout: name, flash, steps, ..Plan::default() }, device }
}

fn sketch(update: Update<'_>, old: u64, layout: &Esp8266Layout) -> Vec<Step> {
    let before = update.first_title(old);
    let flash = layout.flash().into();
    let step = |title: &str, mut places: Vec<Place>| {
        places.extend(fixed(layout));
        Step::new(title, places, flash)
    };
    let (received, installed) = (update.new.sizes.file, update.installed_size());
    let end = layout.filesystem().start;
    let staging = layout.stage(length(received), length(old));
    // With too little room the updater reports an error; this is where it would be.
    let start = staging.map_or_else(|no| end.saturating_sub(no.needs), |staging| staging.start);
    let staged = u64::from(start)..u64::from(end);
    let old = Place::new(0..sectors(old), Use::Old, format!("the sketch that runs, {old} bytes"));
    let copy =
        |words: &str| Place::new(staged.clone(), Use::Staged, format!("{words}, {received} bytes"));
    let mut steps = vec![
        step(before, vec![old.clone()]),
        step(
            if staging.is_ok() {
                "the file was received and staged below the filesystem"
            } else {
                "the file would have to be staged over the sketch that runs"
            },
            vec![old, copy("the staged file")],
        ),
    ];
    if let Ok(staging) = staging {
        let (title, name) = match update.new.gzip {
            None => ("after a restart eboot has copied it", "what it was copied from"),
            Some(_) if staging.has_room_to_inflate(length(installed)) => {
                ("after a restart eboot has inflated it", "what it is inflated from")
            }
            Some(_) => ("eboot inflates over what it has not read yet", "what it is inflated from"),
        };
        let new = format!("the new sketch, {installed} bytes");
        let new = Place::new(0..sectors(installed), Use::New, new);
        // A plain copy may run over the part of the staged file that was read already.
        let mut left = copy(name);
        if update.new.gzip.is_none() {
            left.start = left.start.max(new.end);
        }
        steps.push(step(title, vec![new, left]));
    }
    steps
}

fn in_place(update: Update<'_>, old: u64, layout: &Esp8266Layout) -> Vec<Step> {
    let flash = layout.flash().into();
    let title = update.first_title(old);
    let mut before: Vec<_> = fixed(layout).into();
    let mut after = before.clone();
    if old > 0 {
        let old =
            Place::new(0..sectors(old), Use::Old, format!("the sketch that runs, {old} bytes"));
        before.push(old.clone());
        after.push(old);
    }
    let start = u64::from(layout.filesystem().start);
    let size = update.new.sizes.file;
    after.retain(|place| place.usage != Use::Filesystem);
    let name = format!("the new filesystem, {size} bytes");
    after.push(Place::new(start..start + sectors(size), Use::New, name));
    vec![
        Step::new(title, before, flash),
        Step::new("the file was received and written over the filesystem", after, flash),
    ]
}

/// As a flash counts: what is too long for any is as long as possible.
fn length(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// What no update moves.
fn fixed(layout: &Esp8266Layout) -> [Place; 3] {
    let filesystem = u64::from(layout.filesystem().start)..u64::from(layout.filesystem().end);
    let eeprom = u64::from(layout.eeprom());
    let flash = u64::from(layout.flash());
    [
        Place::new(filesystem, Use::Filesystem, "filesystem"),
        Place::new(eeprom..eeprom + 4096, Use::System, "EEPROM"),
        Place::new(eeprom + 4096..flash, Use::System, "settings of Espressif's SDK"),
    ]
}
