//! What happened, and how the server is.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;

use super::caller::{Caller, Read};
use super::problem::{Answer, Problem};
use super::request::{Asked, Json, Piece, paged, read};
use super::{show, wire};
use crate::fleet::EventKey;
use crate::people::PeopleState;
use crate::store::Store;
use crate::store::events::EventsOf;

#[derive(Deserialize)]
pub(crate) struct Which {
    device: Option<String>,
    product: Option<String>,
    cursor: Option<String>,
    limit: Option<i64>,
}

pub(crate) async fn list(
    State(state): State<PeopleState>,
    _: Caller<Read>,
    Asked(which): Asked<Which>,
) -> Answer<Json<wire::Paged<wire::Event>>> {
    let piece = Piece { cursor: which.cursor, limit: which.limit };
    let page = piece.page(|id| id.parse().ok().map(EventKey))?;
    let product = which.product.map(|name| read("product", &name)).transpose()?;
    if product.is_some() && which.device.is_some() {
        return Err(Problem::unfit("ask for a device or for a product, not for both"));
    }
    let work = async move |store: Arc<Store>| {
        let of = match (which.device, product) {
            (Some(name), _) => EventsOf::Device(store.device_named(&name).await?),
            (None, Some(product)) => EventsOf::Product(product),
            (None, None) => EventsOf::Everything,
        };
        store.events(of, page).await
    };
    let list = state.app.registry.store.call(work).await?;
    Ok(paged(list, |key| key.0.to_string(), show::event))
}

pub(crate) async fn health(
    State(state): State<PeopleState>,
    _: Caller<Read>,
) -> Answer<Json<wire::Health>> {
    let store = &state.app.registry.store;
    let devices = store.call(async |store| store.device_count().await).await?;
    Ok(Json(wire::Health {
        status: "ok".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        devices,
        more: BTreeMap::new(),
    }))
}
