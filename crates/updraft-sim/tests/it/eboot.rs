//! eboot against what the real one did with the same files (its code, run natively), and the ESP8266's
//! start.

use updraft_core::{EbootCommand, Esp8266Layout};
use updraft_pack::{Esp8266Defect, Esp8266Image, Gzip, GzipDefect};
use updraft_sim::boot::eboot::{Copied, Rtc};
use updraft_sim::boot::esp8266::{self, Boot, SelfCheck, self_check};
use updraft_sim::boot::{Dead, ImageFault};
use updraft_sim::flash::{Cut, Flash, FlashError, Tear};

const STAGED: u32 = 0x4_0000;
const SIZE: u32 = 1 << 20;

fn old() -> Vec<u8> {
    Esp8266Image::new().filler(9_000, 1).build().unwrap()
}

fn new() -> Vec<u8> {
    Esp8266Image::new().filler(21_000, 2).build().unwrap()
}

/// A flash with the old sketch and a file that eboot is told to copy.
fn staged(file: &[u8]) -> (Flash, Rtc) {
    let mut flash = Flash::new(SIZE);
    flash.put(0, &old()).unwrap();
    flash.put(STAGED, file).unwrap();
    let mut rtc = Rtc::new();
    let length = u32::try_from(file.len()).unwrap();
    rtc.write(&EbootCommand::CopyRaw { from: STAGED, to: 0, length }.to_bytes());
    (flash, rtc)
}

/// What the copy of a file comes to, and whether the flash then begins with these bytes.
#[track_caller]
fn check(file: &[u8], code: Copied, content: &[u8]) -> Flash {
    let (mut flash, mut rtc) = staged(file);
    let boot = esp8266::boot(&mut flash, &mut rtc);
    assert_eq!(boot.copied, Some(code));
    let length = u32::try_from(content.len()).unwrap();
    assert!(flash.bytes(0..length).unwrap() == content, "other bytes");
    assert_eq!(flash.misuse(), None);
    flash
}

#[test]
fn a_sketch_is_copied_inflated_or_not() {
    for file in [new(), Gzip::new(&new()).build()] {
        let mut flash = check(&file, Copied::Done, &new());
        // The command is gone: nothing is copied again.
        let boot = esp8266::boot(&mut flash, &mut Rtc::new());
        assert_eq!(boot.copied, None);
        let started = boot.outcome.unwrap();
        assert_eq!((started.start, started.size as usize), (0, new().len()));
        assert_eq!(self_check(&flash, &started), Ok(SelfCheck::Whole));
    }
}

#[test]
fn every_field_of_a_gzip_header_is_read_over() {
    let plain = Gzip::new(&new()).build();
    // Text, header CRC, extra field, name, comment.
    let mut file = plain[..10].to_vec();
    file[3] = 0x1F;
    file.extend(b"\x03\x00abcname\0comment\0\x12\x34");
    file.extend(&plain[10..]);
    check(&file, Copied::Done, &new());
}

#[test]
fn eboot_takes_much_that_it_should_not() {
    let gzip = Gzip::new(&new());
    let broken = |defect| gzip.broken(defect);
    // Nobody checks it.
    check(&broken(GzipDefect::Crc), Copied::Done, &new());
    // Nothing is written.
    check(&broken(GzipDefect::SizeZero), Copied::Done, &old());
    check(&broken(GzipDefect::TrailingZeros(16)), Copied::Done, &old());
    check(&broken(GzipDefect::TrailingErased(16)), Copied::Done, &old());
    // Cut short; with something behind.
    let cut = new().len() - 0x1000;
    check(&broken(GzipDefect::SizeTooSmall), Copied::Done, &new()[..cut]);
    check(&broken(GzipDefect::SizeTooBig), Copied::Done, &new());
    // Only so much of the first member as the second one says.
    check(&broken(GzipDefect::TwoMembers), Copied::Done, &new()[..4]);
    // A wrong header: nothing was written yet.
    check(&broken(GzipDefect::ReservedFlag), Copied::Gzip, &old());
    check(&broken(GzipDefect::Method), Copied::Gzip, &old());
    // Copied as it is: a dead device.
    let zlib = broken(GzipDefect::Zlib);
    let mut flash = check(&zlib, Copied::Done, &zlib);
    let boot = esp8266::boot(&mut flash, &mut Rtc::new());
    assert_eq!(boot.outcome, Err(Dead::BootLoader(ImageFault::Magic(0x78))));
}

#[test]
fn damaged_data_is_noticed_when_the_old_sketch_is_gone() {
    // Two sectors as they are (RFC 1951, 3.2.4), then a block of the type that is none.
    let mut file = Gzip::new(&new()).build()[..10].to_vec();
    file.extend([0, 0x00, 0x20, 0xFF, 0xDF]);
    file.extend(&new()[..0x2000]);
    file.extend([0b111, 0, 0, 0, 0]);
    file.extend(30_000_u32.to_le_bytes());
    let (mut flash, mut rtc) = staged(&file);
    let boot = esp8266::boot(&mut flash, &mut rtc);
    assert_eq!(boot.copied, Some(Copied::Inflate));
    let written = flash.bytes(0x1000..0x2000).unwrap();
    assert!(written == new()[0x1000..0x2000], "nothing was overwritten");
    // It starts, for nobody looks; but it is neither the old nor the new one.
    if let Ok(started) = boot.outcome {
        assert_eq!(self_check(&flash, &started), Ok(SelfCheck::Damaged));
    }
}

#[test]
fn a_size_behind_the_end_of_the_flash_ends_there() {
    // ISIZE names more than the flash has.
    let mut file = Gzip::new(&new()).build();
    let size = file.len() - 4;
    file[size..].copy_from_slice(&(SIZE + 1).to_le_bytes());
    let (mut flash, mut rtc) = staged(&file);
    assert_eq!(esp8266::boot(&mut flash, &mut rtc).copied, Some(Copied::Erase));
}

#[test]
fn only_whole_sectors_are_copied() {
    let copy = |from, to, length| {
        let (mut flash, mut rtc) = staged(&new());
        rtc.write(&EbootCommand::CopyRaw { from, to, length }.to_bytes());
        let Boot { copied, outcome } = esp8266::boot(&mut flash, &mut rtc);
        (copied, outcome.map(|started| started.start))
    };
    assert_eq!(copy(STAGED, 0, 30_000), (Some(Copied::Done), Ok(0)));
    assert_eq!(copy(STAGED + 4, 0, 30_000), (Some(Copied::Align), Ok(0)));
    assert_eq!(copy(STAGED, 0x2_0010, 30_000), (Some(Copied::Align), Ok(0)));
    // Copied elsewhere, it is loaded from there.
    assert_eq!(copy(STAGED, 0x2_0000, 30_000), (Some(Copied::Done), Ok(0x2_0000)));
    assert_eq!(copy(SIZE - 0x1000, 0, 0x2000).0, Some(Copied::Read));
}

#[test]
fn eboot_itself_is_only_rewritten_if_it_changes() {
    let erased = |file: &[u8]| check(file, Copied::Done, file).wear(0);
    assert_eq!(erased(&new()), 0);
    let other = Esp8266Image::new().flash_frequency_mhz(80).filler(9_000, 3).build().unwrap();
    assert_eq!(erased(&other), 1);
}

#[test]
fn a_command_that_is_none_is_not_carried_out() {
    let mut command = EbootCommand::CopyRaw { from: STAGED, to: 0, length: 100 }.to_bytes();
    command[9] ^= 1;
    let (mut flash, mut rtc) = staged(&new());
    rtc.write(&command);
    assert_eq!(esp8266::boot(&mut flash, &mut rtc).copied, None);
    let (mut flash, mut rtc) = staged(&new());
    rtc.lose();
    assert_eq!(esp8266::boot(&mut flash, &mut rtc).copied, None);
    assert!(flash.bytes(0..0x2000).unwrap() == old()[..0x2000]);
}

#[test]
fn a_cut_in_the_middle_of_the_copy_is_the_end_of_both() {
    let (mut flash, mut rtc) = staged(&new());
    flash.plan(Cut { at: 30, tear: Tear::Behind, seed: 0 });
    let boot = esp8266::boot(&mut flash, &mut rtc);
    assert_eq!(boot.outcome, Err(Dead::Flash(FlashError::NoPower)));
    flash.power_on();
    let boot = esp8266::boot(&mut flash, &mut Rtc::new());
    let is_whole =
        boot.outcome.is_ok_and(|started| self_check(&flash, &started) == Ok(SelfCheck::Whole));
    assert!(!is_whole);
}

#[test]
fn what_the_rom_or_eboot_cannot_load_does_not_start() {
    let check = |defect, expected: Result<(), Dead>| {
        let mut flash = Flash::new(Esp8266Layout::named("1m").unwrap().flash());
        let image = Esp8266Image::new().filler(600, 1).defect(defect).build().unwrap();
        flash.put(0, &image).unwrap();
        let outcome = esp8266::boot(&mut flash, &mut Rtc::new()).outcome;
        assert_eq!(outcome.map(drop), expected, "{defect:?}");
    };
    check(Esp8266Defect::FirstByte, Err(Dead::BootLoader(ImageFault::Magic(0xEA))));
    check(Esp8266Defect::BootChecksum, Err(Dead::BootLoader(ImageFault::Checksum)));
    check(Esp8266Defect::NoApplication, Err(Dead::Sketch(ImageFault::Magic(0xFF))));
    check(Esp8266Defect::SegmentCount(0), Err(Dead::Sketch(ImageFault::SegmentCount(0))));
    check(Esp8266Defect::SegmentCount(17), Err(Dead::Sketch(ImageFault::SegmentCount(17))));
    // Nobody looks.
    check(Esp8266Defect::Checksum, Ok(()));
    check(Esp8266Defect::PayloadBit, Ok(()));
}
