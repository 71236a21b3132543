//! Many devices at once, from a list that a person brings: all of them, or none.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::ops::Range;

use sqlx::{AnyConnection, AssertSqlSafe};
use updraft_core::Family;

use super::devices::NEVER;
use super::events::{By, Note};
use super::ids::Series;
use super::row::Columns as _;
use super::{Result, Store, StoreError, What, products};
use crate::check_in::Mac;
use crate::fleet::{Admission, ChannelName, GzipUse, KnownChip, ProductName, Subject, Tag};

/// A device of the list. What is left out stays as it is, should the device be known already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Imported {
    /// Which one.
    pub mac: Mac,
    /// Its family.
    pub family: Family,
    /// Its chip.
    pub chip: Option<KnownChip>,
    /// What to call it.
    pub name: Option<String>,
    /// What is to be known about it.
    pub notes: Option<String>,
    /// Its product; there must be such.
    pub product: Option<ProductName>,
    /// Its channel.
    pub channel: Option<ChannelName>,
    /// Words to put on it.
    pub tags: BTreeSet<Tag>,
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ImportedCount {
    /// Devices that are new.
    pub new: usize,
    /// Devices that were known.
    pub known: usize,
}

/// Rows in one statement. SQLite looks for the name of each value among all of them, so that many rows at
/// once take longer than few.
const BATCH: usize = 40;

impl Store {
    /// Brings these devices in: each is let in and vouched for.
    pub(crate) async fn import(&self, devices: Vec<Imported>, by: &By) -> Result<ImportedCount> {
        let count = i64::try_from(devices.len()).unwrap_or(i64::MAX);
        let ids = self.take(Series::Devices, count).await?;
        self.change(by, (devices, ids), |tx, (devices, ids), note| {
            Box::pin(import(tx, devices, ids.clone(), note))
        })
        .await
    }
}

async fn import(
    tx: &mut AnyConnection,
    devices: &[Imported],
    ids: Range<i64>,
    note: &Note,
) -> Result<ImportedCount> {
    let wanted: BTreeSet<_> = devices.iter().filter_map(|device| device.product.as_ref()).collect();
    for product in wanted {
        products::one(&mut *tx, product).await?;
    }
    let mut count = ImportedCount::default();
    let mut next = ids.start;
    for batch in devices.chunks(BATCH) {
        let keys = put(&mut *tx, batch, next, note).await?;
        next += i64::try_from(batch.len()).unwrap_or(i64::MAX);
        let new = keys.values().filter(|key| ids.contains(key)).count();
        count.new += new;
        count.known += batch.len() - new;
        let tags = batch.iter().filter_map(|device| Some((keys.get(&device.mac)?, &device.tags)));
        let tags: Vec<_> =
            tags.flat_map(|(key, tags)| tags.iter().map(move |tag| (*key, tag))).collect();
        for tags in tags.chunks(BATCH) {
            put_tags(&mut *tx, tags).await?;
        }
    }
    let words = format!("{} devices imported, {} of them new", devices.len(), count.new);
    note.write(tx, &Subject::default(), &words).await?;
    Ok(count)
}

/// Enters devices; which number each has.
async fn put(
    tx: &mut AnyConnection,
    batch: &[Imported],
    first: i64,
    note: &Note,
) -> Result<HashMap<Mac, i64>> {
    let mut sql = String::from(
        "INSERT INTO devices (id, mac, family, chip, chip_from, name, notes, product, channel,
             admission, gzip, first_seen, last_seen, is_vouched, is_blocked, is_hands_off,
             rhythm_interval, rhythm_intervals, conflict_flips) VALUES ",
    );
    rows(&mut sql, batch.len(), 13, ", 1, 0, 0, 0, 0, 0");
    // A name, notes, product or channel that the list leaves out stays.
    sql.push_str(
        " ON CONFLICT (mac) DO UPDATE SET
             name = COALESCE(excluded.name, devices.name),
             notes = CASE WHEN excluded.notes = '' THEN devices.notes ELSE excluded.notes END,
             product = COALESCE(excluded.product, devices.product),
             channel = COALESCE(excluded.channel, devices.channel),
             chip = COALESCE(excluded.chip, devices.chip),
             chip_from = COALESCE(excluded.chip_from, devices.chip_from),
             admission = excluded.admission, is_vouched = 1
         RETURNING id, mac",
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for (id, device) in (first..).zip(batch) {
        query = query
            .bind(id)
            .bind(device.mac.to_string())
            .bind(device.family.name())
            .bind(device.chip.map(|known| known.chip.name()))
            .bind(device.chip.map(|known| known.from.name()))
            .bind(device.name.clone())
            .bind(device.notes.clone().unwrap_or_default())
            .bind(device.product.as_ref().map(ToString::to_string))
            .bind(device.channel.as_ref().map(ToString::to_string))
            .bind(Admission::Accepted.name())
            .bind(GzipUse::Unproven.name())
            .bind(note.at())
            .bind(NEVER.as_millisecond());
    }
    let rows = query.fetch_all(tx).await;
    let rows = rows.map_err(|error| StoreError::or_exists(error, What::Device, "of the list"))?;
    rows.iter()
        .map(|row| {
            let mac = row.text("mac")?;
            let key = row.number("id")?;
            let read = Mac::read(mac.as_bytes());
            Ok((read.ok_or_else(|| super::row::corrupt("devices.mac", mac))?, key))
        })
        .collect()
}

async fn put_tags(tx: &mut AnyConnection, tags: &[(i64, &Tag)]) -> Result<()> {
    let mut sql = String::from("INSERT INTO device_tags (device, tag) VALUES ");
    rows(&mut sql, tags.len(), 2, "");
    sql.push_str(" ON CONFLICT (device, tag) DO NOTHING");
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for (key, tag) in tags {
        query = query.bind(*key).bind(tag.as_str());
    }
    query.execute(tx).await?;
    Ok(())
}

/// Writes `($1, $2, …), ($3, …)`, each row with the same end.
fn rows(sql: &mut String, count: usize, width: usize, end: &str) {
    for row in 0..count {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for column in 1..=width {
            let comma = if column == 1 { "" } else { ", " };
            let _ = write!(sql, "{comma}${}", row * width + column);
        }
        sql.push_str(end);
        sql.push(')');
    }
}
