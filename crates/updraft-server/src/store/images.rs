//! What is known of every image ever seen, by the SHA-256 of its file, and which digests a device may
//! report while it runs it. The bytes are elsewhere (`images.rs`).

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::events::{By, Note};
use super::page::{Page, Paged};
use super::{Durability, Result, Store, StoreError, What};
use crate::catalog::image::Image;
use crate::digest::Sha256;

/// An image that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownImage {
    /// What it is.
    pub image: Image,
    /// The name of the file it came in.
    pub name: String,
    /// Its file in the folder of images; `None` if it is in the catalog only, or gone.
    pub file: Option<String>,
    /// When it was last uploaded or found in the catalog, in Unix milliseconds.
    pub seen: i64,
}

/// What became of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Added {
    /// Whether the image has a file already: the one just written is then not needed.
    pub had_file: HadFile,
    /// How many devices run it: they ran an unknown build, which now has a name.
    pub running: i64,
}

/// Whether an image that was uploaded had a file from before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HadFile {
    /// It has: delete the new one.
    Yes,
    /// It had not.
    No,
}

impl Store {
    /// Makes an uploaded image known, under the name of its file at home; `file` is its file here.
    pub(crate) async fn add_image(
        &self,
        image: Image,
        name: &str,
        file: &str,
        by: &By,
    ) -> Result<Added> {
        let input = (image, name.to_owned(), file.to_owned());
        self.change(by, input, |tx, (image, name, file), note| {
            Box::pin(add(tx, image, name, file, note))
        })
        .await
    }

    /// Makes images known that lie in the catalog, each with its path there.
    pub(crate) async fn see_images(&self, images: Vec<(Image, String)>, at: i64) -> Result<()> {
        self.write((images, at), Durability::Relaxed, |tx, (images, at)| {
            Box::pin(async move {
                for (image, name) in images {
                    see(tx, image, name, *at).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Adds a digest that a device reports while it runs this image: found by trying, or learnt.
    pub(crate) async fn learn_digest(
        &self,
        digest: String,
        image: Sha256,
        flash_mode: Option<u8>,
    ) -> Result<()> {
        let input = (digest, image, flash_mode);
        self.write(input, Durability::Synced, |tx, (digest, image, flash_mode)| {
            Box::pin(learn(tx, digest, *image, *flash_mode))
        })
        .await
    }

    /// One image.
    pub(crate) async fn image(&self, sha256: Sha256) -> Result<KnownImage> {
        self.read(sha256, |tx, sha256| Box::pin(one(tx, *sha256))).await
    }

    /// All images, by digest.
    pub(crate) async fn images(&self, page: Page<String>) -> Result<Paged<KnownImage, String>> {
        self.read(page, |tx, page| Box::pin(list(tx, page))).await
    }

    /// Takes the files from the rows of images that no release has, and nobody has uploaded since
    /// `before`: they are the caller's to delete.
    pub(crate) async fn drop_unused_files(&self, before: i64) -> Result<Vec<String>> {
        self.write(before, Durability::Synced, |tx, before| Box::pin(drop_unused(tx, *before)))
            .await
    }

    /// Those of these files that no image has.
    pub(crate) async fn strays(&self, files: Vec<String>) -> Result<Vec<String>> {
        self.read(files, |tx, files| Box::pin(strays(tx, files))).await
    }
}

async fn add(
    tx: &mut AnyConnection,
    image: &Image,
    name: &str,
    file: &str,
    note: &Note,
) -> Result<Added> {
    let sha256 = image.sha256.to_string();
    see(tx, image, name, note.by().at).await?;
    // The name it is uploaded under counts more than the one it was found under.
    let sql = "UPDATE images SET name = $2 WHERE sha256 = $1";
    sqlx::query(sql).bind(sha256.as_str()).bind(name).execute(&mut *tx).await?;
    let sql = "UPDATE images SET file = $2 WHERE sha256 = $1 AND file IS NULL";
    let query = sqlx::query(sql).bind(sha256.as_str()).bind(file);
    let is_new = query.execute(&mut *tx).await?.rows_affected() == 1;
    let sql = "SELECT COUNT(*) FROM devices JOIN digests ON digests.digest = devices.running
               WHERE digests.image = $1";
    let running = sqlx::query(sql).bind(sha256.as_str()).fetch_one(&mut *tx).await?.try_get(0)?;
    note.write(tx, "uploaded", What::Image, &sha256, name).await?;
    Ok(Added { had_file: if is_new { HadFile::No } else { HadFile::Yes }, running })
}

/// Enters an image and its digests, or notes that it was seen again.
async fn see(tx: &mut AnyConnection, image: &Image, name: &str, at: i64) -> Result<()> {
    let sha256 = image.sha256.to_string();
    let facts = serde_json::to_string(image)
        .map_err(|error| StoreError::Database(sqlx::Error::Encode(error.into())))?;
    let sql = "INSERT INTO images (sha256, facts, size, name, seen) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (sha256) DO UPDATE SET facts = excluded.facts, seen = excluded.seen";
    sqlx::query(sql)
        .bind(sha256.as_str())
        .bind(facts)
        .bind(i64::try_from(image.size).unwrap_or(i64::MAX))
        .bind(name)
        .bind(at)
        .execute(&mut *tx)
        .await?;
    let by_mode = image.running_md5.len() > 1;
    for (mode, md5) in (0_u8..).zip(&image.running_md5) {
        learn(tx, &md5.to_string(), image.sha256, by_mode.then_some(mode)).await?;
    }
    if let Some(digest) = image.running_sha256 {
        learn(tx, &digest.to_string(), image.sha256, None).await?;
    }
    Ok(())
}

async fn learn(
    tx: &mut AnyConnection,
    digest: &str,
    image: Sha256,
    flash_mode: Option<u8>,
) -> Result<()> {
    let sql = "INSERT INTO digests (digest, image, flash_mode) VALUES ($1, $2, $3)
               ON CONFLICT (digest, image) DO NOTHING";
    sqlx::query(sql)
        .bind(digest)
        .bind(image.to_string())
        .bind(flash_mode.map(i64::from))
        .execute(tx)
        .await?;
    Ok(())
}

async fn one(tx: &mut AnyConnection, sha256: Sha256) -> Result<KnownImage> {
    let sql = "SELECT facts, name, file, seen FROM images WHERE sha256 = $1";
    match sqlx::query(sql).bind(sha256.to_string()).fetch_optional(tx).await? {
        Some(row) => known(&row),
        None => Err(StoreError::missing(What::Image, sha256)),
    }
}

async fn list(tx: &mut AnyConnection, page: &Page<String>) -> Result<Paged<KnownImage, String>> {
    let sql = "SELECT facts, name, file, seen FROM images WHERE sha256 > $1
               ORDER BY sha256 LIMIT $2";
    let query = sqlx::query(sql).bind(page.after.as_deref().unwrap_or("")).bind(page.rows());
    let images = query.fetch_all(tx).await?.iter().map(known).collect::<Result<Vec<_>>>()?;
    Ok(page.cut(images, |known| known.image.sha256.to_string()))
}

async fn drop_unused(tx: &mut AnyConnection, before: i64) -> Result<Vec<String>> {
    let sql = "SELECT sha256, file FROM images
               WHERE file IS NOT NULL AND seen < $1 AND NOT EXISTS
                     (SELECT 1 FROM release_images WHERE image = images.sha256)";
    let mut files = Vec::new();
    for row in sqlx::query(sql).bind(before).fetch_all(&mut *tx).await? {
        let sha256: String = row.try_get("sha256")?;
        files.push(row.try_get("file")?);
        let sql = "UPDATE images SET file = NULL WHERE sha256 = $1";
        sqlx::query(sql).bind(sha256).execute(&mut *tx).await?;
    }
    Ok(files)
}

async fn strays(tx: &mut AnyConnection, files: &[String]) -> Result<Vec<String>> {
    let mut strays = Vec::new();
    for file in files {
        let query = sqlx::query("SELECT 1 FROM images WHERE file = $1").bind(file.as_str());
        if query.fetch_optional(&mut *tx).await?.is_none() {
            strays.push(file.clone());
        }
    }
    Ok(strays)
}

/// An image of a row with `facts`, `name`, `file` and `seen`.
pub(super) fn known(row: &AnyRow) -> Result<KnownImage> {
    let facts: String = row.try_get("facts")?;
    Ok(KnownImage {
        image: serde_json::from_str(&facts)
            .map_err(|_| StoreError::Corrupt { column: "images.facts", value: facts.clone() })?,
        name: row.try_get("name")?,
        file: row.try_get("file")?,
        seen: row.try_get("seen")?,
    })
}
