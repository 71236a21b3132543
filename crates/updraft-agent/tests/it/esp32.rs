//! Updates of an ESP32, and what its boot loader is told.

use proptest::prelude::*;
use updraft_agent::{
    Boot, BootError, Cause, Esp32, OtaBoot, OtaSlot, Request, Rollback, Size, Staged, Trial,
    UpdateError, Updater,
};
use updraft_core::{
    AppKind, Chip, FilesystemKind, NotOta, OtaData, OtaEntry, OtaSector, OtaState, OtaTarget,
    OtaWrite, Partition, PartitionKind, PartitionTable, gates,
};
use updraft_pack::{Esp32Defect, Esp32Image, filesystem};

use crate::flash::{Broken, Flash};
use crate::{USUAL, length, pieces};

/// What nobody wrote.
const OLD: u8 = 0x55;
/// Arduino's default table.
const OTADATA: u32 = 0xE000;
const SLOTS: [u32; 2] = [0x1_0000, 0x15_0000];
const SLOT: u32 = 0x14_0000;
const FILESYSTEM: u32 = 0x29_0000;

pub(crate) fn table(name: &str) -> PartitionTable {
    PartitionTable::standard(name).unwrap()
}

/// A factory application beside the two slots.
fn with_factory() -> PartitionTable {
    let mut table = table("default");
    let slot = *table.slot(0).unwrap();
    let kind = PartitionKind::App(AppKind::Factory);
    table.push(Partition { kind, offset: 0x40_0000, ..slot }).unwrap();
    table
}

/// It runs slot 0.
pub(crate) fn device(table: &PartitionTable) -> Esp32<'_> {
    Esp32 {
        chip: Chip::Esp32C3,
        table,
        running: AppKind::Ota(0),
        rollback: Rollback::Enabled,
        secure_version: 0,
        filesystem: None,
    }
}

fn image() -> Esp32Image {
    Esp32Image::new(Chip::Esp32C3)
}

pub(crate) fn app(payload: usize, seed: u64) -> Vec<u8> {
    image().code(b"code").filler(payload, seed).build().unwrap()
}

pub(crate) fn flash() -> Flash {
    with_entries([Some((1, OtaState::Valid)), None])
}

/// With these two entries of otadata, and an application that runs in slot 0.
fn with_entries(entries: [Option<(u32, OtaState)>; 2]) -> Flash {
    of_geometry(entries)
}

fn of_geometry<const R: usize, const W: usize, const E: usize>(
    entries: [Option<(u32, OtaState)>; 2],
) -> Flash<R, W, E> {
    let mut flash = Flash::filled(4 << 20, OLD).with(SLOTS[0], &app(1000, 1));
    for (entry, at) in entries.into_iter().zip([OTADATA, OTADATA + 0x1000]) {
        let bytes = entry.map(|(sequence, state)| OtaEntry::new(sequence, state).to_bytes());
        flash = flash.with(at, &bytes.unwrap_or([0xFF; 32]));
    }
    flash
}

pub(crate) fn known<'r>(file: &[u8]) -> Request<'r> {
    Request::new(OtaTarget::Sketch, Size::Known(length(file)))
}

pub(crate) fn update(
    flash: &mut Flash,
    device: Esp32<'_>,
    request: Request<'_>,
    file: &[u8],
) -> Result<Staged<OtaSlot>, UpdateError> {
    crate::update(flash, device, request, file, USUAL)
}

fn otadata<const R: usize, const W: usize, const E: usize>(flash: &Flash<R, W, E>) -> OtaData {
    OtaData::parse(flash.at(OTADATA, OtaData::LENGTH)).unwrap()
}

/// Which slot the boot loader tries first.
fn starts(flash: &Flash) -> Option<AppKind> {
    otadata(flash).starts(&table("default"))
}

/// The boot loader starts what was activated for the first time.
fn first_start(flash: &mut Flash) {
    let (sector, entry) = otadata(flash).active().unwrap();
    assert_eq!(entry.state, OtaState::New);
    set_state(flash, OtaWrite { sector, entry }, OtaState::PendingVerify);
}

fn set_state(flash: &mut Flash, OtaWrite { sector, entry }: OtaWrite, state: OtaState) {
    let at = usize::try_from(OTADATA).unwrap() + 0x1000 * usize::from(sector);
    flash.bytes[at..at + 32].copy_from_slice(&OtaEntry { state, ..entry }.to_bytes());
}

#[test]
fn an_application_goes_to_the_other_slot_and_starts_once_activated() {
    let table = table("default");
    let new = app(100_000, 2);
    let mut flash = flash();
    let staged = update(&mut flash, device(&table), known(&new), &new).unwrap();
    assert!(flash.at(SLOTS[1], new.len()) == new);
    assert_eq!((staged.next(), starts(&flash)), (Some(&OtaSlot(1)), Some(AppKind::Ota(0))));
    OtaBoot::new(&mut flash, device(&table)).activate(staged).unwrap();
    let [first, second] = otadata(&flash).sectors;
    assert_eq!(first, OtaSector::Entry(OtaEntry::new(1, OtaState::Valid)));
    assert_eq!(second, OtaSector::Entry(OtaEntry::new(2, OtaState::New)));
    assert_eq!(starts(&flash), Some(AppKind::Ota(1)));

    // It was not meant: what runs starts again.
    OtaBoot::new(&mut flash, device(&table)).cancel().unwrap();
    assert_eq!(starts(&flash), Some(AppKind::Ota(0)));
}

#[test]
fn where_nobody_goes_back_the_state_is_undefined() {
    let table = table("default");
    let new = app(1000, 2);
    let mut flash = with_entries([None, None]);
    let device = Esp32 { rollback: Rollback::Disabled, ..device(&table) };
    let staged = update(&mut flash, device, known(&new), &new).unwrap();
    OtaBoot::new(&mut flash, device).activate(staged).unwrap();
    let entry = OtaEntry::new(2, OtaState::Undefined);
    assert_eq!(otadata(&flash).sectors, [OtaSector::Entry(entry), OtaSector::Empty]);
}

#[test]
fn a_new_application_says_that_it_works_before_the_next_update() {
    let table = table("default");
    let new = app(1000, 2);
    let mut flash = flash();
    let staged = update(&mut flash, device(&table), known(&new), &new).unwrap();
    OtaBoot::new(&mut flash, device(&table)).activate(staged).unwrap();
    first_start(&mut flash);

    let device = Esp32 { running: AppKind::Ota(1), ..device(&table) };
    assert_eq!(OtaBoot::new(&mut flash, device).trial(), Ok(Trial::Pending));
    let error = update(&mut flash, device, known(&new), &new).unwrap_err();
    assert_eq!((error.cause, error.number()), (Cause::Pending, 100));
    // Its filesystem may be renewed.
    let image = filesystem(FilesystemKind::LittleFs, 4096, 4).unwrap();
    let request = Request { target: OtaTarget::Filesystem, ..known(&image) };
    let _ = update(&mut flash, device, request, &image).unwrap();

    let before = flash.changes;
    OtaBoot::new(&mut flash, device).confirm().unwrap();
    assert_eq!(otadata(&flash).active(), Some((1, OtaEntry::new(2, OtaState::Valid))));
    OtaBoot::new(&mut flash, device).confirm().unwrap();
    assert_eq!(flash.changes, before + 2);
    assert_eq!(OtaBoot::new(&mut flash, device).trial(), Ok(Trial::Over));
    let staged = update(&mut flash, device, known(&new), &new).unwrap();
    assert_eq!(staged.next(), Some(&OtaSlot(0)));
}

#[test]
fn an_application_that_does_not_work_goes_back_if_there_is_a_way() {
    use OtaState::{Aborted, PendingVerify, Valid};
    let (default, factory) = (table("default"), with_factory());
    let check = |entries, running, table: &PartitionTable, expected, then| {
        let mut flash = with_entries(entries);
        let device = Esp32 { running, ..device(table) };
        assert_eq!(OtaBoot::new(&mut flash, device).roll_back(), expected);
        assert_eq!(otadata(&flash).starts(table), Some(then));
    };
    let (zero, one) = (AppKind::Ota(0), AppKind::Ota(1));
    let nothing = Err(BootError::NothingBefore);
    check([Some((1, Valid)), Some((2, PendingVerify))], one, &default, Ok(()), zero);
    check([Some((3, PendingVerify)), Some((2, Valid))], zero, &default, Ok(()), one);
    check([Some((3, Valid)), Some((2, Aborted))], zero, &default, nothing, zero);
    check([Some((2, PendingVerify)), None], one, &default, nothing, one);
    check([Some((3, Valid)), Some((1, Valid))], zero, &default, nothing, zero);
    check([None, None], zero, &default, nothing, zero);
    // There is a factory application.
    check([Some((1, Valid)), None], zero, &factory, Ok(()), AppKind::Factory);
    check([None, None], AppKind::Factory, &factory, nothing, AppKind::Factory);
}

#[test]
fn a_slot_that_would_start_is_not_written_to() {
    let table = table("default");
    // Slot 1 was activated, or its image was found to be damaged, and slot 0 runs.
    let mut flash = with_entries([Some((1, OtaState::Valid)), Some((2, OtaState::New))]);
    let mut scratch = [0; 4096];
    let mut updater = Updater::new(&mut flash, device(&table), &mut scratch);
    updater.begin(known(&[0; 5000])).unwrap().abort();
    assert_eq!(starts(&flash), Some(AppKind::Ota(0)));
    let changes = flash.changes;
    let mut updater = Updater::new(&mut flash, device(&table), &mut scratch);
    updater.begin(known(&[0; 5000])).unwrap().abort();
    assert_eq!(flash.changes, changes);
}

#[test]
fn every_number_comes_with_its_cause() {
    let whole = table("default");
    let new = app(50_000, 2);
    let file = || new.clone();
    let check = |number, device, request, file: Vec<u8>, broken| {
        let mut flash = Flash { broken, ..flash() };
        let error = update(&mut flash, device, request, &file).unwrap_err();
        assert_eq!(error.number(), number, "{error:?}");
        assert_eq!(starts(&flash), Some(AppKind::Ota(0)));
        let running = app(1000, 1);
        assert!(flash.at(SLOTS[0], running.len()) == running);
    };
    let plain =
        |number, request, file| check(number, device(&whole), request, file, Broken::Nothing);
    check(1, device(&whole), known(&new), file(), Broken::Write);
    check(2, device(&whole), known(&new), file(), Broken::Erase);
    check(3, device(&whole), known(&new), file(), Broken::Read);
    plain(4, known(&new[1..]), file());
    plain(5, Request { size: Size::Known(SLOT + 1), ..known(&new) }, file());
    plain(5, known(&[]), file());
    plain(7, Request { md5: Some([0; 16]), ..known(&new) }, file());
    plain(8, known(&new[1..]), new[1..].to_vec());
    let gzip = updraft_pack::Gzip::new(&new).build();
    plain(8, known(&gzip), gzip.clone());
    let none = PartitionTable::default();
    check(10, device(&none), known(&new), file(), Broken::Nothing);
    let one_slot = table("huge_app");
    check(10, device(&one_slot), known(&new), file(), Broken::Nothing);
    let large = table("max_app_8MB");
    check(
        10,
        Esp32 { running: AppKind::Factory, ..device(&large) },
        known(&new),
        file(),
        Broken::Nothing,
    );
    let other = Esp32 { filesystem: Some("ffat"), ..device(&whole) };
    let request = Request { target: OtaTarget::Filesystem, ..known(&new) };
    check(10, other, request, file(), Broken::Nothing);
    plain(12, known(&new), new[..49_000].to_vec());
    plain(12, known(&new), Vec::new());
    let error = crate::update(&mut flash(), device(&whole), known(&new), &new, (31, &[9]));
    assert_eq!(error.unwrap_err().number(), 11);
    let target = Updater::<Flash, Esp32<'_>>::target;
    assert_eq!((target(0), target(101)), (Ok(OtaTarget::Sketch), Ok(OtaTarget::Filesystem)));
    assert_eq!(target(200).unwrap_err().number(), 11);
    check(9, device(&whole), known(&new), file(), Broken::Keep(0));
    // All but the first bytes, which are written last.
    let mut last = flash();
    let _ = update(&mut last, device(&whole), known(&new), &new).unwrap();
    check(1, device(&whole), known(&new), file(), Broken::Keep(last.changes - 1));
    let mut read_only = PartitionTable::default();
    for partition in whole.iter() {
        read_only.push(Partition { flags: 2, ..*partition }).unwrap();
    }
    check(10, device(&read_only), known(&new), file(), Broken::Nothing);
}

#[test]
fn a_device_refuses_what_would_not_start() {
    let table = table("default");
    let check = |file: Vec<u8>, expected| {
        let mut flash = flash();
        let error = update(&mut flash, device(&table), known(&file), &file).unwrap_err();
        assert_eq!((error.cause, error.number()), (expected, 9));
        assert_eq!(flash.at(SLOTS[1], 16), [0xFF; 16]);
    };
    let broken = |defect| image().code(b"code").filler(5000, 3).defect(defect).build().unwrap();
    let truncated = NotOta::Fault(updraft_core::Fault::Truncated);
    check(broken(Esp32Defect::Truncated(40)), Cause::Image(truncated));
    check(broken(Esp32Defect::PayloadBit), Cause::Image(NotOta::Checksum));
    check(broken(Esp32Defect::Checksum), Cause::Image(NotOta::Checksum));
    check(broken(Esp32Defect::Hash), Cause::Image(NotOta::Hash));
    check(broken(Esp32Defect::SegmentPastEnd), Cause::Image(truncated));
    let other = gates::Reason::Chip { image: Chip::Esp32S3, device: Chip::Esp32C3 };
    check(Esp32Image::new(Chip::Esp32S3).code(b"code").build().unwrap(), Cause::Device(other));
    let size = Cause::FlashSize { real: 4 << 20 };
    check(image().code(b"code").flash_size(8 << 20).build().unwrap(), size);

    let old = image().code(b"code").secure_version(2).build().unwrap();
    let minimum = Esp32 { secure_version: 3, ..device(&table) };
    let error = update(&mut flash(), minimum, known(&old), &old).unwrap_err();
    assert_eq!(error.cause, Cause::SecureVersion { image: 2, minimum: 3 });
    let same = Esp32 { secure_version: 2, ..device(&table) };
    let _ = update(&mut flash(), same, known(&old), &old).unwrap();
}

#[test]
fn a_filesystem_is_written_in_place() {
    let table = table("default");
    let image = filesystem(FilesystemKind::Spiffs, 4096, 16).unwrap();
    for filesystem in [None, Some("spiffs")] {
        let mut flash = flash();
        let device = Esp32 { filesystem, ..device(&table) };
        let request = Request { target: OtaTarget::Filesystem, ..known(&image) };
        let staged = update(&mut flash, device, request, &image).unwrap();
        assert_eq!(staged.next(), None);
        assert!(flash.at(FILESYSTEM, image.len()) == image);
        let changes = flash.changes;
        OtaBoot::new(&mut flash, device).activate(staged).unwrap();
        assert_eq!(flash.changes, changes);
    }
}

#[test]
fn whatever_byte_is_the_last_the_slot_stays_invalid() {
    let table = table("default");
    let new = app(3000, 2);
    let mut flash = flash();
    for end in 0..=new.len() {
        let mut scratch = [0; 1024];
        let mut updater = Updater::new(&mut flash, device(&table), &mut scratch);
        let mut update = updater.begin(known(&new)).unwrap();
        update.write(&new[..end]).unwrap();
        if end < new.len() {
            update.finish().unwrap_err();
        } else {
            update.abort();
        }
        // The first sector is erased when the buffer is full: what is withheld is not in it.
        let head = if end < 1024 - 16 { OLD } else { 0xFF };
        assert_eq!(flash.at(SLOTS[1], 1), [head], "{end}");
    }
    assert_eq!(otadata(&flash), otadata(&self::flash()));
    assert!(flash.at(SLOTS[0], SLOT as usize) == self::flash().at(SLOTS[0], SLOT as usize));
}

/// The power goes during each change of the flash, from the first byte to the confirmation.
#[test]
fn whatever_change_is_the_last_a_whole_application_starts() {
    use OtaState::{Aborted, New, PendingVerify, Undefined, Valid};
    let table = table("default");
    let (old, earlier, new) = (app(1000, 1), app(9000, 3), app(20_000, 2));
    let run = |flash: &mut Flash| -> Option<()> {
        let staged = update(flash, device(&table), known(&new), &new).ok()?;
        OtaBoot::new(flash, device(&table)).activate(staged).ok()?;
        first_start(flash);
        let device = Esp32 { running: AppKind::Ota(1), ..device(&table) };
        OtaBoot::new(flash, device).confirm().ok()
    };
    let check = |entries| {
        let fresh = || with_entries(entries).with(SLOTS[1], &earlier);
        let mut whole = fresh();
        run(&mut whole).unwrap();
        assert_eq!(starts(&whole), Some(AppKind::Ota(1)));
        for budget in 0..whole.changes {
            let mut flash = Flash { budget: Some(budget), ..fresh() };
            assert_eq!(run(&mut flash), None);
            let starts = |slot: u32, app: &[u8]| flash.at(slot, app.len()) == app;
            let is_whole = match self::starts(&flash) {
                Some(AppKind::Ota(0)) => starts(SLOTS[0], &old),
                Some(AppKind::Ota(1)) => starts(SLOTS[1], &earlier) || starts(SLOTS[1], &new),
                _ => false,
            };
            assert!(is_whole, "{entries:?} {budget}");
        }
    };
    check([Some((1, Valid)), None]);
    check([Some((3, Valid)), Some((2, Valid))]);
    check([Some((1, Valid)), Some((2, New))]);
    check([Some((4, PendingVerify)), Some((3, Valid))]);
    check([Some((3, Undefined)), Some((4, Aborted))]);
    check([None, None]);
}

/// Activates an application in a flash of this geometry.
fn activate<const R: usize, const W: usize, const E: usize>() -> (Result<(), BootError>, OtaData) {
    let table = table("default");
    let mut flash = of_geometry::<R, W, E>([Some((1, OtaState::Valid)), None]);
    let file = app(1000, 2);
    let staged = crate::update(&mut flash, device(&table), known(&file), &file, USUAL).unwrap();
    let result = OtaBoot::new(&mut flash, device(&table)).activate(staged);
    (result, otadata(&flash))
}

#[test]
fn an_entry_is_written_in_whole_units_of_its_own_sector() {
    let check = |(result, otadata): (_, OtaData), expected, active| {
        assert_eq!((result, otadata.active().map(|(sector, _)| sector)), (expected, Some(active)));
    };
    check(activate::<1, 1, 256>(), Ok(()), 1);
    check(activate::<64, 64, 4096>(), Ok(()), 1);
    check(activate::<4, 256, 4096>(), Ok(()), 1);
    check(activate::<4, 512, 4096>(), Err(BootError::Write), 0);
    // The other entry would go with it.
    check(activate::<4, 4, 0x1_0000>(), Err(BootError::Erase), 0);
}

/// Writes `file` in the flash of this geometry, in these pieces.
fn same<const R: usize, const W: usize, const E: usize>(
    file: &[u8],
    (scratch, blocks): (usize, &[usize]),
) -> Vec<u8> {
    let table = table("default");
    let mut flash = of_geometry::<R, W, E>([Some((1, OtaState::Valid)), None]);
    let pieces = (scratch, blocks);
    let _ = crate::update(&mut flash, device(&table), known(file), file, pieces).unwrap();
    flash.at(SLOTS[1], file.len()).to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_pieces_give_the_same_flash(payload in 0..20_000_usize, (scratch, blocks) in pieces()) {
        let table = table("default");
        let file = app(payload, 7);
        let (mut once, mut pieces) = (flash(), flash());
        let _ = update(&mut once, device(&table), known(&file), &file).unwrap();
        let sizes = (scratch, &blocks[..]);
        let _ = crate::update(&mut pieces, device(&table), known(&file), &file, sizes).unwrap();
        prop_assert!(once.bytes == pieces.bytes);
    }

    #[test]
    fn any_flash_holds_the_same_file(payload in 0..20_000_usize, (scratch, blocks) in pieces()) {
        let file = app(payload, 8);
        let pieces = (scratch, &blocks[..]);
        prop_assert!(same::<1, 1, 4096>(&file, pieces) == file);
        prop_assert!(same::<4, 32, 4096>(&file, pieces) == file);
        prop_assert!(same::<16, 16, 256>(&file, pieces) == file);
    }
}
