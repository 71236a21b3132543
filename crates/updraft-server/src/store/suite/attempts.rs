//! Attempts: an offer is committed on what it was decided on, or not at all.

use std::sync::Arc;

use super::sample::{attempt, device, mac, md5};
use super::{Fixture, at, by, on_both};
use crate::check_in::DeviceId;
use crate::fleet::{
    Attempt, AttemptKey, Cause, Counts, Device, DeviceKey, EventKind, Goal, LastTwo, Part, Proof,
    ReleaseKey, State, Subject,
};
use crate::store::Store;
use crate::store::attempts::{Changed, Outcome, Recorded};
use crate::store::devices::Edit;
use crate::store::events::{EventsOf, Happening};
use crate::store::handle::StoreHandle;
use crate::store::page::Page;

on_both! {
    an_attempt_is_kept_as_it_is,
    of_many_offers_at_once_one_is_made,
    an_offer_on_what_has_changed_is_not_made,
    one_attempt_may_be_open_for_each_part,
    offered_again_an_attempt_starts_again,
    what_goes_wrong_leaves_nothing,
    a_retry_forgets_what_went_wrong,
    colliding_changes_are_all_made,
    what_check_ins_leave_is_written_behind,
}

/// A device, and a release to go to.
async fn setting(on: &Fixture) -> (DeviceKey, ReleaseKey) {
    let door = on.door().await;
    let release = on.release(&door, 1).await;
    (on.device(1, 9).await, release)
}

fn offer(attempt: Attempt) -> Outcome {
    Outcome { offer: Some(attempt), ..Outcome::default() }
}

async fn offered(store: &Store, attempt: Attempt) -> AttemptKey {
    let (device, revision) = (attempt.device, store.revision());
    match store.record(device, offer(attempt), revision).await.unwrap() {
        Recorded::Done(Some(key)) => key,
        other => panic!("{other:?}"),
    }
}

async fn an_attempt_is_kept_as_it_is(on: Fixture) {
    let (key, release) = setting(&on).await;
    let whole = Attempt {
        cause: Some(Cause::Stalled),
        acknowledged: 12_345,
        proof: Some(Proof::Acknowledged),
        running_at: Some(at(9)),
        counts: Counts { tries: 2, tried_at: Some(at(1)), deaths: 3, died_at: Some(at(2)) },
        watch: LastTwo { last: Some(at(4)), before: Some(at(3)) },
        ..attempt(key, Goal::Release(release), 1, 5)
    };
    let file = Attempt {
        part: Part::Filesystem,
        ..attempt(key, Goal::Catalog(crate::digest::Digest([8; 32])), 8, 6)
    };
    let first = offered(&on.store, whole.clone()).await;
    let second = offered(&on.store, file.clone()).await;
    let expected = [Attempt { key: first, ..whole }, Attempt { key: second, ..file }];
    assert_eq!(on.store.attempts(key).await.unwrap(), expected);
    let situation = on.store.situation(DeviceId::Mac(mac(1))).await.unwrap().unwrap();
    assert_eq!(situation.attempts, expected);
    assert_eq!(situation.revision, on.store.revision());
    let open = on.store.open_attempts(Page::first(1)).await.unwrap();
    let rest = Page { after: open.next, limit: 9 };
    let rest = on.store.open_attempts(rest).await.unwrap();
    assert_eq!([open.items, rest.items].concat(), expected);
    let to = on.store.attempts_to(release, Page::first(9)).await.unwrap().items;
    assert_eq!(to, expected[..1]);
}

async fn of_many_offers_at_once_one_is_made(on: Fixture) {
    let (key, release) = setting(&on).await;
    let other_release = on.release(&"door".parse().unwrap(), 2).await;
    let other = on.another().await;
    let mut offers = tokio::task::JoinSet::new();
    for number in 0..16 {
        let store = Arc::clone(if number % 2 == 0 { &on.store } else { &other });
        let goal = Goal::Release(if number % 3 == 0 { release } else { other_release });
        let revision = on.store.revision();
        offers.spawn(async move {
            store.record(key, offer(attempt(key, goal, 1, number)), revision).await.unwrap()
        });
    }
    let done = offers.join_all().await;
    let made = done.iter().filter(|done| matches!(done, Recorded::Done(Some(_)))).count();
    assert_eq!(made, 1, "{done:?}");
    assert_eq!(done.iter().filter(|done| **done == Recorded::Stale).count(), 15);
    assert_eq!(on.store.attempts(key).await.unwrap().len(), 1);
    other.close().await;
}

async fn an_offer_on_what_has_changed_is_not_made(on: Fixture) {
    let (key, release) = setting(&on).await;
    let decided_at = on.store.revision();
    // On another server, which this one has not heard of.
    let other = on.another().await;
    other.yank(release, Some("leaks"), &by(9)).await.unwrap();
    let outcome = offer(attempt(key, Goal::Release(release), 1, 10));
    let recorded = on.store.record(key, outcome, decided_at).await.unwrap();
    assert_eq!(recorded, Recorded::Stale);
    assert!(on.store.attempts(key).await.unwrap().is_empty());
    other.close().await;
}

async fn one_attempt_may_be_open_for_each_part(on: Fixture) {
    let (key, release) = setting(&on).await;
    let goal = Goal::Release(release);
    offered(&on.store, attempt(key, goal, 1, 1)).await;
    offered(&on.store, Attempt { part: Part::Filesystem, ..attempt(key, goal, 1, 2) }).await;
    let again = offer(attempt(key, goal, 1, 3));
    let recorded = on.store.record(key, again, on.store.revision()).await.unwrap();
    assert_eq!(recorded, Recorded::Stale);
    assert_eq!(on.store.attempts(key).await.unwrap()[0].offered_at, at(1));
}

async fn offered_again_an_attempt_starts_again(on: Fixture) {
    let (key, release) = setting(&on).await;
    let first = offered(&on.store, attempt(key, Goal::Release(release), 1, 1)).await;
    let open = on.store.attempts(key).await.unwrap().remove(0);
    let counts = Counts { deaths: 1, died_at: Some(at(5)), ..Counts::default() };
    let failed =
        Attempt { state: State::Failed, cause: Some(Cause::Unknown), counts, ..open.clone() };
    let outcome = Outcome {
        changed: vec![Changed { was: State::Offered, now: failed }],
        offer: Some(Attempt { counts, offered_at: at(5), ..open }),
        ..Outcome::default()
    };
    let recorded = on.store.record(key, outcome.clone(), on.store.revision()).await.unwrap();
    assert_eq!(recorded, Recorded::Done(Some(first)));
    let all = on.store.attempts(key).await.unwrap();
    assert_eq!((all.len(), all[0].state, all[0].counts), (1, State::Offered, counts));
    // Its state was another one when the same was decided elsewhere.
    let mut late = outcome;
    late.changed[0].was = State::Downloading;
    let recorded = on.store.record(key, late, on.store.revision()).await.unwrap();
    assert_eq!(recorded, Recorded::Stale);
    let settled = Attempt { state: State::Lost, ..all[0].clone() };
    let outcome = Outcome {
        changed: vec![Changed { was: State::Offered, now: settled }],
        ..Outcome::default()
    };
    on.store.record(key, outcome, on.store.revision()).await.unwrap();
    assert!(on.store.open_attempts(Page::first(9)).await.unwrap().items.is_empty());
}

async fn what_goes_wrong_leaves_nothing(on: Fixture) {
    let (key, release) = setting(&on).await;
    offered(&on.store, attempt(key, Goal::Release(release), 1, 1)).await;
    let open = on.store.attempts(key).await.unwrap().remove(0);
    let happening = Happening {
        at: at(5),
        subject: Subject { device: Some(key), ..Subject::default() },
        kind: EventKind::Delivered,
        words: "all arrived".into(),
    };
    let delivered = Attempt { state: State::Delivered, ..open.clone() };
    let mut outcome = Outcome {
        observed: Some(Device { key, last_seen: at(5), ..device(1, 2) }),
        changed: vec![Changed { was: State::Offered, now: delivered }],
        offer: Some(attempt(key, Goal::Release(release), 1, 5)),
        happenings: vec![happening],
        ..Outcome::default()
    };
    // It would leave two open attempts.
    let recorded = on.store.record(key, outcome.clone(), on.store.revision()).await.unwrap();
    assert_eq!(recorded, Recorded::Stale);
    assert_eq!(on.store.attempts(key).await.unwrap(), [open]);
    assert_eq!(on.store.device(key).await.unwrap().last_seen, at(0));
    let events =
        async || on.store.events(EventsOf::Device(key), Page::first(9)).await.unwrap().items;
    assert!(events().await.is_empty());
    outcome.offer = None;
    let recorded = on.store.record(key, outcome, on.store.revision()).await.unwrap();
    assert_eq!(recorded, Recorded::Done(None));
    assert_eq!(on.store.attempts(key).await.unwrap()[0].state, State::Delivered);
    let found = on.store.device(key).await.unwrap();
    assert_eq!((found.last_seen, found.reported.sketch_md5), (at(5), Some(md5(2, 2))));
    assert_eq!(events().await[0].words, "all arrived");
}

async fn a_retry_forgets_what_went_wrong(on: Fixture) {
    let (key, release) = setting(&on).await;
    let counts = Counts { tries: 3, tried_at: Some(at(1)), deaths: 1, died_at: Some(at(2)) };
    let worn =
        Attempt { counts, state: State::NotTaken, ..attempt(key, Goal::Release(release), 1, 1) };
    offered(&on.store, worn).await;
    on.store.edit_device(key, vec![Edit::Retry], &by(9)).await.unwrap();
    let found = on.store.attempts(key).await.unwrap().remove(0);
    assert_eq!((found.counts, found.state), (Counts::default(), State::Superseded));
}

/// Changes of one row by many at once: PostgreSQL refuses to serialize some, which are made again.
async fn colliding_changes_are_all_made(on: Fixture) {
    let door = on.door().await;
    let other = on.another().await;
    let before = on.store.refresh().await.unwrap();
    let mut moves = tokio::task::JoinSet::new();
    for number in 0..24 {
        let store = Arc::clone(if number % 2 == 0 { &on.store } else { &other });
        let to = crate::store::channels::Move {
            product: door.clone(),
            channel: "stable".parse().unwrap(),
            to: None,
            was: crate::store::channels::Was::Anywhere,
        };
        moves.spawn(async move { store.move_channel(to, &by(number)).await.unwrap() });
    }
    moves.join_all().await;
    assert_eq!(on.store.refresh().await.unwrap(), before + 24);
    let of = EventsOf::Product(door);
    let events = on.store.events(of, Page::first(99)).await.unwrap().items;
    assert_eq!(events.len(), 25);
    other.close().await;
}

async fn what_check_ins_leave_is_written_behind(on: Fixture) {
    let key = on.device(1, 1).await;
    let store = on.another().await;
    let handle = StoreHandle::new(store, tokio::runtime::Handle::current());
    assert_eq!(handle.revision(), on.store.revision());
    for second in 1..=50 {
        handle.observe(Device { key, last_seen: at(second), ..device(1, 2) });
    }
    // Serving threads have runtimes of their own.
    let asking = handle.clone();
    let found = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(asking.call(async move |store| store.device(key).await))
    });
    assert_eq!(found.join().unwrap().unwrap().key, key);
    let written = async {
        while on.store.device(key).await.unwrap().last_seen != at(50) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), written).await.unwrap();
    handle.observe(Device { key, last_seen: at(60), ..device(1, 3) });
    handle.close().await.unwrap();
    assert_eq!(on.store.device(key).await.unwrap().last_seen, at(60));
}
