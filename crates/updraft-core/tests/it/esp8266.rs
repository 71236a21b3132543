//! ESP8266 images, bytes written by hand: the builder must not hide a misreading.

use updraft_core::{
    Checks, Chip, Fault, FlashMode, Kind, NotOta, OtaTarget, Places, RunningMd5, Segment,
    Signature, Verdict,
};
use updraft_pack::Esp8266Image;

use crate::files::littlefs;
use crate::{gzip, hex, inspect, signed};

/// eboot with one segment, and an application with two, all headers DIO and 4 MiB.
fn reference() -> Vec<u8> {
    let mut file = vec![0xE9, 1, 2, 0x40, 0x00, 0xF0, 0x10, 0x40]; // entry 4010F000
    file.extend([0x00, 0xF0, 0x10, 0x40, 16, 0, 0, 0]);
    file.extend(0..16);
    file.extend([0; 15]);
    file.push(0xEF);
    file.resize(4096, 0xAA);
    file.extend([0xE9, 2, 2, 0x40, 0x04, 0x00, 0x10, 0x40]); // entry 40100004
    file.extend([0x10, 0x10, 0x20, 0x40, 64, 0, 0, 0]);
    file.extend([0x80, 0x10, 0, 0, 0xBB, 0xC4, 0xB9, 0x5D]); // length 4224, CRC 5DB9C4BB
    file.extend([0x11; 56]);
    file.extend([0x00, 0x00, 0x10, 0x40, 32, 0, 0, 0]);
    file.extend([0x22; 32]);
    file.extend([0; 7]);
    file.push(0xEF);
    file
}

#[test]
fn the_reference_sketch_is_read_right() {
    let facts = inspect(&reference());
    assert_eq!(facts.kind, Kind::ArduinoSketch);
    assert_eq!(facts.chip, Some(Chip::Esp8266));
    let flash = facts.flash.unwrap();
    assert_eq!(flash.mode, FlashMode::Dio);
    assert_eq!((flash.size, flash.frequency_mhz), (Some(4 << 20), Some(40)));
    assert_eq!(facts.entry, Some(0x4010_0004));
    assert_eq!(
        *facts.segments,
        [
            Segment { address: 0x4020_1010, length: 64, offset: 0x1010 },
            Segment { address: 0x4010_0000, length: 32, offset: 0x1058 },
        ]
    );
    let (ok, absent) = (Verdict::Ok, Verdict::Absent);
    let checks = Checks { checksum: ok, boot_checksum: ok, crc: ok, hash: absent };
    assert_eq!(facts.checks, checks);
    assert_eq!((facts.sizes.file, facts.sizes.payload, facts.sizes.trailing), (4224, 4224, 0));
    assert_eq!(facts.sizes.sketch, Some(4224));
    assert_eq!(hex(facts.md5), "d5ef89545cd1fd078bc6665b01928353");
    assert_eq!(
        hex(facts.sha256),
        "1ebf396ace5390d188daa008ed32a9deeafbe4fc2c0d8b9b490b1b6a20756db9"
    );
    assert_eq!(facts.ota(), Ok(OtaTarget::Sketch));
}

#[test]
fn a_sketch_has_a_running_digest_for_each_flash_mode() {
    let RunningMd5::ByFlashMode(running) = inspect(&reference()).running.md5 else { panic!() };
    for (mode, digest) in FlashMode::ESP8266.into_iter().zip(running) {
        let mut file = reference();
        file[2] = mode.byte();
        assert_eq!(digest, inspect(&file).md5, "{mode}");
    }
    assert_eq!(hex(running[2]), "d5ef89545cd1fd078bc6665b01928353");
    // What stands behind the sketch is not part of them.
    let RunningMd5::ByFlashMode(signed) = inspect(&signed(&reference(), 256)).running.md5 else {
        panic!()
    };
    assert_eq!(running, signed);
}

#[test]
fn signatures_are_recognised_by_their_length_word() {
    for length in [64, 96, 128, 132, 256, 384, 512] {
        let facts = inspect(&signed(&reference(), length));
        assert_eq!(facts.signature, Some(Signature::Esp8266 { length }));
        assert_eq!((facts.sizes.payload, facts.sizes.trailing), (4224, 0));
        assert_eq!(facts.checks.crc, Verdict::Ok);
        assert_eq!(facts.ota(), Ok(OtaTarget::Sketch));
    }
    let facts = inspect(&signed(&reference(), 100));
    assert_eq!((facts.signature, facts.sizes.trailing), (None, 104));
    assert_eq!(facts.ota(), Err(NotOta::Trailing));
    let mut file = signed(&reference(), 256);
    file.insert(4224, 0);
    let facts = inspect(&file);
    assert_eq!((facts.signature, facts.sizes.trailing), (None, 261));
    assert_eq!(facts.ota(), Err(NotOta::Trailing));
}

/// `sketch` with erased flash behind it, `length` bytes in all.
fn dump(sketch: &[u8], length: usize) -> Vec<u8> {
    let mut file = sketch.to_vec();
    file.resize(length, 0xFF);
    file
}

#[test]
fn a_dump_of_the_flash_is_no_sketch() {
    let mut with_filesystem = dump(&reference(), 4 << 20);
    with_filesystem[0x20_0000..][..8192].copy_from_slice(&littlefs());
    let without_crc = Esp8266Image::new().without_crc().build().unwrap();
    for (sketch, file) in [
        (reference(), dump(&reference(), 512 << 10)),
        (reference(), dump(&reference(), 1 << 20)),
        (without_crc.clone(), dump(&without_crc, 1 << 20)),
        (reference(), with_filesystem),
    ] {
        for file in [gzip(&file), file] {
            let facts = inspect(&file);
            assert_eq!((facts.kind, facts.chip), (Kind::MergedFlash, Some(Chip::Esp8266)));
            assert_eq!(facts.ota(), Err(NotOta::MergedFlash));
            assert_eq!(facts.checks.checksum, Verdict::Ok);
            assert_eq!(facts.checks.boot_checksum, Verdict::Ok);
            assert_ne!(facts.checks.crc, Verdict::Bad);
            assert_eq!((facts.sizes.sketch, facts.running.md5), (None, RunningMd5::None));
            let Places { boot_loader, sketch_end, partition_table: _ } = facts.places;
            assert_eq!((boot_loader, sketch_end), (Some(0), Some(sketch.len() as u64)));
        }
    }
}

#[test]
fn what_may_be_a_part_of_a_dump_is_no_sketch() {
    // As long as no flash is.
    for length in [4225, 8192, 256 << 10, (1 << 20) - 4096, (1 << 20) + 1] {
        let file = dump(&reference(), length);
        let facts = inspect(&file);
        assert_eq!((facts.kind, facts.ota()), (Kind::ArduinoSketch, Err(NotOta::Trailing)));
        assert_eq!(facts.sizes.trailing, length as u64 - 4224);
        let facts = inspect(&gzip(&file));
        assert_eq!((facts.kind, facts.ota()), (Kind::ArduinoSketch, Err(NotOta::Trailing)));
    }
    // A sketch alone may be as long as one.
    let filler = (512 << 10) - Esp8266Image::new().build().unwrap().len();
    let file = Esp8266Image::new().filler(filler, 1).build().unwrap();
    assert_eq!(file.len(), 512 << 10);
    assert_eq!(inspect(&file).ota(), Ok(OtaTarget::Sketch));
}

#[test]
fn damage_is_seen() {
    let damaged = |at: usize| {
        let mut file = reference();
        file[at] ^= 1;
        inspect(&file)
    };
    // In eboot, which only its own checksum and the CRC cover.
    assert_eq!(damaged(20).checks.checksum, Verdict::Ok);
    assert_eq!(damaged(20).checks.boot_checksum, Verdict::Bad);
    assert_eq!(damaged(20).ota(), Err(NotOta::BootChecksum));
    // In the padding, the words, the data.
    assert_eq!(damaged(2000).ota(), Err(NotOta::Crc));
    assert_eq!(damaged(0x1010).ota(), Err(NotOta::Crc));
    assert_eq!(damaged(0x1014).ota(), Err(NotOta::Crc));
    assert_eq!(damaged(0x1014).checks.checksum, Verdict::Ok);
    assert_eq!(damaged(0x1030).checks.crc, Verdict::Bad);
    assert_eq!(damaged(0x1030).checks.checksum, Verdict::Bad);
    assert_eq!(damaged(0x1030).checks.boot_checksum, Verdict::Ok);
}

/// `file` with the CRC that belongs to it.
fn with_crc(mut file: Vec<u8>) -> Vec<u8> {
    let length: [u8; 4] = file[0x1010..0x1014].try_into().unwrap();
    file[0x1010..0x1018].fill(0);
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_MPEG_2).checksum(&file).to_le_bytes();
    file[0x1010..0x1014].copy_from_slice(&length);
    file[0x1014..0x1018].copy_from_slice(&crc);
    file
}

#[test]
fn a_right_crc_makes_up_for_a_checksum_nobody_looks_at() {
    // Data of the application, and its checksum: only the CRC is looked at.
    for at in [0x1030, 4223] {
        let mut file = reference();
        file[at] ^= 1;
        let facts = inspect(&with_crc(file));
        assert_eq!((facts.checks.crc, facts.checks.checksum), (Verdict::Ok, Verdict::Bad));
        assert_eq!(facts.checks.boot_checksum, Verdict::Ok);
        assert_eq!(facts.ota(), Ok(OtaTarget::Sketch));
    }
    // Data of eboot, and its checksum: the boot ROM looks at that.
    for at in [20, 47] {
        let mut file = reference();
        file[at] ^= 1;
        let facts = inspect(&with_crc(file));
        assert_eq!((facts.checks.crc, facts.checks.checksum), (Verdict::Ok, Verdict::Ok));
        assert_eq!(facts.checks.boot_checksum, Verdict::Bad);
        assert_eq!(facts.ota(), Err(NotOta::BootChecksum));
    }
}

#[test]
fn words_of_older_cores_are_no_bad_crc() {
    let zero = Esp8266Image::new().payload(&[0x11; 56]).without_crc().build().unwrap();
    let facts = inspect(&zero);
    assert_eq!((facts.checks.crc, facts.checks.checksum), (Verdict::Absent, Verdict::Ok));
    assert_eq!(facts.ota(), Ok(OtaTarget::Sketch));
    // Code in their place, which the checksum counts.
    let mut code = zero;
    code[0x1010..0x1018].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 9]);
    *code.last_mut().unwrap() ^= 9; // their XOR
    let facts = inspect(&code);
    assert_eq!((facts.checks.crc, facts.checks.checksum), (Verdict::Absent, Verdict::Ok));
    assert_eq!(facts.ota(), Ok(OtaTarget::Sketch));
}

#[test]
fn code_of_older_cores_may_xor_to_zero() {
    // Then the checksum is right whether it counts the code or not.
    for code in [[0x12, 0xC1, 0xF0, 2, 0x12, 0xC1, 0xF0, 2], [1, 2, 3, 4, 5, 6, 7, 0]] {
        let mut file = Esp8266Image::new().filler(1500, 120).build().unwrap();
        file[0x1010..0x1018].copy_from_slice(&code);
        // A signature is not part of the length.
        for facts in [inspect(&file), inspect(&signed(&file, 256))] {
            assert_eq!((facts.checks.crc, facts.checks.checksum), (Verdict::Absent, Verdict::Ok));
            assert_eq!(facts.ota(), Ok(OtaTarget::Sketch));
        }

        let mut damaged = file.clone();
        damaged[0x1030] ^= 1;
        assert_eq!(inspect(&damaged).ota(), Err(NotOta::Checksum));

        // The length is the file's: so the other word should be its CRC.
        let length = u32::try_from(file.len()).unwrap().to_le_bytes();
        file[0x1010..0x1014].copy_from_slice(&length);
        file[0x1014..0x1018].copy_from_slice(&length);
        let facts = inspect(&file);
        assert_eq!((facts.checks.crc, facts.checks.checksum), (Verdict::Bad, Verdict::Ok));
        assert_eq!(facts.ota(), Err(NotOta::Crc));
    }
}

#[test]
fn segment_lengths_need_not_be_multiples_of_four() {
    let file = Esp8266Image::new().filler(61, 3).build().unwrap();
    let facts = inspect(&file);
    assert_eq!(facts.segments[0].length, 69);
    assert_eq!(facts.ota(), Ok(OtaTarget::Sketch));
}

#[test]
fn other_esp8266_images_are_told_apart() {
    // eboot alone, with and without its padding.
    for length in [48, 4096] {
        let facts = inspect(&reference()[..length]);
        assert_eq!((facts.kind, facts.ota()), (Kind::BootLoader, Err(NotOta::BootLoader)));
    }
    let app = &reference()[4096..];
    let facts = inspect(app);
    assert_eq!((facts.kind, facts.ota()), (Kind::PlainV1, Err(NotOta::PlainV1)));
    assert_eq!((facts.chip, facts.entry), (Some(Chip::Esp8266), Some(0x4010_0004)));

    let mut sdk = vec![0xEA, 4, 3, 0x2F, 0x04, 0x00, 0x10, 0x40, 0x10, 0x10, 0x20, 0x40];
    sdk.resize(600, 0);
    let facts = inspect(&sdk);
    assert_eq!((facts.kind, facts.ota()), (Kind::SdkV2, Err(NotOta::SdkV2)));
    assert_eq!((facts.chip, facts.entry), (Some(Chip::Esp8266), Some(0x4010_0004)));
    let flash = facts.flash.unwrap();
    assert_eq!((flash.mode, flash.size), (FlashMode::Dout, Some(1 << 20)));
}

#[test]
fn an_impossible_segment_count_is_a_fault() {
    for count in [0, 17] {
        let mut file = reference();
        file[0x1001] = count;
        let facts = inspect(&file);
        assert_eq!(facts.kind, Kind::ArduinoSketch);
        assert_eq!(facts.ota(), Err(NotOta::Fault(Fault::SegmentCount(count))));
        file[1] = count;
        assert_eq!(inspect(&file).ota(), Err(NotOta::Fault(Fault::SegmentCount(count))));
    }
}
