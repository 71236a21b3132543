//! Devices: listed, shown, and what people decide for them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use updraft_core::Chip;

use super::caller::{Caller, Devices, Read};
use super::problem::{Answer, Problem};
use super::request::{Asked, Json, Names, Piece, paged, read};
use super::{show, wire};
use crate::check_in::{Mac, Mode};
use crate::fleet::{
    Admission, Device, DeviceKey, Goal, GzipUse, KnownChip, KnownFrom, ProductName, SketchDigest,
};
use crate::people::PeopleState;
use crate::store::Store;
use crate::store::devices::{Edit, Filter, Switch};

#[derive(Deserialize)]
pub(crate) struct Which {
    product: Option<String>,
    tag: Option<String>,
    running: Option<String>,
    admission: Option<String>,
    cursor: Option<String>,
    limit: Option<i64>,
}

pub(crate) async fn list(
    State(state): State<PeopleState>,
    _: Caller<Read>,
    Asked(which): Asked<Which>,
) -> Answer<Json<wire::Paged<wire::Device>>> {
    let filter = Filter {
        product: which.product.map(|name| read("product", &name)).transpose()?,
        tag: which.tag.map(|tag| read("tag", &tag)).transpose()?,
        admission: which.admission.map(|name| read("admission", &name)).transpose()?,
        running: which.running.map(|text| running(&text)).transpose()?,
    };
    let piece = Piece { cursor: which.cursor, limit: which.limit };
    let page = piece.page(|id| id.parse().ok().map(DeviceKey))?;
    let store = &state.app.registry.store;
    store.catch_up().await?;
    let list = store.call(async move |store| store.devices(filter, page).await).await?;
    Ok(paged(list, |key| key.0.to_string(), show::device))
}

fn running(text: &str) -> Answer<SketchDigest> {
    let sha256 = text.parse().map(SketchDigest::Sha256);
    let digest = sha256.or_else(|_| text.parse().map(SketchDigest::Md5));
    digest.map_err(|_| Problem::unfit("running is an MD5 or a SHA-256, as devices report it"))
}

pub(crate) async fn show(
    State(state): State<PeopleState>,
    _: Caller<Read>,
    Names(name): Names<String>,
) -> Answer<Json<wire::DeviceDetail>> {
    let work = async move |store: Arc<Store>| {
        let key = store.device_named(&name).await?;
        Ok((store.device(key).await?, store.attempts(key).await?))
    };
    let registry = &state.app.registry;
    registry.store.catch_up().await?;
    let (device, attempts) = registry.store.call(work).await?;
    let stock = registry.fresh_stock().await?;
    let published = &stock.published;
    let version = |key| published.edition(key).map(|(_, edition)| edition.release.version.clone());
    let runs = published.running(&device.as_check_in(Mode::Sketch)).first();
    let attempts = attempts.into_iter().map(|attempt| {
        let version = match attempt.goal {
            Goal::Release(key) => version(key),
            Goal::Catalog(_) => None,
        };
        show::attempt(&attempt, version)
    });
    Ok(Json(wire::DeviceDetail {
        running_image: runs.and_then(|row| published.image(&row.image)).map(|i| i.name.clone()),
        pin_version: device.pin.and_then(version),
        attempts: attempts.collect(),
        device: show::device(device),
    }))
}

pub(crate) async fn retry(
    State(state): State<PeopleState>,
    caller: Caller<Devices>,
    Names(name): Names<String>,
) -> Answer<Json<wire::Device>> {
    let work = async move |store: Arc<Store>| {
        let key = store.device_named(&name).await?;
        store.edit_device(key, vec![Edit::Retry], &caller.by).await
    };
    Ok(Json(show::device(state.app.registry.store.call(work).await?)))
}

pub(crate) async fn remove(
    State(state): State<PeopleState>,
    caller: Caller<Devices>,
    Names(name): Names<String>,
) -> Answer<StatusCode> {
    let work = async move |store: Arc<Store>| {
        let key = store.device_named(&name).await?;
        store.remove_device(key, &caller.by).await
    };
    state.app.registry.store.call(work).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn change(
    State(state): State<PeopleState>,
    caller: Caller<Devices>,
    Names(name): Names<String>,
    Json(patch): Json<wire::PatchDevice>,
) -> Answer<Json<wire::Device>> {
    let store = &state.app.registry.store;
    let find = async move |store: Arc<Store>| {
        let key = store.device_named(&name).await?;
        store.device(key).await
    };
    let device = store.call(find).await?;
    let pin = patch.pin.clone();
    let (mut edits, product) = edits(patch, &device)?;
    if edits.is_empty() && pin.is_none() {
        return Ok(Json(show::device(device)));
    }
    if pin.as_ref().is_some_and(Option::is_some) && product.is_none() {
        return Err(Problem::unfit("a device without a product cannot be pinned; give it one"));
    }
    let work = async move |store: Arc<Store>| {
        match (pin, product) {
            (Some(Some(version)), Some(product)) => {
                let release = store.release_of(product, &version).await?;
                edits.push(Edit::Pin(Some(release)));
            }
            (Some(None), _) => edits.push(Edit::Pin(None)),
            _ => {}
        }
        store.edit_device(device.key, edits, &caller.by).await
    };
    Ok(Json(show::device(store.call(work).await?)))
}

/// What a patch means, but for its pin, and the product that the device has then.
fn edits(patch: wire::PatchDevice, device: &Device) -> Answer<(Vec<Edit>, Option<ProductName>)> {
    let mut edits = Vec::new();
    let mut product = device.product.clone();
    let switch = |is_on| if is_on { Switch::On } else { Switch::Off };
    if let Some(name) = patch.name {
        edits.push(Edit::Name(name.map(device_name).transpose()?));
    }
    if let Some(notes) = patch.notes {
        edits.push(Edit::Notes(notes));
    }
    for tag in &patch.add_tags {
        edits.push(Edit::Tag(read("tag", tag)?));
    }
    for tag in &patch.remove_tags {
        edits.push(Edit::Untag(read("tag", tag)?));
    }
    if let Some(name) = patch.product {
        product = name.map(|name| read("product", &name)).transpose()?;
        edits.push(Edit::Product(product.clone()));
    }
    if let Some(name) = patch.channel {
        edits.push(Edit::Channel(name.map(|name| read("channel", &name)).transpose()?));
    }
    edits.extend(patch.accept.map(|is_in| {
        Edit::Admission(if is_in { Admission::Accepted } else { Admission::Pending })
    }));
    edits.extend(patch.block.map(|is_on| Edit::Block(switch(is_on))));
    edits.extend(patch.hands_off.map(|is_on| Edit::HandsOff(switch(is_on))));
    match patch.adopt {
        Some(true) => {
            let digest = device.digest().ok_or_else(|| {
                Problem::unfit("it never said what it runs, so there is no build to adopt")
            })?;
            edits.push(Edit::Adopt(Some(digest)));
        }
        Some(false) => edits.push(Edit::Adopt(None)),
        None => {}
    }
    if let Some(gzip) = patch.gzip {
        let gzip: GzipUse = read("gzip", &gzip)?;
        if gzip == GzipUse::Confirmed {
            return Err(Problem::unfit("only the device itself confirms a gzip; say always"));
        }
        edits.push(Edit::Gzip(gzip));
    }
    edits.extend(patch.filesystem_size.map(Edit::FilesystemSize));
    if let Some(name) = patch.chip {
        edits.push(Edit::Chip(name.map(|name| chip(&name)).transpose()?));
    }
    edits.extend(patch.no_conflict.filter(|is_one| *is_one).map(|_| Edit::NoConflict));
    Ok((edits, product))
}

/// A chip that a person names.
pub(super) fn chip(name: &str) -> Answer<KnownChip> {
    let chip = Chip::from_name(name).ok_or_else(|| {
        let known: Vec<_> = Chip::all().map(Chip::name).collect();
        Problem::unfit(format_args!("{name:?} is no chip: {}", known.join(", ")))
    })?;
    Ok(KnownChip { chip, from: KnownFrom::Person })
}

/// What a person calls a device: never what could name another one.
pub(super) fn device_name(name: String) -> Answer<String> {
    if name.trim().is_empty() || name.len() > 100 || name.chars().any(char::is_control) {
        return Err(Problem::unfit("a device's name has 1 to 100 bytes, no control characters"));
    }
    if name.parse::<i64>().is_ok() || Mac::read(name.as_bytes()).is_some() {
        return Err(Problem::unfit(format_args!(
            "the name {name:?} looks like a number or a MAC and might mean another device"
        )));
    }
    // `/devices/import` is no device.
    if name == "import" {
        return Err(Problem::unfit("\"import\" cannot be a device's name"));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::fixtures::device;

    #[test]
    fn a_name_that_could_mean_another_device_is_none() {
        for name in ["7", "-1", "5ccf7fb1e042", "5C:CF:7F:B1:E0:42", "", " ", "a\nb", "import"] {
            assert!(device_name(name.into()).is_err(), "{name}");
        }
        assert_eq!(device_name("Tür 7".into()).unwrap(), "Tür 7");
    }

    #[test]
    fn only_a_build_that_a_device_reported_can_be_adopted() {
        let mut device = device();
        let patch = wire::PatchDevice { adopt: Some(true), ..Default::default() };
        device.reported.sketch_md5 = None;
        device.reported.sketch_sha256 = None;
        assert!(edits(patch.clone(), &device).is_err());
        device.reported.sketch_md5 = Some(crate::digest::Digest([1; 16]));
        let (edits, _) = edits(patch, &device).unwrap();
        assert_eq!(edits, [Edit::Adopt(device.digest())]);
    }
}
