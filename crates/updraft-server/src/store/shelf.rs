//! All that decisions read, in two pieces: what belongs to one device, and what is the same for all of
//! them, which a server keeps in memory until the revision moves.

use std::collections::HashMap;

use sqlx::AnyConnection;

use super::images::KnownImage;
use super::{Result, Store, attempts, channels, devices, events, images, products, releases};
use crate::check_in::DeviceId;
use crate::digest::Sha256;
use crate::fleet::{
    Attempt, Channel, Device, Product, ProductName, Release, ReleaseImage, ReleaseKey,
    RunningDigest, SketchDigest,
};

/// What is known of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Situation {
    /// The device.
    pub device: Device,
    /// All its attempts, by number.
    pub attempts: Vec<Attempt>,
    /// When this was so: a [`Shelf`] of another revision does not go with it.
    pub revision: i64,
}

/// What is the same for all devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shelf {
    /// When this was so.
    pub revision: i64,
    /// The products.
    pub products: HashMap<ProductName, Product>,
    /// Their channels.
    pub channels: Vec<Channel>,
    /// Their releases.
    pub releases: HashMap<ReleaseKey, Release>,
    /// What is in the releases.
    pub release_images: Vec<ReleaseImage>,
    /// All images that were ever seen.
    pub images: HashMap<Sha256, KnownImage>,
    /// What devices report that run them. Several images may share a digest.
    pub digests: HashMap<SketchDigest, Vec<RunningDigest>>,
}

impl Store {
    /// What a decision for this device needs of its own; `None` if nobody knows it.
    pub(crate) async fn situation(&self, id: DeviceId) -> Result<Option<Situation>> {
        self.read(id, |tx, id| Box::pin(situation(tx, *id))).await
    }

    /// What decisions need besides.
    pub(crate) async fn shelf(&self) -> Result<Shelf> {
        self.read((), |tx, ()| Box::pin(shelf(tx))).await
    }
}

async fn situation(tx: &mut AnyConnection, id: DeviceId) -> Result<Option<Situation>> {
    let Some(key) = devices::key_of(&mut *tx, id).await? else { return Ok(None) };
    Ok(Some(Situation {
        device: devices::one(&mut *tx, key).await?,
        attempts: attempts::of_device(&mut *tx, key).await?,
        revision: events::revision(tx).await?,
    }))
}

async fn shelf(tx: &mut AnyConnection) -> Result<Shelf> {
    let mut shelf = Shelf { revision: events::revision(&mut *tx).await?, ..Shelf::default() };
    for row in sqlx::query("SELECT * FROM products").fetch_all(&mut *tx).await? {
        let product = products::product(&row)?;
        shelf.products.insert(product.name.clone(), product);
    }
    let sql = "SELECT * FROM channels ORDER BY product, name";
    for row in sqlx::query(sql).fetch_all(&mut *tx).await? {
        shelf.channels.push(channels::channel(&row)?);
    }
    for row in sqlx::query("SELECT * FROM releases").fetch_all(&mut *tx).await? {
        let release = releases::release(&row)?;
        shelf.releases.insert(release.key, release);
    }
    let sql = "SELECT * FROM release_images ORDER BY release, image";
    for row in sqlx::query(sql).fetch_all(&mut *tx).await? {
        shelf.release_images.push(releases::release_image(&row)?);
    }
    for row in sqlx::query("SELECT * FROM images").fetch_all(&mut *tx).await? {
        let image = images::known(&row)?;
        shelf.images.insert(image.stored.image.sha256, image);
    }
    let sql = "SELECT * FROM digests ORDER BY digest, image";
    for row in sqlx::query(sql).fetch_all(tx).await? {
        let running = images::running(&row)?;
        shelf.digests.entry(running.digest).or_default().push(running);
    }
    Ok(shelf)
}
