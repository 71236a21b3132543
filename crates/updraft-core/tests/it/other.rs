//! Filesystems, and what is nothing known.

use updraft_core::{
    Blocks, Fault, FilesystemKind, Inspector, Kind, NotOta, OtaEntry, OtaState, OtaTarget,
    Signature, SignatureKey,
};

use crate::files::{fat, littlefs, sketch, spiffs};
use crate::{inspect, signed};

#[test]
fn filesystems_are_told_apart() {
    for (image, kind, size, count) in [
        (littlefs(), FilesystemKind::LittleFs, 4096, 2),
        (spiffs(4096, 2), FilesystemKind::Spiffs, 4096, 2),
        (spiffs(8192, 128), FilesystemKind::Spiffs, 8192, 128),
        (fat(), FilesystemKind::Fat, 4096, 4),
    ] {
        let facts = inspect(&image);
        assert_eq!(facts.blocks, Some(Blocks { size, count }));
        assert_eq!((facts.kind, facts.ota()), (Kind::Filesystem(kind), Ok(OtaTarget::Filesystem)));
        assert_eq!(facts.chip, None);

        let facts = inspect(&signed(&image, 256));
        assert_eq!((facts.kind, facts.ota()), (Kind::Filesystem(kind), Ok(OtaTarget::Filesystem)));
        assert_eq!(facts.signature, Some(Signature::Esp8266 { length: 256 }));
        assert_eq!(facts.key, Some(SignatureKey::Rsa(2048)));
        assert_eq!(facts.sizes.payload, image.len() as u64);

        assert!(inspect(&image[..image.len() - 4096]).ota().is_err());
    }
}

#[test]
fn otadata_is_told_by_its_length_and_its_entries() {
    let entry = |sequence| OtaEntry::new(sequence, OtaState::Valid).to_bytes();
    let mut file = vec![0xFF; 0x2000];
    assert_eq!(inspect(&file).kind, Kind::Unknown);
    file[0x1000..0x1020].copy_from_slice(&entry(2));
    let facts = inspect(&file);
    assert_eq!((facts.kind, facts.ota()), (Kind::OtaData, Err(NotOta::OtaData)));
    // As an image of Espressif's SDK starts.
    file[..0x20].copy_from_slice(&entry(0x04EA));
    assert_eq!(inspect(&file).kind, Kind::OtaData);
    assert_eq!(inspect(&file[..0x1FFF]).kind, Kind::SdkV2);
    file[0x20] = 1;
    assert_eq!(inspect(&file).kind, Kind::OtaData);
    file[0x1000] = 3;
    assert_eq!(inspect(&file).kind, Kind::SdkV2);
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
