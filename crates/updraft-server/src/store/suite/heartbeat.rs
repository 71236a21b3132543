//! When no server ran.

use std::time::Duration;

use super::{Fixture, at, on_both};
use crate::store::heartbeat::Outage;

on_both! {
    an_outage_is_what_no_server_was_there_for,
}

async fn an_outage_is_what_no_server_was_there_for(on: Fixture) {
    let other = on.another().await;
    let pause = Duration::from_secs(10);
    for second in [0, 10, 20] {
        on.store.beat(at(second), pause).await.unwrap();
    }
    // Another one takes over in time.
    for second in [35, 45, 300] {
        other.beat(at(second), pause).await.unwrap();
    }
    // A clock that goes back is no outage, nor makes one.
    other.beat(at(290), pause).await.unwrap();
    other.beat(at(310), pause).await.unwrap();
    let outage = Outage { began_at: at(45), ended_at: at(300) };
    assert_eq!(on.store.outages(at(0)).await.unwrap(), [outage]);
    assert_eq!(on.store.outages(at(300)).await.unwrap(), []);
    other.close().await;
}
