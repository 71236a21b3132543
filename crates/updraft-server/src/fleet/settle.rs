//! What a check-in, or the end of a download, tells of an attempt. Pure: the attempt and what was seen
//! come in, the attempt as it stands now goes out. The device does not help: it only says what it runs.

use std::cmp::Ordering;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use crate::check_in::{CheckIn, Mode};

use super::rhythm::since;
use super::{
    Attempt, Basis, Cause, EventKind, Evidence, LastTwo, Part, Patience, Proof, RunningDigest,
    SketchDigest, Span, State, Strength, Version,
};

#[cfg(test)]
mod stories;

/// One check-in, as far as it says something of an attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sighting {
    /// When.
    pub now: Timestamp,
    /// What it asked for.
    pub mode: Mode,
    /// What it runs, compared with what it was sent.
    pub seen: Seen,
    /// How it showed who it is.
    pub strength: Strength,
    /// Where it called from.
    pub address: Option<IpAddr>,
    /// What else it said.
    pub evidence: Evidence,
    /// How often it checks in, if anything tells.
    pub poll: Option<Duration>,
}

/// What a device runs, compared with an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The image that it was sent.
    New,
    /// What it ran when it was offered, or it does not say.
    Old,
    /// Something else: somebody was faster.
    Other,
}

/// An attempt after it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    /// As it is now.
    pub attempt: Attempt,
    /// What happened to it, if its state changed.
    pub happened: Option<Happened>,
    /// Whether the device ran something else after a confirmation.
    pub stray: Stray,
}

/// What is to be told of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Happened {
    /// What.
    pub kind: EventKind,
    /// In words.
    pub words: String,
}

/// Whether a device ran, after a confirmation, what it was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stray {
    /// It did not.
    No,
    /// It did, now.
    Now,
}

/// How the sending of an image ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// All of it arrived.
    Delivered(Proof),
    /// It did not.
    Died(Cause),
}

/// A device that ran so long with the new image is seen to stay with it.
const STAYS: Duration = Duration::from_mins(10);

/// Compares what a device reports with an attempt: by digest, else by version. `running` is what
/// the digest says that it may run, `version` that of the release it was sent, `product` its product.
pub(crate) fn compare(
    attempt: &Attempt,
    check_in: &CheckIn,
    running: &[RunningDigest],
    version: Option<&str>,
    product: &str,
) -> Seen {
    if let Some(reported) = SketchDigest::reported(check_in) {
        let is_new = running.iter().any(|row| row.image == attempt.image);
        return if is_new {
            Seen::New
        } else if attempt.from == Some(reported) {
            Seen::Old
        } else {
            Seen::Other
        };
    }
    let Some(reported) = check_in.version.as_deref() else { return Seen::Old };
    let read = |text| Version::read(text, product);
    let is_new = version
        .is_some_and(|version| read(version).order(&read(reported)).is_some_and(Ordering::is_eq));
    match attempt.from_version.as_deref() {
        _ if is_new => Seen::New,
        Some(from) if from != reported => Seen::Other,
        _ => Seen::Old,
    }
}

/// What a check-in makes of an attempt; `None`: nothing.
pub(crate) fn settle(attempt: &Attempt, sighting: &Sighting) -> Option<Settled> {
    // Whoever showed a secret when it was offered must show it to be believed now.
    if attempt.strength == Strength::Strong && sighting.strength == Strength::Weak {
        return None;
    }
    match attempt.part {
        Part::Filesystem => settle_filesystem(attempt, sighting),
        Part::Sketch => settle_sketch(attempt, sighting),
    }
}

/// The request carries the sketch's digest: whether the filesystem was taken nobody can tell.
fn settle_filesystem(attempt: &Attempt, sighting: &Sighting) -> Option<Settled> {
    match attempt.state {
        State::Delivered => Some(change(
            attempt,
            sighting,
            State::Applied,
            "the filesystem was sent and the device is back; that it took it is not proven".into(),
        )),
        State::Offered | State::Downloading if sighting.mode == Mode::Filesystem => {
            cut_off(attempt, sighting)
        }
        _ => None,
    }
}

fn settle_sketch(attempt: &Attempt, sighting: &Sighting) -> Option<Settled> {
    let to = |state, words: &str| Some(change(attempt, sighting, state, words.to_owned()));
    match (attempt.state, sighting.seen) {
        (State::Running | State::Unstable, Seen::New) => watch(attempt, sighting),
        (State::Applied | State::Superseded, _) | (State::Confirmed, Seen::New) => None,
        (_, Seen::New) => to(State::Running, "the new image runs"),

        (State::Offered | State::Downloading, Seen::Old) if sighting.mode == Mode::Sketch => {
            cut_off(attempt, sighting)
        }
        (State::Delivered, Seen::Old) => wait(attempt, sighting),
        (State::Running | State::Unstable, Seen::Old) => {
            to(State::Reverted, "it ran the new image and is back at the old one")
        }
        (State::Confirmed, Seen::Old) => {
            stray(to(State::Reverted, "it had confirmed the new image and is back at the old one"))
        }
        (State::Confirmed, Seen::Other) => {
            stray(to(State::Superseded, "after its confirmation it runs what it was not sent"))
        }
        (State::Offered | State::Downloading, Seen::Old)
        | (State::Failed | State::NotTaken | State::Reverted | State::Lost, _) => None,
        (_, Seen::Other) => to(State::Superseded, "it runs what it was not sent"),
    }
}

fn stray(settled: Option<Settled>) -> Option<Settled> {
    settled.map(|settled| Settled { stray: Stray::Now, ..settled })
}

/// The device asks anew before the end of its download was known.
fn cut_off(attempt: &Attempt, sighting: &Sighting) -> Option<Settled> {
    let from_elsewhere = attempt.address.zip(sighting.address).is_some_and(|(a, b)| a != b);
    if from_elsewhere && attempt.state == State::Downloading {
        return None;
    }
    Some(died(attempt, Cause::Unknown, sighting.now))
}

/// All arrived, and the old image still runs. Perhaps the sketch restarts later, in its own time.
fn wait(attempt: &Attempt, sighting: &Sighting) -> Option<Settled> {
    let not_taken = |why: String| Some(change(attempt, sighting, State::NotTaken, why));
    if let Some(error) = sighting.evidence.error() {
        return not_taken(format!("all arrived, and the device reports error {error}"));
    }
    let delivered_for = since(attempt.state_since, sighting.now);
    if sighting.evidence.up.is_some_and(|up| up < delivered_for) {
        return not_taken("all arrived, and it restarted with the old image".into());
    }
    // A poll before its time is the first one of a sketch that just started.
    let since_offer = since(attempt.offered_at, sighting.now);
    if sighting.poll.is_some_and(|poll| since_offer < poll / 4 * 3) && sighting.mode == Mode::Sketch
    {
        return not_taken("all arrived, and it is back early, with the old image".into());
    }
    match attempt.watch.last {
        None => Some(watched(attempt, LastTwo::default().then(sighting.now))),
        Some(first) if since(first, sighting.now) >= sighting.poll.unwrap_or(STAYS) / 4 * 3 => {
            not_taken("all arrived, and it still runs the old image".into())
        }
        Some(_) => None,
    }
}

/// The new image runs: does it stay, or restart again and again?
fn watch(attempt: &Attempt, sighting: &Sighting) -> Option<Settled> {
    let now = sighting.now;
    if sighting.mode == Mode::Sketch
        && let (Some(poll), Some(before)) = (sighting.poll, attempt.watch.before)
        && since(before, now) <= poll / 4
    {
        let words = "it restarts again and again: three check-ins within a quarter of its rhythm";
        let mut settled = change(attempt, sighting, State::Unstable, words.into());
        settled.attempt.watch = attempt.watch.then(now);
        settled.happened.take_if(|_| attempt.state == State::Unstable);
        return Some(settled);
    }
    // An eighth less than a poll: clocks of devices are no better.
    let stays = STAYS.max(sighting.poll.unwrap_or(STAYS) / 8 * 7);
    let steady_since = match attempt.state {
        State::Unstable => attempt.state_since,
        _ => attempt.running_at.unwrap_or(attempt.state_since),
    };
    if since(steady_since, now) >= stays {
        return Some(change(
            attempt,
            sighting,
            State::Confirmed,
            "the new image runs and stays".into(),
        ));
    }
    (sighting.mode == Mode::Sketch).then(|| watched(attempt, attempt.watch.then(now)))
}

/// What the end of a download makes of an attempt; `None`: nothing, as it went on meanwhile.
pub(crate) fn end(
    attempt: &Attempt,
    ending: Ending,
    acknowledged: u64,
    now: Timestamp,
) -> Option<Settled> {
    if !matches!(attempt.state, State::Offered | State::Downloading) {
        return None;
    }
    let attempt = Attempt { acknowledged, ..attempt.clone() };
    Some(match ending {
        Ending::Died(cause) => died(&attempt, cause, now),
        Ending::Delivered(proof) => {
            let size = attempt.size;
            let words = match proof {
                Proof::Acknowledged => format!("delivered, {size} bytes"),
                Proof::Proxy => format!("delivered, {size} bytes, by proxy"),
            };
            let counts = super::Counts { deaths: 0, died_at: None, ..attempt.counts };
            let mut settled = enter(&attempt, now, State::Delivered, words);
            settled.attempt.proof = Some(proof);
            settled.attempt.counts = counts;
            settled
        }
    })
}

/// What silence makes of an attempt: nothing until the device's patience is over. `down` is the time
/// since `last_seen` in which this server could not have heard it.
pub(crate) fn silent(
    attempt: &Attempt,
    last_seen: Timestamp,
    down: Duration,
    patience: Patience,
    now: Timestamp,
) -> Option<Settled> {
    if !matches!(attempt.state, State::Delivered | State::Running | State::Unstable) {
        return None;
    }
    let silence = since(last_seen.max(attempt.state_since), now).saturating_sub(down);
    let assumed = match patience.basis {
        Basis::Assumed => ", which is assumed, for its rhythm is not known",
        Basis::Expected | Basis::Learnt => "",
    };
    let (heard, most) = (Span(silence), Span(patience.silence));
    let words = format!("not heard of for {heard}; {most} is its limit{assumed}");
    (silence > patience.silence).then(|| enter(attempt, now, State::Lost, words))
}

/// The download died. What was our own doing does not count.
fn died(attempt: &Attempt, cause: Cause, now: Timestamp) -> Settled {
    let counts = match cause {
        Cause::Shutdown | Cause::Limit | Cause::FileChanged => false,
        // Nothing was sent yet: perhaps this server died.
        Cause::Unknown => attempt.state == State::Downloading,
        Cause::Vanished | Cause::Stalled | Cause::TooSlow => true,
    };
    let (acknowledged, size) = (attempt.acknowledged, attempt.size);
    let words = format!("the download ended at {acknowledged} of {size} bytes: {}", cause.words());
    let mut settled = enter(attempt, now, State::Failed, words);
    settled.attempt.cause = Some(cause);
    if counts {
        settled.attempt.counts.deaths = attempt.counts.deaths.saturating_add(1);
        settled.attempt.counts.died_at = Some(now);
    }
    settled
}

/// A new state by a check-in, with what it counts for.
fn change(attempt: &Attempt, sighting: &Sighting, state: State, words: String) -> Settled {
    let now = sighting.now;
    let mut settled = enter(attempt, now, state, words);
    let counts = &mut settled.attempt.counts;
    match state {
        // It was only slow to restart: what was counted was no failure.
        State::Running if attempt.state == State::NotTaken => {
            counts.tries = counts.tries.saturating_sub(1);
        }
        // An unstable image that reverts is one try.
        _ if is_failed_try(state) && !is_failed_try(attempt.state) => {
            counts.tries = attempt.counts.tries_at(now).saturating_add(1);
            counts.tried_at = Some(now);
        }
        _ => {}
    }
    if state == State::Running {
        settled.attempt.running_at = Some(now);
        settled.attempt.watch = LastTwo::default().then(now);
    }
    settled
}

fn is_failed_try(state: State) -> bool {
    matches!(state, State::NotTaken | State::Reverted | State::Unstable)
}

fn enter(attempt: &Attempt, now: Timestamp, state: State, words: String) -> Settled {
    let kind = match state {
        State::Offered | State::Downloading => EventKind::Offered,
        State::Delivered => EventKind::Delivered,
        State::Running => EventKind::Running,
        State::Confirmed => EventKind::Confirmed,
        State::Applied => EventKind::Applied,
        State::Failed => EventKind::DownloadFailed,
        State::NotTaken => EventKind::NotTaken,
        State::Reverted => EventKind::Reverted,
        State::Unstable => EventKind::Unstable,
        State::Lost => EventKind::Lost,
        State::Superseded => EventKind::Superseded,
    };
    Settled {
        attempt: Attempt { state, state_since: now, watch: LastTwo::default(), ..attempt.clone() },
        happened: Some(Happened { kind, words }),
        stray: Stray::No,
    }
}

fn watched(attempt: &Attempt, watch: LastTwo) -> Settled {
    Settled { attempt: Attempt { watch, ..attempt.clone() }, happened: None, stray: Stray::No }
}

impl Cause {
    /// The cause in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Vanished => "the device closed the connection",
            Self::Stalled => "the device took nothing for too long",
            Self::TooSlow => "it took longer than a download may",
            Self::Unknown => "the device asked anew",
            Self::FileChanged => "the file changed meanwhile",
            Self::Shutdown => "this server stopped",
            Self::Limit => "a limit of this server",
        }
    }
}
