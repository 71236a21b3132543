//! Every URL, grouped by who calls it. Nothing is routed anywhere else.

use axum::Router;
use axum::routing::get;

use crate::api;
use crate::dialect::arduino::Client;
use crate::http::{Method, Target};
use crate::people::{PeopleState, pages};

/// What a request target means on the device plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DeviceRoute {
    /// `GET /_catalog?op=list&path=P`: AutoConnect's list.
    CatalogList(Box<ListQuery>),
    /// `GET /<path>`: a file of the catalog.
    CatalogFile,
    /// A method that no device URL has.
    OtherMethod,
}

/// The query of AutoConnect's list, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListQuery {
    pub(crate) op: Option<Vec<u8>>,
    pub(crate) path: Option<Vec<u8>>,
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
    } else {
        DeviceRoute::CatalogFile
    })
}

/// People and operators. Only what [`plane`] says is theirs comes here.
pub(crate) fn people(state: PeopleState) -> Router {
    Router::new()
        // People.
        .route(INDEX, get(pages::catalog))
        .route(STYLE, get(pages::style))
        // Programs.
        .nest(api::ROOT.trim_end_matches('/'), api::routes())
        // Operators.
        .route(HEALTH, get(pages::health))
        .with_state(state)
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
