//! Opening a database: made when new, left alone when it is a newer program's.

use sqlx::Connection as _;

use super::{Fixture, on_both};
use crate::store::ids::Series;
use crate::store::{Store, StoreError};

on_both! {
    a_database_is_opened_again_as_it_was,
    a_newer_programs_database_is_left_alone,
    numbers_are_never_given_out_twice,
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
