//! Channels: where they point, whom a move reaches, and the move.

use std::sync::Arc;

use axum::extract::State;

use super::caller::{Caller, Publish, Read};
use super::problem::{Answer, Problem};
use super::request::{Json, Names, read};
use super::wire;
use crate::fleet::{Channel, ChannelName, ProductName, ReleaseKey};
use crate::people::PeopleState;
use crate::store::channels::{Move, Was};
use crate::store::{self, Store, StoreError, What};

pub(crate) async fn list(
    State(state): State<PeopleState>,
    _: Caller<Read>,
    Names(product): Names<String>,
) -> Answer<Json<wire::Channels>> {
    let product: ProductName = read("product", &product)?;
    let work = async move |store: Arc<Store>| {
        let mut items = Vec::new();
        for channel in store.channels(product).await? {
            items.push(with_version(&store, channel).await?);
        }
        Ok(wire::Channels { items })
    };
    Ok(Json(state.app.registry.store.call(work).await?))
}

pub(crate) async fn reach(
    State(state): State<PeopleState>,
    _: Caller<Read>,
    Names((product, channel)): Names<(String, String)>,
) -> Answer<Json<wire::Reach>> {
    let (product, channel) = (read("product", &product)?, read("channel", &channel)?);
    let store = &state.app.registry.store;
    let devices = store.call(async move |store| store.reach(product, channel).await).await?;
    Ok(Json(wire::Reach { devices }))
}

pub(crate) async fn set(
    State(state): State<PeopleState>,
    caller: Caller<Publish>,
    Names((product, channel)): Names<(String, String)>,
    Json(to): Json<wire::MoveChannel>,
) -> Answer<Json<wire::MovedChannel>> {
    let product: ProductName = read("product", &product)?;
    let name: ChannelName = read("channel", &channel)?;
    if to.release.is_some() && to.version.is_some() {
        return Err(Problem::unfit("give a release or a version, not both"));
    }
    let work = async move |store: Arc<Store>| {
        let key = match (to.release, to.version) {
            (Some(id), _) => Some(ReleaseKey(id)),
            (None, Some(version)) => Some(store.release_of(product.clone(), &version).await?),
            (None, None) => None,
        };
        let (product, channel) = (product.clone(), name.clone());
        let to = Move { product: product.clone(), channel, to: key, was: Was::Anywhere };
        let devices = store.move_channel(to, &caller.by).await?;
        let all = store.channels(product).await?;
        let channel = all.into_iter().find(|channel| channel.name == name);
        let channel = channel.ok_or_else(|| StoreError::missing(What::Channel, &name))?;
        Ok(wire::MovedChannel { channel: with_version(&store, channel).await?, devices })
    };
    Ok(Json(state.app.registry.store.call(work).await?))
}

async fn with_version(store: &Store, channel: Channel) -> store::Result<wire::Channel> {
    let version = match channel.release {
        Some(key) => Some(store.release(key).await?.0.version),
        None => None,
    };
    Ok(wire::Channel {
        name: channel.name.to_string(),
        release: channel.release.map(|key| key.0),
        version,
        moved_at: channel.moved_at,
        moved_by: channel.moved_by,
    })
}
