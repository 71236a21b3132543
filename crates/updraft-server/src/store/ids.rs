//! Numbers for new rows. Neither database numbers rows in words the other understands, so blocks of
//! numbers are taken from a table, in a transaction of their own, and given out from memory. Numbers are
//! small, never used twice, and not without gaps.

use std::collections::HashMap;
use std::ops::Range;

use sqlx::{AnyConnection, Row as _};
use tokio::sync::Mutex;

use super::{Durability, Result, Store};

/// What is numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Series {
    Attempts,
    Devices,
    Events,
    Releases,
    Tokens,
}

/// Numbers taken and not given out yet.
#[derive(Debug, Default)]
pub(super) struct Ids(Mutex<HashMap<Series, Range<i64>>>);

/// How many numbers are taken at once: a server that ends loses what is left of them.
const BLOCK: i64 = 32;

impl Store {
    /// A number for a new row.
    pub(super) async fn id(&self, series: Series) -> Result<i64> {
        let mut blocks = self.ids.0.lock().await;
        let block = blocks.entry(series).or_insert(0..0);
        if block.is_empty() {
            *block = self.take(series, BLOCK).await?;
        }
        let id = block.start;
        block.start += 1;
        Ok(id)
    }

    /// Numbers for `count` new rows.
    pub(super) async fn take(&self, series: Series, count: i64) -> Result<Range<i64>> {
        let input = (series, count);
        self.write(input, Durability::Relaxed, |tx, &(series, count)| {
            Box::pin(take(tx, series, count))
        })
        .await
    }
}

async fn take(tx: &mut AnyConnection, series: Series, count: i64) -> Result<Range<i64>> {
    let sql = "INSERT INTO series (name, next) VALUES ($1, 1 + $2)
               ON CONFLICT (name) DO UPDATE SET next = series.next + $2 RETURNING next";
    let row = sqlx::query(sql).bind(series.name()).bind(count).fetch_one(tx).await?;
    let next: i64 = row.try_get(0)?;
    Ok(next - count..next)
}

impl Series {
    fn name(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Devices => "devices",
            Self::Events => "events",
            Self::Releases => "releases",
            Self::Tokens => "tokens",
        }
    }
}
