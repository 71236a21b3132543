//! Which image of a release a device gets: for its chip, for its flash, as gzip or plain.

use std::cmp::Reverse;

use updraft_core::{Chip, Family, gates};

use crate::decide::as_file;
use crate::fleet::{Edition, GzipPolicy, GzipUse, Line, Part, ReleaseImage, StoredImage};

use super::reason::{Hold, NoGzip};
use super::{Call, Form, Rows};

/// An image that was chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice<'a> {
    pub(super) stored: &'a StoredImage,
    pub(super) form: Form,
    /// Why it is no gzip, where there is one.
    pub(super) plain: Option<NoGzip>,
}

/// The image of a release for a device.
pub(super) fn choose<'a>(
    call: &Call<'_>,
    rows: &Rows<'a>,
    line: &Line,
    edition: &'a Edition,
    device: &gates::Device,
) -> Result<Choice<'a>, Hold> {
    let part = Part::asked_for(call.check_in);
    let mut images: Vec<&ReleaseImage> = edition.images(part).collect();
    if images.is_empty() {
        return Err(Hold::NoImage(part));
    }
    for_family(&mut images, device.family)?;
    for_chip(&mut images, device.chip)?;
    for_flash(&mut images, device.chip_size)?;

    let stored = |image: &&ReleaseImage| rows.published.image(&image.image);
    let known: Vec<&StoredImage> = images.iter().filter_map(stored).collect();
    let gzip = known.iter().find(|stored| stored.image.inflated.is_some());
    let plain = known.iter().find(|stored| stored.image.inflated.is_none());
    let Some(gzip) = gzip else {
        let stored = plain.ok_or(Hold::Gone)?;
        return Ok(Choice { stored, form: Form::Plain, plain: None });
    };
    match (takes_gzip(gzip, rows, line, part, device), plain) {
        (Ok(()), _) => Ok(Choice { stored: gzip, form: Form::Gzip, plain: None }),
        (Err(why), Some(stored)) => Ok(Choice { stored, form: Form::Plain, plain: Some(why) }),
        (Err(why), None) => Err(Hold::OnlyGzip(why)),
    }
}

fn for_family(images: &mut Vec<&ReleaseImage>, family: Family) -> Result<(), Hold> {
    let other = images.iter().find_map(|image| image.chip).map(Chip::family);
    images.retain(|image| image.chip.is_none_or(|chip| chip.family() == family));
    match (images.is_empty(), other) {
        (true, Some(other)) => Err(Hold::Device(gates::Reason::Family(other))),
        _ => Ok(()),
    }
}

/// Those for its chip; what is for any chip only where there is nothing of its own.
fn for_chip(images: &mut Vec<&ReleaseImage>, chip: Option<Chip>) -> Result<(), Hold> {
    let mut chips: Vec<Chip> = images.iter().filter_map(|image| image.chip).collect();
    chips.sort_unstable();
    chips.dedup();
    let chip = match (chip, chips.as_slice()) {
        (_, []) => return Ok(()),
        (Some(chip), [first, ..]) => {
            let is_any = images.iter().any(|image| image.chip.is_none());
            if !chips.contains(&chip) && !is_any {
                let reason = gates::Reason::Chip { image: *first, device: chip };
                return Err(Hold::Device(reason));
            }
            chip
        }
        (None, [only]) => *only,
        (None, _) => return Err(Hold::ChipUnknown(chips)),
    };
    let has_own = chips.contains(&chip);
    images.retain(|image| if has_own { image.chip == Some(chip) } else { image.chip.is_none() });
    Ok(())
}

/// Those for the largest flash that is no larger than its own; for the smallest, if its own is not
/// known. What names no flash is for any, and comes last.
fn for_flash(images: &mut Vec<&ReleaseImage>, chip_size: Option<u64>) -> Result<(), Hold> {
    let sizes = || images.iter().filter_map(|image| image.flash_size);
    let fits = |size: &u32| chip_size.is_none_or(|chip| u64::from(*size) <= chip);
    let best = match chip_size {
        Some(_) => sizes().filter(fits).max(),
        None => sizes().min(),
    };
    let is_any = images.iter().any(|image| image.flash_size.is_none());
    if let (None, false, Some(smallest), Some(chip)) = (best, is_any, sizes().min(), chip_size) {
        return Err(Hold::Device(gates::Reason::FlashSize { image: smallest.into(), chip }));
    }
    images.retain(|image| image.flash_size == best);
    // A stable choice among what is left, should a release have several.
    images.sort_by_key(|image| Reverse(image.image));
    Ok(())
}

/// Whether a device is to be sent a gzip.
fn takes_gzip(
    gzip: &StoredImage,
    rows: &Rows<'_>,
    line: &Line,
    part: Part,
    device: &gates::Device,
) -> Result<(), NoGzip> {
    if device.family != Family::Esp8266 || part != Part::Sketch {
        return Err(NoGzip::CannotInflate);
    }
    let used = rows.device.map_or(GzipUse::Unproven, |device| device.gzip);
    match (line.product.settings.gzip, used) {
        (GzipPolicy::Never, _) | (_, GzipUse::Never) => return Err(NoGzip::Never),
        (GzipPolicy::Proven, GzipUse::Unproven) => return Err(NoGzip::Unproven),
        (GzipPolicy::Proven | GzipPolicy::Always, _) => {}
    }
    let key = line.product.settings.signing_key.as_ref();
    if key.is_some_and(|key| gzip.signed_by != Some(key.id)) {
        return Err(NoGzip::Unsigned);
    }
    // Nobody rewrites the mode inside, and a wrong one bricks.
    match (gzip.image.flash_mode, device.flash_mode) {
        (Some(image), Some(running)) if image == running => {}
        (Some(_), Some(_)) => return Err(NoGzip::Mode),
        _ => return Err(NoGzip::ModeUnknown),
    }
    match gates::room(&as_file(&gzip.image), device) {
        Some(_) => Err(NoGzip::Room),
        None => Ok(()),
    }
}
