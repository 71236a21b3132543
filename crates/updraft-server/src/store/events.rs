//! What was done, and by whom: an event is written in the transaction of the change itself, so neither is
//! ever without the other.

use std::sync::atomic::{AtomicI64, Ordering};

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::ids::Series;
use super::page::{Page, Paged};
use super::{Result, Store, What};

/// Who changes something, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct By {
    /// A person's name, a token's name, or `server`.
    pub actor: String,
    /// Unix milliseconds.
    pub at: i64,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Rises with time on one server.
    pub id: i64,
    /// Unix milliseconds.
    pub at: i64,
    /// Who.
    pub actor: String,
    /// What was done: `published`, `moved`, `pinned`.
    pub action: String,
    /// What kind of thing it was done to, as [`What`] words it.
    pub subject: String,
    /// Its name or number.
    pub name: String,
    /// What a person wants to know besides, in a few words; may be empty.
    pub details: String,
}

/// An event about to be written; its number is taken beforehand.
#[derive(Debug)]
pub(super) struct Note {
    id: i64,
    by: By,
    revision: AtomicI64,
}

impl Store {
    /// The latest events first, those of one subject if given. `page.after` is the id of the last one seen.
    pub(crate) async fn events(
        &self,
        of: Option<(What, String)>,
        page: Page<i64>,
    ) -> Result<Paged<Event, i64>> {
        self.read((of, page), |tx, (of, page)| Box::pin(list(tx, of.as_ref(), page))).await
    }

    /// Prepares an event for the transaction that makes the change.
    pub(super) async fn note(&self, by: &By) -> Result<Note> {
        let id = self.id(Series::Events).await?;
        Ok(Note { id, by: by.clone(), revision: AtomicI64::new(0) })
    }
}

impl Note {
    /// Who does it.
    pub(super) fn by(&self) -> &By {
        &self.by
    }

    /// The revision that the change makes; 0 before it is written.
    pub(super) fn revision(&self) -> i64 {
        self.revision.load(Ordering::Relaxed)
    }

    /// Writes it, once in a transaction.
    pub(super) async fn write(
        &self,
        tx: &mut AnyConnection,
        action: &str,
        subject: What,
        name: impl std::fmt::Display + Send,
        details: &str,
    ) -> Result<()> {
        let sql = "INSERT INTO events (id, at, actor, action, subject, name, details)
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        sqlx::query(sql)
            .bind(self.id)
            .bind(self.by.at)
            .bind(self.by.actor.as_str())
            .bind(action)
            .bind(subject.to_string())
            .bind(name.to_string())
            .bind(details)
            .execute(&mut *tx)
            .await?;
        let sql = "UPDATE revision SET value = value + 1 RETURNING value";
        let revision = sqlx::query(sql).fetch_one(tx).await?.try_get(0)?;
        self.revision.store(revision, Ordering::Relaxed);
        Ok(())
    }
}

/// The number of the latest change.
pub(super) async fn revision(tx: &mut AnyConnection) -> Result<i64> {
    Ok(sqlx::query("SELECT value FROM revision").fetch_one(tx).await?.try_get(0)?)
}

async fn list(
    tx: &mut AnyConnection,
    of: Option<&(What, String)>,
    page: &Page<i64>,
) -> Result<Paged<Event, i64>> {
    let before = page.after.unwrap_or(i64::MAX);
    let rows = match of {
        Some((what, name)) => {
            let sql = "SELECT id, at, actor, action, subject, name, details FROM events
                       WHERE subject = $1 AND name = $2 AND id < $3 ORDER BY id DESC LIMIT $4";
            sqlx::query(sql)
                .bind(what.to_string())
                .bind(name.as_str())
                .bind(before)
                .bind(page.rows())
                .fetch_all(tx)
                .await?
        }
        None => {
            let sql = "SELECT id, at, actor, action, subject, name, details FROM events
                       WHERE id < $1 ORDER BY id DESC LIMIT $2";
            sqlx::query(sql).bind(before).bind(page.rows()).fetch_all(tx).await?
        }
    };
    let events = rows.iter().map(event).collect::<sqlx::Result<Vec<_>>>()?;
    Ok(page.cut(events, |event| event.id))
}

fn event(row: &AnyRow) -> sqlx::Result<Event> {
    Ok(Event {
        id: row.try_get("id")?,
        at: row.try_get("at")?,
        actor: row.try_get("actor")?,
        action: row.try_get("action")?,
        subject: row.try_get("subject")?,
        name: row.try_get("name")?,
        details: row.try_get("details")?,
    })
}
