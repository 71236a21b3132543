//! Channels: a product's named pointers to its releases.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::events::{By, Note};
use super::{Result, Store, StoreError, What, products, releases};

/// A pointer to a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Channel {
    /// Whose it is.
    pub product: String,
    /// Its name, ASCII: `stable`, `beta`.
    pub name: String,
    /// The release's id; `None`: its devices are held.
    pub release: Option<i64>,
    /// When it was last moved, in Unix milliseconds.
    pub moved: i64,
    /// Goes up with each move.
    pub edition: i64,
}

/// A move of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    /// Whose channel.
    pub product: String,
    /// Which; made when new.
    pub channel: String,
    /// The id of a release of this product that is not yanked; `None` to hold the devices.
    pub release: Option<i64>,
    /// Only if nobody has moved it since.
    pub edition: Option<i64>,
}

impl Store {
    /// The channels of a product, by name.
    pub(crate) async fn channels(&self, product: &str) -> Result<Vec<Channel>> {
        self.read(product.to_owned(), |tx, product| Box::pin(list(tx, product))).await
    }

    /// How many devices follow a channel, so that moving it reaches them: those that are pinned or hands-off
    /// do not.
    pub(crate) async fn reach(&self, product: &str, channel: &str) -> Result<i64> {
        let input = (product.to_owned(), channel.to_owned());
        self.read(input, |tx, (product, channel)| Box::pin(reach(tx, product, channel))).await
    }

    /// Points a channel to another release; how many devices that reaches.
    pub(crate) async fn move_channel(&self, to: Move, by: &By) -> Result<i64> {
        self.change(by, to, |tx, to, note| Box::pin(set(tx, to, note))).await
    }
}

/// One channel, if there is such.
pub(super) async fn one(
    tx: &mut AnyConnection,
    product: &str,
    name: &str,
) -> Result<Option<Channel>> {
    let sql = "SELECT product, name, release, moved, edition FROM channels
               WHERE product = $1 AND name = $2";
    let row = sqlx::query(sql).bind(product).bind(name).fetch_optional(tx).await?;
    Ok(row.as_ref().map(channel).transpose()?)
}

async fn list(tx: &mut AnyConnection, product: &str) -> Result<Vec<Channel>> {
    products::one(&mut *tx, product).await?;
    let sql = "SELECT product, name, release, moved, edition FROM channels WHERE product = $1
               ORDER BY name";
    let rows = sqlx::query(sql).bind(product).fetch_all(tx).await?;
    Ok(rows.iter().map(channel).collect::<sqlx::Result<_>>()?)
}

async fn reach(tx: &mut AnyConnection, product: &str, channel: &str) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM devices
               WHERE product = $1 AND channel = $2 AND pin IS NULL AND hands_off = 0";
    Ok(sqlx::query(sql).bind(product).bind(channel).fetch_one(tx).await?.try_get(0)?)
}

async fn set(tx: &mut AnyConnection, to: &Move, note: &Note) -> Result<i64> {
    let Move { product, channel: name, release, edition } = to;
    products::one(&mut *tx, product).await?;
    let words = match release {
        Some(id) => {
            let release = releases::one(&mut *tx, *id).await?;
            if release.product != *product {
                return Err(StoreError::missing(What::Release, format!("{id} of {product}")));
            }
            if release.yanked.is_some() {
                let (what, name) = (What::Release, release.version);
                return Err(StoreError::Yanked { what, name });
            }
            format!("to {}", release.version)
        }
        None => "to nothing".to_owned(),
    };
    let found = one(&mut *tx, product, name).await?.map_or(0, |found| found.edition);
    if edition.is_some_and(|edition| edition != found) {
        return Err(StoreError::Changed { what: What::Channel, name: name.clone() });
    }
    let sql = "INSERT INTO channels (product, name, release, moved, edition)
               VALUES ($1, $2, $3, $4, 1)
               ON CONFLICT (product, name) DO UPDATE SET
                   release = excluded.release, moved = excluded.moved,
                   edition = channels.edition + 1";
    sqlx::query(sql)
        .bind(product.as_str())
        .bind(name.as_str())
        .bind(*release)
        .bind(note.by().at)
        .execute(&mut *tx)
        .await?;
    note.write(&mut *tx, "moved", What::Channel, format!("{product}/{name}"), &words).await?;
    reach(tx, product, name).await
}

fn channel(row: &AnyRow) -> sqlx::Result<Channel> {
    Ok(Channel {
        product: row.try_get("product")?,
        name: row.try_get("name")?,
        release: row.try_get("release")?,
        moved: row.try_get("moved")?,
        edition: row.try_get("edition")?,
    })
}
