//! The list of checks: what is not known is not checked, what is known is compared.

use updraft_core::signature::{Hash, KeyKind, SignatureError};
use updraft_core::verify::{Check, Flash, Known, Missing, Outcome, Reason, checks};
use updraft_core::{Chip, Esp8266Layout, Facts, FlashMode, PartitionTable, gates};
use updraft_pack::{Esp32Image, Esp8266Image};

use crate::files::{app, littlefs, sketch};
use crate::{gzip, inspect, signed};

/// The checks that a file fails by itself.
pub(crate) fn failed(facts: &Facts) -> Vec<Check> {
    let known = Known::default();
    let failed = checks(facts, &known).filter(|(_, outcome)| matches!(outcome, Outcome::Failed(_)));
    failed.map(|(check, _)| check).collect()
}

/// `check` of the list for this file comes to `expected`; `None` if it is not in the list.
fn check(file: &[u8], known: &Known<'_>, check: Check, expected: impl Into<Option<Outcome>>) {
    let (facts, expected) = (inspect(file), expected.into());
    let found = checks(&facts, known).find(|(found, _)| *found == check);
    assert_eq!(found.map(|(_, outcome)| outcome), expected, "{check:?}");
}

fn layout(name: &str) -> Option<Flash<'static>> {
    Esp8266Layout::named(name).map(Flash::Esp8266)
}

fn device(reason: gates::Reason) -> Outcome {
    Outcome::Failed(Reason::Device(reason))
}

#[test]
fn what_is_not_known_is_not_checked() {
    let nothing = Known::default();
    for (which, expected) in [
        (Check::Kind, Outcome::Passed),
        (Check::Crc, Outcome::Passed),
        (Check::Chip, Outcome::NotChecked(Missing::Chip)),
        (Check::Room, Outcome::NotChecked(Missing::Room)),
        (Check::FlashSize, Outcome::NotChecked(Missing::FlashSize)),
        // The updater rewrites it.
        (Check::FlashMode, Outcome::Passed),
        (Check::Signature, Outcome::NotChecked(Missing::Key)),
    ] {
        check(&sketch(), &nothing, which, expected);
    }
    for which in [Check::Gzip, Check::Hash, Check::Segments, Check::Inflate, Check::Verifier] {
        check(&sketch(), &nothing, which, None);
    }
    let wrapped = gzip(&sketch());
    check(&wrapped, &nothing, Check::Gzip, Outcome::Passed);
    check(&wrapped, &nothing, Check::Inflate, Outcome::NotChecked(Missing::Running));
    check(&wrapped, &nothing, Check::FlashMode, Outcome::NotChecked(Missing::Running));
    check(
        &signed(&wrapped, 256),
        &nothing,
        Check::Signature,
        Outcome::NotChecked(Missing::KeyOfGzip),
    );
    check(&littlefs(), &nothing, Check::Room, Outcome::NotChecked(Missing::Flash));
    check(&app(), &nothing, Check::FlashSize, Outcome::NotChecked(Missing::Running));
    check(&app(), &nothing, Check::Room, Outcome::NotChecked(Missing::Partition));
    check(&app(), &nothing, Check::Segments, Outcome::Passed);
    assert_eq!(failed(&inspect(b"other data")), [Check::Kind]);
    // Of a file that no device takes nothing is compared.
    let known = Known { free_space: Some(0), chip: Some(Chip::Esp32), ..nothing };
    for which in Check::ALL.into_iter().filter(|which| *which != Check::Kind) {
        check(b"other data", &known, which, None);
        check(&updraft_pack::eboot().unwrap(), &known, which, None);
    }
}

#[test]
fn a_layout_and_what_runs_say_how_much_room_there_is() {
    let running = inspect(&Esp8266Image::new().filler(600_000, 1).build().unwrap());
    let large = Esp8266Image::new().filler(440_000, 2).build().unwrap();
    let known = Known { flash: layout("4m3m"), running: Some(&running), ..Known::default() };
    let too_large = gates::Reason::TooLarge { needs: 446_464, free: 442_368 };
    check(&large, &known, Check::Room, device(too_large));
    check(&sketch(), &known, Check::Room, Outcome::Passed);
    // What the device itself says goes before.
    check(&large, &Known { free_space: Some(446_464), ..known }, Check::Room, Outcome::Passed);
    check(
        &large,
        &Known { running: None, ..known },
        Check::Room,
        Outcome::NotChecked(Missing::Room),
    );
    check(&large, &Known { running: None, ..known }, Check::Chip, Outcome::Passed);

    let on = |name, file: &[u8], expected| {
        let table = PartitionTable::standard(name).unwrap();
        let known = Known { flash: Some(Flash::Esp32(&table)), ..Known::default() };
        check(file, &known, Check::Room, expected);
    };
    on("default", &app(), Outcome::Passed);
    on("huge_app", &app(), device(gates::Reason::NoOtaPartition));
    on("no_ota", &app(), device(gates::Reason::NoOtaPartition));
    on("default", &littlefs(), Outcome::Passed);
    on("no_fs", &littlefs(), Outcome::Failed(Reason::NoFilesystem));
}

#[test]
fn what_is_fixed_must_be_in_the_running_mode() {
    let running = inspect(&Esp8266Image::new().flash_mode(FlashMode::Dout).build().unwrap());
    let known = Known { running: Some(&running), ..Known::default() };
    let wrapped = gzip(&sketch());
    check(&sketch(), &known, Check::FlashMode, Outcome::Passed);
    check(&wrapped, &known, Check::FlashMode, device(gates::Reason::GzipMode));
    let plain = signed(&sketch(), 256);
    check(&plain, &known, Check::FlashMode, device(gates::Reason::SignedMode));
    let running = inspect(&sketch());
    let known = Known { running: Some(&running), ..known };
    check(&wrapped, &known, Check::FlashMode, Outcome::Passed);
    check(&plain, &known, Check::FlashMode, Outcome::Passed);
}

#[test]
fn what_a_verifier_found_is_told() {
    let with = |key| Known { key: Some(key), ..Known::default() };
    let failed = |error| Outcome::Failed(Reason::Signature(error));
    let plain = signed(&sketch(), 256);
    let word = SignatureError::LengthWord { found: 256, expected: 64 };
    for (file, result, expected) in [
        (&plain, Ok(KeyKind::Rsa2048), Outcome::Passed),
        (&plain, Err(SignatureError::Legacy), failed(SignatureError::Legacy)),
        (&plain, Err(word), failed(word)),
        // The last word of a file without a signature is no length.
        (&sketch(), Err(word), failed(SignatureError::Absent)),
    ] {
        check(file, &with(result), Check::Signature, expected);
    }
    check(&plain, &with(Ok(KeyKind::Rsa2048)), Check::Verifier, None);
    let verifier = Outcome::NotChecked(Missing::Verifier);
    check(&signed(&sketch(), 64), &with(Ok(KeyKind::P256)), Check::Verifier, verifier);
    check(&app(), &with(Ok(KeyKind::P256)), Check::Verifier, None);
    let with = |hash| Known { hash: Some(hash), ..with(Ok(KeyKind::P256)) };
    check(&app(), &with(Hash::Sha256), Check::Verifier, None);
    let expected = Outcome::NotChecked(Missing::Hash(Hash::Sha384));
    check(&app(), &with(Hash::Sha384), Check::Verifier, expected);
    let block = |kind| Known { block: Some(Ok(kind)), ..Known::default() };
    check(&app(), &block(KeyKind::Rsa3072), Check::SignatureBlock, Outcome::Passed);
    let strange = Reason::KeyOfChip { chip: Chip::Esp32S3, key: KeyKind::P256 };
    check(&app(), &block(KeyKind::P256), Check::SignatureBlock, Outcome::Failed(strange));
}

#[test]
fn an_older_secure_version_is_no_way_back() {
    let of = |version| Esp32Image::new(Chip::Esp32).secure_version(version).build().unwrap();
    let running = inspect(&of(2));
    let known = Known { running: Some(&running), ..Known::default() };
    check(&of(2), &known, Check::SecureVersion, Outcome::Passed);
    let reason = Reason::SecureVersion { image: 1, running: 2 };
    check(&of(1), &known, Check::SecureVersion, Outcome::Failed(reason));
    check(&of(1), &Known::default(), Check::SecureVersion, None);
}

#[test]
fn a_revision_that_is_asked_for_is_information() {
    let mut file = Esp32Image::new(Chip::Esp32).without_hash().build().unwrap();
    check(&file, &Known::default(), Check::Revision, None);
    file[15..19].copy_from_slice(&[0x2C, 1, 0x8F, 1]);
    let facts = inspect(&file);
    let revisions = facts.revisions.unwrap();
    assert_eq!((revisions.min, revisions.max), (300, Some(399)));
    let missing = Missing::Revision(revisions);
    check(&file, &Known::default(), Check::Revision, Outcome::NotChecked(missing));
    assert_eq!(missing.to_string(), "the image asks for a chip of revision 3.0 to 3.99");
}

#[test]
fn each_chip_knows_the_keys_of_its_secure_boot() {
    use KeyKind::{P256, Rsa3072};
    for (chip, takes) in [
        (Chip::Esp32, &[Rsa3072][..]),
        (Chip::Esp32S2, &[Rsa3072]),
        (Chip::Esp32S3, &[Rsa3072]),
        (Chip::Esp32C3, &[Rsa3072]),
        (Chip::Esp32C2, &[P256]),
        (Chip::Esp32C5, &[P256]),
        (Chip::Esp32C61, &[P256]),
        (Chip::Esp32C6, &[Rsa3072, P256]),
        (Chip::Esp32H2, &[Rsa3072, P256]),
    ] {
        let file = Esp32Image::new(chip).build().unwrap();
        for key in [Rsa3072, P256] {
            let known = Known { block: Some(Ok(key)), ..Known::default() };
            let strange = Outcome::Failed(Reason::KeyOfChip { chip, key });
            let expected = if takes.contains(&key) { Outcome::Passed } else { strange };
            check(&file, &known, Check::SignatureBlock, expected);
        }
    }
}

#[test]
fn a_segment_has_less_than_16_mib() {
    let with = |length| Esp32Image::new(Chip::Esp32).filler(length, 1).build().unwrap();
    // The segment has the descriptor, too.
    let descriptor = with(0)[24 + 4..].first_chunk().copied().map(u32::from_le_bytes).unwrap();
    let longest = (16 << 20) - 4 - descriptor as usize;
    check(&with(longest), &Known::default(), Check::Segments, Outcome::Passed);
    let long = Outcome::Failed(Reason::SegmentLength(0));
    check(&with(longest + 4), &Known::default(), Check::Segments, long);
}
