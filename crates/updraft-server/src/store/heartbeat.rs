//! When no server ran: the silence of a device in such a time is no sign of anything.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::AnyConnection;

use super::row::Columns as _;
use super::{Durability, Result, Store};

/// A time in which no server ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outage {
    /// When one was last known to run.
    pub began_at: Timestamp,
    /// When the next one was.
    pub ended_at: Timestamp,
}

impl Store {
    /// Says that a server runs now. To be called at start and at least every `pause`: should the last call, of
    /// any server, be longer ago than twice that, there was an outage.
    pub(crate) async fn beat(&self, now: Timestamp, pause: Duration) -> Result<()> {
        self.write((now, pause), Durability::Relaxed, |tx, (now, pause)| {
            Box::pin(beat(tx, *now, *pause))
        })
        .await
    }

    /// The outages that ended after this, in order.
    pub(crate) async fn outages(&self, since: Timestamp) -> Result<Vec<Outage>> {
        self.read(since, |tx, since| Box::pin(outages(tx, *since))).await
    }
}

async fn beat(tx: &mut AnyConnection, now: Timestamp, pause: Duration) -> Result<()> {
    let now = now.as_millisecond();
    let last = sqlx::query("SELECT at FROM heartbeat").fetch_optional(&mut *tx).await?;
    if let Some(row) = last {
        let last = row.number("at")?;
        let longest = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX).saturating_mul(2);
        if now.saturating_sub(last) > longest {
            let sql = "INSERT INTO outages (began_at, ended_at) VALUES ($1, $2)
                       ON CONFLICT (began_at) DO NOTHING";
            sqlx::query(sql).bind(last).bind(now).execute(&mut *tx).await?;
        }
    }
    // A clock that was set back does not undo what is known.
    let sql = "INSERT INTO heartbeat (one, at) VALUES (1, $1)
               ON CONFLICT (one) DO UPDATE SET at = excluded.at WHERE heartbeat.at < excluded.at";
    sqlx::query(sql).bind(now).execute(tx).await?;
    Ok(())
}

async fn outages(tx: &mut AnyConnection, since: Timestamp) -> Result<Vec<Outage>> {
    let sql = "SELECT * FROM outages WHERE ended_at > $1 ORDER BY began_at";
    let rows = sqlx::query(sql).bind(since.as_millisecond()).fetch_all(tx).await?;
    rows.iter()
        .map(|row| Ok(Outage { began_at: row.time("began_at")?, ended_at: row.time("ended_at")? }))
        .collect()
}
