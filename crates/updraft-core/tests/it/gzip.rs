//! Gzips: eboot takes every header, checks nothing, and so must be spared the wrong ones.

use updraft_core::{Fault, Inspector, Kind, NotOta, OtaTarget, RunningMd5, Signature, Verdict};

use crate::files::{app, littlefs, sketch};
use crate::{gzip, inspect, signed};

#[test]
fn a_gzip_of_a_sketch_is_that_sketch() {
    let plain = inspect(&sketch());
    let file = gzip(&sketch());
    let facts = inspect(&file);
    assert_eq!(facts.kind, Kind::ArduinoSketch);
    assert_eq!(facts.ota(), Ok(OtaTarget::Sketch));
    assert_eq!(facts.sizes.inflated, Some(plain.sizes.file));
    assert_eq!((facts.sizes.payload, facts.sizes.trailing), (file.len() as u64, 0));
    let wrapper = facts.gzip.unwrap();
    assert_eq!((u64::from(wrapper.isize), wrapper.crc), (plain.sizes.file, Verdict::Ok));
    assert_eq!((facts.checks, facts.running), (plain.checks, plain.running));
    assert_eq!((facts.segments, facts.entry), (plain.segments, plain.entry));
    assert!(facts.md5 != plain.md5 && matches!(facts.running.md5, RunningMd5::ByFlashMode(_)));
}

#[test]
fn a_gzip_may_be_signed() {
    let file = gzip(&sketch());
    let facts = inspect(&signed(&file, 256));
    assert_eq!(facts.signature, Some(Signature::Esp8266 { length: 256 }));
    assert_eq!((facts.sizes.payload, facts.sizes.trailing), (file.len() as u64, 0));
    assert_eq!(u64::from(facts.gzip.unwrap().isize), facts.sizes.inflated.unwrap());
    assert_eq!(facts.ota(), Ok(OtaTarget::Sketch));
}

#[test]
fn every_header_field_is_skipped() {
    let file = gzip(&sketch());
    let fields: [(u8, &[u8]); 4] =
        [(4, b"\x05\0extra"), (8, b"name\0"), (16, b"note\0"), (2, b"xx")];
    for set in 0..16_u8 {
        let mut wrapped = file[..10].to_vec();
        wrapped[3] = 1; // FTEXT
        for (i, (flag, bytes)) in fields.into_iter().enumerate() {
            if set & (1 << i) != 0 {
                wrapped[3] |= flag;
                wrapped.extend(bytes);
            }
        }
        wrapped.extend(&file[10..]);
        assert_eq!(inspect(&wrapped).ota(), Ok(OtaTarget::Sketch), "{set:04b}");
    }
    let mut empty_extra = file[..10].to_vec();
    empty_extra[3] = 4;
    empty_extra.extend([0, 0]);
    empty_extra.extend(&file[10..]);
    assert_eq!(inspect(&empty_extra).ota(), Ok(OtaTarget::Sketch));
}

#[test]
fn what_eboot_would_get_wrong_is_a_fault() {
    let file = gzip(&sketch());
    let end = file.len();
    let check = |change: &dyn Fn(&mut Vec<u8>), fault: Fault| {
        let mut file = file.clone();
        change(&mut file);
        let facts = inspect(&file);
        assert_eq!(facts.ota(), Err(NotOta::Fault(fault)));
        facts
    };
    check(&|file| file[2] = 7, Fault::GzipMethod(7));
    check(&|file| file[3] = 0x20, Fault::GzipFlags(0x20));
    check(&|file| file[10] = 7, Fault::GzipData);
    let facts = check(&|file| file[end - 8] ^= 1, Fault::GzipCrc);
    assert_eq!(facts.gzip.unwrap().crc, Verdict::Bad);
    check(&|file| file[end - 4] ^= 1, Fault::GzipSize);
    check(&|file| file.truncate(end - 1), Fault::Truncated);
    check(&|file| file.truncate(5), Fault::Truncated);
    let facts = check(&|file| file.extend([0; 16]), Fault::GzipTrailing);
    assert_eq!((facts.gzip.unwrap().isize, facts.sizes.trailing), (0, 16));
    check(&|file| file.extend([0x1F, 0]), Fault::GzipTrailing);
    check(&|second| second.extend(&file), Fault::GzipMembers);
    check(&|file| file[end - 4..].fill(0), Fault::GzipNoSize);
}

#[test]
fn only_sketches_may_be_gzips() {
    let facts = inspect(&gzip(&app()));
    assert_eq!((facts.kind, facts.ota()), (Kind::Esp32App, Err(NotOta::GzipOfEsp32)));
    assert_eq!(inspect(&gzip(&littlefs())).ota(), Err(NotOta::GzipOfFilesystem));
    let facts = inspect(&gzip(b"something else"));
    assert_eq!((facts.kind, facts.ota()), (Kind::Unknown, Err(NotOta::GzipNotEsp8266)));
}

#[test]
fn a_gzip_that_inflates_without_end_is_left() {
    let facts = inspect(&gzip(&vec![0; 17 << 20]));
    assert_eq!(facts.fault, Some(Fault::GzipTooBig));
}

#[test]
fn without_an_inflater_only_the_size_is_read() {
    for (file, signature) in [
        (gzip(&sketch()), None),
        (signed(&gzip(&sketch()), 64), Some(Signature::Esp8266 { length: 64 })),
    ] {
        let mut inspector = Inspector::new(file.len() as u64);
        inspector.update(&file);
        let facts = inspector.finish();
        assert_eq!((facts.kind, facts.ota()), (Kind::GzipUnread, Err(NotOta::GzipUnread)));
        let wrapper = facts.gzip.unwrap();
        assert_eq!((wrapper.isize as usize, wrapper.crc), (sketch().len(), Verdict::Absent));
        assert_eq!(
            (facts.signature, facts.sizes.payload),
            (signature, gzip(&sketch()).len() as u64)
        );
    }
}
