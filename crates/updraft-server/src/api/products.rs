//! Products and their rules. Secrets of devices are hashed here and never given back.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;

use super::caller::{Caller, Publish, Read};
use super::problem::{Answer, Problem};
use super::request::{Asked, Json, Names, Piece, paged, read};
use super::{key, show, wire};
use crate::fleet::{Auth, ProductName, Settings};
use crate::people::PeopleState;
use crate::secret::Secret;
use crate::store::products::SetProduct;

pub(crate) async fn list(
    State(state): State<PeopleState>,
    _: Caller<Read>,
    Asked(piece): Asked<Piece>,
) -> Answer<Json<wire::Paged<wire::Product>>> {
    let page = piece.page(|name| name.parse::<ProductName>().ok())?;
    let list = state.app.registry.store.call(async move |store| store.products(page).await).await?;
    Ok(paged(list, |name| name.to_string(), show::product))
}

pub(crate) async fn show(
    State(state): State<PeopleState>,
    _: Caller<Read>,
    Names(name): Names<String>,
) -> Answer<Json<wire::Product>> {
    let name = read("product", &name)?;
    let found = state.app.registry.store.call(async move |store| store.product(name).await).await?;
    Ok(Json(show::product(found)))
}

pub(crate) async fn create(
    State(state): State<PeopleState>,
    caller: Caller<Publish>,
    Json(new): Json<wire::NewProduct>,
) -> Answer<(StatusCode, Json<wire::Product>)> {
    let name: ProductName = read("product", &new.name)?;
    let mut settings = Settings::default();
    apply(new.settings, &mut settings)?;
    let store = &state.app.registry.store;
    let work = async move |store: std::sync::Arc<crate::store::Store>| {
        store.create_product(name, settings, &caller.by).await
    };
    Ok((StatusCode::CREATED, Json(show::product(store.call(work).await?))))
}

pub(crate) async fn change(
    State(state): State<PeopleState>,
    caller: Caller<Publish>,
    Names(name): Names<String>,
    Json(patch): Json<wire::PatchSettings>,
) -> Answer<Json<wire::Product>> {
    let name: ProductName = read("product", &name)?;
    let store = &state.app.registry.store;
    let asked = name.clone();
    let found = store.call(async move |store| store.product(asked).await).await?;
    let mut settings = found.settings.clone();
    let changed = apply(patch, &mut settings)?;
    if changed.is_empty() {
        return Ok(Json(show::product(found)));
    }
    let words = format!("product {name}: {} changed", changed.join(", "));
    // Two who change at once: the second is told.
    let set = SetProduct { name, was: Some(found.settings), settings, words };
    let done = store.call(async move |store| store.set_product(set, &caller.by).await).await?;
    Ok(Json(show::product(done)))
}

pub(crate) async fn remove(
    State(state): State<PeopleState>,
    caller: Caller<Publish>,
    Names(name): Names<String>,
) -> Answer<StatusCode> {
    let name = read("product", &name)?;
    let work = async move |store: std::sync::Arc<crate::store::Store>| {
        store.remove_product(name, &caller.by).await
    };
    state.app.registry.store.call(work).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes the changes; the names of those that there were.
fn apply(patch: wire::PatchSettings, to: &mut Settings) -> Answer<Vec<&'static str>> {
    let mut names = Vec::new();
    let all = &mut names;
    set(all, "unknown_devices", patch.unknown_devices, &mut to.unknown_devices)?;
    set(all, "unknown_build", patch.unknown_build, &mut to.unknown_build)?;
    set(all, "downgrade", patch.downgrade, &mut to.downgrade)?;
    set(all, "unknown_version", patch.unknown_version, &mut to.unknown_version)?;
    set(all, "privacy", patch.privacy, &mut to.privacy)?;
    set(all, "gzip", patch.gzip, &mut to.gzip)?;
    set(all, "default_channel", patch.default_channel, &mut to.default_channel)?;
    set(all, "mismatch", patch.mismatch, &mut to.mismatch)?;
    if let Some(floors) = patch.floors {
        to.floors = floors;
        names.push("floors");
    }
    if let Some(pem) = patch.signing_key {
        to.signing_key = pem.map(|pem| key::read(&pem)).transpose()?;
        names.push("signing_key");
    }
    if let Some(auth) = patch.auth {
        to.auth = hashed(auth)?;
        names.push("auth");
    }
    if let Some(poll) = patch.expected_poll {
        if poll == Some(0) {
            return Err(Problem::unfit("expected_poll is a number of seconds above 0, or null"));
        }
        to.expected_poll = poll.map(Duration::from_secs);
        names.push("expected_poll");
    }
    Ok(names)
}

fn set<T: FromStr<Err: Display>>(
    names: &mut Vec<&'static str>,
    name: &'static str,
    text: Option<String>,
    to: &mut T,
) -> Answer<()> {
    if let Some(text) = text {
        *to = read(name, &text)?;
        names.push(name);
    }
    Ok(())
}

/// What is kept of a secret.
fn hashed(auth: wire::SetAuth) -> Answer<Auth> {
    Ok(match auth {
        wire::SetAuth::None => Auth::None,
        wire::SetAuth::Basic { user, password } => {
            if user.contains(':') || password.is_empty() {
                return Err(Problem::unfit("a user has no colon, and a password is not empty"));
            }
            let salt = Secret::random().map_err(|error| Problem::failed(&error))?;
            let salt = salt.reveal().to_owned();
            let password = Secret::hash(&format!("{salt}{password}"));
            Auth::Basic { user, salt, password }
        }
        wire::SetAuth::PathToken { token } => {
            let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            if token.len() < 8 || !token.bytes().all(is_plain) {
                let detail = "a path token has 8 or more letters, digits, '-', '_' or '.'";
                return Err(Problem::unfit(detail));
            }
            Auth::PathToken { token: Secret::hash(&token) }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Shown;

    #[test]
    fn a_password_is_kept_as_a_salted_hash_that_admits() {
        let set = || {
            let (user, password) = ("door".into(), "sesame".into());
            hashed(wire::SetAuth::Basic { user, password }).unwrap()
        };
        let shown = Shown { basic: Some(("door", "sesame")), path_token: None };
        assert!(set().admits(&shown));
        assert_ne!(set(), set(), "each has its salt");
        assert!(!serde_json::to_string(&set()).unwrap().contains("sesame"));
    }

    #[test]
    fn only_what_is_named_changes() {
        let mut settings = Settings::default();
        let patch = wire::PatchSettings { gzip: Some("always".into()), ..Default::default() };
        assert_eq!(apply(patch, &mut settings).unwrap(), ["gzip"]);
        let expected = Settings { gzip: crate::fleet::GzipPolicy::Always, ..Settings::default() };
        assert_eq!(settings, expected);
        let patch = wire::PatchSettings { gzip: Some("perhaps".into()), ..Default::default() };
        assert!(apply(patch, &mut settings).is_err());
    }
}
