//! The server's memory: devices, products, releases, attempts, tokens and events, in SQLite or
//! PostgreSQL. Here are the connection, transactions and their retry; `store/<resource>.rs` hold all
//! SQL, one text for both. Nothing here decides anything.
//!
//! Only BIGINT and TEXT are stored, times as Unix milliseconds. SQLite has one writer at a time, so its
//! transactions never collide; PostgreSQL's are SERIALIZABLE and are run again when they do.

pub(crate) mod attempts;
pub(crate) mod channels;
pub(crate) mod devices;
mod error;
pub(crate) mod events;
pub(crate) mod handle;
pub(crate) mod heartbeat;
mod ids;
pub(crate) mod images;
pub(crate) mod import;
pub(crate) mod inventory;
mod migrate;
mod observed;
pub(crate) mod page;
pub(crate) mod products;
pub(crate) mod releases;
mod row;
pub(crate) mod shelf;
#[cfg(test)]
mod suite;
pub(crate) mod tokens;

use std::fmt::Write as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, ConnectOptions as _, Connection as _};

pub(crate) use error::{StoreError, What};
use events::{By, Note};
use ids::Ids;

/// What the store gives back.
pub(crate) type Result<T, E = StoreError> = std::result::Result<T, E>;

/// A piece of work within a transaction, which may be run again.
pub(crate) type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// The database. Every call reads or changes it now; serving threads go through a
/// [`StoreHandle`](handle::StoreHandle).
#[derive(Debug)]
pub(crate) struct Store {
    engine: Engine,
    /// For reading. On PostgreSQL the same as `writers`.
    readers: AnyPool,
    /// For changing: with SQLite one connection, which queues what is to be written.
    writers: AnyPool,
    ids: Ids,
    /// The latest revision that this process knows of.
    revision: AtomicI64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Engine {
    Sqlite,
    Postgres,
}

/// What a power cut may take from a change that is made. The end of the process takes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Nothing: it is on the disk before anybody hears of it.
    Synced,
    /// The last moments: for what the next check-in says again.
    Relaxed,
}

/// Connections that read SQLite at once, or do anything on PostgreSQL.
const CONNECTIONS: u32 = 8;
/// How long a request waits for a free connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection nobody needs is kept: each holds a page cache.
const IDLE: Duration = Duration::from_mins(1);
/// How often a change is tried that others get in the way of, and the longest pause in between.
const TRIES: u32 = 30;
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

impl Store {
    /// Opens the database of a data folder, and makes it when new.
    pub(crate) async fn open_in(data: &Path) -> Result<Self> {
        Self::open(&sqlite_url(&data.join("updraft.db"))).await
    }

    /// Opens the database at this URL (`sqlite:///PATH` or `postgres://…`), and brings its schema up to
    /// date.
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let engine = match url.split_once(':') {
            Some(("sqlite", _)) => Engine::Sqlite,
            Some(("postgres" | "postgresql", _)) => Engine::Postgres,
            _ => return Err(StoreError::Url { url: without_password(url) }),
        };
        sqlx::any::install_default_drivers();
        let options: AnyConnectOptions =
            url.parse().map_err(|_| StoreError::Url { url: without_password(url) })?;
        let options = options.disable_statement_logging();
        let cannot_open = |source| StoreError::Open { database: without_password(url), source };
        let pool = |connections| {
            AnyPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(PATIENCE)
                .idle_timeout(IDLE)
                .max_lifetime(None)
                .test_before_acquire(engine == Engine::Postgres)
                .after_connect(move |connection, _| Box::pin(prepare(engine, connection)))
        };
        let writers = match engine {
            Engine::Sqlite => pool(1).idle_timeout(None),
            Engine::Postgres => pool(CONNECTIONS),
        };
        let writers = writers.connect_with(options.clone()).await.map_err(cannot_open)?;
        let readers = match engine {
            Engine::Sqlite => pool(CONNECTIONS).connect_lazy_with(options),
            Engine::Postgres => writers.clone(),
        };
        let store =
            Self { engine, readers, writers, ids: Ids::default(), revision: AtomicI64::new(0) };
        match store.write((), Durability::Synced, |tx, ()| Box::pin(migrate::run(tx))).await? {
            migrate::Schema::Current => {
                store.refresh().await?;
                Ok(store)
            }
            migrate::Schema::Newer { found, known } => {
                Err(StoreError::Newer { database: without_password(url), found, known })
            }
        }
    }

    /// Waits for what is under way, and closes all connections. With SQLite the write-ahead log goes into
    /// the database file.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writers.close().await;
    }

    /// The number of the latest change a person made, as far as this process knows: of its own at once, of
    /// other servers' after [`Store::refresh`]. What was decided at another number may be outdated.
    pub(crate) fn revision(&self) -> i64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Asks the database for the revision.
    pub(crate) async fn refresh(&self) -> Result<i64> {
        let now = self.read((), |tx, ()| Box::pin(events::revision(tx))).await?;
        self.revision.fetch_max(now, Ordering::AcqRel);
        Ok(now)
    }

    /// Whether other servers may work on the same database.
    pub(crate) fn is_shared(&self) -> bool {
        self.engine == Engine::Postgres
    }

    /// A change that somebody makes: it is on the disk, with its event, before it is acknowledged.
    async fn change<A, T>(
        &self,
        by: &By,
        input: A,
        work: impl for<'a> Fn(&'a mut AnyConnection, &'a A, &'a Note) -> Work<'a, T>,
    ) -> Result<T> {
        let note = self.note(by).await?;
        let done = self
            .write((input, &note), Durability::Synced, |tx, (input, note)| work(tx, input, note))
            .await?;
        self.revision.fetch_max(note.revision(), Ordering::AcqRel);
        Ok(done)
    }

    /// Reads in one snapshot.
    async fn read<A, T>(
        &self,
        input: A,
        work: impl for<'a> Fn(&'a mut AnyConnection, &'a A) -> Work<'a, T>,
    ) -> Result<T> {
        let begin = match self.engine {
            Engine::Sqlite => "BEGIN",
            Engine::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        let mut tx = self.readers.begin_with(begin).await?;
        let result = work(&mut tx, &input).await;
        tx.rollback().await?;
        result
    }

    /// Changes something in one transaction, and tries again while others are in its way. So `work` may
    /// run more than once; what it read before it ran counts for nothing.
    async fn write<A, T>(
        &self,
        input: A,
        durability: Durability,
        work: impl for<'a> Fn(&'a mut AnyConnection, &'a A) -> Work<'a, T>,
    ) -> Result<T> {
        for attempt in 0..TRIES {
            match self.write_once(&input, durability, &work).await {
                Err(error) if error.is_passing() => {
                    tracing::debug!(attempt, "a change got in the way of another: once more");
                    tokio::time::sleep(pause(attempt)).await;
                }
                result => return result,
            }
        }
        Err(StoreError::Busy)
    }

    async fn write_once<A, T>(
        &self,
        input: &A,
        durability: Durability,
        work: impl for<'a> Fn(&'a mut AnyConnection, &'a A) -> Work<'a, T>,
    ) -> Result<T> {
        let mut connection = self.writers.acquire().await?;
        if self.engine == Engine::Sqlite {
            // Not within a transaction. A later synced commit takes all earlier ones to the disk.
            let level = match durability {
                Durability::Synced => "PRAGMA synchronous = FULL",
                Durability::Relaxed => "PRAGMA synchronous = NORMAL",
            };
            sqlx::query(level).execute(&mut *connection).await?;
        }
        let begin = match self.engine {
            Engine::Sqlite => "BEGIN IMMEDIATE",
            Engine::Postgres => "BEGIN ISOLATION LEVEL SERIALIZABLE",
        };
        let mut tx = connection.begin_with(begin).await?;
        if self.engine == Engine::Postgres && durability == Durability::Relaxed {
            sqlx::query("SET LOCAL synchronous_commit = off").execute(&mut *tx).await?;
        }
        match work(&mut tx, input).await {
            Ok(done) => {
                tx.commit().await?;
                Ok(done)
            }
            Err(error) => {
                tx.rollback().await?;
                Err(error)
            }
        }
    }
}

/// Sets up a new connection.
async fn prepare(engine: Engine, connection: &mut AnyConnection) -> sqlx::Result<()> {
    if engine == Engine::Sqlite {
        // A page cache of 1 MiB, and a log that does not stay large after a large change.
        let settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                        PRAGMA cache_size = -1024; PRAGMA journal_size_limit = 4194304";
        sqlx::raw_sql(settings).execute(connection).await?;
    }
    Ok(())
}

/// A pause that grows with the tries, and differs between those who were in each other's way.
fn pause(attempt: u32) -> Duration {
    let longest = LONGEST_PAUSE.min(Duration::from_millis(2) * (1 << attempt.min(10)));
    longest.mul_f64(f64::from(random_u32() >> 8) / f64::from(1_u32 << 24))
}

fn random_u32() -> u32 {
    getrandom::u32().unwrap_or_default()
}

/// The URL of a database file.
fn sqlite_url(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;

    let mut url = String::from("sqlite://");
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) {
            url.push(byte.into());
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url.push_str("?mode=rwc");
    url
}

/// A URL as it may be shown.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let rest = rest.split('?').next().unwrap_or_default();
    match rest.rsplit_once('@') {
        Some((user, place)) => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}@{place}")
        }
        None => format!("{scheme}://{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        let check = |url, shown| assert_eq!(without_password(url), shown);
        check("postgres://me:secret@db/updraft?sslmode=off&password=x", "postgres://me@db/updraft");
        check("postgres://db/updraft", "postgres://db/updraft");
        check("postgres://me:p@ss@db/updraft", "postgres://me@db/updraft");
        check("nonsense", "nonsense");
    }

    #[test]
    fn any_path_can_hold_a_database() {
        assert_eq!(sqlite_url(Path::new("/a b/ü?.db")), "sqlite:///a%20b/%C3%BC%3F.db?mode=rwc");
    }
}
