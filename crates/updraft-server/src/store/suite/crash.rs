//! The end of the process at any moment: what was acknowledged is there, what was not is there whole or
//! not at all.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::sample::{attempt, device};
use super::{Fixture, at, by, on_both};
use crate::digest::Digest;
use crate::fleet::{EventKind, Goal, Scope, Subject};
use crate::secret::Secret;
use crate::store::Store;
use crate::store::attempts::{Outcome, Recorded};
use crate::store::devices::{Filter, Registered};
use crate::store::events::{EventsOf, Happening};
use crate::store::page::Page;
use crate::store::tokens::NewToken;

on_both! {
    what_was_acknowledged_survives_a_kill,
}

/// Where the child that is to be killed finds the database.
const DATABASE: &str = "UPDRAFT_TEST_DATABASE";
/// What it says before each thing that was acknowledged.
const SAID: &str = "acknowledged ";

async fn what_was_acknowledged_survives_a_kill(on: Fixture) {
    let mut all = BTreeSet::new();
    for round in 0..3 {
        let acknowledged = killed(on.url(), 40 + 60 * round);
        assert!(acknowledged.len() >= 40 + 60 * round, "{}", acknowledged.len());
        all.extend(acknowledged);
        check(&on.store, &all).await;
    }
}

/// All that is acknowledged is there, and all that is there is whole.
async fn check(store: &Store, acknowledged: &BTreeSet<String>) {
    let tokens = store.tokens().await.unwrap();
    let events = store.events(EventsOf::Everything, Page::first(1_000_000)).await.unwrap().items;
    let told = events.iter().filter(|event| event.words.starts_with("token ")).count();
    assert_eq!(tokens.len(), told, "a token and its event go together");
    let mut found: BTreeSet<String> = tokens.into_iter().map(|token| token.name).collect();
    let devices = store.devices(Filter::default(), Page::first(1_000_000)).await.unwrap().items;
    for device in devices {
        let attempts = store.attempts(device.key).await.unwrap();
        let events =
            store.events(EventsOf::Device(device.key), Page::first(9)).await.unwrap().items;
        assert_eq!(attempts.len(), events.len(), "an offer and its event go together");
        found.extend(attempts.iter().map(|attempt| format!("attempt-{}", attempt.key.0)));
    }
    let lost: Vec<_> = acknowledged.difference(&found).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
}

/// Has a child write until it has acknowledged so many things, and kills it in the middle of more. What it
/// acknowledged.
fn killed(url: &str, count: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::suite::crash::writes_until_it_is_killed"])
        .args(["--ignored", "--nocapture"])
        .env(DATABASE, url)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    for line in lines.map_while(Result::ok) {
        if let Some((_, name)) = line.split_once(SAID) {
            acknowledged.push(name.to_owned());
            if acknowledged.len() == count {
                child.kill().unwrap();
            }
        }
    }
    child.wait().unwrap();
    acknowledged
}

/// The child. By itself it does nothing.
#[test]
#[ignore = "it is the crash test's child"]
fn writes_until_it_is_killed() {
    #[expect(clippy::disallowed_methods, reason = "the parent's word")]
    let Ok(url) = std::env::var(DATABASE) else { return };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(async {
        let store = Arc::new(Store::open(&url).await.unwrap());
        let mut writers = tokio::task::JoinSet::new();
        for _ in 0..3 {
            writers.spawn(makes_tokens(Arc::clone(&store)));
            writers.spawn(makes_offers(Arc::clone(&store)));
        }
        writers.join_all().await;
    });
}

async fn makes_tokens(store: Arc<Store>) {
    loop {
        let secret = Secret::random().unwrap();
        let hash = Secret::hash(secret.reveal());
        let name = hash.to_string();
        let new = NewToken { name: name.clone(), scopes: [Scope::Read].into(), hash };
        store.create_token(new, &by(1)).await.unwrap();
        println!("{SAID}{name}");
    }
}

async fn makes_offers(store: Arc<Store>) {
    loop {
        let end = getrandom::u32().unwrap() & 0xFF_FFFF;
        let new = device(end, 1);
        let Registered::New(key) = store.register(new, Vec::new(), i64::MAX).await.unwrap() else {
            continue;
        };
        loop {
            let happening = Happening {
                at: at(1),
                subject: Subject { device: Some(key), ..Subject::default() },
                kind: EventKind::Offered,
                words: "door 1.1 offered".into(),
            };
            let outcome = Outcome {
                offer: Some(attempt(key, Goal::Catalog(Digest([1; 32])), 1, 1)),
                happenings: vec![happening],
                ..Outcome::default()
            };
            // The tokens' makers move the revision all the time.
            let revision = store.refresh().await.unwrap();
            if let Recorded::Done(Some(attempt)) =
                store.record(key, outcome, revision).await.unwrap()
            {
                println!("{SAID}attempt-{}", attempt.0);
                break;
            }
        }
    }
}
