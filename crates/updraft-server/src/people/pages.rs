//! The pages for people: the catalog as a browser shows it, and what operators probe.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use jiff::tz::TimeZone;
use serde::Deserialize;
use updraft_core::Family;

use crate::catalog::image::Target;
use crate::catalog::list::{Listing, Row};
use crate::catalog::{CatalogPath, Effort, Entry, Found};
use crate::people::PeopleState;

/// Query of the catalog page.
#[derive(Deserialize)]
pub(crate) struct CatalogQuery {
    path: Option<String>,
}

/// `GET /`: the catalog.
pub(crate) async fn catalog(
    State(state): State<PeopleState>,
    Query(query): Query<CatalogQuery>,
    headers: HeaderMap,
) -> Response {
    let path = query.path.unwrap_or_default();
    let Ok(folder) = CatalogPath::from_bytes(path.as_bytes()) else {
        return problem(StatusCode::NOT_FOUND, "There is no such folder.");
    };
    let host = host(&headers).to_owned();
    // Reading the folder waits for the disk, and a long list takes its time to write.
    let make = move || match state.app.catalog.list(&folder, Effort::Disk) {
        Found::Known(listing) => {
            let zone = state.app.catalog.zone();
            page(&CatalogPage::new(&folder, &listing, &host, &zone))
        }
        _ => problem(StatusCode::NOT_FOUND, "There is no such folder."),
    };
    tokio::task::spawn_blocking(make).await.unwrap_or_else(|_| {
        problem(StatusCode::INTERNAL_SERVER_ERROR, "The server failed; see its log.")
    })
}

/// `GET /assets/updraft.css`.
pub(crate) async fn style() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")],
        include_str!("../../assets/updraft.css"),
    )
}

/// `GET /healthz`: the process answers.
pub(crate) async fn health() -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "no-store")], "ok\n")
}

#[derive(Template)]
#[template(path = "catalog.html")]
struct CatalogPage<'a> {
    /// Path of the folder, empty for the root.
    folder: &'a str,
    /// Path of the folder above, unless this is the root.
    parent: Option<String>,
    host: &'a str,
    /// Host without port, and the port, as a sketch takes them.
    name: &'a str,
    port: &'a str,
    /// Whether that host is this machine alone.
    loopback: bool,
    /// A file of this folder for each family, to show in the examples.
    esp8266: &'a str,
    esp32: &'a str,
    rows: Vec<PageRow<'a>>,
}

enum PageRow<'a> {
    Folder { name: &'a str, path: String },
    File(FileRow<'a>),
}

struct FileRow<'a> {
    name: &'a str,
    chip: &'a str,
    kind: &'a str,
    version: &'a str,
    size: u64,
    date: String,
    md5: String,
    /// Why no device can install it, or that nobody knows.
    note: &'a str,
}

impl<'a> CatalogPage<'a> {
    fn new(folder: &'a CatalogPath, listing: &'a Listing, host: &'a str, zone: &TimeZone) -> Self {
        let rows: Vec<_> = listing
            .rows
            .iter()
            .map(|row| match row {
                Row::Folder { name } => PageRow::Folder {
                    name,
                    path: folder.child(name).map(|p| p.to_string()).unwrap_or_default(),
                },
                Row::File(entry) => PageRow::File(FileRow::new(entry, zone)),
            })
            .collect();
        let example = |family| {
            listing
                .rows
                .iter()
                .find_map(|row| match row {
                    Row::File(entry)
                        if entry.image.family() == Some(family)
                            && entry.image.target == Target::Sketch =>
                    {
                        Some(entry.path.name())
                    }
                    _ => None,
                })
                .unwrap_or("firmware.bin")
        };
        let (name, port) = split_host(host);
        let parent = (*folder != CatalogPath::root()).then(|| folder.parent().to_string());
        Self {
            folder: folder.as_str(),
            parent,
            host,
            name,
            port,
            loopback: matches!(name, "localhost" | "127.0.0.1" | "[::1]"),
            esp8266: example(Family::Esp8266),
            esp32: example(Family::Esp32),
            rows,
        }
    }

    /// The path of a download, as a sketch asks for it.
    fn download(&self, name: &str) -> String {
        if self.folder.is_empty() { format!("/{name}") } else { format!("/{}/{name}", self.folder) }
    }
}

impl<'a> FileRow<'a> {
    fn new(entry: &'a Entry, zone: &TimeZone) -> Self {
        let image = &entry.image;
        Self {
            name: entry.path.name(),
            chip: image.chip.map_or("", updraft_core::Chip::name),
            kind: &image.kind,
            version: image.version.as_deref().unwrap_or_default(),
            size: image.size,
            date: entry
                .stamp
                .modified()
                .to_zoned(zone.clone())
                .strftime("%Y-%m-%d %H:%M")
                .to_string(),
            md5: image.md5.to_string(),
            note: match &image.target {
                Target::Sketch | Target::Filesystem => "",
                Target::Unrecognised => {
                    "not recognised: sent only to a device that asks for it by name"
                }
                Target::Never(why) => why,
            },
        }
    }
}

/// The host a browser reached us by, which is the one a sketch can use, too.
fn host(headers: &HeaderMap) -> &str {
    headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .filter(|host| !host.is_empty())
        .unwrap_or("this-server:8000")
}

/// Host and port as a sketch takes them; the port is 80 if there is none.
fn split_host(host: &str) -> (&str, &str) {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !port.is_empty() => {
            (name, port)
        }
        _ => (host, "80"),
    }
}

fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (
            [
                (header::CACHE_CONTROL, "no-store"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (
                    header::CONTENT_SECURITY_POLICY,
                    "default-src 'none'; style-src 'self'; frame-ancestors 'none'",
                ),
            ],
            Html(html),
        )
            .into_response(),
        Err(error) => {
            tracing::error!(%error, "cannot make a page");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "The server failed; see its log.")
        }
    }
}

fn problem(status: StatusCode, text: &'static str) -> Response {
    (status, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_split_into_name_and_port() {
        assert_eq!(split_host("updates.lan:8000"), ("updates.lan", "8000"));
        assert_eq!(split_host("updates.lan"), ("updates.lan", "80"));
        assert_eq!(split_host("[::1]:8000"), ("[::1]", "8000"));
        assert_eq!(split_host("[::1]"), ("[::1]", "80"));
    }
}
