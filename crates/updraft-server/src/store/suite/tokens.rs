//! Tokens and the events that tell of them.

use jiff::Timestamp;

use super::{Fixture, at, by, on_both};
use crate::fleet::{Actor, Scope};
use crate::secret::Secret;
use crate::store::events::EventsOf;
use crate::store::page::Page;
use crate::store::tokens::NewToken;
use crate::store::{StoreError, What};

on_both! {
    a_token_is_known_by_its_hash,
    a_token_withdrawn_is_worth_nothing_at_once,
    a_name_is_taken_once_at_a_time,
    every_change_is_an_event_and_moves_the_revision,
    events_are_paged_from_the_latest,
}

fn token(name: &str) -> (Secret, NewToken) {
    let secret = Secret::random().unwrap();
    let hash = Secret::hash(secret.reveal());
    let scopes = [Scope::Read, Scope::Publish].into();
    (secret, NewToken { name: name.into(), scopes, hash })
}

async fn a_token_is_known_by_its_hash(on: Fixture) {
    let (secret, new) = token("ci");
    let created = on.store.create_token(new, &by(1)).await.unwrap();
    assert_eq!((created.created_at, created.last_used_at), (at(1), None));
    let hash = Secret::hash(secret.reveal());
    assert_eq!(on.store.token(hash, at(5)).await.unwrap(), Some(created.clone()));
    let used = async || on.store.tokens().await.unwrap()[0].last_used_at;
    assert_eq!(used().await, Some(at(5)));
    on.store.token(hash, at(64)).await.unwrap();
    assert_eq!(used().await, Some(at(5)), "not every use is written down");
    on.store.token(hash, at(65)).await.unwrap();
    assert_eq!(used().await, Some(at(65)));
    let other = Secret::hash(Secret::random().unwrap().reveal());
    assert_eq!(on.store.token(other, at(5)).await.unwrap(), None);
}

async fn a_token_withdrawn_is_worth_nothing_at_once(on: Fixture) {
    let (secret, new) = token("ci");
    on.store.create_token(new, &by(1)).await.unwrap();
    // By another process, as a command on the data folder.
    let other = on.another().await;
    other.revoke_token("ci", &by(2)).await.unwrap();
    assert_eq!(on.store.token(Secret::hash(secret.reveal()), at(3)).await.unwrap(), None);
    assert_eq!(on.store.tokens().await.unwrap()[0].revoked_at, Some(at(2)));
    let error = other.revoke_token("ci", &by(4)).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no token \"ci\"");
    other.close().await;
}

async fn a_name_is_taken_once_at_a_time(on: Fixture) {
    on.store.create_token(token("ci").1, &by(1)).await.unwrap();
    let error = on.store.create_token(token("ci").1, &by(2)).await.unwrap_err();
    assert!(matches!(error, StoreError::Exists { what: What::Token, .. }), "{error:?}");
    assert_eq!(on.store.tokens().await.unwrap().len(), 1);
    let events = on.store.events(EventsOf::Everything, Page::first(9)).await.unwrap();
    assert_eq!(events.items.len(), 1, "what was not done is no event");
    on.store.revoke_token("ci", &by(3)).await.unwrap();
    on.store.create_token(token("ci").1, &by(4)).await.unwrap();
}

async fn every_change_is_an_event_and_moves_the_revision(on: Fixture) {
    let before = on.store.revision();
    on.store.create_token(token("ci").1, &by(1)).await.unwrap();
    on.store.revoke_token("ci", &by(2)).await.unwrap();
    assert_eq!(on.store.revision(), before + 2);
    let events = on.store.events(EventsOf::Everything, Page::first(9)).await.unwrap().items;
    assert_eq!(
        events.iter().map(|event| (event.at, event.words.as_str())).collect::<Vec<_>>(),
        [(at(2), "token ci withdrawn"), (at(1), "token ci created: read publish")]
    );
    assert_eq!(events[0].actor, Actor::Person("anna".into()));
    // Others see it once they ask.
    let other = on.another().await;
    on.store.create_token(token("other").1, &by(3)).await.unwrap();
    assert_eq!(other.revision(), before + 2);
    assert_eq!(other.refresh().await.unwrap(), before + 3);
    assert_eq!(other.revision(), before + 3);
    other.close().await;
}

async fn events_are_paged_from_the_latest(on: Fixture) {
    for number in 0..7 {
        on.store.create_token(token(&number.to_string()).1, &by(number)).await.unwrap();
    }
    let mut page = Page::first(3);
    let mut seen: Vec<Timestamp> = Vec::new();
    let mut pieces = Vec::new();
    loop {
        let piece = on.store.events(EventsOf::Everything, page.clone()).await.unwrap();
        pieces.push(piece.items.len());
        seen.extend(piece.items.into_iter().map(|event| event.at));
        match piece.next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    assert_eq!(pieces, [3, 3, 1]);
    assert_eq!(seen, (0..7).rev().map(at).collect::<Vec<_>>());
}
