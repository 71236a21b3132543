//! Releases: published, listed, taken back.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use super::caller::{Caller, Publish, Read};
use super::problem::{Answer, Problem};
use super::request::{Asked, Json, Names, Piece, paged, read};
use super::{show, wire};
use crate::catalog::image::{Image, Target};
use crate::digest::Sha256;
use crate::fleet::{Part, ProductName, ReleaseKey, Settings, Version};
use crate::people::PeopleState;
use crate::store::releases::{NewRelease, NewReleaseImage};
use crate::store::{self, Store, StoreError, What};

pub(crate) async fn list(
    State(state): State<PeopleState>,
    _: Caller<Read>,
    Names(product): Names<String>,
    Asked(piece): Asked<Piece>,
) -> Answer<Json<wire::Paged<wire::Release>>> {
    let product: ProductName = read("product", &product)?;
    let page = piece.page(|id| id.parse().ok().map(ReleaseKey))?;
    let store = &state.app.registry.store;
    let list = store.call(async move |store| store.releases(product, page).await).await?;
    Ok(paged(list, |key| key.0.to_string(), show::release))
}

pub(crate) async fn show(
    State(state): State<PeopleState>,
    _: Caller<Read>,
    Names(id): Names<String>,
) -> Answer<Json<wire::Release>> {
    let key = ReleaseKey(read("release", &id)?);
    let work = async move |store: Arc<Store>| whole(&store, key).await;
    Ok(Json(state.app.registry.store.call(work).await?))
}

pub(crate) async fn yank(
    State(state): State<PeopleState>,
    caller: Caller<Publish>,
    Names(id): Names<String>,
    Json(yank): Json<wire::Yank>,
) -> Answer<Json<wire::Release>> {
    let key = ReleaseKey(read("release", &id)?);
    let work = async move |store: Arc<Store>| {
        store.yank(key, yank.reason.as_deref(), &caller.by).await?;
        whole(&store, key).await
    };
    Ok(Json(state.app.registry.store.call(work).await?))
}

pub(crate) async fn publish(
    State(state): State<PeopleState>,
    caller: Caller<Publish>,
    Json(new): Json<wire::NewRelease>,
) -> Answer<(StatusCode, Json<wire::Release>)> {
    let product: ProductName = read("product", &new.product)?;
    let digests: BTreeSet<Sha256> =
        new.images.iter().map(|image| read("image", image)).collect::<Answer<_>>()?;
    if digests.is_empty() {
        return Err(Problem::unfit("a release needs an image: upload one, and give its sha256"));
    }
    let store = &state.app.registry.store;
    let work = async move |store: Arc<Store>| {
        let mut images = Vec::new();
        for digest in digests {
            images.push(store.image(digest).await?.stored.image);
        }
        Ok(images)
    };
    let images = store.call(work).await?;
    let version = version(new.version, &images)?;
    let sort_key = Version::read(&version, product.as_str()).sort_key();
    let images = images.iter().map(release_image).collect::<Answer<Vec<_>>>()?;
    let work = async move |store: Arc<Store>| {
        match store.product(product.clone()).await {
            Err(StoreError::Missing { what: What::Product, .. }) => {
                let settings = Settings::default();
                match store.create_product(product.clone(), settings, &caller.by).await {
                    // Somebody else was faster.
                    Err(StoreError::Exists { .. }) => {}
                    made => drop(made?),
                }
            }
            found => drop(found?),
        }
        let new = NewRelease { product, version, sort_key, notes: new.notes, images };
        let release = store.publish(new, &caller.by).await?;
        whole(&store, release.key).await
    };
    Ok((StatusCode::CREATED, Json(store.call(work).await?)))
}

/// The version of a release: what the publisher says, else what the sketches say, should they agree.
fn version(given: Option<String>, images: &[Image]) -> Answer<String> {
    if let Some(version) = given {
        let version = version.trim().to_owned();
        if version.is_empty() || version.len() > 100 || version.chars().any(char::is_control) {
            return Err(Problem::unfit("a version has 1 to 100 bytes and no control characters"));
        }
        return Ok(version);
    }
    let found: BTreeSet<&str> =
        images.iter().filter_map(|image| image.version.as_deref()).collect();
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(version), None) => Ok(version.to_owned()),
        (None, _) => Err(Problem::unfit(
            "the image holds no version that its author chose; say which one it is: give \"version\"",
        )),
        (Some(one), Some(other)) => Err(Problem::unfit(format_args!(
            "the images hold the versions {one} and {other}; say which one it is: give \"version\""
        ))),
    }
}

fn release_image(image: &Image) -> Answer<NewReleaseImage> {
    let part = match &image.target {
        Target::Sketch => Part::Sketch,
        Target::Filesystem => Part::Filesystem,
        Target::Unrecognised => {
            return Err(Problem::unfit(format_args!(
                "image {}: it was not recognised, so nobody can tell which devices it is for",
                image.sha256
            )));
        }
        Target::Never(why) => {
            return Err(Problem::unfit(format_args!("image {}: {why}", image.sha256)));
        }
    };
    Ok(NewReleaseImage {
        part,
        chip: image.chip,
        flash_size: image.flash_size,
        image: image.sha256,
    })
}

async fn whole(store: &Store, key: ReleaseKey) -> store::Result<wire::Release> {
    let (release, rows) = store.release(key).await?;
    let mut images = Vec::with_capacity(rows.len());
    for row in rows {
        images.push(wire::ReleaseImage {
            part: row.part.to_string(),
            chip: row.chip.map(|chip| chip.name().to_owned()),
            flash_size: row.flash_size,
            image: show::image(store.image(row.image).await?.stored),
        });
    }
    Ok(wire::Release { images: Some(images), ..show::release(release) })
}
