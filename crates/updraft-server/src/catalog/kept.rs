//! What is kept of inspections from one start to the next: a JSON file in the data folder. Losing it
//! costs time, never correctness: a record counts only for a file whose stamp it has.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalog::image::{Image, REVISION};
use crate::catalog::path::CatalogPath;
use crate::catalog::{Entry, Stamp};

/// Name of the file in the data folder.
const FILE: &str = "catalog-index.json";

/// The records taken up at start, and where the next ones go.
pub(super) struct Kept {
    file: PathBuf,
    records: HashMap<CatalogPath, (Stamp, Image)>,
}

#[derive(Serialize, Deserialize)]
struct Document<R> {
    /// Of the inspection that made the records.
    revision: String,
    files: Vec<R>,
}

#[derive(Deserialize)]
struct Record {
    path: String,
    stamp: Stamp,
    image: Image,
}

#[derive(Serialize)]
struct RecordRef<'a> {
    path: &'a str,
    stamp: Stamp,
    image: &'a Image,
}

impl Kept {
    /// Takes up what an earlier server kept; nothing if there is nothing, or nothing that fits.
    pub(super) fn load(data: &Path) -> Self {
        let file = data.join(FILE);
        let document = fs::read(&file)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Document<Record>>(&bytes).ok())
            .filter(|document| document.revision == REVISION);
        let records = document
            .into_iter()
            .flat_map(|document| document.files)
            .filter_map(|record| {
                let path = CatalogPath::from_bytes(record.path.as_bytes()).ok()?;
                Some((path, (record.stamp, record.image)))
            })
            .collect();
        Self { file, records }
    }

    /// What was kept of a file in just this state.
    pub(super) fn get(&self, path: &CatalogPath, stamp: Stamp) -> Option<Image> {
        self.records.get(path).filter(|(then, _)| *then == stamp).map(|(_, image)| image.clone())
    }

    /// Keeps these, and of what was kept before what nobody looked at yet and `holds`. Written beside
    /// and renamed, so that no crash leaves half.
    pub(super) fn save(
        &self,
        entries: &[Arc<Entry>],
        holds: impl Fn(&CatalogPath, Stamp) -> bool,
    ) -> io::Result<()> {
        let known: HashSet<_> = entries.iter().map(|entry| &entry.path).collect();
        let before = self
            .records
            .iter()
            .filter(|(path, (stamp, _))| !known.contains(path) && holds(path, *stamp))
            .map(|(path, (stamp, image))| RecordRef { path: path.as_str(), stamp: *stamp, image });
        let files = entries
            .iter()
            .map(|entry| RecordRef {
                path: entry.path.as_str(),
                stamp: entry.stamp,
                image: &entry.image,
            })
            .chain(before)
            .collect();
        let document = serde_json::to_vec(&Document { revision: REVISION.to_owned(), files })?;
        let beside = self.file.with_extension("json.new");
        fs::write(&beside, document)?;
        fs::rename(&beside, &self.file)
    }
}
