//! Tokens: made, listed, withdrawn.

use std::collections::BTreeSet;
use std::path::Path;

use axum::extract::State;
use axum::http::StatusCode;

use super::caller::{Admin, Caller};
use super::problem::{Answer, Problem};
use super::request::{Json, Names, read};
use super::{show, wire};
use crate::clock::{Clock as _, SystemClock};
use crate::fleet::{Actor, Scope};
use crate::people::PeopleState;
use crate::secret::Secret;
use crate::server;
use crate::store::events::By;
use crate::store::tokens::NewToken;
use crate::store::{Store, StoreError, What};

/// Longest name of a token in bytes.
const LONGEST: usize = 100;

/// Why there is no new token.
#[derive(Debug, thiserror::Error)]
pub enum CreateTokenError {
    /// It asks for a name or scopes that cannot be.
    #[error("{0}")]
    Asked(String),
    /// The data folder cannot be used.
    #[error(transparent)]
    Folder(crate::StartError),
    /// The system gives no random bits.
    #[error("cannot make a secret: {0}")]
    Random(String),
    /// The database did not take it.
    #[error("{0}")]
    Store(String),
}

/// Makes a token straight in a data folder, whether a server runs on it or not; a running one knows it at
/// once. Gives the token, which nobody can look up later.
///
/// Scopes: `read`, `devices`, `publish`, `rollout`, `admin`.
pub async fn create_token(
    data: &Path,
    name: &str,
    scopes: &[String],
) -> Result<String, CreateTokenError> {
    let scopes = self::scopes(name, scopes).map_err(CreateTokenError::Asked)?;
    let secret = Secret::random().map_err(|error| CreateTokenError::Random(error.to_string()))?;
    server::own_data(data).map_err(CreateTokenError::Folder)?;
    let told = |error: StoreError| CreateTokenError::Store(error.to_string());
    let store = Store::open_in(data).await.map_err(told)?;
    let by = By { actor: Actor::Person("command line".to_owned()), at: SystemClock.now() };
    let hash = Secret::hash(secret.reveal());
    let made = store.create_token(NewToken { name: name.to_owned(), scopes, hash }, &by).await;
    store.close().await;
    made.map_err(told)?;
    Ok(secret.reveal().to_owned())
}

fn scopes(name: &str, scopes: &[String]) -> Result<BTreeSet<Scope>, String> {
    if name.trim().is_empty() || name.len() > LONGEST || name.chars().any(char::is_control) {
        return Err(format!("a token's name has 1 to {LONGEST} bytes and no control characters"));
    }
    let scopes = scopes.iter().map(|scope| scope.parse().map_err(|e| format!("{e}")));
    let scopes = scopes.collect::<Result<BTreeSet<Scope>, String>>()?;
    if scopes.is_empty() {
        return Err(
            "a token needs at least one scope: read, devices, publish, rollout, admin".into()
        );
    }
    Ok(scopes)
}

pub(crate) async fn list(
    State(state): State<PeopleState>,
    _: Caller<Admin>,
) -> Answer<Json<wire::Tokens>> {
    let tokens = state.app.registry.store.call(async |store| store.tokens().await).await?;
    Ok(Json(wire::Tokens { items: tokens.into_iter().map(show::token).collect() }))
}

pub(crate) async fn create(
    State(state): State<PeopleState>,
    caller: Caller<Admin>,
    Json(new): Json<wire::NewToken>,
) -> Answer<(StatusCode, Json<wire::CreatedToken>)> {
    let scopes = scopes(&new.name, &new.scopes).map_err(Problem::unfit)?;
    let secret = Secret::random().map_err(|error| Problem::failed(&error))?;
    let new = NewToken { name: new.name, scopes, hash: Secret::hash(secret.reveal()) };
    let store = &state.app.registry.store;
    let made = store.call(async move |store| store.create_token(new, &caller.by).await).await?;
    let secret = secret.reveal().to_owned();
    Ok((StatusCode::CREATED, Json(wire::CreatedToken { token: show::token(made), secret })))
}

pub(crate) async fn revoke(
    State(state): State<PeopleState>,
    caller: Caller<Admin>,
    Names(id): Names<String>,
) -> Answer<StatusCode> {
    let id: i64 = read("token", &id)?;
    let work = async move |store: std::sync::Arc<Store>| {
        let tokens = store.tokens().await?;
        let found = tokens.iter().find(|token| token.key.0 == id && token.revoked_at.is_none());
        let found = found.ok_or_else(|| StoreError::missing(What::Token, id))?;
        store.revoke_token(&found.name, &caller.by).await
    };
    state.app.registry.store.call(work).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_is_made_without_a_server_and_never_stored() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("data");
        let scopes = ["admin".to_owned()];
        let token = create_token(&folder, "first", &scopes).await.unwrap();
        let store = Store::open_in(&folder).await.unwrap();
        let found = store.token(Secret::hash(&token), SystemClock.now()).await.unwrap().unwrap();
        assert_eq!((found.name.as_str(), found.scopes), ("first", BTreeSet::from([Scope::Admin])));
        assert!(create_token(&folder, "first", &scopes).await.is_err(), "its name is taken");
        assert!(create_token(&folder, "other", &["all".to_owned()]).await.is_err());
        assert!(create_token(&folder, "other", &[]).await.is_err());
    }
}
