//! `updraft image verify` and the boot loaders, which share no rule: what it accepts, with all that can
//! be known of the device, starts here; what does not start, it refuses.

use getrandom::SysRng;
use md5::{Digest as _, Md5};
use proptest::prelude::*;
use proptest::sample::select;
use updraft_core::signature::{KeyKind, SignatureError};
use updraft_core::verify::{Check, Flash, Known, Missing, Outcome, checks};
use updraft_core::{Chip, Esp8266Layout, Facts, FlashMode, Inflater, Inspector, PartitionTable};
use updraft_pack::{
    Esp32Defect, Esp32Image, Esp8266Defect, Esp8266Image, Format, Gzip, GzipDefect, SigningKey,
    sign,
};
use updraft_sim::boot::Started;
use updraft_sim::boot::esp8266::{SelfCheck, self_check};
use updraft_sim::{Device, Model, Running};

use crate::stock::{Signed, install};

/// A file for a device.
#[derive(Clone, Debug)]
struct File {
    bytes: Vec<u8>,
    /// What is to run, for a file in which nothing is wrong.
    plain: Vec<u8>,
    signed: Signed,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Became {
    /// It runs, whole.
    Runs,
    /// The updater would not have it, or the boot loader passed it over: the old image runs.
    OldRuns,
    /// Something else runs, or nothing.
    Bricked,
}

fn inspect(file: &[u8]) -> Facts {
    let mut inflater = Box::new(Inflater::new());
    let mut inspector = Inspector::with_inflater(file.len() as u64, &mut inflater);
    inspector.update(file);
    inspector.finish()
}

/// What `image verify` says with everything that can be known.
fn verify(model: &Model, old: &[u8], file: &File) -> Vec<(Check, Outcome)> {
    let running = inspect(old);
    let facts = inspect(&file.bytes);
    let key = match file.signed {
        Signed::NotAsked => None,
        Signed::Holds(_) => Some(Ok(KeyKind::Rsa2048)),
        Signed::No => Some(Err(SignatureError::Absent)),
    };
    let flash = match model {
        Model::Esp8266(layout) => Flash::Esp8266(*layout),
        Model::Esp32 { table, .. } => Flash::Esp32(table),
    };
    let known = Known {
        chip: Some(model.chip()),
        flash: Some(flash),
        running: Some(&running),
        key,
        ..Known::default()
    };
    checks(&facts, &known).collect()
}

fn accepts(checks: &[(Check, Outcome)], file: &File) -> bool {
    checks.iter().all(|(_, outcome)| match outcome {
        Outcome::Passed => true,
        // A device that asks for no signature, and a file that has none.
        Outcome::NotChecked(Missing::Key) => file.signed == Signed::NotAsked,
        _ => false,
    })
}

fn is_refused(checks: &[(Check, Outcome)]) -> bool {
    checks.iter().any(|(_, outcome)| matches!(outcome, Outcome::Failed(_)))
}

/// Installs the file on a device that runs `old`, and starts it.
fn try_on(model: &Model, old: &[u8], file: &File) -> Became {
    let mut device = Device::new(model.clone(), old).unwrap();
    let before = device.boot().unwrap();
    if install(&mut device, &before, &file.bytes, file.signed).is_err() {
        return Became::OldRuns;
    }
    let Ok(after) = device.boot() else { return Became::Bricked };
    assert_eq!(device.flash().misuse(), None);
    let mut plain = file.plain.clone();
    if matches!(model, Model::Esp8266(_)) {
        // Another flash mode than the one that works here is the end of it.
        plain[2] = old[2];
    }
    if after.md5 == before.md5 {
        return Became::OldRuns;
    }
    let is_new = after.md5[..] == Md5::digest(&plain)[..] && after.size as usize == plain.len();
    if is_new && is_sound(model, &device, &after) { Became::Runs } else { Became::Bricked }
}

fn is_sound(model: &Model, device: &Device, running: &Running) -> bool {
    let started = Started { start: running.start, size: running.size, sha256: None };
    match model {
        Model::Esp8266(_) => self_check(device.flash(), &started) == Ok(SelfCheck::Whole),
        Model::Esp32 { .. } => true,
    }
}

fn check(model: &Model, old: &[u8], file: &File) -> (bool, Became) {
    let checks = verify(model, old, file);
    let (accepted, became) = (accepts(&checks, file), try_on(model, old, file));
    assert!(!accepted || became == Became::Runs, "accepted, but {became:?}: {checks:?}");
    let is_bricked = became == Became::Bricked;
    assert!(!is_bricked || is_refused(&checks), "bricked, not refused: {checks:?}");
    (accepted, became)
}

/// Signs a file by the key that the device has, or leaves it as it is.
fn signed(bytes: Vec<u8>, plain: Vec<u8>, wish: Wish, format: Format) -> File {
    let key = SigningKey::from_pem(include_str!("../../../../testdata/keys/rsa2048.pem")).unwrap();
    match wish {
        Wish::None => File { bytes, plain, signed: Signed::NotAsked },
        Wish::Missing => File { bytes, plain, signed: Signed::No },
        Wish::Good => match sign(&bytes, &key, format, &mut SysRng) {
            Ok(signed) => {
                let length = signed.bytes.len() - signed.payload;
                File { bytes: signed.bytes, plain, signed: Signed::Holds(length) }
            }
            // What no device takes is not signed.
            Err(_) => File { bytes, plain, signed: Signed::No },
        },
    }
}

#[derive(Clone, Copy, Debug)]
enum Wish {
    None,
    Good,
    Missing,
}

const WISHES: [Wish; 4] = [Wish::None, Wish::None, Wish::Good, Wish::Missing];

const SKETCH_DEFECTS: [Esp8266Defect; 14] = [
    Esp8266Defect::Truncated(1),
    Esp8266Defect::Truncated(100),
    Esp8266Defect::Truncated(0x1100),
    Esp8266Defect::PayloadBit,
    Esp8266Defect::Trailing(100),
    Esp8266Defect::FirstByte,
    Esp8266Defect::NoApplication,
    Esp8266Defect::NoBootLoader,
    Esp8266Defect::SegmentCount(0),
    Esp8266Defect::SegmentCount(17),
    Esp8266Defect::SegmentPastEnd,
    Esp8266Defect::BootChecksum,
    Esp8266Defect::CrcWord,
    Esp8266Defect::LengthWord,
];

const GZIP_DEFECTS: [GzipDefect; 15] = [
    GzipDefect::TrailingZeros(16),
    GzipDefect::TrailingErased(16),
    GzipDefect::TrailingGarbage(5),
    GzipDefect::TwoMembers,
    GzipDefect::SizeZero,
    GzipDefect::SizeTooSmall,
    GzipDefect::SizeTooBig,
    GzipDefect::Crc,
    GzipDefect::ReservedFlag,
    GzipDefect::Method,
    GzipDefect::Zlib,
    GzipDefect::Truncated(1),
    GzipDefect::Truncated(200),
    GzipDefect::CutData,
    GzipDefect::DataBit,
];

const APP_DEFECTS: [Esp32Defect; 12] = [
    Esp32Defect::Truncated(4),
    Esp32Defect::Truncated(40),
    Esp32Defect::Truncated(2000),
    Esp32Defect::PayloadBit,
    Esp32Defect::Trailing(100),
    Esp32Defect::FirstByte,
    Esp32Defect::SegmentCount(0),
    Esp32Defect::SegmentCount(17),
    Esp32Defect::SegmentPastEnd,
    Esp32Defect::ChipId(9),
    Esp32Defect::Checksum,
    Esp32Defect::Hash,
];

fn layout(name: &str) -> Model {
    Model::Esp8266(Esp8266Layout::named(name).unwrap())
}

fn sketch(length: usize, seed: u64) -> Esp8266Image {
    Esp8266Image::new().flash_size(1 << 20).filler(length, seed)
}

#[test]
fn every_way_to_be_wrong_is_refused_before_it_bricks() {
    let (model, old) = (layout("1m64"), sketch(40_000, 1).build().unwrap());
    let mut bricked = 0;
    let mut seen = |bytes: Vec<u8>, plain: &[u8], what: &dyn std::fmt::Debug| {
        let file = File { bytes, plain: plain.to_vec(), signed: Signed::NotAsked };
        let (accepted, became) = check(&model, &old, &file);
        assert!(!accepted, "{what:?} is accepted");
        bricked += usize::from(became == Became::Bricked);
    };
    for build in [sketch(30_000, 2), sketch(30_000, 2).without_crc()] {
        for defect in SKETCH_DEFECTS {
            // Where there is no CRC nothing can be wrong with it.
            let of_crc = matches!(defect, Esp8266Defect::CrcWord | Esp8266Defect::LengthWord);
            let broken = build.clone().defect(defect).build().unwrap();
            if !of_crc || broken[0x1010..0x1014] != [0; 4] {
                seen(broken, &build.build().unwrap(), &defect);
            }
        }
        let plain = build.build().unwrap();
        for defect in GZIP_DEFECTS {
            seen(Gzip::new(&plain).broken(defect), &plain, &defect);
        }
    }
    assert!(bricked > 20, "the boot loaders find fault with only {bricked}");

    let (model, old) = (app_model(Chip::Esp32), app(Chip::Esp32, 9_000, 1).build().unwrap());
    for defect in APP_DEFECTS {
        let plain = app(Chip::Esp32, 30_000, 2).build().unwrap();
        let bytes = app(Chip::Esp32, 30_000, 2).defect(defect).build().unwrap();
        let file = File { bytes, plain, signed: Signed::NotAsked };
        let (accepted, became) = check(&model, &old, &file);
        // What stands behind an application is never read.
        let is_harmless = matches!(defect, Esp32Defect::Trailing(_));
        let expected = if is_harmless { Became::Runs } else { Became::OldRuns };
        assert_eq!((accepted, became), (is_harmless, expected), "{defect:?}");
    }
}

#[test]
fn what_is_right_is_accepted_and_runs() {
    let (model, old) = (layout("1m64"), sketch(40_000, 1).build().unwrap());
    let mode = sketch(30_000, 2).flash_mode(FlashMode::Qio);
    let right = |image: &Esp8266Image, is_gzip, wish| {
        let plain = image.build().unwrap();
        let bytes = if is_gzip { Gzip::new(&plain).build() } else { plain.clone() };
        check(&model, &old, &signed(bytes, plain, wish, Format::Esp8266))
    };
    let good = (true, Became::Runs);
    for (is_gzip, wish) in
        [(false, Wish::None), (true, Wish::None), (false, Wish::Good), (true, Wish::Good)]
    {
        assert_eq!(right(&sketch(30_000, 2), is_gzip, wish), good, "{is_gzip} {wish:?}");
        assert_eq!(right(&sketch(30_000, 2).without_crc(), is_gzip, wish), good);
    }
    // The updater writes the running mode into a plain file, and cannot into a gzip.
    assert_eq!(right(&mode, false, Wish::None), good);
    assert_eq!(right(&mode, false, Wish::Good), (false, Became::OldRuns));
    assert_eq!(right(&mode, true, Wish::None), (false, Became::Bricked));
    assert_eq!(right(&sketch(30_000, 2), true, Wish::Missing), (false, Became::OldRuns));

    let (model, old) = (app_model(Chip::Esp32), app(Chip::Esp32, 9_000, 1).build().unwrap());
    for wish in [Wish::None, Wish::Good] {
        for image in [app(Chip::Esp32, 70_000, 2), app(Chip::Esp32, 70_000, 2).without_hash()] {
            let plain = image.build().unwrap();
            let file = signed(plain.clone(), plain, wish, Format::ArduinoEsp32);
            assert_eq!(check(&model, &old, &file), good, "{wish:?}");
        }
    }
}

fn app_model(chip: Chip) -> Model {
    Model::esp32(chip, PartitionTable::standard("min_spiffs").unwrap(), 4 << 20)
}

fn app(chip: Chip, length: usize, seed: u64) -> Esp32Image {
    Esp32Image::new(chip).filler(length, seed)
}

/// What is in a sketch: bytes that do not compress, or that compress well.
fn filled(image: Esp8266Image, length: usize, seed: u64, dense: bool) -> Esp8266Image {
    if dense { image.filler(length, seed) } else { image.payload(&vec![7; length]) }
}

fn any_mode() -> impl Strategy<Value = FlashMode> {
    select(vec![FlashMode::Dio, FlashMode::Dio, FlashMode::Dout, FlashMode::Qio])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_verify_accepts_starts_on_an_esp8266(
        name in select(vec!["512k64", "1m64", "1m512", "2m", "4m3m"]),
        (old_length, new_length) in (0_usize..300_000, 0_usize..420_000),
        (old_mode, new_mode) in (any_mode(), any_mode()),
        flash_size in select(vec![512 << 10, 512 << 10, 512 << 10, 1 << 20, 4 << 20]),
        is_gzip: bool,
        is_dense: bool,
        defect in prop::option::weighted(0.2, select(SKETCH_DEFECTS.to_vec())),
        gzip_defect in prop::option::weighted(0.2, select(GZIP_DEFECTS.to_vec())),
        wish in select(WISHES.to_vec()),
    ) {
        let model = layout(name);
        let old = sketch(old_length, 1).flash_size(512 << 10).flash_mode(old_mode).build().unwrap();
        let length = if is_gzip && is_dense { new_length / 8 } else { new_length };
        let image = sketch(0, 0).flash_size(flash_size).flash_mode(new_mode);
        let image = filled(image, length, 2, is_dense);
        let plain = image.build().unwrap();
        let bytes = match defect {
            Some(defect) => image.defect(defect).build().unwrap(),
            None => plain.clone(),
        };
        let bytes = match (is_gzip, gzip_defect) {
            (true, Some(defect)) => Gzip::new(&bytes).broken(defect),
            (true, None) => Gzip::new(&bytes).build(),
            (false, _) => bytes,
        };
        check(&model, &old, &signed(bytes, plain, wish, Format::Esp8266));
    }

    #[test]
    fn what_verify_accepts_starts_on_an_esp32(
        (device, image) in select(vec![
            (Chip::Esp32, Chip::Esp32),
            (Chip::Esp32C3, Chip::Esp32C3),
            (Chip::Esp32S3, Chip::Esp32S3),
            (Chip::Esp32C6, Chip::Esp32C6),
            (Chip::Esp32, Chip::Esp32S2),
        ]),
        table in select(vec!["default", "min_spiffs", "no_fs", "huge_app", "no_ota"]),
        length in select(vec![0, 5_000, 70_000, 1_310_000, 1_400_000]),
        code in prop::option::of(1_usize..2_000),
        has_hash: bool,
        defect in prop::option::weighted(0.3, select(APP_DEFECTS.to_vec())),
        wish in select(WISHES.to_vec()),
    ) {
        let table = PartitionTable::standard(table).unwrap();
        let model = Model::esp32(device, table, 4 << 20);
        let old = app(device, 9_000, 1).build().unwrap();
        let new = app(image, length, 2).code(&vec![5; code.unwrap_or_default()]);
        let new = if has_hash { new } else { new.without_hash() };
        let plain = new.build().unwrap();
        let bytes = match defect {
            Some(defect) => new.defect(defect).build().unwrap(),
            None => plain.clone(),
        };
        check(&model, &old, &signed(bytes, plain, wish, Format::ArduinoEsp32));
    }
}
