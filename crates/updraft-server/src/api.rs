//! `/api/v1`: what programs and the command line change and ask, as JSON. It reads requests, calls the
//! store and says what came of it; rules of the fleet are elsewhere.

mod caller;
mod channels;
mod devices;
mod events;
mod explain;
mod images;
mod import;
mod key;
mod problem;
mod products;
mod releases;
mod request;
mod show;
mod signer;
mod tokens;
pub mod wire;

pub use tokens::{CreateTokenError, create_token};

use axum::Router;
use axum::routing::{delete, get, post, put};

use crate::people::PeopleState;

/// Where the API is.
pub(crate) const ROOT: &str = "/api/v1/";

/// The URLs of the API below [`ROOT`]; [`wire`] tells what each takes and gives.
pub(crate) fn routes() -> Router<PeopleState> {
    Router::new()
        .route("/health", get(events::health))
        .route("/events", get(events::list))
        .route("/tokens", get(tokens::list).post(tokens::create))
        .route("/tokens/{id}", delete(tokens::revoke))
        .route("/products", get(products::list).post(products::create))
        .route(
            "/products/{product}",
            get(products::show).patch(products::change).delete(products::remove),
        )
        .route("/products/{product}/releases", get(releases::list))
        .route("/products/{product}/channels", get(channels::list))
        .route("/products/{product}/channels/{channel}", put(channels::set))
        .route("/products/{product}/channels/{channel}/reach", get(channels::reach))
        .route("/images", get(images::list).post(images::upload))
        .route("/images/{sha256}", get(images::show))
        .route("/releases", post(releases::publish))
        .route("/releases/{id}", get(releases::show))
        .route("/releases/{id}/yank", post(releases::yank))
        .route("/devices", get(devices::list))
        .route("/devices/import", post(import::import))
        .route(
            "/devices/{device}",
            get(devices::show).patch(devices::change).delete(devices::remove),
        )
        .route("/devices/{device}/retry", post(devices::retry))
        .route("/devices/{device}/explain", get(explain::explain))
        .fallback(problem::no_such_url)
        .method_not_allowed_fallback(problem::no_such_method)
}
