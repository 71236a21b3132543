//! Which product answers a device, and whether it is let in at all.

use crate::fleet::{
    Admission, Device, Line, Mismatch, Privacy, ProductName, Published, Strength, UnknownDevices,
};

use super::reason::{Hold, Refusal};
use super::step::ProductBy;
use super::{Call, Halt, Occasion, Registration, Room, Rows};

/// The product that answers, and how it was found.
pub(super) fn find<'a>(call: &Call<'a>, rows: &Rows<'a>) -> Result<(&'a Line, ProductBy), Halt> {
    let published = rows.published;
    let own = rows.device.and_then(|device| device.product.as_ref());
    let own = own.and_then(|name| published.line(name.as_str()));
    let Some(asked) = call.product else {
        return unasked(call, rows, own);
    };
    let asked = published.line(asked).ok_or(Refusal::NoSuchProduct)?;
    match own {
        Some(own) if own.product.name != asked.product.name => {
            let moves = asked.product.settings.unknown_devices == UnknownDevices::Open
                && own.product.settings.mismatch == Mismatch::Move;
            if moves {
                return Ok((asked, ProductBy::Move));
            }
            Err(Hold::ProductMismatch {
                asked: asked.product.name.clone(),
                registered: own.product.name.clone(),
            }
            .into())
        }
        _ => Ok((asked, ProductBy::Url)),
    }
}

/// The URL names none: its own, the default, the only one.
fn unasked<'a>(
    call: &Call<'a>,
    rows: &Rows<'a>,
    own: Option<&'a Line>,
) -> Result<(&'a Line, ProductBy), Halt> {
    let default = rows.policy.default_product.as_ref();
    if let Some(own) = own {
        return Ok((own, ProductBy::Registered));
    }
    if let Some(line) = default.and_then(|name| rows.published.line(name.as_str())) {
        return Ok((line, ProductBy::Default));
    }
    let mut lines = rows.published.lines();
    match (lines.next(), lines.next()) {
        (Some(only), None) => Ok((only, ProductBy::Only)),
        _ => Err(Hold::NoProduct { suggestion: suggest(call, rows.published) }.into()),
    }
}

/// What a device without a product seems to be: by its digest, else by how its version starts.
fn suggest(call: &Call<'_>, published: &Published) -> Option<ProductName> {
    let running = published.running(call.check_in);
    let by_digest = published.lines().find(|line| line.edition_with(running).is_some());
    let version = call.check_in.version.as_deref().unwrap_or_default();
    let by_version = || {
        published.lines().find(|line| {
            let rest = version.strip_prefix(line.product.name.as_str());
            rest.is_some_and(|rest| rest.starts_with('-'))
        })
    };
    by_digest.or_else(by_version).map(|line| line.product.name.clone())
}

/// Whether it may ask this product at all.
pub(super) fn admit(call: &Call<'_>, line: &Line) -> Result<(), Refusal> {
    let settings = &line.product.settings;
    // A question by a person is about a device that showed what it has to.
    if call.occasion == Occasion::CheckIn && !settings.auth.admits(&call.shown) {
        return Err(Refusal::Credentials);
    }
    // A secret of the product stands for its privacy: who has it is entitled, whatever its name.
    let has_secret = settings.auth != crate::fleet::Auth::None;
    if settings.privacy == Privacy::Private && call.strength == Strength::Weak && !has_secret {
        return Err(Refusal::Private);
    }
    Ok(())
}

/// Whether it is registered, or is to be.
pub(super) fn register(
    device: Option<&Device>,
    policy: UnknownDevices,
    room: Room,
) -> Result<Registration, Halt> {
    let admission = match (device, policy) {
        (Some(_), _) => return Ok(Registration::Known),
        (None, UnknownDevices::Closed) => return Err(Refusal::Closed.into()),
        (None, UnknownDevices::Pending) => Admission::Pending,
        (None, UnknownDevices::Open) => Admission::Accepted,
    };
    match room {
        Room::Free => Ok(Registration::New(admission)),
        Room::Full => Err(Hold::RegistryFull.into()),
    }
}
