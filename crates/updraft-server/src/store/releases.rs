//! Releases: a product's versions and which images are in them. Immutable once published; they can be
//! yanked.

use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use updraft_core::Chip;

use super::events::{By, Note};
use super::ids::Series;
use super::page::{Page, Paged};
use super::row::{Columns as _, corrupt};
use super::{Result, Store, StoreError, What, products};
use crate::digest::Sha256;
use crate::fleet::{Part, ProductName, Release, ReleaseImage, ReleaseKey, Subject, Yank};

/// A release to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewRelease {
    /// See [`Release::product`]; there must be such.
    pub product: ProductName,
    /// See [`Release::version`].
    pub version: String,
    /// See [`Release::sort_key`]: ASCII digits and lower-case letters only, so that every collation agrees.
    pub sort_key: String,
    /// See [`Release::notes`].
    pub notes: String,
    /// Its images, all uploaded.
    pub images: Vec<NewReleaseImage>,
}

/// An image of a release to be: see [`ReleaseImage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NewReleaseImage {
    /// See [`ReleaseImage::part`].
    pub part: Part,
    /// See [`ReleaseImage::chip`].
    pub chip: Option<Chip>,
    /// See [`ReleaseImage::flash_size`].
    pub flash_size: Option<u32>,
    /// See [`ReleaseImage::image`].
    pub image: Sha256,
}

impl Store {
    /// Publishes a release.
    pub(crate) async fn publish(&self, new: NewRelease, by: &By) -> Result<Release> {
        let input = (ReleaseKey(self.id(Series::Releases).await?), new);
        self.change(by, input, |tx, (key, new), note| Box::pin(publish(tx, *key, new, note))).await
    }

    /// One release with its images, by its number.
    pub(crate) async fn release(&self, key: ReleaseKey) -> Result<(Release, Vec<ReleaseImage>)> {
        self.read(key, |tx, key| {
            Box::pin(async move { Ok((one(&mut *tx, *key).await?, images(tx, *key).await?)) })
        })
        .await
    }

    /// The number of a version.
    pub(crate) async fn release_of(
        &self,
        product: ProductName,
        version: &str,
    ) -> Result<ReleaseKey> {
        self.read((product, version.to_owned()), |tx, (product, version)| {
            Box::pin(by_version(tx, product, version))
        })
        .await
    }

    /// The releases of a product, the highest version first.
    pub(crate) async fn releases(
        &self,
        product: ProductName,
        page: Page<ReleaseKey>,
    ) -> Result<Paged<Release, ReleaseKey>> {
        self.read((product, page), |tx, (product, page)| Box::pin(list(tx, product, page))).await
    }

    /// Takes a release back, saying why: no device is offered it from now on. With `None`, takes that back.
    pub(crate) async fn yank(
        &self,
        key: ReleaseKey,
        why: Option<&str>,
        by: &By,
    ) -> Result<Release> {
        let input = (key, why.map(str::to_owned));
        self.change(by, input, |tx, (key, why), note| {
            Box::pin(yank(tx, *key, why.as_deref(), note))
        })
        .await
    }
}

async fn publish(
    tx: &mut AnyConnection,
    key: ReleaseKey,
    new: &NewRelease,
    note: &Note,
) -> Result<Release> {
    products::one(&mut *tx, &new.product).await?;
    let name = format!("{} {}", new.product, new.version);
    let sql =
        "INSERT INTO releases (id, product, version, sort_key, notes, published_at, published_by)
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    sqlx::query(sql)
        .bind(key.0)
        .bind(new.product.as_str())
        .bind(new.version.as_str())
        .bind(new.sort_key.as_str())
        .bind(new.notes.as_str())
        .bind(note.at())
        .bind(note.name())
        .execute(&mut *tx)
        .await
        .map_err(|error| StoreError::or_exists(error, What::Release, &name))?;
    for image in &new.images {
        let sha256 = image.image.to_string();
        // Its file may have been collected since the upload.
        let query = sqlx::query("SELECT sha256 FROM images WHERE sha256 = $1 AND file IS NOT NULL");
        if query.bind(sha256.as_str()).fetch_optional(&mut *tx).await?.is_none() {
            return Err(StoreError::missing(What::Image, sha256));
        }
        let sql = "INSERT INTO release_images (release, image, part, chip, flash_size)
                   VALUES ($1, $2, $3, $4, $5)";
        sqlx::query(sql)
            .bind(key.0)
            .bind(sha256)
            .bind(image.part.name())
            .bind(image.chip.map(Chip::name))
            .bind(image.flash_size.map(i64::from))
            .execute(&mut *tx)
            .await?;
    }
    let subject = Subject { release: Some(key), ..products::subject(&new.product) };
    note.write(&mut *tx, &subject, &format!("release {name} published")).await?;
    one(tx, key).await
}

/// The release of this number.
pub(super) async fn one(tx: &mut AnyConnection, key: ReleaseKey) -> Result<Release> {
    let query = sqlx::query("SELECT * FROM releases WHERE id = $1").bind(key.0);
    match query.fetch_optional(tx).await? {
        Some(row) => release(&row),
        None => Err(StoreError::missing(What::Release, key.0)),
    }
}

async fn images(tx: &mut AnyConnection, key: ReleaseKey) -> Result<Vec<ReleaseImage>> {
    let sql = "SELECT * FROM release_images WHERE release = $1 ORDER BY image";
    sqlx::query(sql).bind(key.0).fetch_all(tx).await?.iter().map(release_image).collect()
}

async fn by_version(
    tx: &mut AnyConnection,
    product: &ProductName,
    version: &str,
) -> Result<ReleaseKey> {
    let sql = "SELECT id FROM releases WHERE product = $1 AND version = $2";
    let query = sqlx::query(sql).bind(product.as_str()).bind(version);
    match query.fetch_optional(tx).await? {
        Some(row) => Ok(ReleaseKey(row.number("id")?)),
        None => Err(StoreError::missing(What::Release, format!("{product} {version}"))),
    }
}

async fn list(
    tx: &mut AnyConnection,
    product: &ProductName,
    page: &Page<ReleaseKey>,
) -> Result<Paged<Release, ReleaseKey>> {
    products::one(&mut *tx, product).await?;
    let sql = "SELECT * FROM releases
               WHERE product = $1 AND ($2 = 0 OR (sort_key, id) <
                     (SELECT sort_key, id FROM releases WHERE id = $2))
               ORDER BY sort_key DESC, id DESC LIMIT $3";
    let after = page.after.map_or(0, |key| key.0);
    let query = sqlx::query(sql).bind(product.as_str()).bind(after).bind(page.rows());
    let releases = query.fetch_all(tx).await?.iter().map(release).collect::<Result<Vec<_>>>()?;
    Ok(page.cut(releases, |release| release.key))
}

async fn yank(
    tx: &mut AnyConnection,
    key: ReleaseKey,
    why: Option<&str>,
    note: &Note,
) -> Result<Release> {
    let found = one(&mut *tx, key).await?;
    let sql = "UPDATE releases SET yanked_at = $2, yanked_by = $3, yanked_why = $4 WHERE id = $1";
    sqlx::query(sql)
        .bind(key.0)
        .bind(why.map(|_| note.at()))
        .bind(why.map(|_| note.name()))
        .bind(why)
        .execute(&mut *tx)
        .await?;
    let name = format!("release {} {}", found.product, found.version);
    let words = match why {
        Some(why) => format!("{name} yanked: {why}"),
        None => format!("{name} is no longer yanked"),
    };
    let subject = Subject { release: Some(key), ..products::subject(&found.product) };
    note.write(&mut *tx, &subject, &words).await?;
    one(tx, key).await
}

/// A release of a whole row.
pub(super) fn release(row: &AnyRow) -> Result<Release> {
    Ok(Release {
        key: ReleaseKey(row.number("id")?),
        product: row.parsed("product")?,
        version: row.text("version")?,
        sort_key: row.text("sort_key")?,
        yanked: match row.maybe_time("yanked_at")? {
            Some(at) => Some(Yank {
                at,
                by: row.maybe_text("yanked_by")?.unwrap_or_default(),
                why: row.maybe_text("yanked_why")?.unwrap_or_default(),
            }),
            None => None,
        },
        notes: row.text("notes")?,
        published_at: row.time("published_at")?,
        published_by: row.text("published_by")?,
    })
}

/// An image of a release, of a whole row.
pub(super) fn release_image(row: &AnyRow) -> Result<ReleaseImage> {
    Ok(ReleaseImage {
        release: ReleaseKey(row.number("release")?),
        part: row.parsed("part")?,
        chip: chip(row.maybe_text("chip")?, "release_images.chip")?,
        flash_size: row.maybe_count("flash_size")?,
        image: row.parsed("image")?,
    })
}

/// A chip by its name.
pub(super) fn chip(name: Option<String>, column: &'static str) -> Result<Option<Chip>> {
    name.map(|name| Chip::from_name(&name).ok_or_else(|| corrupt(column, name))).transpose()
}
