//! Images: uploaded, listed, shown.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use updraft_core::{Facts, NotOta};

use super::caller::{Caller, Publish, Read};
use super::problem::{Answer, Problem};
use super::request::{Asked, Json, Names, Piece, paged, read};
use super::{show, signer, wire};
use crate::catalog::image::Image;
use crate::digest::Sha256;
use crate::images::UploadError;
use crate::people::PeopleState;
use crate::store::Store;
use crate::store::images::NewImage;

/// Longest image in bytes: twice the largest flash that there is.
const LONGEST: u64 = 64 << 20;

#[derive(Deserialize)]
pub(crate) struct Upload {
    name: Option<String>,
}

pub(crate) async fn list(
    State(state): State<PeopleState>,
    _: Caller<Read>,
    Asked(piece): Asked<Piece>,
) -> Answer<Json<wire::Paged<wire::Image>>> {
    let page = piece.page(|digest| digest.parse::<Sha256>().ok())?;
    let list = state.app.registry.store.call(async move |store| store.images(page).await).await?;
    Ok(paged(list, |digest| digest.to_string(), |known| show::image(known.stored)))
}

pub(crate) async fn show(
    State(state): State<PeopleState>,
    _: Caller<Read>,
    Names(digest): Names<String>,
) -> Answer<Json<wire::Image>> {
    let digest = read("image", &digest)?;
    let found = state.app.registry.store.call(async move |store| store.image(digest).await).await?;
    Ok(Json(show::image(found.stored)))
}

pub(crate) async fn upload(
    State(state): State<PeopleState>,
    caller: Caller<Publish>,
    Asked(Upload { name }): Asked<Upload>,
    headers: HeaderMap,
    body: Body,
) -> Answer<(StatusCode, Json<wire::UploadedImage>)> {
    let name = name.unwrap_or_default();
    if name.is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
        return Err(Problem::bad("give the file's name: ?name=NAME, 1 to 200 bytes"));
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|text| text.to_str().ok());
    let length: u64 = length.and_then(|text| text.parse().ok()).ok_or_else(|| {
        Problem::new(StatusCode::LENGTH_REQUIRED, "say how long the file is: Content-Length")
    })?;
    if length > LONGEST {
        let detail = format!("no device takes {length} bytes; an image has at most {LONGEST}");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    let files = &state.app.registry.files;
    let uploaded = files.upload(length, body).await.map_err(|error| match error {
        UploadError::Length { .. } | UploadError::Broken(_) => Problem::bad(error),
        UploadError::Store(_) | UploadError::Random(_) => Problem::failed(&error),
    })?;
    let (file, facts) = (uploaded.file, uploaded.facts);
    let entered = enter(&state, &caller, &facts, name, file.clone()).await;
    // If the image was there already, its former file stays; if it is not to be had, none.
    let is_needed = entered.as_ref().is_ok_and(|(kept, _)| *kept == file);
    if !is_needed && let Err(error) = files.delete(&file).await {
        tracing::warn!(%error, "cannot delete an image file; the next collection tries again");
    }
    let (_, image) = entered?;
    Ok((StatusCode::CREATED, Json(image)))
}

/// Makes an uploaded file known; which file holds the image now.
async fn enter(
    state: &PeopleState,
    caller: &Caller<Publish>,
    facts: &Facts,
    name: String,
    file: String,
) -> Answer<(String, wire::UploadedImage)> {
    match facts.ota() {
        // Encrypted, perhaps: it may lie here, but is in no release.
        Ok(_) | Err(NotOta::Unknown) => {}
        Err(reason) => {
            return Err(Problem::unfit(format_args!(
                "{name} can never be installed over the air: {reason}"
            )));
        }
    }
    let registry = &state.app.registry;
    let stock = registry.fresh_stock().await?;
    let path = registry.files.path(&file).map_err(|error| Problem::failed(&error))?;
    let keys: Vec<_> = stock
        .published
        .lines()
        .filter_map(|line| line.product.settings.signing_key.clone())
        .collect();
    let signed_by = signer::find(path, facts, keys).await?;
    let image = Image::new(facts);
    let digest = image.sha256;
    let by = caller.by.clone();
    let work = async move |store: Arc<Store>| {
        let added = store.add_image(NewImage { image, name, file, signed_by }, &by).await?;
        Ok((added, store.image(digest).await?))
    };
    let (added, known) = registry.store.call(work).await?;
    let image = show::image(known.stored);
    Ok((added.file, wire::UploadedImage { image, running: added.running }))
}
