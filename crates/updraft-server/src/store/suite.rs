//! The conformance suite: what the store promises, asked of SQLite and of PostgreSQL in the same words.
//! A case is an async function that gets an empty database; [`on_both`] makes two tests of each.

mod attempts;
mod crash;
mod devices;
mod heartbeat;
mod opening;
mod postgres;
mod publishing;
mod sample;
mod tokens;

use std::sync::Arc;

use jiff::Timestamp;

use super::Store;
use super::events::By;
use crate::fleet::Actor;

/// An empty database, and a store opened on it.
pub(super) struct Fixture {
    /// The store.
    pub(super) store: Arc<Store>,
    url: String,
}

impl Fixture {
    /// Another store on the same database, as another server's.
    pub(super) async fn another(&self) -> Arc<Store> {
        Arc::new(Store::open(&self.url).await.unwrap())
    }

    /// Where the database is.
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

/// This second of the test's time.
pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// A person who changes something in this second.
pub(super) fn by(second: i64) -> By {
    By { actor: Actor::Person("anna".into()), at: at(second) }
}

/// Runs a case on a new SQLite file.
pub(super) fn on_sqlite(case: impl AsyncFnOnce(Fixture)) {
    let folder = tempfile::tempdir().unwrap();
    let url = super::sqlite_url(&folder.path().join("updraft.db"));
    run(url, case);
}

/// Runs a case on a new PostgreSQL database. Where there is no PostgreSQL, it says so; on CI it fails.
pub(super) fn on_postgres(case: impl AsyncFnOnce(Fixture)) {
    let Some(database) = postgres::Database::create() else { return };
    run(database.url(), case);
}

fn run(url: String, case: impl AsyncFnOnce(Fixture)) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(async {
        // Several servers may start at once.
        let (store, other) = tokio::join!(Store::open(&url), Store::open(&url));
        other.unwrap().close().await;
        let store = Arc::new(store.unwrap());
        case(Fixture { store: Arc::clone(&store), url }).await;
        store.close().await;
    });
}

/// Makes a test for each database of each case.
macro_rules! on_both {
    ($($case:ident,)+) => {
        mod sqlite {
            $(#[test] fn $case() { crate::store::suite::on_sqlite(super::$case) })+
        }
        mod postgres {
            $(#[test] fn $case() { crate::store::suite::on_postgres(super::$case) })+
        }
    };
}
use on_both;
