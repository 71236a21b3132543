//! Opening a database: made when new, left alone when it is a newer program's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::Connection as _;

use super::{Fixture, by, on_both};
use crate::fleet::Settings;
use crate::store::ids::Series;
use crate::store::{Durability, Store, StoreError, events};

on_both! {
    a_database_is_opened_again_as_it_was,
    a_newer_programs_database_is_left_alone,
    numbers_are_never_given_out_twice,
    a_change_that_another_got_in_the_way_of_is_made_again,
}

async fn a_database_is_opened_again_as_it_was(at: Fixture) {
    let first = at.store.id(Series::Devices).await.unwrap();
    let again = at.another().await;
    assert!(again.id(Series::Devices).await.unwrap() > first);
    again.close().await;
}

async fn a_newer_programs_database_is_left_alone(at: Fixture) {
    let mut connection = sqlx::AnyConnection::connect(at.url()).await.unwrap();
    let newer = "INSERT INTO updraft_schema (version) VALUES (999)";
    sqlx::query(newer).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let error = Store::open(at.url()).await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 999, .. }), "{error:?}");
    assert!(error.to_string().contains("newer updraft"), "{error}");
}

async fn numbers_are_never_given_out_twice(at: Fixture) {
    let other = at.another().await;
    let mut all = Vec::new();
    for _ in 0..50 {
        all.push(at.store.id(Series::Events).await.unwrap());
        all.push(other.id(Series::Events).await.unwrap());
        all.extend(at.store.take(Series::Events, 3).await.unwrap());
    }
    assert!(all.iter().all(|&id| id > 0));
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
    other.close().await;
}

/// PostgreSQL finds out that two changes cannot stand one after the other, SQLite never lets it come to that.
async fn a_change_that_another_got_in_the_way_of_is_made_again(on: Fixture) {
    let (runs, other) = (Arc::new(AtomicU32::new(0)), on.another().await);
    let input = (Arc::clone(&runs), Arc::clone(&other));
    let changed = on.store.write(input, Durability::Synced, |tx, (runs, other)| {
        Box::pin(async move {
            let before = events::revision(&mut *tx).await?;
            if runs.fetch_add(1, Ordering::Relaxed) == 0 && other.is_shared() {
                let name = "door".parse().unwrap();
                other.create_product(name, Settings::default(), &by(1)).await?;
            }
            Ok((before, events::next_revision(tx).await?))
        })
    });
    let (before, after) = changed.await.unwrap();
    assert_eq!(after, before + 1, "it read what it changed");
    assert_eq!(runs.load(Ordering::Relaxed), if other.is_shared() { 2 } else { 1 });
    assert_eq!(on.store.refresh().await.unwrap(), after);
    other.close().await;
}
