//! Brings a database to the schema this program knows. A migration that was published is never changed:
//! the next one changes what it made.

use sqlx::{AnyConnection, Row as _};

use super::Result;

/// All of them, in order; the schema's number is how many were run.
const MIGRATIONS: &[&str] = &[include_str!("migrations/1_fleet.sql")];

/// How the schema stands after [`run`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schema {
    /// It is the one this program knows.
    Current,
    /// A newer program has been here; nothing was touched.
    Newer {
        /// Its number.
        found: i64,
        /// Ours.
        known: i64,
    },
}

/// Runs the migrations that are missing, within the caller's transaction: all of them, or none.
pub(super) async fn run(tx: &mut AnyConnection) -> Result<Schema> {
    sqlx::query("CREATE TABLE IF NOT EXISTS updraft_schema (version BIGINT NOT NULL PRIMARY KEY)")
        .execute(&mut *tx)
        .await?;
    let row = sqlx::query("SELECT COALESCE(MAX(version), 0) FROM updraft_schema");
    let found: i64 = row.fetch_one(&mut *tx).await?.try_get(0)?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Ok(Schema::Newer { found, known });
    }
    for (version, migration) in (1_i64..).zip(MIGRATIONS) {
        if version > found {
            sqlx::raw_sql(*migration).execute(&mut *tx).await?;
            sqlx::query("INSERT INTO updraft_schema (version) VALUES ($1)")
                .bind(version)
                .execute(&mut *tx)
                .await?;
        }
    }
    Ok(Schema::Current)
}
