//! The boot loader of the ESP32 family: what it chooses, what it starts, what it writes.

use updraft_core::Chip;
use updraft_pack::{
    DEFAULT_TABLE, Esp32Defect, Esp32Image, FlashDump, OtaSlot, Record, TWO_OTA_TABLE, TableDefect,
    broken_table, otadata, table_of,
};
use updraft_sim::boot::esp32::{Loader, Rollback, Slot};
use updraft_sim::boot::{Dead, ImageFault};
use updraft_sim::flash::Flash;

const SIZE: u32 = 4 << 20;
/// States of an entry.
const NEW: u32 = 0;
const PENDING: u32 = 1;
const VALID: u32 = 2;
const INVALID: u32 = 3;
const ABORTED: u32 = 4;
const UNDEFINED: u32 = u32::MAX;

fn app(seed: u64) -> Vec<u8> {
    Esp32Image::new(Chip::Esp32).filler(5_000, seed).build().unwrap()
}

fn entry(sequence: u32, state: u32) -> OtaSlot {
    OtaSlot::Entry { sequence, state }
}

/// A flash with applications in the partitions of a table.
fn flash(records: &[Record<'_>], entries: [OtaSlot; 2], apps: &[(&str, &[u8])]) -> Flash {
    let place =
        |label: &str| records.iter().find(|record| record.label == label).unwrap().offset as usize;
    let mut dump = FlashDump::esp32(Chip::Esp32).unwrap().table(&table_of(records));
    dump = dump.put(place("otadata"), &otadata(entries));
    for (label, app) in apps {
        dump = dump.put(place(label), app);
    }
    let mut flash = Flash::new(SIZE);
    flash.put(0, &dump.build()).unwrap();
    flash
}

fn state_of(flash: &Flash, records: &[Record<'_>], sector: u32) -> (u32, u32) {
    let record = records.iter().find(|record| record.label == "otadata").unwrap();
    let start = record.offset + sector * 0x1000;
    let bytes = flash.bytes(start..start + 32).unwrap();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    (word(0), word(24))
}

/// What starts of two slots that are both right.
#[track_caller]
fn check(loader: Loader, entries: [OtaSlot; 2], expected: Slot, after: [(u32, u32); 2]) {
    let mut flash = flash(&DEFAULT_TABLE, entries, &[("app0", &app(0)), ("app1", &app(1))]);
    let boot = loader.boot(&mut flash);
    assert_eq!(boot.slot, Some(expected));
    assert_eq!([0, 1].map(|sector| state_of(&flash, &DEFAULT_TABLE, sector)), after);
    assert_eq!(flash.misuse(), None);
}

const ERASED: (u32, u32) = (u32::MAX, u32::MAX);

#[test]
fn the_greater_number_that_counts_starts() {
    let loader = Loader { rollback: Rollback::Off, ..Loader::new(Chip::Esp32) };
    let zero = Slot::Ota(0);
    let one = Slot::Ota(1);
    // Nothing was ever chosen: the first, and it is noted.
    check(loader, [OtaSlot::Erased; 2], zero, [(1, VALID), ERASED]);
    let two = entry(2, UNDEFINED);
    check(loader, [two, OtaSlot::Erased], one, [(2, UNDEFINED), ERASED]);
    check(loader, [OtaSlot::Erased, two], one, [ERASED, (2, UNDEFINED)]);
    check(loader, [entry(3, VALID), two], zero, [(3, VALID), (2, UNDEFINED)]);
    check(loader, [two, entry(3, VALID)], zero, [(2, UNDEFINED), (3, VALID)]);
    // What was refused or given up does not count.
    check(loader, [two, entry(3, INVALID)], one, [(2, UNDEFINED), (3, INVALID)]);
    check(loader, [two, entry(3, ABORTED)], one, [(2, UNDEFINED), (3, ABORTED)]);
    // Without rollback nobody marks anything.
    check(loader, [two, entry(3, NEW)], zero, [(2, UNDEFINED), (3, NEW)]);
    check(loader, [two, entry(3, PENDING)], zero, [(2, UNDEFINED), (3, PENDING)]);
}

#[test]
fn a_new_application_has_one_start_to_say_that_it_works() {
    let loader = Loader::new(Chip::Esp32);
    let entries = [entry(1, VALID), entry(2, NEW)];
    check(loader, entries, Slot::Ota(1), [(1, VALID), (2, PENDING)]);
    let entries = [entry(1, VALID), entry(2, PENDING)];
    check(loader, entries, Slot::Ota(0), [(1, VALID), (2, ABORTED)]);
    let entries = [entry(1, VALID), entry(2, VALID)];
    check(loader, entries, Slot::Ota(1), [(1, VALID), (2, VALID)]);
    // There was nothing before it.
    let entries = [entry(2, PENDING), OtaSlot::Erased];
    check(loader, entries, Slot::Ota(0), [(2, ABORTED), ERASED]);
}

#[test]
fn an_entry_with_a_wrong_sum_does_not_count() {
    let mut flash = flash(
        &DEFAULT_TABLE,
        [entry(1, VALID), entry(2, VALID)],
        &[("app0", &app(0)), ("app1", &app(1))],
    );
    flash.put(0xF000 + 28, &[0]).unwrap();
    let boot = Loader::new(Chip::Esp32).boot(&mut flash);
    assert_eq!(boot.slot, Some(Slot::Ota(0)));
}

#[test]
fn a_factory_application_starts_as_long_as_nothing_was_chosen() {
    let check = |entries, apps: &[&str], expected: Option<Slot>| {
        let whole = app(7);
        let apps: Vec<_> = apps.iter().map(|label| (*label, &whole[..])).collect();
        let mut flash = flash(&TWO_OTA_TABLE, entries, &apps);
        let boot = Loader::new(Chip::Esp32).boot(&mut flash);
        assert_eq!(boot.slot, expected, "{entries:?} {apps:?}");
        if expected.is_none() {
            let nothing = Dead::NoApplication(ImageFault::Magic(0xFF));
            assert_eq!(boot.outcome, Err(nothing));
        }
    };
    let nothing = [OtaSlot::Erased; 2];
    let second = [entry(2, VALID), OtaSlot::Erased];
    let first = [entry(1, VALID), OtaSlot::Erased];
    check(nothing, &["factory", "ota_0"], Some(Slot::Factory));
    check(second, &["factory", "ota_0", "ota_1"], Some(Slot::Ota(1)));
    // What is not whole is passed over: those before, the factory's, those behind.
    check(second, &["factory", "ota_0"], Some(Slot::Ota(0)));
    check(second, &["factory"], Some(Slot::Factory));
    check(first, &["factory", "ota_1"], Some(Slot::Factory));
    check(first, &["ota_1"], Some(Slot::Ota(1)));
    check(nothing, &["ota_1"], Some(Slot::Ota(1)));
    check(first, &[], None);
}

#[test]
fn what_is_not_whole_is_not_started() {
    let check = |image: Esp32Image, expected: ImageFault| {
        let image = image.build().unwrap();
        let entries = [entry(2, VALID), OtaSlot::Erased];
        let mut flash = flash(&DEFAULT_TABLE, entries, &[("app1", &image)]);
        let boot = Loader::new(Chip::Esp32).boot(&mut flash);
        assert_eq!(boot.outcome, Err(Dead::NoApplication(expected)));
    };
    let image = Esp32Image::new(Chip::Esp32).filler(5_000, 1);
    let broken = |defect| image.clone().defect(defect);
    check(broken(Esp32Defect::FirstByte), ImageFault::Magic(0xEA));
    check(broken(Esp32Defect::SegmentCount(0)), ImageFault::SegmentCount(0));
    check(broken(Esp32Defect::SegmentCount(17)), ImageFault::SegmentCount(17));
    check(broken(Esp32Defect::SegmentPastEnd), ImageFault::TooLong);
    check(broken(Esp32Defect::ChipId(9)), ImageFault::Chip(9));
    check(broken(Esp32Defect::Checksum), ImageFault::Checksum);
    check(broken(Esp32Defect::PayloadBit), ImageFault::Checksum);
    check(broken(Esp32Defect::Hash), ImageFault::Hash);
    check(broken(Esp32Defect::Truncated(40)), ImageFault::Checksum);
    check(broken(Esp32Defect::Truncated(4)), ImageFault::Hash);
    check(Esp32Image::new(Chip::Esp32C3), ImageFault::Chip(5));
    // A mapped segment that was moved by four bytes.
    let mut moved = image.build().unwrap();
    moved[24] ^= 4;
    let entries = [entry(2, VALID), OtaSlot::Erased];
    let mut flash = flash(&DEFAULT_TABLE, entries, &[("app1", &moved)]);
    let outcome = Loader::new(Chip::Esp32).boot(&mut flash).outcome;
    let place = ImageFault::SegmentPlace(0x3F40_0024);
    assert_eq!(outcome, Err(Dead::NoApplication(place)));
}

#[test]
fn an_older_counter_is_not_started() {
    let image = Esp32Image::new(Chip::Esp32).secure_version(3).build().unwrap();
    let mut flash = flash(&DEFAULT_TABLE, [entry(1, VALID), OtaSlot::Erased], &[("app0", &image)]);
    let loader = Loader { secure_version: 3, ..Loader::new(Chip::Esp32) };
    assert_eq!(loader.boot(&mut flash).slot, Some(Slot::Ota(0)));
    let loader = Loader { secure_version: 4, ..loader };
    let fault = ImageFault::SecureVersion(3);
    assert_eq!(loader.boot(&mut flash).outcome, Err(Dead::NoApplication(fault)));
}

#[test]
fn without_a_table_or_a_boot_loader_nothing_starts() {
    let check = |offset, bytes: &[u8]| {
        let mut flash = flash(&DEFAULT_TABLE, [OtaSlot::Erased; 2], &[("app0", &app(0))]);
        flash.put(offset, bytes).unwrap();
        Loader::new(Chip::Esp32).boot(&mut flash).outcome.map(drop)
    };
    let broken = |defect| check(0x8000, &broken_table(&DEFAULT_TABLE, defect));
    assert_eq!(broken(TableDefect::NoMd5), Ok(()));
    assert_eq!(broken(TableDefect::Md5), Err(Dead::Table("the MD5 is wrong")));
    assert!(matches!(broken(TableDefect::Magic), Err(Dead::Table(_))));
    assert_eq!(check(0x1000, &[0]), Err(Dead::BootLoader(ImageFault::Magic(0))));
    assert_eq!(check(0x1030, &[0x5A]), Err(Dead::BootLoader(ImageFault::Checksum)));
}

#[test]
fn every_chip_starts_what_is_made_for_it() {
    for chip in Chip::all().filter(|chip| *chip != Chip::Esp8266) {
        let image = Esp32Image::new(chip).filler(3_000, 1).code(&[1; 900]).build().unwrap();
        let mut flash = Flash::new(SIZE);
        let dump = FlashDump::esp32(chip).unwrap().put_into("app0", &image).build();
        flash.put(0, &dump).unwrap();
        let started = Loader::new(chip).boot(&mut flash).outcome.unwrap();
        assert_eq!(started.size as usize, image.len(), "{chip:?}");
        assert_eq!(started.sha256.unwrap()[..], image[image.len() - 32..]);
    }
}
