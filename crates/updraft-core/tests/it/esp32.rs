//! Images of the ESP32 family; the reference is written by hand.

use updraft_core::{
    Chip, Fault, FlashMode, Kind, NotOta, OtaTarget, Places, RunningMd5, Segment, Signature,
    SignatureKey, Verdict,
};
use updraft_pack::{Esp32Image, esp32_boot_loader, filler, merged_flash, partition_table};

use crate::{hex, inspect};

/// A field of `N` bytes that starts with `text`.
fn field<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [0; N];
    field[..text.len()].copy_from_slice(text.as_bytes());
    field
}

fn reference() -> Vec<u8> {
    let mut file = vec![0xE9, 2, 2, 0x20, 0x00, 0x00, 0x08, 0x40, 0xEE, 0, 0, 0];
    file.extend([0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0, 1]);
    file.extend([0x20, 0x00, 0x40, 0x3F, 0x0C, 0x01, 0, 0]);
    file.extend([0x32, 0x54, 0xCD, 0xAB, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.extend(field::<32>("1.2.3"));
    file.extend(field::<32>("demo"));
    file.extend(field::<16>("12:34:56"));
    file.extend(field::<16>("Jan  1 2026"));
    file.extend(field::<32>("v5.5.1"));
    file.extend(0..32);
    file.extend([0, 0, 99, 0, 16, 0]);
    file.extend([0; 74]);
    file.extend(b"hello world\0");
    file.extend([0x00, 0x00, 0x08, 0x40, 16, 0, 0, 0]);
    file.extend([0x33; 16]);
    file.extend([0; 11]);
    file.push(0x9C);
    file.extend([
        0xB1, 0x71, 0x25, 0xF6, 0xA2, 0x76, 0x43, 0x05, 0xB2, 0xD4, 0xF9, 0xD5, 0x6F, 0x95, 0xBB,
        0xA7, 0xCA, 0x34, 0x2A, 0x9A, 0xD0, 0xF8, 0xFD, 0x44, 0x3A, 0x32, 0xDE, 0xE3, 0xFB, 0xD6,
        0xCF, 0x4F,
    ]);
    file
}

#[test]
fn the_reference_application_is_read_right() {
    let file = reference();
    assert_eq!(file.len(), 368);
    let facts = inspect(&file);
    assert_eq!(facts.kind, Kind::Esp32App);
    assert_eq!(facts.chip, Some(Chip::Esp32));
    let flash = facts.flash.unwrap();
    assert_eq!(flash.mode, FlashMode::Dio);
    assert_eq!((flash.size, flash.frequency_mhz), (Some(4 << 20), Some(40)));
    assert_eq!(facts.entry, Some(0x4008_0000));
    assert_eq!(
        *facts.segments,
        [
            Segment { address: 0x3F40_0020, length: 268, offset: 32 },
            Segment { address: 0x4008_0000, length: 16, offset: 308 },
        ]
    );
    let descriptor = facts.descriptor.unwrap();
    assert_eq!(descriptor.secure_version, 1);
    assert_eq!((&*descriptor.version, &*descriptor.project), ("1.2.3", "demo"));
    assert_eq!((&*descriptor.time, &*descriptor.date), ("12:34:56", "Jan  1 2026"));
    assert_eq!(&*descriptor.idf, "v5.5.1");
    assert_eq!(descriptor.elf_sha256, std::array::from_fn(|i| u8::try_from(i).unwrap()));
    assert_eq!((facts.version(), facts.project()), (Some("1.2.3"), Some("demo")));
    assert_eq!((facts.checks.checksum, facts.checks.hash), (Verdict::Ok, Verdict::Ok));
    assert_eq!(facts.checks.crc, Verdict::Absent);
    assert_eq!(facts.sizes.sketch, Some(368));
    assert_eq!(hex(facts.md5), "41af2eb6a2b77a770bb909b18168b199");
    assert_eq!(
        hex(facts.sha256),
        "17a69889003c46b63a544a9439b62bc4c3de914ea5516be0cdedc5db1791c9e2"
    );
    assert_eq!(facts.running.md5, RunningMd5::One(facts.md5));
    assert_eq!(
        hex(facts.running.sha256.unwrap()),
        "b17125f6a2764305b2d4f9d56f95bba7ca342a9ad0f8fd443a32dee3fbd6cf4f"
    );
    assert_eq!(facts.ota(), Ok(OtaTarget::Sketch));
}

#[test]
fn damage_is_seen() {
    let damaged = |at: usize| {
        let mut file = reference();
        file[at] ^= 1;
        inspect(&file)
    };
    let facts = damaged(310);
    assert_eq!(facts.checks.checksum, Verdict::Bad);
    assert_eq!(facts.ota(), Err(NotOta::Checksum));
    for at in [5, 340, 367] {
        let facts = damaged(at);
        assert_eq!((facts.checks.hash, facts.ota()), (Verdict::Bad, Err(NotOta::Hash)));
        assert_eq!(facts.running.sha256, None);
    }
}

#[test]
fn every_chip_is_told_and_its_boot_loader_is_no_application() {
    for chip in Chip::all().filter(|&chip| chip != Chip::Esp8266) {
        let app = Esp32Image::new(chip).filler(77, 4).code(&[5; 40]).build().unwrap();
        let facts = inspect(&app);
        assert_eq!((facts.kind, facts.chip), (Kind::Esp32App, Some(chip)));
        assert_eq!(facts.segments.len(), 3);
        assert_eq!(facts.ota(), Ok(OtaTarget::Sketch));

        let facts = inspect(&esp32_boot_loader(chip).unwrap());
        assert_eq!((facts.kind, facts.chip), (Kind::BootLoader, Some(chip)));
        assert_eq!(facts.ota(), Err(NotOta::BootLoader));

        let facts = inspect(&merged_flash(chip, &app).unwrap());
        assert_eq!((facts.kind, facts.chip), (Kind::MergedFlash, Some(chip)));
        assert_eq!(facts.ota(), Err(NotOta::MergedFlash));
        assert_eq!(facts.segments.len(), 3);
        assert_eq!(facts.segments[0].offset, 0x1_0020);
        assert_eq!(facts.checks.checksum, Verdict::Ok);
        assert_eq!(facts.checks.boot_checksum, Verdict::Ok);
        assert_eq!(facts.version(), Some("1.0.0"));
    }
}

#[test]
fn an_application_without_hash_has_none() {
    let app = Esp32Image::new(Chip::Esp32C3).without_hash().build().unwrap();
    let facts = inspect(&app);
    assert_eq!((facts.checks.checksum, facts.checks.hash), (Verdict::Ok, Verdict::Absent));
    assert_eq!((facts.running.md5, facts.running.sha256), (RunningMd5::One(facts.md5), None));
    assert_eq!(facts.ota(), Ok(OtaTarget::Sketch));
}

#[test]
fn an_application_without_descriptor_is_told_by_its_mapped_segment() {
    let mut app = Esp32Image::new(Chip::Esp32).without_hash().build().unwrap();
    app[32] = 0;
    *app.last_mut().unwrap() ^= 0x32;
    let facts = inspect(&app);
    assert_eq!((facts.kind, facts.descriptor), (Kind::Esp32App, None));
    assert_eq!(facts.ota(), Ok(OtaTarget::Sketch));
}

#[test]
fn signatures_are_recognised_by_their_place() {
    let app = reference();
    let facts_with = |tail: &[u8]| inspect(&[&app, tail].concat());
    let padding = vec![0xFF; 4096 - app.len()];

    for version in [2, 3] {
        let mut sector = vec![0xE7, version, 0, 0];
        sector.extend(filler(1212, 5));
        sector.resize(4096, 0xFF);
        let facts = facts_with(&[padding.clone(), sector].concat());
        assert_eq!(facts.signature, Some(Signature::SecureBootV2 { blocks: 1 }));
        assert_eq!((facts.sizes.payload, facts.sizes.trailing), (368, 0));
        assert_eq!(facts.running, inspect(&app).running);
        assert_eq!(facts.ota(), Ok(OtaTarget::Sketch));
    }
    let facts = facts_with(&[&[0; 4], &filler(64, 6)[..]].concat());
    assert_eq!((facts.signature, facts.sizes.payload), (Some(Signature::SecureBootV1), 368));
    let facts = facts_with(&filler(512, 7));
    assert_eq!((facts.signature, facts.sizes.payload), (Some(Signature::ArduinoEsp32), 368));

    for tail in
        [vec![0xFF; 512], vec![0; 512], filler(68, 8), vec![1; 7], vec![0xFF; 2 * 4096 - 368]]
    {
        let facts = facts_with(&tail);
        assert_eq!((facts.signature, facts.sizes.trailing), (None, tail.len() as u64));
        assert_eq!(facts.ota(), Ok(OtaTarget::Sketch));
    }
}

#[test]
fn the_key_of_a_signature_is_told_where_the_bytes_say_it() {
    use SignatureKey::{P, Rsa};
    let app = reference();
    let check = |tail: &[u8], key| {
        let facts = inspect(&[&app, tail].concat());
        assert!(facts.signature.is_some());
        assert_eq!(facts.key, key, "{:?}", &tail[..4]);
    };
    for (version, hash, curve, key) in [
        (2, 0, 9, Some(Rsa(3072))),
        (3, 0, 1, Some(P(192))),
        (3, 0, 2, Some(P(256))),
        (3, 0, 4, None),
        (3, 1, 3, Some(P(384))),
    ] {
        let mut sector = vec![0xFF; 4096 - app.len() + 4096];
        let block = &mut sector[4096 - app.len()..];
        block[..4].copy_from_slice(&[0xE7, version, hash, 0]);
        block[if hash == 1 { 52 } else { 36 }] = curve;
        check(&sector, key);
    }
    check(&[&[0; 4], &filler(64, 6)[..]].concat(), Some(P(256)));
    let field = |signature: &[u8]| {
        let mut field = signature.to_vec();
        field.resize(512, 0);
        field
    };
    for (length, bits) in [(256, 2048), (384, 3072), (512, 4096)] {
        check(&field(&vec![1; length]), Some(Rsa(bits)));
    }
    for (length, key) in [(70, P(256)), (72, P(256)), (102, P(384))] {
        let mut signature = vec![1; usize::from(length)];
        signature[..2].copy_from_slice(&[0x30, length - 2]);
        check(&field(&signature), Some(key));
    }
    check(&field(&[1; 70]), None);
}

#[test]
fn a_merged_dump_is_told_by_its_partition_table_too() {
    // Erased start, nothing at the places of boot loaders.
    let mut flash = vec![0xFF; 0x8000];
    flash.extend(partition_table());
    assert_eq!(inspect(&flash).kind, Kind::MergedFlash);
    // A table at another place, behind a boot loader at 0.
    for (offset, kind) in [(0x1_0000, Kind::MergedFlash), (0x2_1000, Kind::BootLoader)] {
        let mut flash = esp32_boot_loader(Chip::Esp32C3).unwrap();
        flash.resize(offset, 0xFF);
        flash.extend(partition_table());
        assert_eq!(inspect(&flash).kind, kind);
    }
    let places = |flash: &[u8]| {
        let Places { boot_loader, sketch_end, partition_table } = inspect(flash).places;
        assert_eq!(sketch_end, None);
        (boot_loader, partition_table)
    };
    assert_eq!(
        places(&merged_flash(Chip::Esp32, &reference()).unwrap()),
        (Some(0x1000), Some(0x8000))
    );
    assert_eq!(
        places(&merged_flash(Chip::Esp32C3, &reference()).unwrap()),
        (Some(0), Some(0x8000))
    );
    assert_eq!(places(&flash), (None, Some(0x8000)));
    let facts = inspect(&partition_table());
    assert_eq!((facts.kind, facts.ota()), (Kind::PartitionTable, Err(NotOta::PartitionTable)));
}

#[test]
fn a_full_text_field_has_no_end() {
    let app = Esp32Image::new(Chip::Esp32).version("x".repeat(32)).build().unwrap();
    assert_eq!(inspect(&app).version(), Some(&*"x".repeat(32)));
}

#[test]
fn an_impossible_header_is_no_application() {
    let mut file = reference();
    file[1] = 17;
    assert_eq!(inspect(&file).ota(), Err(NotOta::Fault(Fault::SegmentCount(17))));
    let mut file = reference();
    file[12] = 1; // no such chip
    let facts = inspect(&file);
    assert_eq!((facts.kind, facts.chip, facts.ota()), (Kind::Unknown, None, Err(NotOta::Unknown)));
}
