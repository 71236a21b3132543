//! Attempts: a device's ways to images. An offer is committed here before its first byte is sent, in a
//! transaction that looks again at all it depends on.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::events::{Happening, happened, revision};
use super::ids::Series;
use super::page::{Page, Paged};
use super::row::{Columns as _, stored};
use super::{Durability, Result, Store, StoreError, images, observed};
use crate::fleet::{
    Actor, Attempt, AttemptKey, Cause, Counts, Device, DeviceKey, Goal, LastTwo, ProductName,
    Proof, ReleaseKey, SketchDigest, State,
};

/// What a check-in, or the end of a download, makes of a device's attempts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// The device as its check-in left it; what people decide is not looked at.
    pub observed: Option<Device>,
    /// The product that it moves to.
    pub moved_to: Option<ProductName>,
    /// Attempts that changed.
    pub changed: Vec<Changed>,
    /// What it is offered: a new attempt, or the one of this goal started again. The `key` is the store's to
    /// give.
    pub offer: Option<Attempt>,
    /// What happened.
    pub happenings: Vec<Happening>,
}

impl Outcome {
    /// Whether nothing of it has to be written at once.
    pub(crate) fn is_nothing(&self) -> bool {
        let Self { observed: _, moved_to, changed, offer, happenings } = self;
        moved_to.is_none() && changed.is_empty() && offer.is_none() && happenings.is_empty()
    }
}

/// An attempt that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Changed {
    /// The state it was found in.
    pub was: State,
    /// The attempt from now on.
    pub now: Attempt,
}

/// Whether an [`Outcome`] was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// All of it; the number of the attempt that was offered.
    Done(Option<AttemptKey>),
    /// Nothing of it: what it was decided on has changed. Load and decide again.
    Stale,
}

impl Store {
    /// Writes an outcome, all or nothing. It was decided at `seen`, a [`Store::revision`]. Nothing is written if a
    /// person has changed anything since, if one of the attempts is in another state, or if the device has
    /// an open attempt for the part that it is offered.
    pub(crate) async fn record(
        &self,
        device: DeviceKey,
        outcome: Outcome,
        seen: i64,
    ) -> Result<Recorded> {
        let key = match outcome.offer {
            Some(_) => self.id(Series::Attempts).await?,
            None => 0,
        };
        let durability = match outcome.offer {
            Some(_) => Durability::Synced,
            None => Durability::Relaxed,
        };
        let happenings = self.numbered(outcome.happenings.clone()).await?;
        let input = (device, outcome, happenings, key, seen);
        let recorded = self
            .write(input, durability, |tx, (device, outcome, happenings, key, seen)| {
                Box::pin(record(tx, *device, outcome, happenings, AttemptKey(*key), *seen))
            })
            .await;
        match recorded {
            Ok(offered) => Ok(Recorded::Done(offered)),
            Err(StoreError::Stale) => Ok(Recorded::Stale),
            Err(error) => Err(error),
        }
    }

    /// All attempts of a device, by number.
    pub(crate) async fn attempts(&self, device: DeviceKey) -> Result<Vec<Attempt>> {
        self.read(device, |tx, device| Box::pin(of_device(tx, *device))).await
    }

    /// The attempts of all devices that are not settled, by number: those of silent devices among them have
    /// to be given up some time.
    pub(crate) async fn open_attempts(
        &self,
        page: Page<AttemptKey>,
    ) -> Result<Paged<Attempt, AttemptKey>> {
        self.read(page, |tx, page| Box::pin(still_open(tx, page))).await
    }

    /// The attempts of a release, by number.
    pub(crate) async fn attempts_to(
        &self,
        release: ReleaseKey,
        page: Page<AttemptKey>,
    ) -> Result<Paged<Attempt, AttemptKey>> {
        self.read((release, page), |tx, (release, page)| Box::pin(of_release(tx, *release, page)))
            .await
    }
}

async fn record(
    tx: &mut AnyConnection,
    device: DeviceKey,
    outcome: &Outcome,
    happenings: &[(i64, Happening)],
    key: AttemptKey,
    seen: i64,
) -> Result<Option<AttemptKey>> {
    let Outcome { observed, moved_to, changed, offer, .. } = outcome;
    if revision(&mut *tx).await? != seen {
        return Err(StoreError::Stale);
    }
    for Changed { was, now } in changed {
        let query = sqlx::query("SELECT state FROM attempts WHERE id = $1").bind(now.key.0);
        match query.fetch_optional(&mut *tx).await? {
            Some(row) if row.parsed::<State>("state")? == *was => {}
            _ => return Err(StoreError::Stale),
        }
    }
    for Changed { now, .. } in changed {
        put(&mut *tx, now, now.key).await?;
    }
    let offered = match offer {
        Some(attempt) => {
            let sql = "SELECT id FROM attempts WHERE device = $1 AND part = $2 AND is_open = 1";
            let query = sqlx::query(sql).bind(device.0).bind(attempt.part.name());
            if query.fetch_optional(&mut *tx).await?.is_some() {
                return Err(StoreError::Stale);
            }
            Some(put(&mut *tx, attempt, key).await?)
        }
        None => None,
    };
    if let Some(observed) = observed {
        observed::observe(&mut *tx, observed).await?;
    }
    if let Some(product) = moved_to {
        let query = sqlx::query(
            "UPDATE devices SET product = $2, channel = NULL, pin = NULL WHERE id = $1",
        );
        query.bind(device.0).bind(product.as_str()).execute(&mut *tx).await?;
    }
    happened(tx, happenings, &Actor::Device).await?;
    Ok(offered)
}

/// Writes an attempt whole: the one of its goal, or a new one of this number. The number it has.
pub(super) async fn put(
    tx: &mut AnyConnection,
    attempt: &Attempt,
    key: AttemptKey,
) -> Result<AttemptKey> {
    let sql = "INSERT INTO attempts (id, device, part, release, file, image, started_from,
                   started_version, address, strength, state, state_since, is_open, cause, size,
                   acknowledged, proof, opened_at, offered_at, running_at, tries, tried_at, deaths,
                   died_at, watch_last, watch_before)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                   $18, $19, $20, $21, $22, $23, $24, $25, $26)
               ON CONFLICT (device, part, release, file) DO UPDATE SET
                   image = excluded.image, started_from = excluded.started_from,
                   started_version = excluded.started_version, address = excluded.address,
                   strength = excluded.strength, state = excluded.state,
                   state_since = excluded.state_since, is_open = excluded.is_open,
                   cause = excluded.cause, size = excluded.size,
                   acknowledged = excluded.acknowledged, proof = excluded.proof,
                   opened_at = excluded.opened_at, offered_at = excluded.offered_at,
                   running_at = excluded.running_at, tries = excluded.tries,
                   tried_at = excluded.tried_at, deaths = excluded.deaths,
                   died_at = excluded.died_at, watch_last = excluded.watch_last,
                   watch_before = excluded.watch_before
               RETURNING id";
    let (release, file) = match attempt.goal {
        Goal::Release(key) => (key.0, String::new()),
        Goal::Catalog(image) => (0, image.to_string()),
    };
    let ms = |time: jiff::Timestamp| time.as_millisecond();
    let row = sqlx::query(sql)
        .bind(key.0)
        .bind(attempt.device.0)
        .bind(attempt.part.name())
        .bind(release)
        .bind(file)
        .bind(attempt.image.to_string())
        .bind(attempt.from.map(|digest| digest.to_string()))
        .bind(attempt.from_version.as_deref())
        .bind(attempt.address.map(|address| address.to_string()))
        .bind(attempt.strength.name())
        .bind(attempt.state.name())
        .bind(ms(attempt.state_since))
        .bind(i64::from(attempt.is_open()))
        .bind(attempt.cause.map(Cause::name))
        .bind(stored(attempt.size))
        .bind(stored(attempt.acknowledged))
        .bind(attempt.proof.map(Proof::name))
        .bind(ms(attempt.opened_at))
        .bind(ms(attempt.offered_at))
        .bind(attempt.running_at.map(ms))
        .bind(i64::from(attempt.counts.tries))
        .bind(attempt.counts.tried_at.map(ms))
        .bind(i64::from(attempt.counts.deaths))
        .bind(attempt.counts.died_at.map(ms))
        .bind(attempt.watch.last.map(ms))
        .bind(attempt.watch.before.map(ms))
        .fetch_one(tx)
        .await?;
    Ok(AttemptKey(row.try_get(0)?))
}

/// The attempts of a device.
pub(super) async fn of_device(tx: &mut AnyConnection, device: DeviceKey) -> Result<Vec<Attempt>> {
    let sql = "SELECT * FROM attempts WHERE device = $1 ORDER BY id";
    sqlx::query(sql).bind(device.0).fetch_all(tx).await?.iter().map(attempt).collect()
}

async fn of_release(
    tx: &mut AnyConnection,
    release: ReleaseKey,
    page: &Page<AttemptKey>,
) -> Result<Paged<Attempt, AttemptKey>> {
    let sql = "SELECT * FROM attempts WHERE release = $1 AND id > $2 ORDER BY id LIMIT $3";
    let after = page.after.map_or(0, |key| key.0);
    let query = sqlx::query(sql).bind(release.0).bind(after).bind(page.rows());
    let attempts = query.fetch_all(tx).await?.iter().map(attempt).collect::<Result<Vec<_>>>()?;
    Ok(page.cut(attempts, |attempt| attempt.key))
}

async fn still_open(
    tx: &mut AnyConnection,
    page: &Page<AttemptKey>,
) -> Result<Paged<Attempt, AttemptKey>> {
    let sql = "SELECT * FROM attempts WHERE is_open = 1 AND id > $1 ORDER BY id LIMIT $2";
    let query = sqlx::query(sql).bind(page.after.map_or(0, |key| key.0)).bind(page.rows());
    let attempts = query.fetch_all(tx).await?.iter().map(attempt).collect::<Result<Vec<_>>>()?;
    Ok(page.cut(attempts, |attempt| attempt.key))
}

fn attempt(row: &AnyRow) -> Result<Attempt> {
    let image = row.parsed("image")?;
    let from: Option<SketchDigest> = row
        .maybe_text("started_from")?
        .map(|text| images::sketch_digest(text, "attempts.started_from"))
        .transpose()?;
    Ok(Attempt {
        key: AttemptKey(row.number("id")?),
        device: DeviceKey(row.number("device")?),
        part: row.parsed("part")?,
        goal: match row.number("release")? {
            0 => Goal::Catalog(row.parsed("file")?),
            key => Goal::Release(ReleaseKey(key)),
        },
        image,
        from,
        from_version: row.maybe_text("started_version")?,
        address: row.maybe_parsed("address")?,
        strength: row.parsed("strength")?,
        state: row.parsed("state")?,
        state_since: row.time("state_since")?,
        cause: row.maybe_parsed("cause")?,
        size: row.count("size")?,
        acknowledged: row.count("acknowledged")?,
        proof: row.maybe_parsed("proof")?,
        opened_at: row.time("opened_at")?,
        offered_at: row.time("offered_at")?,
        running_at: row.maybe_time("running_at")?,
        counts: Counts {
            tries: row.count("tries")?,
            tried_at: row.maybe_time("tried_at")?,
            deaths: row.count("deaths")?,
            died_at: row.maybe_time("died_at")?,
        },
        watch: LastTwo {
            last: row.maybe_time("watch_last")?,
            before: row.maybe_time("watch_before")?,
        },
    })
}
