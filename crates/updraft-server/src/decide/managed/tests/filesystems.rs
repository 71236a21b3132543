//! A filesystem request carries the sketch's digest, which proves nothing of the filesystem.

use super::*;
use crate::fleet::{DeviceKey, Opening};

fn asks() -> World {
    world().with(|world| world.check_in.mode = Mode::Filesystem)
}

fn attempt(world: &World, state: State) -> Attempt {
    let opening = Opening {
        device: DeviceKey(1),
        part: Part::Filesystem,
        goal: Goal::Release(ReleaseKey(2)),
        image: sha256(30),
        size: 400_000,
        from: SketchDigest::reported(&world.check_in),
        from_version: None,
        address: None,
        strength: Strength::Weak,
    };
    Attempt { state, ..Attempt::offer(AttemptKey(1), None, opening, now()) }
}

#[test]
fn a_filesystem_is_offered_whatever_sketch_of_ours_runs() {
    asks().offers(30);
    // The sketch is the target's already; of the filesystem that says nothing.
    asks().runs(20, None).offers(30);
}

#[test]
fn a_bench_builds_filesystem_is_left_alone_too() {
    asks().runs(99, None).holds(Hold::UnknownBuild(Build::NoVersion));
}

#[test]
fn it_is_sent_once() {
    let world = asks();
    for state in [State::Delivered, State::Applied, State::Lost] {
        world.clone().with(|w| w.attempts = vec![attempt(w, state)]).holds(Hold::FilesystemSent);
    }
    let applied = attempt(&world, State::Applied);
    let retried = world.with(|world| world.attempts = vec![applied.retry(now())]);
    retried.offers(30);
    // The sketch goes its own way.
    retried.with(|world| world.check_in.mode = Mode::Sketch).offers(20);
}

#[test]
fn a_download_that_died_may_be_repeated() {
    let mut died = attempt(&asks(), State::Failed);
    (died.counts.deaths, died.counts.died_at) = (1, Some(now()));
    let world = asks().with(|world| world.attempts = vec![died]);
    let until = now().checked_add(Duration::from_mins(1)).unwrap();
    world.holds(Hold::BackingOff { until });
    world.passes(Duration::from_mins(1)).offers(30);
}

#[test]
fn it_must_fit_where_its_size_is_known_and_is_never_a_gzip_or_a_sketch() {
    let small = asks().device(|device| device.filesystem_size = Some(399_999));
    small.holds(Hold::Device(Why::FilesystemTooLarge { needs: 400_000, has: 399_999 }));
    asks().device(|device| device.filesystem_size = Some(400_000)).offers(30);
    let gzip = asks().image(30, |stored| stored.image.inflated = Some(900_000));
    gzip.holds(Hold::OnlyGzip(NoGzip::CannotInflate));
    let sketch = asks().image(30, |stored| stored.image.target = Target::Sketch);
    sketch.holds(Hold::Device(Why::SketchForFilesystem));
    let none = asks().with(|w| w.rows.release_images.retain(|i| i.part == Part::Sketch));
    none.holds(Hold::NoImage(Part::Filesystem));
}

#[test]
fn it_needs_no_signature_for_no_device_checks_one() {
    let key = PublicKey { id: KeyId(Digest([1; 32])), pem: String::new() };
    asks().rules(|rules| rules.signing_key = Some(key)).offers(30);
    assert_eq!(filesystem(30).target, Target::Filesystem);
}
