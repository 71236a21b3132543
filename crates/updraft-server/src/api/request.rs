//! Reads bodies, queries and names of requests, and writes answers.

use std::fmt::Display;
use std::str::FromStr;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::problem::{Answer, Problem};
use super::wire;
use crate::people::PeopleState;
use crate::store::page::{Page, Paged};

/// Longest JSON text that is read, in bytes: an import of 10 000 devices has room.
const LONGEST: usize = 8 << 20;
/// Rows in one piece of a list, if the caller does not say.
const LIMIT: i64 = 100;
/// Most rows in one piece.
const MOST: i64 = 1000;

/// JSON coming in or going out.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<PeopleState> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &PeopleState) -> Result<Self, Problem> {
        let bytes = to_bytes(request.into_body(), LONGEST).await.map_err(|_| {
            let detail = format!("the body broke off or is longer than {LONGEST} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
        })?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            Problem::bad(format_args!("the body is not what is expected: {error}"))
        })
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(text) => {
                let kind = (header::CONTENT_TYPE, "application/json");
                ([kind, (header::CACHE_CONTROL, "no-store")], Body::from(text)).into_response()
            }
            Err(error) => Problem::failed(&error).into_response(),
        }
    }
}

/// The names in a URL.
pub(crate) struct Names<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<PeopleState> for Names<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &PeopleState) -> Result<Self, Problem> {
        let read = Path::from_request_parts(parts, state).await;
        read.map(|Path(names)| Self(names)).map_err(|error| Problem::bad(error.body_text()))
    }
}

/// What stands behind the question mark.
pub(crate) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<PeopleState> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &PeopleState) -> Result<Self, Problem> {
        let read = Query::from_request_parts(parts, state).await;
        read.map(|Query(query)| Self(query)).map_err(|error| Problem::bad(error.body_text()))
    }
}

/// Which piece of a list is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Piece {
    pub(crate) cursor: Option<String>,
    pub(crate) limit: Option<i64>,
}

impl Piece {
    /// The same for the store.
    pub(crate) fn page<K>(&self, key: impl FnOnce(&str) -> Option<K>) -> Answer<Page<K>> {
        let after = match &self.cursor {
            Some(cursor) => Some(key(cursor).ok_or_else(|| {
                Problem::bad("the cursor is none: give the \"next\" of the piece before")
            })?),
            None => None,
        };
        Ok(Page { after, limit: self.limit.unwrap_or(LIMIT).clamp(1, MOST) })
    }
}

/// A piece of a list as it is sent.
pub(crate) fn paged<T, K, W>(
    list: Paged<T, K>,
    cursor: impl FnOnce(K) -> String,
    item: impl FnMut(T) -> W,
) -> Json<wire::Paged<W>> {
    let items = list.items.into_iter().map(item).collect();
    Json(wire::Paged { items, next: list.next.map(cursor) })
}

/// Reads a name by the fleet's own rules; `what` tells where it stands.
pub(crate) fn read<T: FromStr<Err: Display>>(what: &str, text: &str) -> Answer<T> {
    text.parse().map_err(|error| Problem::unfit(format_args!("{what} {text:?}: {error}")))
}
