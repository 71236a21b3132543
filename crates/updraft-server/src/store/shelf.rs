//! All that decisions read, in two pieces: what belongs to one device, and what is the same for all of
//! them, which a server keeps in memory until the revision moves.

use std::collections::HashMap;

use sqlx::AnyConnection;

use super::images::KnownImage;
use super::{Result, Store, attempts, channels, devices, events, images, products, releases};
use crate::check_in::DeviceId;
use crate::digest::Sha256;
use crate::fleet::{Attempt, Device, PublishedRows};

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
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf {
    /// When this was so.
    pub revision: i64,
    /// What [`Published`](crate::fleet::Published) is made from.
    pub rows: PublishedRows,
    /// The files of images in the folder of images.
    pub files: HashMap<Sha256, String>,
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
    let rows = &mut shelf.rows;
    for row in sqlx::query("SELECT * FROM products").fetch_all(&mut *tx).await? {
        rows.products.push(products::product(&row)?);
    }
    for row in sqlx::query("SELECT * FROM channels").fetch_all(&mut *tx).await? {
        rows.channels.push(channels::channel(&row)?);
    }
    for row in sqlx::query("SELECT * FROM releases").fetch_all(&mut *tx).await? {
        rows.releases.push(releases::release(&row)?);
    }
    for row in sqlx::query("SELECT * FROM release_images").fetch_all(&mut *tx).await? {
        rows.release_images.push(releases::release_image(&row)?);
    }
    for row in sqlx::query("SELECT * FROM images").fetch_all(&mut *tx).await? {
        let KnownImage { stored, file } = images::known(&row)?;
        shelf.files.extend(file.map(|file| (stored.image.sha256, file)));
        rows.images.push(stored);
    }
    for row in sqlx::query("SELECT * FROM digests").fetch_all(tx).await? {
        rows.digests.push(images::running(&row)?);
    }
    Ok(shelf)
}
