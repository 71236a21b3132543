//! Tokens and the events that tell of them.

use super::{Fixture, by, on_both};
use crate::secret::Secret;
use crate::store::events::Event;
use crate::store::page::Page;
use crate::store::tokens::{NewToken, Scope};
use crate::store::{StoreError, What};

on_both! {
    a_token_is_known_by_its_hash_until_it_expires,
    a_revoked_token_is_worth_nothing_at_once,
    a_name_is_taken_once,
    every_change_is_an_event,
    events_are_paged_from_the_latest,
}

fn token(name: &str) -> (Secret, NewToken) {
    let secret = Secret::random().unwrap();
    let hash = Secret::hash(secret.reveal());
    (secret, NewToken { name: name.into(), scopes: vec![Scope::Read], expires: None, hash })
}

async fn a_token_is_known_by_its_hash_until_it_expires(at: Fixture) {
    let (secret, mut new) = token("ci");
    new.scopes = vec![Scope::Read, Scope::Publish];
    new.expires = Some(5_000);
    let created = at.store.create_token(new, &by(1_000)).await.unwrap();
    let hash = Secret::hash(secret.reveal());
    let found = at.store.token(hash, 4_999).await.unwrap().unwrap();
    assert_eq!(found, created);
    assert_eq!(at.store.tokens().await.unwrap()[0].used, Some(4_999));
    assert_eq!(at.store.token(hash, 5_000).await.unwrap(), None);
    let other = Secret::hash(Secret::random().unwrap().reveal());
    assert_eq!(at.store.token(other, 4_000).await.unwrap(), None);
}

async fn a_revoked_token_is_worth_nothing_at_once(at: Fixture) {
    let (secret, new) = token("ci");
    at.store.create_token(new, &by(1)).await.unwrap();
    // Another server's change, as that of a command on the data folder.
    let other = at.another().await;
    other.revoke_token("ci", &by(2)).await.unwrap();
    assert_eq!(at.store.token(Secret::hash(secret.reveal()), 3).await.unwrap(), None);
    let error = other.revoke_token("ci", &by(4)).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no token \"ci\"");
    other.close().await;
}

async fn a_name_is_taken_once(at: Fixture) {
    at.store.create_token(token("ci").1, &by(1)).await.unwrap();
    let error = at.store.create_token(token("ci").1, &by(2)).await.unwrap_err();
    assert!(matches!(error, StoreError::Exists { what: What::Token, .. }), "{error:?}");
    assert_eq!(at.store.tokens().await.unwrap().len(), 1);
    assert_eq!(at.store.events(None, Page::first(9)).await.unwrap().items.len(), 1);
}

async fn every_change_is_an_event(at: Fixture) {
    at.store.create_token(token("ci").1, &by(1)).await.unwrap();
    at.store.revoke_token("ci", &by(2)).await.unwrap();
    at.store.create_token(token("other").1, &by(3)).await.unwrap();
    let of = Some((What::Token, "ci".to_owned()));
    let events = at.store.events(of, Page::first(9)).await.unwrap();
    let words = |event: &Event| (event.at, event.actor.clone(), event.action.clone());
    assert_eq!(
        events.items.iter().map(words).collect::<Vec<_>>(),
        [(2, "anna".into(), "revoked".into()), (1, "anna".into(), "created".into())]
    );
}

async fn events_are_paged_from_the_latest(at: Fixture) {
    for number in 0..7 {
        at.store.create_token(token(&number.to_string()).1, &by(number)).await.unwrap();
    }
    let mut page = Page::first(3);
    let mut seen = Vec::new();
    let mut pieces = Vec::new();
    loop {
        let piece = at.store.events(None, page.clone()).await.unwrap();
        pieces.push(piece.items.len());
        seen.extend(piece.items.into_iter().map(|event| event.at));
        match piece.next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    assert_eq!((seen, pieces), (vec![6, 5, 4, 3, 2, 1, 0], vec![3, 3, 1]));
}
