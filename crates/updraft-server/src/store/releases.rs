//! Releases: a product's versions with their images. Immutable once published; they can be yanked.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::events::{By, Note};
use super::ids::Series;
use super::images::{self, KnownImage};
use super::page::{Page, Paged};
use super::{Result, Store, StoreError, What, products};
use crate::digest::Sha256;

/// A published version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Release {
    /// Its number.
    pub id: i64,
    /// Of which product.
    pub product: String,
    /// Its version, in the publisher's words.
    pub version: String,
    /// What the publisher says about it.
    pub notes: String,
    /// Unix milliseconds.
    pub published: i64,
    /// Whether it may still be offered.
    pub yanked: Option<Yank>,
    /// Its images, by digest.
    pub images: Vec<KnownImage>,
}

/// That a release is not to be offered any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Yank {
    /// Since when, in Unix milliseconds.
    pub at: i64,
    /// Why.
    pub why: String,
}

/// A release to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewRelease {
    /// See [`Release::product`]; there must be such.
    pub product: String,
    /// See [`Release::version`].
    pub version: String,
    /// Sorts as the versions of the product do, byte by byte; digits and lower-case letters only, so that
    /// every collation agrees.
    pub version_key: String,
    /// See [`Release::notes`].
    pub notes: String,
    /// Uploaded images, at least one.
    pub images: Vec<Sha256>,
}

impl Store {
    /// Publishes a release.
    pub(crate) async fn publish(&self, new: NewRelease, by: &By) -> Result<Release> {
        let input = (self.id(Series::Releases).await?, new);
        self.change(by, input, |tx, (id, new), note| Box::pin(publish(tx, *id, new, note))).await
    }

    /// One release, by its number.
    pub(crate) async fn release(&self, id: i64) -> Result<Release> {
        self.read(id, |tx, id| Box::pin(one(tx, *id))).await
    }

    /// One release, by its version.
    pub(crate) async fn release_of(&self, product: &str, version: &str) -> Result<Release> {
        let input = (product.to_owned(), version.to_owned());
        self.read(input, |tx, (product, version)| Box::pin(by_version(tx, product, version))).await
    }

    /// The releases of a product, the highest version first. `page.after` is a release's number.
    pub(crate) async fn releases(
        &self,
        product: &str,
        page: Page<i64>,
    ) -> Result<Paged<Release, i64>> {
        let input = (product.to_owned(), page);
        self.read(input, |tx, (product, page)| Box::pin(list(tx, product, page))).await
    }

    /// Takes a release back: no device is offered it from now on. With `None`, takes that back.
    pub(crate) async fn yank(&self, id: i64, why: Option<&str>, by: &By) -> Result<Release> {
        let input = (id, why.map(str::to_owned));
        self.change(by, input, |tx, (id, why), note| Box::pin(yank(tx, *id, why.as_deref(), note)))
            .await
    }
}

async fn publish(
    tx: &mut AnyConnection,
    id: i64,
    new: &NewRelease,
    note: &Note,
) -> Result<Release> {
    products::one(&mut *tx, &new.product).await?;
    let name = format!("{} {}", new.product, new.version);
    let sql = "INSERT INTO releases (id, product, version, version_key, notes, published, yanked_why)
               VALUES ($1, $2, $3, $4, $5, $6, '')";
    sqlx::query(sql)
        .bind(id)
        .bind(new.product.as_str())
        .bind(new.version.as_str())
        .bind(new.version_key.as_str())
        .bind(new.notes.as_str())
        .bind(note.by().at)
        .execute(&mut *tx)
        .await
        .map_err(|error| StoreError::or_exists(error, What::Release, &name))?;
    for sha256 in &new.images {
        let sha256 = sha256.to_string();
        // Its file may have been collected since the upload.
        let sql = "SELECT 1 FROM images WHERE sha256 = $1 AND file IS NOT NULL";
        if sqlx::query(sql).bind(sha256.as_str()).fetch_optional(&mut *tx).await?.is_none() {
            return Err(StoreError::missing(What::Image, sha256));
        }
        let sql = "INSERT INTO release_images (release, image) VALUES ($1, $2)";
        sqlx::query(sql).bind(id).bind(sha256).execute(&mut *tx).await?;
    }
    note.write(&mut *tx, "published", What::Release, &name, "").await?;
    one(tx, id).await
}

/// The release of this number.
pub(super) async fn one(tx: &mut AnyConnection, id: i64) -> Result<Release> {
    let sql = "SELECT id, product, version, notes, published, yanked, yanked_why FROM releases
               WHERE id = $1";
    match sqlx::query(sql).bind(id).fetch_optional(&mut *tx).await? {
        Some(row) => whole(tx, &row).await,
        None => Err(StoreError::missing(What::Release, id)),
    }
}

async fn by_version(tx: &mut AnyConnection, product: &str, version: &str) -> Result<Release> {
    let sql = "SELECT id FROM releases WHERE product = $1 AND version = $2";
    match sqlx::query(sql).bind(product).bind(version).fetch_optional(&mut *tx).await? {
        Some(row) => one(tx, row.try_get(0)?).await,
        None => Err(StoreError::missing(What::Release, format!("{product} {version}"))),
    }
}

async fn list(
    tx: &mut AnyConnection,
    product: &str,
    page: &Page<i64>,
) -> Result<Paged<Release, i64>> {
    products::one(&mut *tx, product).await?;
    let sql = "SELECT id, product, version, notes, published, yanked, yanked_why FROM releases
               WHERE product = $1 AND ($2 = 0 OR (version_key, id) <
                     (SELECT version_key, id FROM releases WHERE id = $2))
               ORDER BY version_key DESC, id DESC LIMIT $3";
    let query = sqlx::query(sql).bind(product).bind(page.after.unwrap_or(0)).bind(page.rows());
    let mut releases = Vec::new();
    for row in query.fetch_all(&mut *tx).await? {
        releases.push(whole(&mut *tx, &row).await?);
    }
    Ok(page.cut(releases, |release| release.id))
}

async fn yank(
    tx: &mut AnyConnection,
    id: i64,
    why: Option<&str>,
    note: &Note,
) -> Result<Release> {
    let found = one(&mut *tx, id).await?;
    let at = why.map(|_| note.by().at);
    let sql = "UPDATE releases SET yanked = $2, yanked_why = $3 WHERE id = $1";
    let query = sqlx::query(sql).bind(id).bind(at).bind(why.unwrap_or(""));
    query.execute(&mut *tx).await?;
    let name = format!("{} {}", found.product, found.version);
    let action = if why.is_some() { "yanked" } else { "unyanked" };
    note.write(&mut *tx, action, What::Release, name, why.unwrap_or("")).await?;
    one(tx, id).await
}

/// A release with its images.
async fn whole(tx: &mut AnyConnection, row: &AnyRow) -> Result<Release> {
    let id: i64 = row.try_get("id")?;
    let sql = "SELECT facts, name, file, seen FROM images
               JOIN release_images ON release_images.image = images.sha256
               WHERE release_images.release = $1 ORDER BY images.sha256";
    let images = sqlx::query(sql).bind(id).fetch_all(tx).await?;
    let yanked: Option<i64> = row.try_get("yanked")?;
    let why: String = row.try_get("yanked_why")?;
    Ok(Release {
        id,
        product: row.try_get("product")?,
        version: row.try_get("version")?,
        notes: row.try_get("notes")?,
        published: row.try_get("published")?,
        yanked: yanked.map(|at| Yank { at, why }),
        images: images.iter().map(images::known).collect::<Result<_>>()?,
    })
}
