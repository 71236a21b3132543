//! What happened, and who did it: an event is written in the transaction of the change itself, so neither
//! is ever without the other.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::ids::Series;
use super::page::{Page, Paged};
use super::row::{Columns as _, corrupt};
use super::{Result, Store};
use crate::fleet::{
    Actor, DeviceKey, Event, EventKey, EventKind, ProductName, ReleaseKey, Subject,
};

/// Who changes something, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct By {
    /// Who.
    pub actor: Actor,
    /// When.
    pub at: Timestamp,
}

/// Something that happened to a device, to be written with what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Happening {
    /// See [`Event::at`].
    pub at: Timestamp,
    /// See [`Event::subject`].
    pub subject: Subject,
    /// See [`Event::kind`].
    pub kind: EventKind,
    /// See [`Event::words`].
    pub words: String,
}

/// Which events are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EventsOf {
    /// All.
    Everything,
    /// Those of a device.
    Device(DeviceKey),
    /// Those of a product, its channels and releases.
    Product(ProductName),
}

/// The event of a change, about to be written; its number is taken beforehand.
#[derive(Debug)]
pub(super) struct Note {
    id: i64,
    by: By,
    revision: AtomicI64,
}

impl Store {
    /// Events, the latest first.
    pub(crate) async fn events(
        &self,
        of: EventsOf,
        page: Page<EventKey>,
    ) -> Result<Paged<Event, EventKey>> {
        self.read((of, page), |tx, (of, page)| Box::pin(list(tx, of, page))).await
    }

    /// Prepares the event of a change.
    pub(super) async fn note(&self, by: &By) -> Result<Note> {
        let id = self.id(Series::Events).await?;
        Ok(Note { id, by: by.clone(), revision: AtomicI64::new(0) })
    }

    /// Numbers these happenings.
    pub(super) async fn numbered(&self, all: Vec<Happening>) -> Result<Vec<(i64, Happening)>> {
        let mut numbered = Vec::with_capacity(all.len());
        for one in all {
            numbered.push((self.id(Series::Events).await?, one));
        }
        Ok(numbered)
    }
}

impl Note {
    /// When the change is made.
    pub(super) fn at(&self) -> i64 {
        self.by.at.as_millisecond()
    }

    /// The same as a time.
    pub(super) fn time(&self) -> Timestamp {
        self.by.at
    }

    /// By whom, in a word.
    pub(super) fn name(&self) -> &str {
        match &self.by.actor {
            Actor::Server => "server",
            Actor::Device => "device",
            Actor::Person(name) | Actor::Token(name) => name,
        }
    }

    /// The revision that the change makes; 0 before it is written.
    pub(super) fn revision(&self) -> i64 {
        self.revision.load(Ordering::Relaxed)
    }

    /// Writes it, once in a transaction.
    pub(super) async fn write(
        &self,
        tx: &mut AnyConnection,
        subject: &Subject,
        words: &str,
    ) -> Result<()> {
        let By { actor, at } = &self.by;
        insert(&mut *tx, self.id, actor, *at, subject, EventKind::Changed, words).await?;
        self.revision.store(next_revision(tx).await?, Ordering::Relaxed);
        Ok(())
    }
}

/// Writes what happened to a device.
pub(super) async fn happened(
    tx: &mut AnyConnection,
    all: &[(i64, Happening)],
    actor: &Actor,
) -> Result<()> {
    for (id, Happening { at, subject, kind, words }) in all {
        insert(&mut *tx, *id, actor, *at, subject, *kind, words).await?;
    }
    Ok(())
}

/// The number of the latest change.
pub(super) async fn revision(tx: &mut AnyConnection) -> Result<i64> {
    Ok(sqlx::query("SELECT value FROM revision").fetch_one(tx).await?.try_get(0)?)
}

/// Says that what was decided before may be decided otherwise from now on.
pub(super) async fn next_revision(tx: &mut AnyConnection) -> Result<i64> {
    let sql = "UPDATE revision SET value = value + 1 RETURNING value";
    Ok(sqlx::query(sql).fetch_one(tx).await?.try_get(0)?)
}

async fn insert(
    tx: &mut AnyConnection,
    id: i64,
    actor: &Actor,
    at: Timestamp,
    subject: &Subject,
    kind: EventKind,
    words: &str,
) -> Result<()> {
    let (actor, name) = match actor {
        Actor::Server => ("server", None),
        Actor::Device => ("device", None),
        Actor::Person(name) => ("person", Some(name.as_str())),
        Actor::Token(name) => ("token", Some(name.as_str())),
    };
    let sql =
        "INSERT INTO events (id, at, actor, actor_name, device, product, channel, release, kind,
                   words) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    sqlx::query(sql)
        .bind(id)
        .bind(at.as_millisecond())
        .bind(actor)
        .bind(name)
        .bind(subject.device.map(|key| key.0))
        .bind(subject.product.as_ref().map(ProductName::as_str))
        .bind(subject.channel.as_ref().map(crate::fleet::ChannelName::as_str))
        .bind(subject.release.map(|key| key.0))
        .bind(kind.name())
        .bind(words)
        .execute(tx)
        .await?;
    Ok(())
}

async fn list(
    tx: &mut AnyConnection,
    of: &EventsOf,
    page: &Page<EventKey>,
) -> Result<Paged<Event, EventKey>> {
    let (device, product) = match of {
        EventsOf::Everything => (None, None),
        EventsOf::Device(key) => (Some(key.0), None),
        EventsOf::Product(name) => (None, Some(name.as_str())),
    };
    // Each has an index of its own, so each is a text of its own.
    let sql = match of {
        EventsOf::Everything => {
            "SELECT * FROM events WHERE id < $1 AND $2 IS NULL AND $3 IS NULL
             ORDER BY id DESC LIMIT $4"
        }
        EventsOf::Device(_) => {
            "SELECT * FROM events WHERE id < $1 AND device = $2 AND $3 IS NULL
             ORDER BY id DESC LIMIT $4"
        }
        EventsOf::Product(_) => {
            "SELECT * FROM events WHERE id < $1 AND $2 IS NULL AND product = $3
             ORDER BY id DESC LIMIT $4"
        }
    };
    let rows = sqlx::query(sql)
        .bind(page.after.map_or(i64::MAX, |key| key.0))
        .bind(device)
        .bind(product)
        .bind(page.rows())
        .fetch_all(tx)
        .await?;
    let events = rows.iter().map(event).collect::<Result<Vec<_>>>()?;
    Ok(page.cut(events, |event| event.key))
}

fn event(row: &AnyRow) -> Result<Event> {
    let actor = row.text("actor")?;
    Ok(Event {
        key: EventKey(row.number("id")?),
        at: row.time("at")?,
        actor: match (actor.as_str(), row.maybe_text("actor_name")?) {
            ("server", _) => Actor::Server,
            ("device", _) => Actor::Device,
            ("person", Some(name)) => Actor::Person(name),
            ("token", Some(name)) => Actor::Token(name),
            _ => return Err(corrupt("events.actor", actor)),
        },
        subject: Subject {
            device: row.maybe_number("device")?.map(DeviceKey),
            product: row.maybe_parsed("product")?,
            channel: row.maybe_parsed("channel")?,
            release: row.maybe_number("release")?.map(ReleaseKey),
        },
        kind: row.parsed("kind")?,
        words: row.text("words")?,
    })
}
