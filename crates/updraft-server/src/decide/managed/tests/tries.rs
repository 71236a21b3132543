//! What failed before, and what is under way.

use super::*;
use crate::fleet::settle::{Ending, end};
use crate::fleet::{Counts, DeviceKey, Proof};

const MIN: Duration = Duration::from_mins(1);

impl World {
    /// The device takes the offer that it is made.
    #[track_caller]
    fn takes_offer(mut self) -> Self {
        let (before, opening) = self.ask(|call, rows| {
            let outcome = decide(call, rows, self.now);
            let Decision::Offer(offer) = &outcome.decision else { panic!("{outcome:?}") };
            (outcome.before, offer.opening(call, DeviceKey(1)))
        });
        self = self.checks_in();
        let before = self.attempts.iter().find(|attempt| Some(attempt.key) == before).cloned();
        let next = AttemptKey(i64::try_from(self.attempts.len()).unwrap() + 1);
        let key = before.as_ref().map_or(next, |before| before.key);
        self.attempts.retain(|attempt| attempt.key != key);
        self.attempts.push(Attempt::offer(key, before.as_ref(), opening, self.now));
        self
    }

    fn ends(mut self, ending: Ending) -> Self {
        let last = self.attempts.pop().unwrap();
        self.attempts.push(end(&last, ending, 400_000, self.now).unwrap().attempt);
        self
    }

    fn arrives(self) -> Self {
        self.takes_offer().ends(Ending::Delivered(Proof::Acknowledged))
    }

    /// It checks in, and what that tells is kept.
    fn checks_in(mut self) -> Self {
        let (settled, device) = self.ask(|call, rows| {
            let outcome = decide(call, rows, self.now);
            let mut device = rows.device.unwrap().clone();
            device.observe(&outcome.observation(call, rows, self.now));
            (outcome.settled.clone(), device)
        });
        for settled in settled {
            self.attempts.retain(|attempt| attempt.key != settled.attempt.key);
            self.attempts.push(settled.attempt);
        }
        Self { device: Some(device), ..self }
    }
}

#[test]
fn what_was_delivered_gets_time_to_restart() {
    let waits = world().arrives().passes(MIN);
    waits.holds(Hold::Settling);
    let waits = waits.checks_in().passes(MIN);
    waits.holds(Hold::Settling);
    // The channel moved on meanwhile: no other image into the waiting one.
    let moved = waits.clone().with(|world| {
        publish(&mut world.rows, 3, "1.2.0", &[image(50)]);
        world.rows.channels[0].release = Some(ReleaseKey(3));
    });
    moved.holds(Hold::Settling);
    waits.passes(30 * MIN).offers(20);
}

#[test]
fn a_question_settles_nothing() {
    let asked = world().arrives().passes(60 * MIN).with(|w| w.occasion = Occasion::Question);
    let said = device().as_check_in(Mode::Sketch);
    assert_eq!(asked.check_in, said);
    asked.holds(Hold::Settling);
    assert_eq!(asked.told().settled, []);
}

#[test]
fn three_times_to_no_effect_is_the_end_until_a_person_or_a_release_or_a_week() {
    let error = Evidence { last_error: Some(12), ..Evidence::default() };
    let fails = |world: World| {
        let world = world.with(|w| w.evidence = Evidence::default()).arrives().passes(MIN);
        world.with(|world| world.evidence = error).checks_in()
    };
    let world = fails(fails(fails(world())));
    world.holds(Hold::AttemptsExhausted);
    let retried = world.clone().with(|world| {
        world.attempts = world.attempts.iter().map(|a| a.retry(world.now)).collect();
    });
    retried.offers(20);
    let release = world.clone().with(|world| {
        publish(&mut world.rows, 3, "1.2.0", &[image(50)]);
        world.rows.channels[0].release = Some(ReleaseKey(3));
    });
    release.offers(50);
    world.passes(Duration::from_hours(7 * 24)).offers(20);
}

#[test]
fn a_download_that_died_waits_and_our_own_shutdown_does_not() {
    let world = world().takes_offer();
    let died = world.clone().ends(Ending::Died(Cause::Vanished));
    died.holds(Hold::BackingOff { until: now().checked_add(MIN).unwrap() });
    died.passes(MIN).offers(20);
    world.ends(Ending::Died(Cause::Shutdown)).offers(20);
}

#[test]
fn a_download_elsewhere_is_let_alone() {
    let from = |world: World, last| world.with(|w| w.address = Some([10, 0, 0, last].into()));
    let mut world = from(world(), 1).takes_offer();
    world.attempts[0].state = State::Downloading;
    from(world.clone(), 2).holds(Hold::Downloading);
    // From the same address it is the device itself, which lost its download.
    from(world, 1).holds(Hold::BackingOff { until: now().checked_add(MIN).unwrap() });
}

#[test]
fn an_open_attempt_for_another_release_is_superseded() {
    let running = world().arrives().runs(22, None).passes(MIN).checks_in();
    let moved = running.with(|world| {
        publish(&mut world.rows, 3, "1.2.0", &[image(50)]);
        world.rows.channels[0].release = Some(ReleaseKey(3));
    });
    moved.offers(50);
    assert_eq!(moved.told().supersedes, Some(AttemptKey(1)));
}

#[test]
fn only_the_last_attempt_is_judged() {
    // 1.1.0 was confirmed, then 1.2.0: running that is no stray from 1.1.0.
    let first = world().arrives().runs(22, None).passes(MIN).checks_in().passes(30 * MIN);
    let first = first.checks_in();
    assert_eq!(first.attempts[0].state, State::Confirmed);
    let second = first.with(|world| {
        publish(&mut world.rows, 3, "1.2.0", &[image(50)]);
        world.rows.channels[0].release = Some(ReleaseKey(3));
    });
    assert_eq!(second.told().supersedes, None, "what is confirmed stays confirmed");
    let second = second.arrives().runs(52, None).passes(MIN);
    let told = second.told();
    assert_eq!(told.decision, Decision::UpToDate);
    assert_eq!(told.settled.len(), 1, "{told:#?}");
    assert_eq!(told.settled[0].attempt.state, State::Running);
}

#[test]
fn a_reflash_loop_ends() {
    // Somebody's boot loader puts the old image back, each time.
    let mut world = world();
    for _ in 0..3 {
        world = world.arrives().runs(22, None).passes(MIN).checks_in();
        world = world.runs(12, None).passes(MIN).checks_in();
    }
    world.holds(Hold::AttemptsExhausted);
    assert_eq!(world.attempts[0].counts.tries, Counts::MOST_TRIES);
}

#[test]
fn a_device_that_confirmed_a_gzip_is_sent_them() {
    let always = |world: World| world.rules(|rules| rules.gzip = GzipPolicy::Always);
    let confirmed = always(gates::with_gzip()).arrives().runs(22, None).passes(MIN);
    let confirmed = confirmed.checks_in().passes(30 * MIN).checks_in();
    assert_eq!(confirmed.device.as_ref().map(|device| device.gzip), Some(GzipUse::Confirmed));
    assert_eq!(confirmed.device.unwrap().reported.flash_mode, Some(2));
}

#[test]
fn somebody_who_flashes_it_twice_in_a_day_is_left_alone() {
    let replaces = |rules: &mut Settings| rules.unknown_build = UnknownBuild::Replace;
    let confirms = |world: World| {
        let world = world.arrives().runs(22, None).passes(MIN).checks_in();
        world.passes(30 * MIN).checks_in()
    };
    let once = confirms(world().rules(replaces)).runs(99, None).passes(30 * MIN);
    once.offers(20);
    let twice = confirms(once).runs(99, None).passes(30 * MIN);
    twice.holds(Hold::FoughtOver);
    twice.checks_in().passes(30 * MIN).holds(Hold::FoughtOver);
}
