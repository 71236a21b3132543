//! Errors as the API tells them (RFC 9457): what is wrong, and what to do. What went wrong inside stands in
//! the log, not in the answer.

use std::error::Error;
use std::fmt::Display;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::wire;
use crate::store::StoreError;

/// Why a request was not done.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
}

/// What a handler gives.
pub(crate) type Answer<T> = Result<T, Problem>;

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Display) -> Self {
        Self { status, detail: detail.to_string() }
    }

    /// The request makes no sense.
    pub(crate) fn bad(detail: impl Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// It is understood, and cannot be done.
    pub(crate) fn unfit(detail: impl Display) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// The same, saying where.
    pub(crate) fn within(self, place: impl Display) -> Self {
        Self { detail: format!("{place}: {}", self.detail), ..self }
    }

    /// It is this server's fault.
    pub(crate) fn failed(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error, "a request of the API failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the server failed; its log says why")
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let status = match &error {
            StoreError::Missing { .. } => StatusCode::NOT_FOUND,
            StoreError::Exists { .. }
            | StoreError::Yanked { .. }
            | StoreError::Changed { .. }
            | StoreError::Stale
            | StoreError::InUse { .. } => StatusCode::CONFLICT,
            StoreError::Busy | StoreError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            StoreError::Url { .. }
            | StoreError::Open { .. }
            | StoreError::Newer { .. }
            | StoreError::Corrupt { .. }
            | StoreError::Database(_) => return Self::failed(&error),
        };
        Self::new(status, error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let problem = wire::Problem {
            status: self.status.as_u16(),
            title: self.status.canonical_reason().unwrap_or_default().to_owned(),
            detail: self.detail,
        };
        let text = serde_json::to_vec(&problem).unwrap_or_default();
        let kind = (header::CONTENT_TYPE, "application/problem+json");
        let fields = [kind, (header::CACHE_CONTROL, "no-store")];
        let mut response = (self.status, fields, text).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let bearer = axum::http::HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}

pub(crate) async fn no_such_url() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "the API has no such URL")
}

pub(crate) async fn no_such_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this URL does not know this method")
}
