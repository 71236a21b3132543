//! Decisions on managed paths: each rule with its reason, told by a small fleet.

use std::time::Duration;

use updraft_core::gates::Reason as Why;
use updraft_core::{Chip, Family};

use super::reason::{Build, NoGzip};
use super::step::Mark;
use super::*;
use crate::catalog::image::{Image, Target};
use crate::check_in::Mode;
use crate::digest::Digest;
use crate::fleet::fixtures::{
    check_in, device, door, esp32_image, filesystem, image, now, product, publish, sha256, stored,
};
use crate::fleet::{
    Auth, Cause, Downgrade, GzipPolicy, GzipUse, KeyId, KnownChip, KnownFrom, LastTwo, Mismatch,
    Place, Privacy, PublicKey, PublishedRows, ReleaseKey, Settings, SketchDigest, StoredImage,
    UnknownBuild, UnknownVersion, Yank,
};

mod filesystems;
mod gates;
mod products;
mod props;
mod tries;

/// Everything that a decision takes, to be changed by a test.
#[derive(Clone, Debug)]
struct World {
    rows: PublishedRows,
    device: Option<Device>,
    attempts: Vec<Attempt>,
    check_in: CheckIn,
    product: Option<&'static str>,
    evidence: Evidence,
    strength: Strength,
    shown: Shown<'static>,
    address: Option<IpAddr>,
    occasion: Occasion,
    policy: FleetPolicy,
    room: Room,
    now: Timestamp,
}

/// A registered ESP8266 that runs door 1.0.0 and asks for `/update`; stable is at 1.1.0.
fn world() -> World {
    World {
        rows: door(),
        device: Some(device()),
        attempts: Vec::new(),
        check_in: check_in(),
        product: None,
        evidence: Evidence::default(),
        strength: Strength::Weak,
        shown: Shown::default(),
        address: None,
        occasion: Occasion::CheckIn,
        policy: FleetPolicy { unknown_devices: UnknownDevices::Open, default_product: None },
        room: Room::Free,
        now: now(),
    }
}

/// What is left of an outcome when its world is gone.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    decision: Decision,
    registration: Registration,
    product: Option<(ProductName, ProductBy)>,
    version: String,
    settled: Vec<Settled>,
    supersedes: Option<AttemptKey>,
    said: Vec<Said>,
}

impl World {
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Changes the rules of `door`.
    fn rules(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.rows.products[0].settings);
        self
    }

    fn device(mut self, change: impl FnOnce(&mut Device)) -> Self {
        change(self.device.as_mut().unwrap());
        self
    }

    /// Changes an image by its number.
    fn image(mut self, number: u8, change: impl FnOnce(&mut StoredImage)) -> Self {
        let is_it = |stored: &&mut StoredImage| stored.image.sha256 == sha256(number);
        change(self.rows.images.iter_mut().find(is_it).unwrap());
        self
    }

    /// The sketch that the device runs, by its digest.
    fn runs(mut self, digest: u8, version: Option<&str>) -> Self {
        self.check_in.sketch_md5 = Some(Digest([digest; 16]));
        self.check_in.version = version.map(str::to_owned);
        self
    }

    fn passes(mut self, time: Duration) -> Self {
        self.now = self.now.checked_add(time).unwrap();
        self
    }

    /// Calls `look` with what a decision takes.
    fn ask<T>(&self, look: impl FnOnce(&Call<'_>, &Rows<'_>) -> T) -> T {
        let published = Published::new(self.rows.clone());
        let call = Call {
            check_in: &self.check_in,
            product: self.product,
            evidence: self.evidence,
            strength: self.strength,
            shown: self.shown,
            address: self.address,
            occasion: self.occasion,
        };
        let rows = Rows {
            published: &published,
            device: self.device.as_ref(),
            attempts: &self.attempts,
            policy: &self.policy,
            room: self.room,
        };
        look(&call, &rows)
    }

    fn told(&self) -> Told {
        self.ask(|call, rows| {
            let (outcome, said) = explain(call, rows, self.now);
            assert_eq!(outcome.decision, decide(call, rows, self.now).decision, "explained alike");
            Told {
                registration: outcome.registration,
                product: outcome.product.map(|(name, by)| (name.clone(), by)),
                version: outcome.version().0.to_owned(),
                settled: outcome.settled.clone(),
                supersedes: outcome.supersedes,
                decision: outcome.decision,
                said,
            }
        })
    }

    /// It is offered this image.
    #[track_caller]
    fn offers(&self, number: u8) -> Offer {
        match self.told().decision {
            Decision::Offer(offer) => {
                assert_eq!(offer.image, sha256(number), "{offer:?}");
                offer
            }
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn holds(&self, expected: Hold) {
        let (told, words) = (self.told(), expected.to_string());
        assert_eq!(told.decision, Decision::Hold(expected), "{told:#?}");
        // Whoever asks why is told in the same words.
        let fails = |said: &&Said| said.mark == Mark::Failed && said.words == words;
        assert_eq!(told.said.iter().filter(fails).count(), 1, "{told:#?}");
    }

    #[track_caller]
    fn refuses(&self, expected: Refusal) {
        assert_eq!(self.told().decision, Decision::Refuse(expected));
    }

    #[track_caller]
    fn is_up_to_date(&self) {
        assert_eq!(self.told().decision, Decision::UpToDate);
    }
}

/// The same for an ESP32 whose running image is unknown to nobody: it runs image 110 of the S3.
fn esp32_world() -> World {
    world().with(|world| {
        world.rows = PublishedRows::default();
        product(&mut world.rows, "door", Some(2));
        publish(&mut world.rows, 1, "1.0.0", &[esp32_image(110, Chip::Esp32S3)]);
        let both = [esp32_image(120, Chip::Esp32S3), esp32_image(130, Chip::Esp32C3)];
        publish(&mut world.rows, 2, "1.1.0", &both);
        world.check_in = CheckIn {
            family: Family::Esp32,
            sketch_md5: Some(Digest([1; 16])),
            sketch_sha256: Some(Digest([110; 32])),
            free_space: Some(0x14_0000),
            ..check_in()
        };
        world.device.as_mut().unwrap().family = Family::Esp32;
    })
}

#[test]
fn an_old_version_is_offered_the_channels_release() {
    let offer = world().offers(20);
    assert_eq!((offer.release, offer.version.as_str()), (ReleaseKey(2), "1.1.0"));
    assert_eq!((offer.form, offer.size, offer.note), (Form::Plain, 400_000, Note::None));
    assert_eq!(world().told().decision.words(), "sent the sketch of 1.1.0");
}

#[test]
fn a_device_that_runs_the_target_in_any_flash_mode_is_up_to_date() {
    for mode in 0..4 {
        world().runs(20 + mode, Some("1.0.0")).is_up_to_date();
    }
    esp32_world().with(|w| w.check_in.sketch_sha256 = Some(Digest([120; 32]))).is_up_to_date();
    // The digest wins: the version it reports is another one, and that is only said.
    let told = world().runs(20, Some("9.9.9")).told();
    assert_eq!(told.decision, Decision::UpToDate);
    let words = "it reports version 9.9.9, but runs the image of 1.1.0";
    assert!(told.said.iter().any(|said| said.words == words), "{told:#?}");
}

#[test]
fn without_a_digest_the_version_counts() {
    let silent = |version: Option<&str>| {
        let world = world().runs(0, version);
        world.with(|world| world.check_in.sketch_md5 = None)
    };
    silent(Some("1.1.0")).is_up_to_date();
    silent(Some("door-v1.1")).is_up_to_date();
    silent(Some("1.0.0")).offers(20);
    silent(None).holds(Hold::UnknownBuild(Build::NoVersion));
}

#[test]
fn an_unknown_build_stays_unless_it_is_older() {
    let bench = |version| world().runs(99, version);
    bench(Some("1.0.5")).offers(20);
    bench(None).holds(Hold::UnknownBuild(Build::NoVersion));
    bench(Some("1.0.5-dirty")).holds(Hold::UnknownBuild(Build::Dirty));
    bench(Some("kitchen")).holds(Hold::UnknownBuild(Build::Unordered));
    bench(Some("1.1.0")).holds(Hold::UnknownBuild(Build::NotLower));
    bench(Some("1.2.0")).holds(Hold::UnknownBuild(Build::NotLower));

    let keeps = |rules: &mut Settings| rules.unknown_build = UnknownBuild::Hold;
    bench(Some("1.0.5")).rules(keeps).holds(Hold::UnknownBuild(Build::Kept));
    let replaces = |rules: &mut Settings| rules.unknown_build = UnknownBuild::Replace;
    bench(None).rules(replaces).offers(20);
    let downgrade = Hold::Downgrade { from: "1.2.0".into(), to: "1.1.0".into() };
    bench(Some("1.2.0")).rules(replaces).holds(downgrade);
}

#[test]
fn an_adopted_build_is_replaced_and_no_other() {
    let adopted = |digest: u8| {
        let digest = SketchDigest::Md5(Digest([digest; 16]));
        world().runs(99, Some("2.0-dirty")).device(|device| device.adopted = Some(digest))
    };
    adopted(99).offers(20);
    adopted(98).holds(Hold::UnknownBuild(Build::Dirty));
}

#[test]
fn an_image_of_no_release_is_no_unknown_build() {
    let world = world().with(|world| world.rows.images.push(stored(image(40))));
    world.runs(42, None).offers(20);
}

#[test]
fn a_device_that_somebody_keeps_flashing_is_left_to_them() {
    let hours = |hours| now().checked_sub(Duration::from_hours(hours)).ok();
    let strays = |last, before| {
        let strays = LastTwo { last: hours(last), before: hours(before) };
        world().device(|device| device.strays = strays)
    };
    strays(1, 20).holds(Hold::FoughtOver);
    strays(1, 26).offers(20);
    strays(8 * 24, 8 * 24 + 1).offers(20);
}

#[test]
fn a_person_s_word_holds_a_device() {
    world().device(|device| device.is_blocked = true).holds(Hold::Blocked);
    world().device(|device| device.is_hands_off = true).holds(Hold::HandsOff);
    world().device(|device| device.admission = Admission::Pending).holds(Hold::Pending);
    world().device(|device| device.conflict.since = Some(now())).holds(Hold::Conflict);
    world().with(|world| world.evidence.wants = Wants::Nothing).holds(Hold::Asked);
}

#[test]
fn a_pin_goes_before_the_channel_and_may_lead_down() {
    let pinned = |key| world().device(|device| device.pin = Some(ReleaseKey(key)));
    pinned(1).is_up_to_date();
    pinned(1).runs(20, None).offers(10);
    pinned(7).holds(Hold::PinGone);
}

#[test]
fn a_channel_leads_down_only_where_the_product_permits_it() {
    let down = world().runs(20, None).with(|w| w.rows.channels[0].release = Some(ReleaseKey(1)));
    down.holds(Hold::Downgrade { from: "1.1.0".into(), to: "1.0.0".into() });
    down.rules(|rules| rules.downgrade = Downgrade::Permit).offers(10);
}

#[test]
fn versions_without_an_order_are_no_downgrade() {
    let world = world().with(|world| {
        publish(&mut world.rows, 3, "kitchen", &[image(50)]);
        world.rows.channels[0].release = Some(ReleaseKey(3));
    });
    world.offers(50);
}

#[test]
fn a_channel_of_its_own_goes_before_the_default() {
    let beta: crate::fleet::ChannelName = "beta".parse().unwrap();
    let world = world().device(|device| device.channel = Some(beta.clone()));
    world.holds(Hold::NothingReleased(beta));
    let empty = self::world().with(|world| world.rows.channels[0].release = None);
    empty.holds(Hold::NothingReleased("stable".parse().unwrap()));
}

#[test]
fn a_floor_is_not_skipped() {
    let world = world().with(|world| {
        publish(&mut world.rows, 3, "1.5.0", &[image(50)]);
        publish(&mut world.rows, 4, "2.0.0", &[image(60)]);
        world.rows.channels[0].release = Some(ReleaseKey(4));
    });
    let floors = |floors: &[&str]| {
        let floors = floors.iter().map(|&floor| floor.to_owned()).collect();
        world.clone().rules(|rules| rules.floors = floors)
    };
    floors(&["3.0.0"]).offers(60);
    let told = floors(&["1.5.0", "1.1.0"]).offers(20);
    assert_eq!(told.version, "1.1.0");
    floors(&["1.5.0", "1.1.0"]).runs(20, None).offers(50);
    floors(&["1.5.0", "1.1.0"]).runs(50, None).offers(60);
    floors(&["1.2.0"]).holds(Hold::FloorMissing("1.2.0".into()));
    let yanked = floors(&["1.5.0"]).with(|world| {
        world.rows.releases[2].yanked =
            Some(Yank { at: now(), by: "me".into(), why: String::new() });
    });
    yanked.holds(Hold::FloorMissing("1.5.0".into()));

    let lost = floors(&["1.5.0"]).runs(0, Some("kitchen")).with(|w| w.check_in.sketch_md5 = None);
    lost.holds(Hold::FloorUnknown("1.5.0".into()));
    let rule = |rule| lost.clone().rules(|rules| rules.unknown_version = rule);
    rule(UnknownVersion::Skip).offers(60);
    rule(UnknownVersion::Floor).offers(50);
}

#[test]
fn a_version_question_is_never_answered_with_nothing() {
    let ask = |world: World| world.with(|world| world.check_in.mode = Mode::Version).told().version;
    assert_eq!(ask(world()), "1.1.0");
    assert_eq!(ask(world().runs(20, None)), "1.1.0");
    assert_eq!(ask(world().device(|device| device.is_blocked = true)), "1.0.0");
    assert_eq!(ask(world().runs(99, Some("7-dirty"))), "7-dirty");
    assert_eq!(ask(world().runs(99, None)), "unknown");
}

#[test]
fn an_explanation_reads_like_this() {
    let told = world().told();
    let words: Vec<&str> = told.said.iter().map(|said| said.words.as_str()).collect();
    assert_eq!(
        words,
        [
            "chip 1, weak identity, known",
            "runs door 1.0.0",
            "product door, to which it belongs",
            "target 1.1.0, by channel stable",
            "image 20.bin",
            "the release is not yanked",
            "the image is there",
            "the image can be installed over the air",
            "the image is for its family of chips",
            "the image is for its chip, as far as that is known",
            "the image is of the kind that it asks for",
            "the image fits",
            "the flash mode can stay",
            "the flash is large enough",
            "the signature is what the product demands",
            "its version would not fall",
            "it did not fail too often",
            "no download died just now",
        ]
    );
}
