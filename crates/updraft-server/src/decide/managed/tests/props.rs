//! What holds of every decision, whatever the fleet.

use proptest::prelude::*;
use updraft_core::gates as core_gates;

use super::*;
use crate::fleet::{Counts, DeviceKey, Opening, Version};

fn any_image(number: u8) -> impl Strategy<Value = Image> {
    (
        prop_oneof![
            8 => Just(Target::Sketch),
            1 => Just(Target::Unrecognised),
            1 => Just(Target::Never("bad".into())),
        ],
        prop::sample::select(vec![Chip::Esp8266, Chip::Esp8266, Chip::Esp32, Chip::Esp32S3]),
        1_u64..2_000_000,
        prop::option::weighted(0.2, 1_u64..2_000_000),
        prop::option::of(prop::sample::select(vec![1_u32 << 20, 4 << 20])),
        0_u8..4,
        prop::bool::weighted(0.2),
    )
        .prop_map(move |(target, chip, size, inflated, flash_size, mode, signed)| Image {
            target,
            chip: Some(chip),
            size,
            inflated,
            flash_size,
            flash_mode: Some(mode),
            signed,
            running_sha256: (chip != Chip::Esp8266).then_some(Digest([number; 32])),
            ..image(number)
        })
}

fn any_settings() -> impl Strategy<Value = Settings> {
    (
        prop::sample::select(UnknownDevices::ALL),
        prop::sample::select(UnknownBuild::ALL),
        prop::sample::select(Downgrade::ALL),
        prop::sample::select(UnknownVersion::ALL),
        prop::collection::vec(prop::sample::select(vec!["0.9", "1.1.0", "1.5.0"]), 0..3),
        prop::option::weighted(
            0.2,
            Just(PublicKey { id: KeyId(Digest([1; 32])), pem: String::new() }),
        ),
        prop::sample::select(GzipPolicy::ALL),
        prop_oneof![9 => Just(Privacy::Public), 1 => Just(Privacy::Private)],
    )
        .prop_map(
            |(
                unknown_devices,
                unknown_build,
                downgrade,
                unknown_version,
                floors,
                signing_key,
                gzip,
                privacy,
            )| {
                let floors = floors.into_iter().map(str::to_owned).collect();
                Settings {
                    unknown_devices,
                    unknown_build,
                    downgrade,
                    floors,
                    unknown_version,
                    signing_key,
                    privacy,
                    gzip,
                    ..Settings::default()
                }
            },
        )
}

fn any_version() -> impl Strategy<Value = Option<String>> {
    prop::option::of(prop_oneof![
        prop::sample::select(vec!["0.8", "1.0.0", "1.1.0", "1.5.0", "2.0.0", "1.0.0-dirty", "x"])
            .prop_map(str::to_owned),
        any::<String>(),
    ])
}

fn any_check_in() -> impl Strategy<Value = CheckIn> {
    (
        prop::sample::select(vec![Family::Esp8266, Family::Esp8266, Family::Esp32]),
        prop::sample::select(vec![Mode::Sketch, Mode::Sketch, Mode::Filesystem, Mode::Version]),
        any_version(),
        prop::option::weighted(0.9, prop::sample::select(vec![10_u8, 12, 20, 22, 23, 50, 99])),
        prop::option::of(0_u64..3_000_000),
        prop::option::of(prop::sample::select(vec![1_u64 << 19, 1 << 20, 4 << 20])),
    )
        .prop_map(|(family, mode, version, digest, free_space, chip_size)| CheckIn {
            family,
            mode,
            version,
            sketch_md5: digest.map(|digest| Digest([digest; 16])),
            sketch_sha256: digest
                .filter(|_| family == Family::Esp32)
                .map(|digest| Digest([digest; 32])),
            free_space,
            chip_size,
            ..check_in()
        })
}

fn any_attempt() -> impl Strategy<Value = Attempt> {
    (
        prop::sample::select(Part::ALL),
        1_i64..4,
        prop::sample::select(State::ALL),
        0_u32..5,
        0_u32..3,
        0_i64..100_000,
        prop::sample::select(vec![10_u8, 20, 50]),
    )
        .prop_map(|(part, release, state, tries, deaths, ago, number)| {
            let then = now().checked_sub(Duration::from_secs(ago.unsigned_abs())).unwrap();
            let opening = Opening {
                device: DeviceKey(1),
                part,
                goal: Goal::Release(ReleaseKey(release)),
                image: sha256(number),
                size: 400_000,
                from: Some(SketchDigest::Md5(Digest([12; 16]))),
                from_version: None,
                address: None,
                strength: Strength::Weak,
            };
            let key = AttemptKey(2 * release + i64::from(part == Part::Sketch));
            Attempt {
                state,
                counts: Counts { tries, tried_at: Some(then), deaths, died_at: Some(then) },
                ..Attempt::offer(key, None, opening, then)
            }
        })
}

prop_compose! {
    fn any_world()(
        images in (any_image(10), any_image(20), any_image(50), any_image(60)),
        settings in any_settings(),
        check_in in any_check_in(),
        mut attempts in prop::collection::vec(any_attempt(), 0..4),
        (is_known, is_blocked, is_hands_off, is_yanked) in (
            prop::bool::weighted(0.8),
            prop::bool::weighted(0.1),
            prop::bool::weighted(0.1),
            prop::bool::weighted(0.1),
        ),
        pin in prop::option::weighted(0.2, 1_i64..5),
        stable in 1_i64..4,
        gzip in prop::sample::select(GzipUse::ALL),
        filesystem_size in prop::option::of(0_u64..800_000),
    ) -> World {
        let mut rows = PublishedRows::default();
        product(&mut rows, "door", Some(stable));
        rows.products[0].settings = settings;
        publish(&mut rows, 1, "1.0.0", &[images.0]);
        publish(&mut rows, 2, "1.1.0", &[images.1, filesystem(30)]);
        publish(&mut rows, 3, "1.5.0", &[images.2, images.3, filesystem(31)]);
        if is_yanked {
            rows.releases[2].yanked = Some(Yank { at: now(), by: "me".into(), why: String::new() });
        }
        attempts.sort_by_key(|attempt| attempt.key);
        attempts.dedup_by_key(|attempt| attempt.key);
        let mut known = device();
        known.pin = pin.map(ReleaseKey);
        (known.is_blocked, known.is_hands_off, known.gzip) = (is_blocked, is_hands_off, gzip);
        known.filesystem_size = filesystem_size;
        let device = is_known.then_some(known);
        World { rows, device, attempts, check_in, ..world() }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_check_in_has_one_answer_and_always_the_same(world in any_world()) {
        let told = world.told();
        prop_assert_eq!(&told, &world.told());
        prop_assert!(!told.version.is_empty());
        prop_assert!(!told.decision.words().is_empty());
        // Whoever is held or refused is told so once.
        let fails = told.said.iter().filter(|said| said.mark == Mark::Failed);
        match &told.decision {
            Decision::Offer(_) | Decision::UpToDate => prop_assert_eq!(fails.count(), 0),
            Decision::Hold(_) | Decision::Refuse(_) => {
                let words = told.decision.words();
                prop_assert!(fails.into_iter().any(|said| said.words == words), "{:#?}", told);
            }
        }
    }

    #[test]
    fn what_is_offered_passes_every_gate(world in any_world()) {
        let told = world.told();
        let Decision::Offer(offer) = told.decision else { return Ok(()) };
        let published = Published::new(world.rows.clone());
        let line = published.line("door").unwrap();
        let (stored, edition) = (published.image(&offer.image).unwrap(), &line.editions[&offer.release]);
        let settings = &line.product.settings;
        let check_in = &world.check_in;
        let runs = Runs::new(check_in, &published, Some(line));
        let device = world.ask(|call, rows| as_device(call, rows, &runs));
        let file = crate::decide::as_file(&stored.image);
        prop_assert_eq!(core_gates::contradiction(&file, &device), None);
        prop_assert!(!matches!(stored.image.target, Target::Never(_)));
        prop_assert!(edition.release.yanked.is_none());
        prop_assert_eq!(offer.part, Part::asked_for(check_in));
        if let Some(device) = &world.device {
            prop_assert!(!device.is_blocked && !device.is_hands_off);
        } else {
            prop_assert_eq!(settings.unknown_devices, UnknownDevices::Open);
        }
        prop_assert_eq!(settings.privacy, Privacy::Public);
        if offer.part == Part::Filesystem {
            prop_assert!(stored.image.target == Target::Filesystem && offer.form == Form::Plain);
            return Ok(());
        }
        prop_assert!(stored.image.target != Target::Filesystem);
        if settings.signing_key.is_some() {
            prop_assert_eq!(stored.signed_by, settings.signing_key.as_ref().map(|key| key.id));
        }
        if offer.form == Form::Gzip {
            prop_assert_eq!(check_in.family, Family::Esp8266);
            prop_assert_eq!(stored.image.flash_mode, runs.flash_mode());
            prop_assert!(runs.flash_mode().is_some());
        }
        // It runs something else, and not what it must not lose.
        prop_assert!(!runs.is(edition, line));
        let is_pinned = world.device.as_ref().is_some_and(|device| device.pin.is_some());
        if let Some(version) = runs.version(line) {
            let falls = edition.version.is_lower_than(&version);
            prop_assert!(!falls || is_pinned || settings.downgrade == Downgrade::Permit);
        }
        let settled = told.settled.iter().map(|settled| &settled.attempt);
        let is_it = |attempt: &&Attempt| {
            attempt.part == offer.part && attempt.goal == Goal::Release(offer.release)
        };
        if let Some(attempt) = settled.chain(&world.attempts).find(is_it) {
            prop_assert!(attempt.counts.tries_at(now()) < Counts::MOST_TRIES);
            prop_assert!(attempt.counts.backs_off_until().is_none_or(|until| until <= now()));
        }
    }

    #[test]
    fn a_bench_build_is_not_overwritten_by_default(
        world in any_world(), version in any_version(), digest in 90_u8..120,
    ) {
        let world = world.runs(digest, version.as_deref()).rules(|rules| {
            rules.unknown_build = UnknownBuild::OlderOnly;
        });
        let world = world.with(|world| world.check_in.sketch_sha256 = None);
        if let Decision::Offer(offer) = world.told().decision {
            let read = |text: &str| Version::read(text, "door");
            let version = version.unwrap_or_default();
            prop_assert!(read(&version).is_lower_than(&read("1.5.0")), "{:?}", offer);
            prop_assert!(!read(&version).is_dirty());
        }
    }

    #[test]
    fn whoever_runs_the_target_is_sent_no_sketch(world in any_world()) {
        let told = world.told();
        let Decision::Offer(offer) = told.decision else { return Ok(()) };
        if offer.part == Part::Sketch {
            let is_it = |stored: &&StoredImage| stored.image.sha256 == offer.image;
            let image = &world.rows.images.iter().find(is_it).unwrap().image;
            prop_assert!(image.running_as(&world.check_in).is_none());
        }
    }
}
