//! The list of a folder: rows for people, and the JSON that AutoConnect reads into 256 bytes an
//! entry. Built when the folder changed, shared by everyone who asks.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::catalog::folder::Stamp;
use crate::catalog::image::Target;
use crate::catalog::path::CatalogPath;
use crate::catalog::{Absent, Catalog, Effort, Entry, Found, MAX_LISTS};

/// One folder as it was when the list was built.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) rows: Vec<Row>,
    /// What AutoConnect gets.
    pub(crate) json: Bytes,
    location: PathBuf,
    folder: Stamp,
    built: Timestamp,
}

/// One line of a list.
#[derive(Debug)]
pub(crate) enum Row {
    Folder { name: String },
    File(Arc<Entry>),
}

/// Longest name that fits AutoConnect's 256 bytes with both versions of its JSON parser.
const MAX_NAME: usize = 100;
/// Why a name is missing from the list.
const NOT_LISTABLE: &str = "left out of the list: AutoConnect could not show or ask for it";

impl Catalog {
    /// The list of a folder. It is at most as old as the settling time, and never older than the
    /// last file added, removed, renamed or closed after writing.
    pub(crate) fn list(&self, path: &CatalogPath, effort: Effort) -> Found<Arc<Listing>> {
        let known = self.read_index().lists.get(path).cloned();
        if let Some(listing) = known.filter(|listing| self.is_current(listing)) {
            return Found::Known(listing);
        }
        if effort == Effort::Quick {
            return Found::NeedsDisk;
        }
        let _listing = self.listing.lock(path);
        let known = self.read_index().lists.get(path).cloned();
        if let Some(listing) = known.filter(|listing| self.is_current(listing)) {
            return Found::Known(listing);
        }
        match self.build_list(path) {
            Ok(listing) => {
                let listing = Arc::new(listing);
                let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
                if index.lists.len() >= MAX_LISTS {
                    index.lists.clear();
                }
                index.lists.insert(path.clone(), Arc::clone(&listing));
                Found::Known(listing)
            }
            Err(absent) => Found::Absent(absent),
        }
    }

    fn is_current(&self, listing: &Listing) -> bool {
        let age = self.clock.now().duration_since(listing.built);
        // A clock set back makes an age negative: rebuild then, too.
        (SignedDuration::ZERO..self.rules.settle.0).contains(&age)
            && Stamp::of_path(&listing.location) == Some(listing.folder)
    }

    fn build_list(&self, path: &CatalogPath) -> Result<Listing, Absent> {
        let built = self.clock.now();
        let (mut names, folder) = self.folder.names(path)?;
        names.sort_unstable();
        let rows: Vec<Row> = names
            .into_iter()
            .filter(|name| !name.starts_with('.'))
            .filter_map(|name| self.row(path, name))
            .collect();
        let json = render(&rows, self.rules.list_gzip, &self.clock.zone());
        Ok(Listing { rows, json: json.into(), location: self.folder.location(path), folder, built })
    }

    fn row(&self, folder: &CatalogPath, name: String) -> Option<Row> {
        let Ok(path) = folder.child(&name) else {
            if self.rules.serves(&name) {
                self.warn_once(&format!("{name:?}"), NOT_LISTABLE);
            }
            return None;
        };
        let is_folder = self.folder.is_folder(&path);
        if !is_folder && !self.rules.serves(&name) {
            return None;
        }
        if !is_listable(&name) {
            self.warn_once(path.as_str(), NOT_LISTABLE);
            return None;
        }
        if is_folder {
            return Some(Row::Folder { name });
        }
        match self.file_now(&path) {
            Found::Known(entry) => Some(Row::File(entry)),
            Found::Absent(Absent::Unreadable) => {
                self.warn_once(path.as_str(), "left out of the list: it cannot be read");
                None
            }
            Found::Absent(_) | Found::NeedsDisk => None,
        }
    }
}

/// Whether AutoConnect can take a name into its page and ask for it again: short enough, and none of
/// the characters that it escapes neither in HTML nor in a request.
fn is_listable(name: &str) -> bool {
    name.len() <= MAX_NAME
        && !name.chars().any(|c| c.is_whitespace() || c.is_control() || "\"<>&%?#\\".contains(c))
}

/// The list in AutoConnect's words. `type` is `bin` only for what a device can install; no name needs
/// escaping, see [`is_listable`].
fn render(rows: &[Row], list_gzip: bool, zone: &TimeZone) -> String {
    let mut json = String::from("[");
    for row in rows {
        if json.len() > 1 {
            json.push_str(", ");
        }
        match row {
            Row::Folder { name } => {
                write!(json, r#"{{"name": "{name}", "type": "directory"}}"#)
            }
            Row::File(entry) => {
                let modified = entry.stamp.modified().to_zoned(zone.clone());
                write!(
                    json,
                    r#"{{"name": "{}", "type": "{}", "date": "{}", "time": "{}", "size": {}}}"#,
                    entry.path.name(),
                    entry_type(entry, list_gzip),
                    modified.strftime("%m/%d/%y"),
                    modified.strftime("%H:%M:%S"),
                    entry.stamp.size,
                )
            }
        }
        .expect("a String takes all");
    }
    if rows.is_empty() {
        // AutoConnect takes an empty array for an error; with this it says "No available firmwares".
        json.push_str(r#"{"name": "-", "type": "file"}"#);
    }
    json.push(']');
    json
}

#[expect(
    clippy::case_sensitive_file_extension_comparisons,
    reason = "AutoConnect's `bin` is lower case only, as its own server has it"
)]
fn entry_type(entry: &Entry, list_gzip: bool) -> &'static str {
    let name = entry.path.name();
    let selectable = name.ends_with(".bin") || (list_gzip && name.ends_with(".bin.gz"));
    if selectable && entry.image.target == Target::Sketch { "bin" } else { "file" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_autoconnect_cannot_handle_are_not_listable() {
        assert!(is_listable("fährte-1.2.0.bin"));
        assert!(is_listable(&"x".repeat(100)));
        for name in
            ["a b.bin", "a\u{a0}b.bin", "a\".bin", "a<b.bin", "a&.bin", "50%.bin", "a\\b.bin"]
        {
            assert!(!is_listable(name), "{name}");
        }
        assert!(!is_listable(&"x".repeat(101)));
        assert!(!is_listable(&"ä".repeat(51)));
    }

    #[test]
    fn an_empty_folder_lists_something() {
        assert_eq!(render(&[], false, &TimeZone::UTC), r#"[{"name": "-", "type": "file"}]"#);
    }
}
