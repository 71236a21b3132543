//! What the fleet runs, counted by the digests that devices report.

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::page::{Page, Paged};
use super::row::Columns as _;
use super::{Result, Store, images};
use crate::digest::Sha256;
use crate::fleet::{ProductName, SketchDigest};

/// A build that devices run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Build {
    /// What they report.
    pub digest: SketchDigest,
    /// The image, if it is known; of several, the one with the lowest digest.
    pub image: Option<Sha256>,
    /// What it is called: the name of the image's file.
    pub name: Option<String>,
    /// A version that one of them reports.
    pub version: Option<String>,
    /// How many devices run it.
    pub devices: i64,
    /// When one of them was last seen.
    pub last_seen: Timestamp,
}

/// Which builds are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Builds {
    /// All.
    All,
    /// Those that nobody has uploaded.
    Unknown,
}

impl Store {
    /// What is run, by the devices of one product or by all; by digest.
    pub(crate) async fn inventory(
        &self,
        of: Option<ProductName>,
        which: Builds,
        page: Page<SketchDigest>,
    ) -> Result<Paged<Build, SketchDigest>> {
        self.read((of, which, page), |tx, (of, which, page)| {
            Box::pin(inventory(tx, of.as_ref(), *which, page))
        })
        .await
    }

    /// How many devices are registered.
    pub(crate) async fn device_count(&self) -> Result<i64> {
        self.read((), |tx, ()| {
            Box::pin(async move {
                Ok(sqlx::query("SELECT COUNT(*) FROM devices").fetch_one(tx).await?.try_get(0)?)
            })
        })
        .await
    }
}

async fn inventory(
    tx: &mut AnyConnection,
    of: Option<&ProductName>,
    which: Builds,
    page: &Page<SketchDigest>,
) -> Result<Paged<Build, SketchDigest>> {
    let sql = "SELECT build.digest, build.version, build.devices, build.last_seen,
                   build.image, images.name
               FROM (SELECT running AS digest, MIN(version) AS version, COUNT(*) AS devices,
                         MAX(last_seen) AS last_seen,
                         (SELECT MIN(image) FROM digests WHERE digest = devices.running) AS image
                     FROM devices
                     WHERE running > $1 AND ($2 IS NULL OR product = $2)
                     GROUP BY running) AS build
               LEFT JOIN images ON images.sha256 = build.image
               WHERE $3 = 0 OR build.image IS NULL
               ORDER BY build.digest LIMIT $4";
    let rows = sqlx::query(sql)
        .bind(page.after.map(|digest| digest.to_string()).unwrap_or_default())
        .bind(of.map(ProductName::as_str))
        .bind(i64::from(which == Builds::Unknown))
        .bind(page.rows())
        .fetch_all(tx)
        .await?;
    let builds = rows.iter().map(build).collect::<Result<Vec<_>>>()?;
    Ok(page.cut(builds, |build| build.digest))
}

fn build(row: &AnyRow) -> Result<Build> {
    Ok(Build {
        digest: images::sketch_digest(row.text("digest")?, "devices.running")?,
        image: row.maybe_parsed("image")?,
        name: row.maybe_text("name")?,
        version: row.maybe_text("version")?,
        devices: row.number("devices")?,
        last_seen: row.time("last_seen")?,
    })
}
