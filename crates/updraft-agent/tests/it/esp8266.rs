//! Updates of an ESP8266.

use std::cell::RefCell;

use proptest::prelude::*;
use updraft_agent::{
    Boot, BootError, BootMode, Cause, Eboot, Esp8266, Led, Level, Polarity, Progress, Request,
    RtcMemory, Size, Staged, Ticker, Trial, UpdateError, Updater,
};
use updraft_core::{
    EbootCommand, Esp8266Layout, Fault, FilesystemKind, FlashMode, Inflater, NotOta, OtaTarget,
    gates,
};
use updraft_pack::{Esp8266Defect, Esp8266Image, Gzip, filesystem};

use crate::flash::{Broken, Flash};
use crate::{Stream, USUAL, length, pieces};

/// The sketch that runs.
pub(crate) const RUNNING: usize = 30_000;
/// What nobody wrote.
const OLD: u8 = 0x55;

fn layout(name: &str) -> Esp8266 {
    let layout = Esp8266Layout::named(name).unwrap();
    Esp8266 { layout, sketch_size: length(&running()), boot_mode: BootMode::Flash }
}

pub(crate) fn device() -> Esp8266 {
    layout("1m64")
}

fn small(payload: usize, seed: u64) -> Esp8266Image {
    Esp8266Image::new().flash_size(1 << 20).filler(payload, seed)
}

pub(crate) fn sketch(payload: usize, seed: u64) -> Vec<u8> {
    small(payload, seed).build().unwrap()
}

fn running() -> Vec<u8> {
    sketch(RUNNING, 1)
}

pub(crate) fn flash() -> Flash {
    flash_of()
}

fn flash_of<const R: usize, const W: usize, const E: usize>() -> Flash<R, W, E> {
    Flash::filled(1 << 20, OLD).with(0, &running())
}

pub(crate) fn known<'r>(file: &[u8]) -> Request<'r> {
    Request::new(OtaTarget::Sketch, Size::Known(length(file)))
}

fn for_filesystem<'r>(file: &[u8]) -> Request<'r> {
    Request { target: OtaTarget::Filesystem, ..known(file) }
}

/// With its MD5.
fn summed<'r>(file: &[u8]) -> Request<'r> {
    Request { md5: Some(md5(file)), ..known(file) }
}

fn md5(file: &[u8]) -> [u8; 16] {
    let mut inspector = updraft_core::Inspector::new(file.len() as u64);
    inspector.update(file);
    inspector.finish().md5
}

pub(crate) fn update(
    flash: &mut Flash,
    device: Esp8266,
    request: Request<'_>,
    file: &[u8],
) -> Result<Staged<EbootCommand>, UpdateError> {
    crate::update(flash, device, request, file, USUAL)
}

/// Where a file of this length is staged in 1m64.
pub(crate) fn staged_at(file: &[u8]) -> u32 {
    0xE_B000 - length(file).next_multiple_of(4096)
}

/// Everything but `[from, to)` is as it was.
fn assert_rest_is_untouched(flash: &Flash, from: u32, to: u32) {
    let untouched = self::flash();
    let (from, to) = (usize::try_from(from).unwrap(), usize::try_from(to).unwrap());
    assert!(flash.bytes[..from] == untouched.bytes[..from]);
    assert!(flash.bytes[to..] == untouched.bytes[to..]);
}

struct Rtc([u8; 128]);

impl RtcMemory for &mut Rtc {
    type Error = ();

    fn read(&mut self) -> Result<[u8; EbootCommand::LENGTH], ()> {
        Ok(self.0)
    }

    fn write(&mut self, bytes: &[u8; EbootCommand::LENGTH]) -> Result<(), ()> {
        self.0 = *bytes;
        Ok(())
    }
}

/// Memory without power.
struct NoRtc;

impl RtcMemory for NoRtc {
    type Error = ();

    fn read(&mut self) -> Result<[u8; EbootCommand::LENGTH], ()> {
        Ok([0; EbootCommand::LENGTH])
    }

    fn write(&mut self, _: &[u8; EbootCommand::LENGTH]) -> Result<(), ()> {
        Ok(())
    }
}

/// Memory that keeps what it is told, and cannot be read.
struct Unreadable<'a>(&'a mut Rtc);

impl RtcMemory for Unreadable<'_> {
    type Error = ();

    fn read(&mut self) -> Result<[u8; EbootCommand::LENGTH], ()> {
        Err(())
    }

    fn write(&mut self, bytes: &[u8; EbootCommand::LENGTH]) -> Result<(), ()> {
        self.0.0 = *bytes;
        Ok(())
    }
}

#[test]
fn a_sketch_is_staged_below_the_filesystem_and_eboot_is_told() {
    let new = sketch(50_000, 2);
    let mut flash = flash();
    let request = Request { md5: Some(md5(&new)), ..known(&new) };
    let staged = update(&mut flash, device(), request, &new).unwrap();
    let from = staged_at(&new);
    assert!(flash.at(from, new.len()) == new);
    assert_rest_is_untouched(&flash, from, 0xE_B000);
    let command = EbootCommand::CopyRaw { from, to: 0, length: length(&new) };
    assert_eq!(staged.next(), Some(&command));
    assert_eq!((staged.target(), staged.length()), (OtaTarget::Sketch, length(&new)));

    let (mut rtc, mut failing) = (Rtc([0; 128]), Rtc([0; 128]));
    let mut eboot = Eboot::new(&mut rtc);
    assert_eq!(eboot.command(), Ok(None));
    assert_eq!(Eboot::new(NoRtc).activate(staged.clone()), Err(BootError::Write));
    let unreadable = Eboot::new(Unreadable(&mut failing)).activate(staged.clone());
    assert_eq!(unreadable, Err(BootError::Read));
    assert_eq!(failing.0, [0; 128], "no command stands that nobody believes in");
    eboot.activate(staged).unwrap();
    assert_eq!(eboot.command(), Ok(Some(command)));
    assert_eq!((eboot.trial(), eboot.confirm()), (Ok(Trial::Over), Ok(())));
    assert_eq!(eboot.roll_back(), Err(BootError::NothingBefore));
    eboot.cancel().unwrap();
    assert_eq!(eboot.command(), Ok(None));
}

#[test]
fn without_a_size_all_free_space_is_taken() {
    let new = sketch(50_000, 2);
    let mut flash = flash();
    let request = Request::new(OtaTarget::Sketch, Size::Unknown);
    let staged = update(&mut flash, device(), request, &new).unwrap();
    let from = length(&running()).next_multiple_of(4096);
    let command = EbootCommand::CopyRaw { from, to: 0, length: length(&new) };
    assert_eq!(staged.next(), Some(&command));
    assert!(flash.at(from, new.len()) == new);
}

#[test]
fn the_flash_mode_becomes_the_running_one_and_the_md5_stays_that_of_the_file() {
    let other = small(20_000, 3).flash_mode(FlashMode::Qio).build().unwrap();
    let mut flash = flash();
    let _ = update(&mut flash, device(), summed(&other), &other).unwrap();
    let mut expected = other.clone();
    expected[2] = FlashMode::Dio.byte();
    assert_ne!(other, expected);
    assert!(flash.at(staged_at(&other), other.len()) == expected);

    // Not in a gzip: there eboot is the first to look.
    let gzip = Gzip::new(&other).build();
    let _ = update(&mut flash, device(), summed(&gzip), &gzip).unwrap();
    assert!(flash.at(staged_at(&gzip), gzip.len()) == gzip);
    let mut inflater = Box::new(Inflater::new());
    let request = Request { inflater: Some(&mut inflater), ..summed(&gzip) };
    let error = update(&mut flash, device(), request, &gzip).unwrap_err();
    assert_eq!(error.cause, Cause::Device(gates::Reason::GzipMode));
}

#[test]
fn a_gzip_is_staged_as_it_is() {
    let inside = sketch(60_000, 4);
    let gzip = Gzip::new(&inside).build();
    let mut flash = flash();
    let staged = update(&mut flash, device(), known(&gzip), &gzip).unwrap();
    let (from, length) = (staged_at(&gzip), length(&gzip));
    assert_eq!(staged.next(), Some(&EbootCommand::CopyRaw { from, to: 0, length }));
    assert!(flash.at(from, gzip.len()) == gzip);
    let mut inflater = Box::new(Inflater::new());
    let request = Request { inflater: Some(&mut inflater), ..known(&gzip) };
    assert_eq!(update(&mut flash, device(), request, &gzip), Ok(staged));

    // Inflated it would run over itself.
    let large = Gzip::new(&vec![0xE9; 0xE_A001]).build();
    let error = update(&mut flash, device(), known(&large), &large).unwrap_err();
    assert_eq!(error.cause, Cause::Space);
    let mut empty = gzip.clone();
    let end = empty.len() - 4;
    empty[end..].fill(0);
    let error = update(&mut flash, device(), known(&empty), &empty).unwrap_err();
    assert_eq!(error.cause, Cause::Image(NotOta::Fault(Fault::GzipNoSize)));
}

#[test]
fn a_filesystem_is_written_in_place() {
    let image = filesystem(FilesystemKind::LittleFs, 4096, 16).unwrap();
    let mut flash = flash();
    let request = Request { md5: Some(md5(&image)), ..for_filesystem(&image) };
    let staged = update(&mut flash, device(), request, &image).unwrap();
    assert_eq!((staged.next(), staged.target()), (None, OtaTarget::Filesystem));
    assert!(flash.at(0xE_B000, image.len()) == image);
    assert_rest_is_untouched(&flash, 0xE_B000, 0xF_B000);
    // eboot need not know.
    let mut rtc = Rtc([7; 128]);
    Eboot::new(&mut rtc).activate(staged).unwrap();
    assert_eq!(rtc.0, [7; 128]);
}

#[test]
fn every_number_comes_with_its_cause() {
    let new = sketch(50_000, 2);
    let file = || new.clone();
    let check = |number, device, request, file: Vec<u8>, broken| {
        let mut flash = Flash { broken, ..flash() };
        let error = update(&mut flash, device, request, &file).unwrap_err();
        assert_eq!(error.number(), number, "{error:?}");
        assert_rest_is_untouched(&flash, length(&running()).next_multiple_of(4096), 0xF_B000);
    };
    let plain = |number, request, file| check(number, device(), request, file, Broken::Nothing);
    check(1, device(), known(&new), file(), Broken::Write);
    check(2, device(), known(&new), file(), Broken::Erase);
    check(3, device(), known(&new), file(), Broken::Read);
    let of_size = |size| Request { size: Size::Known(size), ..known(&new) };
    plain(4, Request { target: OtaTarget::Filesystem, ..of_size(65_537) }, file());
    plain(4, known(&new[1..]), file());
    plain(4, of_size(0xE_B000 - 36_863), file());
    check(4, layout("512k"), of_size(500_000), file(), Broken::Nothing);
    plain(5, known(&[]), file());
    plain(6, known(&new), new[..49_000].to_vec());
    plain(7, Request { md5: Some([0; 16]), ..known(&new) }, file());
    check(8, layout("4m2m"), known(&new), file(), Broken::Nothing);
    let for_4m = Esp8266Image::new().filler(50_000, 2).build().unwrap();
    plain(9, known(&for_4m), for_4m.clone());
    plain(10, known(&new[1..]), new[1..].to_vec());
    let serial = Esp8266 { boot_mode: BootMode::Serial, ..device() };
    check(11, serial, known(&new), file(), Broken::Nothing);
    plain(13, known(&new), Vec::new());
    plain(13, Request::new(OtaTarget::Sketch, Size::Unknown), Vec::new());
    let error = crate::update(&mut flash(), device(), known(&new), &new, (15, &[9]));
    assert_eq!(error.unwrap_err().number(), 14);
    let target = Updater::<Flash, Esp8266>::target;
    assert_eq!(target(0), Ok(OtaTarget::Sketch));
    assert_eq!(target(100), Ok(OtaTarget::Filesystem));
    assert_eq!(target(1).unwrap_err().number(), 16);
    // What was not kept is not taken for what came.
    let mut forgetful = Flash { broken: Broken::Keep(0), ..flash() };
    let request = Request { md5: Some(md5(&new)), ..known(&new) };
    assert_eq!(update(&mut forgetful, device(), request, &new).unwrap_err().number(), 7);
}

#[test]
fn a_device_refuses_what_would_not_start() {
    let check = |defect, expected| {
        let file = small(20_000, 5).defect(defect).build().unwrap();
        let error = update(&mut flash(), device(), known(&file), &file).unwrap_err();
        assert_eq!((error.cause, error.number()), (Cause::Image(expected), 100), "{defect:?}");
    };
    check(Esp8266Defect::Truncated(100), NotOta::Fault(Fault::Truncated));
    check(Esp8266Defect::PayloadBit, NotOta::Checksum);
    check(Esp8266Defect::Trailing(512), NotOta::Trailing);
    check(Esp8266Defect::NoApplication, NotOta::BootLoader);
    check(Esp8266Defect::NoBootLoader, NotOta::PlainV1);
    check(Esp8266Defect::BootChecksum, NotOta::BootChecksum);
    check(Esp8266Defect::CrcWord, NotOta::Crc);
    let first_byte = small(20_000, 5).defect(Esp8266Defect::FirstByte).build().unwrap();
    let error = update(&mut flash(), device(), known(&first_byte), &first_byte).unwrap_err();
    assert_eq!(error.cause, Cause::Magic);
    let mut noise = updraft_pack::filler(9000, 6);
    noise[0] = 0xE9;
    let error = update(&mut flash(), device(), known(&noise), &noise).unwrap_err();
    assert!(matches!(error.cause, Cause::Image(_)), "{error:?}");
    let app = updraft_pack::Esp32Image::new(updraft_core::Chip::Esp32).build().unwrap();
    let error = update(&mut flash(), device(), known(&app), &app).unwrap_err();
    let family = gates::Reason::Family(updraft_core::Family::Esp32);
    assert_eq!(error.cause, Cause::Device(family));
}

#[test]
fn an_error_stays() {
    let new = sketch(20_000, 2);
    let mut flash = flash();
    let mut scratch = [0; 256];
    let mut updater = Updater::new(&mut flash, device(), &mut scratch);
    let mut update = updater.begin(known(&new)).unwrap();
    let error = update.write(&new[1..]).unwrap_err();
    assert_eq!(error.cause, Cause::Magic);
    assert_eq!(update.write(&new), Err(error));
    assert_eq!(update.finish(), Err(error));
    // The next one is not concerned.
    let mut update = updater.begin(known(&new)).unwrap();
    update.write(&new).unwrap();
    let _ = update.finish().unwrap();
}

#[test]
fn whatever_ends_an_update_the_running_sketch_is_untouched() {
    let new = sketch(2_000, 2);
    let mut ended = flash();
    for end in 0..=new.len() {
        let mut scratch = [0; 1024];
        let mut updater = Updater::new(&mut ended, device(), &mut scratch);
        let mut update = updater.begin(known(&new)).unwrap();
        update.write(&new[..end]).unwrap();
        if end < new.len() {
            update.finish().unwrap_err();
        } else {
            update.abort();
        }
    }
    assert_rest_is_untouched(&ended, staged_at(&new), 0xE_B000);
    let mut whole = flash();
    let _ = update(&mut whole, device(), known(&new), &new).unwrap();
    for budget in 0..whole.changes {
        let mut flash = Flash { budget: Some(budget), ..flash() };
        let error = update(&mut flash, device(), known(&new), &new).unwrap_err();
        assert!(matches!(error.cause, Cause::Write | Cause::Erase));
        assert_rest_is_untouched(&flash, staged_at(&new), 0xE_B000);
    }
}

#[test]
fn a_stream_is_read_as_far_as_the_image_goes() {
    let new = sketch(20_000, 2);
    let mut long = new.clone();
    long.extend(b"the next message");
    let check = |size, bytes: &[u8], breaks| {
        let mut flash = flash();
        let mut scratch = [0; 1000];
        let mut updater = Updater::new(&mut flash, device(), &mut scratch);
        let mut update = updater.begin(Request::new(OtaTarget::Sketch, size)).unwrap();
        let mut stream = Stream { bytes, at_once: 700, breaks };
        let result = update.write_stream(&mut stream).and_then(|()| update.finish());
        (result.map(|staged| staged.length()).map_err(|error| error.number()), stream.bytes.len())
    };
    let known = Size::Known(length(&new));
    assert_eq!(check(known, &new, true), (Ok(length(&new)), 0));
    assert_eq!(check(known, &long, false), (Ok(length(&new)), 16));
    assert_eq!(check(known, &new[..9_000], false), (Err(6), 0));
    assert_eq!(check(known, &new[..9_000], true), (Err(6), 0));
    assert_eq!(check(Size::Unknown, &new, false), (Ok(length(&new)), 0));
    assert_eq!(check(Size::Unknown, &new, true).0, Err(6));
    assert_eq!(check(Size::Unknown, &new[1..], false).0, Err(10));
    let room = usize::try_from(device().layout.free_space(length(&running()))).unwrap();
    let mut full = [0xE9].repeat(room);
    assert_eq!(check(Size::Unknown, &full, false).0, Err(100));
    full.push(0);
    assert_eq!(check(Size::Unknown, &full, false), (Err(4), 0));
}

#[test]
fn those_who_watch_are_told() {
    struct Pin<'a>(&'a RefCell<Vec<Level>>);
    impl Led for Pin<'_> {
        fn set(&mut self, level: Level) {
            self.0.borrow_mut().push(level);
        }
    }
    let new = sketch(0, 2);
    let (mut told, levels) = (Vec::new(), RefCell::new(Vec::new()));
    let mut pin = Pin(&levels);
    let mut progress = |progress: Progress| told.push(progress.written);
    let request = Request {
        progress: Some(&mut progress),
        led: Some(Ticker::new(&mut pin, Polarity::ActiveLow)),
        ..known(&new)
    };
    let _ = crate::update(&mut flash(), device(), request, &new, (2048, &[500])).unwrap();
    assert_eq!(told, [0, 2048, 4096, length(&new)]);
    let expected = [Level::Low, Level::High, Level::Low, Level::High];
    assert_eq!(*levels.borrow(), expected);
}

/// Writes `file` in the flash of this geometry, in these pieces.
fn same<const R: usize, const W: usize, const E: usize>(
    file: &[u8],
    (scratch, blocks): (usize, &[usize]),
) -> Vec<u8> {
    let mut flash = flash_of::<R, W, E>();
    let pieces = (scratch, blocks);
    let staged = crate::update(&mut flash, device(), known(file), file, pieces).unwrap();
    let Some(&EbootCommand::CopyRaw { from, length, .. }) = staged.next() else { panic!() };
    assert_eq!(length, self::length(file));
    assert!(flash.at(0, RUNNING) == &running()[..RUNNING]);
    // What is written behind it to fill a unit is as if it was erased.
    let end = from + length;
    let behind = usize::try_from(end.next_multiple_of(256) - end).unwrap();
    assert!(flash.at(end, behind).iter().all(|&byte| byte == 0xFF));
    flash.at(from, file.len()).to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_pieces_give_the_same_flash(
        payload in 0..20_000_usize,
        (scratch, blocks) in pieces(),
        at_once in 1..3000_usize,
    ) {
        let file = sketch(payload, 7);
        let mut once = flash();
        let _ = update(&mut once, device(), known(&file), &file).unwrap();
        let mut pieces = flash();
        let sizes = (scratch, &blocks[..]);
        let _ = crate::update(&mut pieces, device(), known(&file), &file, sizes).unwrap();
        prop_assert!(once.bytes == pieces.bytes);

        let mut streamed = flash();
        let mut scratch = vec![0; scratch];
        let mut updater = Updater::new(&mut streamed, device(), &mut scratch);
        let mut update = updater.begin(known(&file)).unwrap();
        update.write_stream(&mut Stream { bytes: &file, at_once, breaks: false }).unwrap();
        let _ = update.finish().unwrap();
        prop_assert!(once.bytes == streamed.bytes);
    }

    #[test]
    fn any_flash_holds_the_same_file(payload in 0..20_000_usize, (scratch, blocks) in pieces()) {
        let file = sketch(payload, 8);
        let pieces = (scratch, &blocks[..]);
        prop_assert!(same::<1, 1, 4096>(&file, pieces) == file);
        prop_assert!(same::<4, 32, 4096>(&file, pieces) == file);
        prop_assert!(same::<8, 8, 256>(&file, pieces) == file);
    }
}

/// In sectors that are larger than eboot's, an update starts lower, and never touches its neighbours.
#[test]
fn large_sectors_are_kept_whole() {
    let device = Esp8266 { sketch_size: length(&running()), ..layout("4m2m") };
    let file = sketch(50_000, 9);
    let mut flash = Flash::<4, 4, 0x4_0000>::filled(4 << 20, OLD).with(0, &running());
    let staged = crate::update(&mut flash, device, known(&file), &file, USUAL).unwrap();
    let command = EbootCommand::CopyRaw { from: 0x1C_0000, to: 0, length: length(&file) };
    assert_eq!(staged.next(), Some(&command));
    assert!(flash.at(0x1C_0000, file.len()) == file);
    assert_eq!((flash.at(0x1B_FFFF, 1), flash.at(0x20_0000, 1)), (&[OLD][..], &[OLD][..]));
    // A stock device has room for this one, with smaller sectors.
    let request = Request::new(OtaTarget::Sketch, Size::Known(0x1C_0001));
    let error = crate::update(&mut flash, device, request, &file, USUAL).unwrap_err();
    assert_eq!(error.cause, Cause::Space);
    // No filesystem ends where such a sector does.
    let request = Request { target: OtaTarget::Filesystem, ..known(&file) };
    let error = crate::update(&mut flash, device, request, &file, USUAL).unwrap_err();
    assert_eq!(error.cause, Cause::Erase);
}
