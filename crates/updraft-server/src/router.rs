//! Every URL, grouped by who calls it. Nothing is routed anywhere else.

use axum::Router;
use axum::routing::{delete, get, post, put};

use crate::api::{
    self, channels, devices, events, explain, images, import, problem, products, releases, tokens,
};
use crate::dialect::arduino::Client;
use crate::fleet::Evidence;
use crate::http::{Method, Target, percent_decode};
use crate::people::{PeopleState, pages};

/// What a request target means on the device plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DeviceRoute {
    /// `GET /_catalog?op=list&path=P`: AutoConnect's list.
    CatalogList(Box<ListQuery>),
    /// `GET /<path>`: a file of the catalog.
    CatalogFile,
    /// `GET /update`, `/update/<product>`, `/t/<token>/update…`: the server picks the image.
    Managed(Box<Managed>),
    /// A method that no device URL has.
    OtherMethod,
}

/// The query of AutoConnect's list, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListQuery {
    pub(crate) op: Option<Vec<u8>>,
    pub(crate) path: Option<Vec<u8>>,
}

/// What a device says in the URL of a managed path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Managed {
    /// The product, decoded.
    pub(crate) product: Option<String>,
    /// The secret before the path.
    pub(crate) path_token: Option<String>,
    pub(crate) evidence: Evidence,
}

/// Who answers a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plane {
    Device(DeviceRoute),
    People,
}

/// URLs for people and for operators. An updater never gets one of these.
const INDEX: &str = "/";
const STYLE: &str = "/assets/updraft.css";
const HEALTH: &str = "/healthz";

/// Devices: AutoConnect's list, and everything that is nobody else's, for a file may have any name.
pub(crate) fn plane(method: Method, target: Target<'_>, client: &Client) -> Plane {
    let is_page = || [INDEX, STYLE, HEALTH].iter().any(|url| target.is(url));
    if !client.is_updater() && (is_page() || target.path().starts_with(api::ROOT)) {
        return Plane::People;
    }
    Plane::Device(if method == Method::Other {
        DeviceRoute::OtherMethod
    } else if target.is("/_catalog") {
        let (op, path) = (target.query("op"), target.query("path"));
        DeviceRoute::CatalogList(Box::new(ListQuery { op, path }))
    } else if let Some(managed) = managed(target) {
        DeviceRoute::Managed(Box::new(managed))
    } else {
        DeviceRoute::CatalogFile
    })
}

/// What stands before the path of a device that shows a secret in it.
const PATH_TOKEN: &str = "/t/";
/// The managed path; a product may follow.
const UPDATE: &str = "/update";

/// Splits the secret off a path.
pub(crate) fn path_token(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix(PATH_TOKEN).or_else(|| path.strip_prefix(&PATH_TOKEN[1..]))?;
    let end = rest.find('/')?;
    Some((&rest[..end], &rest[end..]))
}

fn managed(target: Target<'_>) -> Option<Managed> {
    let (path_token, path) = match path_token(target.path()) {
        Some((token, path)) => (Some(token.to_owned()), path),
        None => (None, target.path()),
    };
    let rest = path.strip_prefix(UPDATE).or_else(|| path.strip_prefix(&UPDATE[1..]))?;
    let product = match rest.strip_prefix('/') {
        None if rest.is_empty() => None,
        None => return None,
        Some("") => None,
        Some(name) => Some(String::from_utf8_lossy(&percent_decode(name)).into_owned()),
    };
    Some(Managed { product, path_token, evidence: Evidence::read(|key| target.query(key)) })
}

/// People and operators. Only what [`plane`] says is theirs comes here.
pub(crate) fn people(state: PeopleState) -> Router {
    Router::new()
        // People.
        .route(INDEX, get(pages::catalog))
        .route(STYLE, get(pages::style))
        // Programs.
        .nest(api::ROOT.trim_end_matches('/'), api())
        // Operators.
        .route(HEALTH, get(pages::health))
        .with_state(state)
}

/// The API below [`api::ROOT`]; [`api::wire`] tells what each URL takes and gives.
fn api() -> Router<PeopleState> {
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

#[cfg(test)]
mod tests {
    use updraft_core::Family;

    use super::*;

    fn plane_of(target: &str, client: &Client) -> Plane {
        plane(Method::Get, Target::new(target), client)
    }

    #[test]
    fn people_get_their_pages_and_updaters_never_do() {
        let updater = Client::Anonymous(Family::Esp8266);
        for url in [INDEX, STYLE, HEALTH, "/?path=fw"] {
            assert_eq!(plane_of(url, &Client::Other), Plane::People, "{url}");
            assert_eq!(plane_of(url, &updater), Plane::Device(DeviceRoute::CatalogFile), "{url}");
        }
    }

    #[test]
    fn the_catalog_is_exactly_one_url() {
        let list = |op: &str, path: Option<&str>| {
            Plane::Device(DeviceRoute::CatalogList(Box::new(ListQuery {
                op: Some(op.into()),
                path: path.map(Into::into),
            })))
        };
        assert_eq!(plane_of("/_catalog?op=list&path=.", &Client::Other), list("list", Some(".")));
        assert_eq!(plane_of("_catalog?op=list", &Client::Other), list("list", None));
        assert_eq!(plane_of("/_catalog/", &Client::Other), Plane::Device(DeviceRoute::CatalogFile));
    }
}
