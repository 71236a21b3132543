//! Which release a device is to go to, and whether what it runs may be replaced at all.

use std::cmp::Ordering;
use std::time::Duration;

use jiff::Timestamp;

use crate::fleet::{
    Device, Edition, LastTwo, Line, SketchDigest, UnknownBuild, UnknownVersion, Version, since,
};

use super::reason::{Build, Hold};
use super::runs::Runs;
use super::step::{Replaceable, TargetBy};

/// The release that a device is assigned to: by its pin, else by its channel.
pub(super) fn assigned<'a>(
    line: &'a Line,
    device: Option<&'a Device>,
) -> Result<(&'a Edition, TargetBy<'a>), Hold> {
    if let Some(pin) = device.and_then(|device| device.pin) {
        let edition = line.editions.get(&pin).ok_or(Hold::PinGone)?;
        return Ok((edition, TargetBy::Pin));
    }
    let channel = device.and_then(|device| device.channel.as_ref());
    let channel = channel.unwrap_or(&line.product.settings.default_channel);
    let edition = line.on_channel(channel).ok_or_else(|| Hold::NothingReleased(channel.clone()))?;
    Ok((edition, TargetBy::Channel(channel)))
}

/// The lowest version that a device on its way to `target` must not skip, as a release; `None`: there
/// is none on its way.
pub(super) fn floor<'a>(
    line: &'a Line,
    target: &Edition,
    version: Option<&Version>,
) -> Result<Option<&'a Edition>, Hold> {
    let settings = &line.product.settings;
    let mut floors: Vec<(&str, Version)> = settings
        .floors
        .iter()
        .map(|text| (text.as_str(), line.version(text)))
        .filter(|(_, floor)| floor.is_lower_than(&target.version))
        .collect();
    floors.sort_by(|(_, a), (_, b)| a.order(b).unwrap_or(Ordering::Equal));
    for (text, floor) in floors {
        match version.and_then(|version| version.order(&floor)) {
            Some(order) if order.is_ge() => continue,
            Some(_) => {}
            None => match settings.unknown_version {
                UnknownVersion::Hold => return Err(Hold::FloorUnknown(text.to_owned())),
                UnknownVersion::Skip => return Ok(None),
                UnknownVersion::Floor => {}
            },
        }
        let is_floor = |edition: &&Edition| {
            edition.release.yanked.is_none()
                && edition.version.order(&floor).is_some_and(Ordering::is_eq)
        };
        let edition = line.editions.values().rev().find(is_floor);
        return match edition {
            Some(edition) => Ok(Some(edition)),
            None => Err(Hold::FloorMissing(text.to_owned())),
        };
    }
    Ok(None)
}

/// Whether the build that it runs may be replaced; `None`: it is no unknown one.
pub(super) fn replaceable(
    line: &Line,
    target: &Edition,
    device: Option<&Device>,
    runs: &Runs<'_>,
) -> Result<Option<Replaceable>, Hold> {
    let reported = match *runs {
        Runs::Image { .. } | Runs::Version(_) => return Ok(None),
        Runs::Unknown { digest, .. } if is_adopted(device, digest) => {
            return Ok(Some(Replaceable::Adopted));
        }
        Runs::Unknown { reported, .. } => reported,
        Runs::Nothing => None,
    };
    let stays = |why| Err(Hold::UnknownBuild(why));
    match line.product.settings.unknown_build {
        UnknownBuild::Replace => return Ok(Some(Replaceable::Policy)),
        UnknownBuild::Hold => return stays(Build::Kept),
        UnknownBuild::OlderOnly => {}
    }
    let Some(version) = reported.map(|text| line.version(text)) else {
        return stays(Build::NoVersion);
    };
    if version.is_dirty() {
        return stays(Build::Dirty);
    }
    match version.order(&target.version) {
        None => stays(Build::Unordered),
        Some(order) if order.is_ge() => stays(Build::NotLower),
        Some(_) => Ok(Some(Replaceable::Older)),
    }
}

fn is_adopted(device: Option<&Device>, digest: SketchDigest) -> bool {
    device.is_some_and(|device| device.adopted == Some(digest))
}

/// Somebody flashes the device again and again after it confirmed what it was sent.
pub(super) fn is_fought_over(strays: &LastTwo, now: Timestamp) -> bool {
    const DAY: Duration = Duration::from_hours(24);
    let (Some(last), Some(before)) = (strays.last, strays.before) else { return false };
    // Forgotten as failed tries are, if no person does it.
    since(before, last) < DAY && since(last, now) < 7 * DAY
}
