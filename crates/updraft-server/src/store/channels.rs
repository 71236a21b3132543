//! Channels: a product's named pointers to its releases.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::events::{By, Note};
use super::row::Columns as _;
use super::{Result, Store, StoreError, What, products, releases};
use crate::fleet::{Channel, ChannelName, Product, ProductName, ReleaseKey, Subject};

/// A move of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    /// Whose channel.
    pub product: ProductName,
    /// Which; made when new.
    pub channel: ChannelName,
    /// A release of this product that is not yanked; `None` holds the devices.
    pub to: Option<ReleaseKey>,
    /// Where it has to be before.
    pub was: Was,
}

/// Where a channel has to point for a move to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Was {
    /// Anywhere.
    Anywhere,
    /// There: somebody has seen it and moves it on from there (`If-Match`).
    At(Option<ReleaseKey>),
}

impl Store {
    /// The channels of a product, by name.
    pub(crate) async fn channels(&self, product: ProductName) -> Result<Vec<Channel>> {
        self.read(product, |tx, product| Box::pin(list(tx, product))).await
    }

    /// How many devices follow a channel, so that moving it reaches them: not those that are pinned, blocked
    /// or hands-off.
    pub(crate) async fn reach(&self, product: ProductName, channel: ChannelName) -> Result<i64> {
        self.read((product, channel), |tx, (product, channel)| {
            Box::pin(async move {
                let product = products::one(&mut *tx, product).await?;
                reach(tx, &product, channel).await
            })
        })
        .await
    }

    /// Points a channel to another release; how many devices that reaches.
    pub(crate) async fn move_channel(&self, to: Move, by: &By) -> Result<i64> {
        self.change(by, to, |tx, to, note| Box::pin(set(tx, to, note))).await
    }
}

async fn list(tx: &mut AnyConnection, product: &ProductName) -> Result<Vec<Channel>> {
    products::one(&mut *tx, product).await?;
    let sql = "SELECT * FROM channels WHERE product = $1 ORDER BY name";
    sqlx::query(sql).bind(product.as_str()).fetch_all(tx).await?.iter().map(channel).collect()
}

/// Devices without a channel of their own follow their product's default.
async fn reach(tx: &mut AnyConnection, product: &Product, channel: &ChannelName) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM devices
               WHERE product = $1 AND COALESCE(channel, $2) = $3
                     AND pin IS NULL AND is_blocked = 0 AND is_hands_off = 0";
    let row = sqlx::query(sql)
        .bind(product.name.as_str())
        .bind(product.settings.default_channel.as_str())
        .bind(channel.as_str())
        .fetch_one(tx)
        .await?;
    Ok(row.try_get(0)?)
}

async fn set(tx: &mut AnyConnection, to: &Move, note: &Note) -> Result<i64> {
    let product = products::one(&mut *tx, &to.product).await?;
    let name = format!("{}/{}", to.product, to.channel);
    let words = match to.to {
        Some(key) => {
            let release = releases::one(&mut *tx, key).await?;
            if release.product != to.product {
                let name = format!("{} of {}", key.0, to.product);
                return Err(StoreError::Missing { what: What::Release, name });
            }
            if release.yanked.is_some() {
                return Err(StoreError::Yanked { name: release.version });
            }
            format!("channel {name} moved to {}", release.version)
        }
        None => format!("channel {name} points to nothing now"),
    };
    let sql = "SELECT release FROM channels WHERE product = $1 AND name = $2";
    let query = sqlx::query(sql).bind(to.product.as_str()).bind(to.channel.as_str());
    let found = query.fetch_optional(&mut *tx).await?;
    let found: Option<i64> = found.map(|row| row.try_get(0)).transpose()?.flatten();
    if to.was != Was::Anywhere && to.was != Was::At(found.map(ReleaseKey)) {
        return Err(StoreError::Changed { what: What::Channel, name });
    }
    let sql = "INSERT INTO channels (product, name, release, moved_at, moved_by)
               VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (product, name) DO UPDATE SET release = excluded.release,
                   moved_at = excluded.moved_at, moved_by = excluded.moved_by";
    sqlx::query(sql)
        .bind(to.product.as_str())
        .bind(to.channel.as_str())
        .bind(to.to.map(|key| key.0))
        .bind(note.at())
        .bind(note.name())
        .execute(&mut *tx)
        .await?;
    let subject = Subject {
        channel: Some(to.channel.clone()),
        release: to.to,
        ..products::subject(&to.product)
    };
    note.write(&mut *tx, &subject, &words).await?;
    reach(tx, &product, &to.channel).await
}

/// A channel of a whole row.
pub(super) fn channel(row: &AnyRow) -> Result<Channel> {
    Ok(Channel {
        product: row.parsed("product")?,
        name: row.parsed("name")?,
        release: row.maybe_number("release")?.map(ReleaseKey),
        moved_at: row.time("moved_at")?,
        moved_by: row.text("moved_by")?,
    })
}
