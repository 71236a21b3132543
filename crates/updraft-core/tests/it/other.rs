//! Filesystems, and what is nothing known.

use updraft_core::{Fault, FilesystemKind, Inspector, Kind, NotOta, OtaTarget, Signature};

use crate::files::{fat, littlefs, sketch, spiffs};
use crate::{inspect, signed};

#[test]
fn filesystems_are_told_apart() {
    for (image, kind) in [
        (littlefs(), FilesystemKind::LittleFs),
        (spiffs(4096, 2), FilesystemKind::Spiffs),
        (spiffs(8192, 128), FilesystemKind::Spiffs),
        (fat(), FilesystemKind::Fat),
    ] {
        let facts = inspect(&image);
        assert_eq!((facts.kind, facts.ota()), (Kind::Filesystem(kind), Ok(OtaTarget::Filesystem)));
        assert_eq!(facts.chip, None);

        let facts = inspect(&signed(&image, 256));
        assert_eq!((facts.kind, facts.ota()), (Kind::Filesystem(kind), Ok(OtaTarget::Filesystem)));
        assert_eq!(facts.signature, Some(Signature::Esp8266 { length: 256 }));
        assert_eq!(facts.sizes.payload, image.len() as u64);

        assert!(inspect(&image[..image.len() - 4096]).ota().is_err());
    }
}

#[test]
fn other_data_is_unknown() {
    let long_text = b"no firmware. ".repeat(900);
    for file in [&b""[..], b"\x1F", b"\x1F\x9D", b"\xE9", b"hello", &long_text, &[0xFF; 9000]] {
        let facts = inspect(file);
        assert_eq!((facts.kind, facts.chip), (Kind::Unknown, None));
        assert!(facts.ota().is_err());
    }
    assert_eq!(inspect(b"hello").ota(), Err(NotOta::Unknown));
    assert_eq!(inspect(b"\xE9").ota(), Err(NotOta::Fault(Fault::Truncated)));
}

#[test]
fn another_length_than_announced_is_a_fault() {
    let file = sketch();
    for announced in [file.len() - 1, file.len() + 1] {
        let mut inspector = Inspector::new(announced as u64);
        inspector.update(&file);
        assert_eq!(inspector.finish().ota(), Err(NotOta::Fault(Fault::Truncated)));
    }
}
