//! What is known of every image ever seen, by the SHA-256 of its file, and which digests a device may
//! report while it runs it. The bytes are elsewhere (`images.rs` beside the store).

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::events::{By, Note, next_revision};
use super::page::{Page, Paged};
use super::row::{Columns as _, corrupt};
use super::{Durability, Result, Store, StoreError, What};
use crate::catalog::image::Image;
use crate::digest::Sha256;
use crate::fleet::{KeyId, Place, RunningDigest, SketchDigest, StoredImage, Subject};

/// An image that is known, and where its bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownImage {
    /// What it is.
    pub stored: StoredImage,
    /// Its file in the folder of images.
    pub file: Option<String>,
}

/// An image that was uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewImage {
    /// What it is.
    pub image: Image,
    /// The name of its file at home.
    pub name: String,
    /// Its file in the folder of images.
    pub file: String,
    /// See [`StoredImage::signed_by`].
    pub signed_by: Option<KeyId>,
}

/// What became of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Added {
    /// The file of this image. If it had one before, it keeps it: the new one is then to be deleted.
    pub file: String,
    /// How many devices run it: did nobody know what they ran, it has a name now.
    pub running: i64,
}

impl Store {
    /// Makes an uploaded image known.
    pub(crate) async fn add_image(&self, new: NewImage, by: &By) -> Result<Added> {
        self.change(by, new, |tx, new, note| Box::pin(add(tx, new, note))).await
    }

    /// Makes known what lies in the catalog, each image with its path there. What lay there before and is
    /// not among them stays known, but is gone.
    pub(crate) async fn see_catalog(
        &self,
        images: Vec<(Image, String)>,
        at: Timestamp,
    ) -> Result<()> {
        self.write((images, at), Durability::Relaxed, |tx, (images, at)| {
            Box::pin(see_catalog(tx, images, *at))
        })
        .await?;
        self.refresh().await.map(drop)
    }

    /// Adds a digest that devices report while they run an image: found by trying, or learnt.
    pub(crate) async fn learn_digest(&self, digest: RunningDigest) -> Result<()> {
        self.write(digest, Durability::Synced, |tx, digest| Box::pin(learn(tx, digest))).await?;
        self.refresh().await.map(drop)
    }

    /// One image.
    pub(crate) async fn image(&self, sha256: Sha256) -> Result<KnownImage> {
        self.read(sha256, |tx, sha256| Box::pin(one(tx, *sha256))).await
    }

    /// All images, by digest.
    pub(crate) async fn images(&self, page: Page<Sha256>) -> Result<Paged<KnownImage, Sha256>> {
        self.read(page, |tx, page| Box::pin(list(tx, page))).await
    }

    /// Takes the files from the images that no release has and nobody has uploaded since `before`: they are
    /// the caller's to delete.
    pub(crate) async fn drop_unused_files(&self, before: Timestamp) -> Result<Vec<String>> {
        self.write(before, Durability::Synced, |tx, before| Box::pin(drop_unused(tx, *before)))
            .await
    }

    /// Those of these files that no image has.
    pub(crate) async fn strays(&self, files: Vec<String>) -> Result<Vec<String>> {
        self.read(files, |tx, files| Box::pin(strays(tx, files))).await
    }
}

async fn add(tx: &mut AnyConnection, new: &NewImage, note: &Note) -> Result<Added> {
    let NewImage { image, name, file, signed_by } = new;
    enter(&mut *tx, image, name, note.at()).await?;
    // The name it is uploaded under counts more than the one it was found under.
    let sql = "UPDATE images SET name = $2, uploaded_at = $3, file = COALESCE(file, $4),
                   signed_by = COALESCE($5, signed_by) WHERE sha256 = $1 RETURNING file";
    let sha256 = image.sha256.to_string();
    let row = sqlx::query(sql)
        .bind(sha256.as_str())
        .bind(name.as_str())
        .bind(note.at())
        .bind(file.as_str())
        .bind(signed_by.map(|key| key.0.to_string()))
        .fetch_one(&mut *tx)
        .await?;
    let file = row.text("file")?;
    let sql = "SELECT COUNT(*) FROM devices JOIN digests ON digests.digest = devices.running
               WHERE digests.image = $1";
    let running = sqlx::query(sql).bind(sha256.as_str()).fetch_one(&mut *tx).await?.try_get(0)?;
    note.write(tx, &Subject::default(), &format!("image {name} uploaded, {sha256}")).await?;
    Ok(Added { file, running })
}

async fn see_catalog(
    tx: &mut AnyConnection,
    images: &[(Image, String)],
    at: Timestamp,
) -> Result<()> {
    sqlx::query("UPDATE images SET in_catalog = 0 WHERE in_catalog = 1").execute(&mut *tx).await?;
    for (image, name) in images {
        enter(&mut *tx, image, name, at.as_millisecond()).await?;
        let query = sqlx::query("UPDATE images SET in_catalog = 1 WHERE sha256 = $1");
        query.bind(image.sha256.to_string()).execute(&mut *tx).await?;
    }
    Ok(())
}

/// Enters an image with its digests, or what a newer inspection found out about it.
async fn enter(tx: &mut AnyConnection, image: &Image, name: &str, at: i64) -> Result<()> {
    let facts = serde_json::to_string(image).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let sql = "INSERT INTO images (sha256, facts, name, stored_at, in_catalog)
               VALUES ($1, $2, $3, $4, 0)
               ON CONFLICT (sha256) DO UPDATE SET facts = excluded.facts";
    sqlx::query(sql)
        .bind(image.sha256.to_string())
        .bind(facts)
        .bind(name)
        .bind(at)
        .execute(&mut *tx)
        .await?;
    for digest in RunningDigest::all(image) {
        learn(&mut *tx, &digest).await?;
    }
    Ok(())
}

async fn learn(tx: &mut AnyConnection, digest: &RunningDigest) -> Result<()> {
    let sql = "INSERT INTO digests (digest, image, flash_mode) VALUES ($1, $2, $3)
               ON CONFLICT (digest, image) DO NOTHING";
    let done = sqlx::query(sql)
        .bind(digest.digest.to_string())
        .bind(digest.image.to_string())
        .bind(digest.flash_mode.map(i64::from))
        .execute(&mut *tx)
        .await?;
    if done.rows_affected() > 0 {
        // Devices that ran an unknown build may run a known one now.
        next_revision(tx).await?;
    }
    Ok(())
}

async fn one(tx: &mut AnyConnection, sha256: Sha256) -> Result<KnownImage> {
    let query = sqlx::query("SELECT * FROM images WHERE sha256 = $1").bind(sha256.to_string());
    match query.fetch_optional(tx).await? {
        Some(row) => known(&row),
        None => Err(StoreError::missing(What::Image, sha256)),
    }
}

async fn list(tx: &mut AnyConnection, page: &Page<Sha256>) -> Result<Paged<KnownImage, Sha256>> {
    let after = page.after.map(|sha256| sha256.to_string()).unwrap_or_default();
    let query = sqlx::query("SELECT * FROM images WHERE sha256 > $1 ORDER BY sha256 LIMIT $2");
    let rows = query.bind(after).bind(page.rows()).fetch_all(tx).await?;
    let images = rows.iter().map(known).collect::<Result<Vec<_>>>()?;
    Ok(page.cut(images, |known| known.stored.image.sha256))
}

async fn drop_unused(tx: &mut AnyConnection, before: Timestamp) -> Result<Vec<String>> {
    let sql = "SELECT sha256, file FROM images
               WHERE file IS NOT NULL AND uploaded_at < $1 AND NOT EXISTS
                     (SELECT 1 FROM release_images WHERE image = images.sha256)";
    let query = sqlx::query(sql).bind(before.as_millisecond());
    let mut files = Vec::new();
    for row in query.fetch_all(&mut *tx).await? {
        let query = sqlx::query("UPDATE images SET file = NULL WHERE sha256 = $1");
        query.bind(row.text("sha256")?).execute(&mut *tx).await?;
        files.push(row.text("file")?);
    }
    Ok(files)
}

async fn strays(tx: &mut AnyConnection, files: &[String]) -> Result<Vec<String>> {
    let mut strays = Vec::new();
    for file in files {
        let query = sqlx::query("SELECT sha256 FROM images WHERE file = $1").bind(file.as_str());
        if query.fetch_optional(&mut *tx).await?.is_none() {
            strays.push(file.clone());
        }
    }
    Ok(strays)
}

/// An image of a whole row.
pub(super) fn known(row: &AnyRow) -> Result<KnownImage> {
    let (facts, file) = (row.text("facts")?, row.maybe_text("file")?);
    let place = match (&file, row.number("in_catalog")?) {
        (Some(_), _) => Place::Store,
        (None, 0) => Place::Gone,
        (None, _) => Place::Catalog,
    };
    let stored = StoredImage {
        image: serde_json::from_str(&facts).map_err(|_| corrupt("images.facts", facts))?,
        name: row.text("name")?,
        stored_at: row.time("stored_at")?,
        place,
        signed_by: row.maybe_parsed("signed_by")?.map(KeyId),
    };
    Ok(KnownImage { stored, file })
}

/// A digest of a whole row.
pub(super) fn running(row: &AnyRow) -> Result<RunningDigest> {
    Ok(RunningDigest {
        digest: sketch_digest(row.text("digest")?, "digests.digest")?,
        image: row.parsed("image")?,
        flash_mode: row.maybe_count("flash_mode")?,
    })
}

/// A digest that devices report: which one it is, its length tells.
pub(super) fn sketch_digest(text: String, column: &'static str) -> Result<SketchDigest> {
    let sha256 = text.parse().map(SketchDigest::Sha256);
    let digest = sha256.or_else(|_| text.parse().map(SketchDigest::Md5));
    digest.map_err(|_| corrupt(column, text))
}
