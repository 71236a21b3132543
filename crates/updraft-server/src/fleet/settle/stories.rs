//! Attempts as stories: what a device does, and what becomes of its attempt.

use proptest::prelude::*;

use super::*;
use crate::digest::Digest;
use crate::fleet::{AttemptKey, Counts, DeviceKey, Goal, Opening, ReleaseKey};

const MIN: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_mins(30);

/// A device and its attempt, told in the order in which things happen.
struct Story {
    attempt: Attempt,
    now: Timestamp,
    poll: Option<Duration>,
    strength: Strength,
    evidence: Evidence,
    address: Option<IpAddr>,
    strays: u32,
    told: Vec<EventKind>,
}

fn opening(part: Part) -> Opening {
    Opening {
        device: DeviceKey(1),
        part,
        goal: Goal::Release(ReleaseKey(7)),
        image: Digest([7; 32]),
        size: 400_000,
        from: Some(SketchDigest::Md5(Digest([1; 16]))),
        from_version: Some("1.0.0".into()),
        address: None,
        strength: Strength::Weak,
    }
}

impl Story {
    /// A device that polls every half hour is offered an image.
    fn of(part: Part) -> Self {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        Self {
            attempt: Attempt::offer(AttemptKey(1), None, opening(part), now),
            now,
            poll: Some(POLL),
            strength: Strength::Weak,
            evidence: Evidence::default(),
            address: None,
            strays: 0,
            told: Vec::new(),
        }
    }

    fn offered() -> Self {
        Self::of(Part::Sketch)
    }

    fn without_rhythm(self) -> Self {
        Self { poll: None, ..self }
    }

    fn passes(mut self, time: Duration) -> Self {
        self.now = self.now.checked_add(time).unwrap();
        self
    }

    fn downloads(mut self) -> Self {
        self.attempt.state = State::Downloading;
        self
    }

    fn ends(mut self, ending: Ending, acknowledged: u64) -> Self {
        if let Some(settled) = end(&self.attempt, ending, acknowledged, self.now) {
            self.attempt = settled.attempt;
        }
        self
    }

    fn arrives(self) -> Self {
        self.downloads().passes(20 * SECOND).ends(Ending::Delivered(Proof::Acknowledged), 400_000)
    }

    fn asks(mut self, mode: Mode, seen: Seen) -> Self {
        let sighting = Sighting {
            now: self.now,
            mode,
            seen,
            strength: self.strength,
            address: self.address,
            evidence: self.evidence,
            poll: self.poll,
        };
        if let Some(settled) = settle(&self.attempt, &sighting) {
            self.strays += u32::from(settled.stray == Stray::Now);
            self.told.extend(settled.happened.map(|happened| happened.kind));
            self.attempt = settled.attempt;
        }
        self
    }

    fn runs(self, seen: Seen) -> Self {
        self.asks(Mode::Sketch, seen)
    }

    fn comes_again(mut self) -> Self {
        let before = self.attempt.clone();
        self.attempt = Attempt::offer(before.key, Some(&before), opening(before.part), self.now);
        self
    }

    #[track_caller]
    fn is(self, state: State) -> Self {
        assert_eq!(self.attempt.state, state, "{:?}", self.attempt);
        self
    }

    #[track_caller]
    fn tries(self, tries: u32) -> Self {
        assert_eq!(self.attempt.counts.tries_at(self.now), tries, "{:?}", self.attempt);
        self
    }
}

#[test]
fn all_goes_well() {
    Story::offered()
        .arrives()
        .is(State::Delivered)
        .passes(8 * SECOND)
        .runs(Seen::New)
        .is(State::Running)
        .passes(POLL)
        .runs(Seen::New)
        .is(State::Confirmed)
        .tries(0)
        .passes(100 * POLL)
        .runs(Seen::New)
        .is(State::Confirmed);
}

#[test]
fn ten_minutes_at_least_and_a_poll_at_least_until_it_is_confirmed() {
    let fast = Story { poll: Some(MIN), ..Story::offered() }.arrives().runs(Seen::New);
    let nine = (0..9).fold(fast, |story, _| story.passes(MIN).runs(Seen::New).is(State::Running));
    nine.passes(MIN).runs(Seen::New).is(State::Confirmed);

    let unknown = Story::offered().without_rhythm().arrives().runs(Seen::New);
    unknown
        .passes(9 * MIN)
        .runs(Seen::New)
        .is(State::Running)
        .passes(MIN)
        .runs(Seen::New)
        .is(State::Confirmed);

    // Its clock may be a little fast.
    let fast = Story::offered().arrives().runs(Seen::New);
    fast.passes(POLL / 16 * 15).runs(Seen::New).is(State::Confirmed);

    let early = Story::offered().arrives().runs(Seen::New);
    early.passes(20 * MIN).runs(Seen::New).is(State::Running);
}

#[test]
fn the_new_image_counts_even_if_the_end_of_its_download_was_never_known() {
    Story::offered().runs(Seen::New).is(State::Running);
    Story::offered().downloads().passes(MIN).runs(Seen::New).is(State::Running);
    let died = Story::offered().downloads().ends(Ending::Died(Cause::Vanished), 399_000);
    died.is(State::Failed).passes(MIN).runs(Seen::New).is(State::Running);
}

#[test]
fn a_download_that_dies_waits_longer_each_time_and_is_no_try() {
    let mut story = Story::offered();
    for minutes in [1, 5, 30, 360, 360, 360] {
        story = story.downloads().ends(Ending::Died(Cause::Vanished), 8_000).is(State::Failed);
        let until = story.now.checked_add(minutes * MIN).unwrap();
        assert_eq!(story.attempt.counts.backs_off_until(), Some(until));
        story = story.passes(minutes * MIN).runs(Seen::Old).comes_again().tries(0);
    }
    assert_eq!(story.arrives().attempt.counts.backs_off_until(), None);
}

#[test]
fn what_was_our_own_doing_never_counts() {
    for cause in [Cause::Shutdown, Cause::Limit, Cause::FileChanged] {
        let story = Story::offered().downloads().ends(Ending::Died(cause), 8_000);
        assert_eq!(story.is(State::Failed).tries(0).attempt.counts, Counts::default());
    }
    // Killed before the first byte.
    let story = Story::offered().passes(MIN).runs(Seen::Old).is(State::Failed);
    assert_eq!(story.attempt.counts, Counts::default());
}

#[test]
fn a_device_that_asks_anew_has_lost_its_download() {
    let story = Story::offered().downloads().passes(10 * SECOND).runs(Seen::Old);
    assert_eq!(story.is(State::Failed).attempt.counts.deaths, 1);
}

#[test]
fn a_call_from_elsewhere_during_the_download_is_not_believed() {
    let mut story = Story::offered().downloads();
    story.attempt.address = Some([10, 0, 0, 1].into());
    story.address = Some([10, 0, 0, 2].into());
    let story = story.runs(Seen::Old).is(State::Downloading);
    Story { address: Some([10, 0, 0, 1].into()), ..story }.runs(Seen::Old).is(State::Failed);
}

#[test]
fn the_image_was_refused_and_the_device_says_so() {
    let story = Story::offered().arrives();
    let evidence = Evidence { last_error: Some(12), ..Evidence::default() };
    Story { evidence, ..story }.passes(SECOND).runs(Seen::Old).is(State::NotTaken).tries(1);
}

#[test]
fn a_restart_with_the_old_image_is_seen_by_its_uptime_or_by_an_early_poll() {
    let evidence = Evidence { up: Some(5 * SECOND), ..Evidence::default() };
    let story = Story { evidence, poll: None, ..Story::offered() }.arrives();
    story.passes(8 * SECOND).runs(Seen::Old).is(State::NotTaken);

    Story::offered().arrives().passes(8 * SECOND).runs(Seen::Old).is(State::NotTaken).tries(1);
}

#[test]
fn a_sketch_that_restarts_in_its_own_time_gets_a_poll_to_do_so() {
    let waits = || Story::offered().arrives().passes(POLL).runs(Seen::Old).is(State::Delivered);
    waits().passes(POLL).runs(Seen::New).is(State::Running).tries(0);
    waits().passes(POLL).runs(Seen::Old).is(State::NotTaken).tries(1);
    // Filesystem and sketch in one poll are one look.
    waits().passes(SECOND).runs(Seen::Old).is(State::Delivered);
}

#[test]
fn judged_too_early_is_taken_back() {
    let story = Story::offered().arrives().passes(MIN).runs(Seen::Old).is(State::NotTaken);
    story.tries(1).passes(POLL).runs(Seen::New).is(State::Running).tries(0);
}

#[test]
fn a_boot_loop_is_unstable() {
    let story = Story::offered().arrives().runs(Seen::New);
    let story = story.passes(20 * SECOND).runs(Seen::New).is(State::Running);
    let story = story.passes(20 * SECOND).runs(Seen::New).is(State::Unstable).tries(1);
    let story = story.passes(20 * SECOND).runs(Seen::New).is(State::Unstable).tries(1);
    let story = story.passes(20 * SECOND).runs(Seen::Old).is(State::Reverted).tries(1);
    // Each is told once.
    assert_eq!(story.told, [EventKind::Running, EventKind::Unstable, EventKind::Reverted]);
}

#[test]
fn a_boot_loop_that_ends_is_confirmed_after_all() {
    let story = Story::offered().arrives().runs(Seen::New).passes(SECOND).runs(Seen::New);
    let story = story.passes(SECOND).runs(Seen::New).is(State::Unstable);
    let story = story.passes(POLL).runs(Seen::New);
    story.passes(POLL).runs(Seen::New).is(State::Confirmed);
}

#[test]
fn a_version_question_and_a_filesystem_question_are_no_boot_loop() {
    let mut story = Story::offered().arrives().runs(Seen::New);
    for mode in [Mode::Filesystem, Mode::Version, Mode::Filesystem, Mode::Version] {
        story = story.passes(SECOND).asks(mode, Seen::New).is(State::Running);
    }
}

#[test]
fn a_revert_is_a_try_each_time() {
    let mut story = Story::offered();
    for tries in 1..=3 {
        story = story.arrives().passes(8 * SECOND).runs(Seen::New).passes(MIN).runs(Seen::Old);
        story = story.is(State::Reverted).tries(tries).comes_again();
    }
    story.tries(3).passes(8 * 24 * 60 * MIN).tries(0);
}

#[test]
fn a_person_lets_it_try_again() {
    let story = Story::offered().arrives().passes(8 * SECOND).runs(Seen::Old).tries(1);
    assert_eq!(story.attempt.retry(story.now).counts, Counts::default());
}

#[test]
fn after_a_confirmation_the_old_image_is_a_revert_and_anything_else_a_stray() {
    let confirmed = || {
        Story::offered().arrives().runs(Seen::New).passes(POLL).runs(Seen::New).is(State::Confirmed)
    };
    let story = confirmed().passes(POLL).runs(Seen::Old).is(State::Reverted).tries(1);
    assert_eq!(story.strays, 1);
    let story = confirmed().passes(POLL).runs(Seen::Other).is(State::Superseded).tries(0);
    assert_eq!(story.strays, 1);
}

#[test]
fn somebody_else_was_faster() {
    Story::offered().runs(Seen::Other).is(State::Superseded);
    Story::offered().arrives().runs(Seen::Other).is(State::Superseded).tries(0);
    let running = Story::offered().arrives().runs(Seen::New);
    running.runs(Seen::Other).is(State::Superseded);
}

#[test]
fn an_attempt_of_strong_identity_is_settled_by_strong_identity() {
    let mut story = Story::offered().arrives();
    story.attempt.strength = Strength::Strong;
    let story = story.passes(MIN).runs(Seen::New).is(State::Delivered);
    Story { strength: Strength::Strong, ..story }.runs(Seen::New).is(State::Running);
}

#[test]
fn a_filesystem_is_applied_once_the_device_is_back_and_proves_nothing() {
    let story = Story::of(Part::Filesystem).downloads();
    // The sketch's question comes while the filesystem's end is not yet known.
    let story = story.asks(Mode::Sketch, Seen::Old).is(State::Downloading);
    let story = story.ends(Ending::Delivered(Proof::Proxy), 400_000).is(State::Delivered);
    story.passes(SECOND).asks(Mode::Sketch, Seen::Other).is(State::Applied).tries(0);

    let cut = Story::of(Part::Filesystem).downloads().asks(Mode::Filesystem, Seen::Old);
    assert_eq!(cut.is(State::Failed).attempt.counts.deaths, 1);
}

#[test]
fn silence_means_something_only_when_patience_is_over() {
    let learnt = Patience { silence: 3 * POLL, basis: Basis::Learnt };
    let check = |story: &Story, down: Duration, is_lost: bool| {
        let seen = story.attempt.state_since;
        let settled = silent(&story.attempt, seen, down, learnt, story.now);
        assert_eq!(settled.is_some_and(|s| s.attempt.state == State::Lost), is_lost);
    };
    let story = Story::offered().arrives();
    check(&story, Duration::ZERO, false);
    let story = story.passes(3 * POLL + SECOND);
    check(&story, Duration::ZERO, true);
    // The server was down for most of it.
    check(&story, POLL, false);
    // A confirmed one that sleeps is nobody's business.
    let story = story.runs(Seen::New).passes(POLL).runs(Seen::New).is(State::Confirmed);
    check(&story.passes(100 * POLL), Duration::ZERO, false);

    let story = Story::offered().arrives().passes(8 * 24 * 60 * MIN);
    let assumed = Patience { silence: 7 * 24 * 60 * MIN, basis: Basis::Assumed };
    let lost =
        silent(&story.attempt, story.attempt.state_since, Duration::ZERO, assumed, story.now);
    let words = lost.and_then(|lost| lost.happened).unwrap().words;
    assert_eq!(
        words,
        "not heard of for 8 days; 7 days is its limit, which is assumed, for its rhythm is not known"
    );
}

fn any_step() -> impl Strategy<Value = (u64, u8)> {
    (0_u64..4000, 0_u8..9)
}

proptest! {
    #[test]
    fn whatever_happens_tries_rise_by_one_and_the_end_is_the_end(
        steps in prop::collection::vec(any_step(), 0..40), filesystem: bool,
    ) {
        let part = if filesystem { Part::Filesystem } else { Part::Sketch };
        let mut story = Story::of(part);
        for (seconds, what) in steps {
            let before = story.attempt.clone();
            story = story.passes(Duration::from_secs(seconds));
            story = match what {
                0 => story.runs(Seen::New),
                1 | 2 => story.runs(Seen::Old),
                3 => story.runs(Seen::Other),
                4 => story.asks(Mode::Filesystem, Seen::Old),
                5 => story.asks(Mode::Version, Seen::Old),
                6 => story.downloads().ends(Ending::Delivered(Proof::Acknowledged), 400_000),
                7 => story.downloads().ends(Ending::Died(Cause::Stalled), 9),
                _ => story.comes_again(),
            };
            let after = &story.attempt;
            prop_assert!(after.counts.tries <= before.counts.tries + 1);
            if after.counts.tries > before.counts.tries {
                prop_assert!(is_failed_try(after.state));
            }
            if filesystem {
                prop_assert!(!matches!(after.state, State::Running | State::Confirmed));
                prop_assert_eq!(after.counts.tries, 0);
            }
            if before.state == State::Superseded && what < 6 {
                prop_assert_eq!(after, &before);
            }
        }
    }
}
