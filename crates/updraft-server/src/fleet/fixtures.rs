//! A small fleet for tests: an ESP8266 that runs door 1.0.0, and the releases there are of it.

use jiff::Timestamp;
use updraft_core::{Chip, Family};

use crate::catalog::image::{Image, Target};
use crate::check_in::{CheckIn, DeviceId, Mode};
use crate::digest::{Digest, Sha256};

use super::{
    Admission, Channel, ChannelName, Conflict, Device, DeviceKey, GzipUse, LastTwo, Part, Place,
    Product, PublishedRows, Release, ReleaseImage, ReleaseKey, Reported, Rhythm, Settings,
    StoredImage,
};

pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// An ESP8266 that runs image 10 in flash mode 2 (DIO).
pub(crate) fn check_in() -> CheckIn {
    CheckIn {
        family: Family::Esp8266,
        device: DeviceId::ChipId(1),
        mode: Mode::Sketch,
        version: Some("1.0.0".into()),
        sketch_md5: Some(Digest([12; 16])),
        sketch_sha256: None,
        sketch_size: Some(400_000),
        free_space: Some(1_695_744),
        chip_size: Some(4 << 20),
    }
}

/// The same, registered, as a device of `door`.
pub(crate) fn device() -> Device {
    let said = check_in();
    Device {
        key: DeviceKey(1),
        identity: said.device,
        family: said.family,
        chip: None,
        name: None,
        notes: String::new(),
        tags: std::collections::BTreeSet::new(),
        product: Some("door".parse().unwrap()),
        channel: None,
        pin: None,
        admission: Admission::Accepted,
        is_blocked: false,
        is_hands_off: false,
        adopted: None,
        gzip: GzipUse::Unproven,
        filesystem_size: None,
        reported: Reported {
            version: said.version,
            sketch_md5: said.sketch_md5,
            sketch_size: said.sketch_size,
            free_space: said.free_space,
            chip_size: said.chip_size,
            ..Reported::default()
        },
        first_seen: now(),
        last_seen: now(),
        rhythm: Rhythm::default(),
        conflict: Conflict::default(),
        strays: LastTwo::default(),
    }
}

/// An ESP8266 sketch: a device that runs it reports `number` plus its flash mode, 16 times.
pub(crate) fn image(number: u8) -> Image {
    Image {
        kind: "ESP8266 sketch".into(),
        target: Target::Sketch,
        chip: Some(Chip::Esp8266),
        size: 400_000,
        inflated: None,
        flash_size: Some(4 << 20),
        flash_mode: Some(2),
        signed: false,
        version: None,
        md5: Digest([number; 16]),
        sha256: sha256(number),
        running_md5: (0..4).map(|mode| Digest([number + mode; 16])).collect(),
        running_sha256: None,
    }
}

/// An ESP32 sketch: a device that runs it reports `number`, 32 times.
pub(crate) fn esp32_image(number: u8, chip: Chip) -> Image {
    Image {
        kind: "ESP32 application".into(),
        chip: Some(chip),
        running_md5: Vec::new(),
        running_sha256: Some(Digest([number; 32])),
        ..image(number)
    }
}

/// A filesystem image.
pub(crate) fn filesystem(number: u8) -> Image {
    Image {
        kind: "LittleFS filesystem".into(),
        target: Target::Filesystem,
        chip: None,
        flash_size: None,
        flash_mode: None,
        running_md5: Vec::new(),
        ..image(number)
    }
}

pub(crate) fn sha256(number: u8) -> Sha256 {
    Digest([number; 32])
}

pub(crate) fn stored(image: Image) -> StoredImage {
    StoredImage {
        name: format!("{}.bin", image.sha256.0[0]),
        image,
        stored_at: now(),
        place: Place::Store,
        signed_by: None,
    }
}

/// A release with these images.
pub(crate) fn publish(rows: &mut PublishedRows, key: i64, version: &str, images: &[Image]) {
    let product: super::ProductName = "door".parse().unwrap();
    for image in images {
        rows.release_images.push(ReleaseImage {
            release: ReleaseKey(key),
            part: if image.target == Target::Filesystem { Part::Filesystem } else { Part::Sketch },
            chip: image.chip,
            flash_size: image.flash_size,
            image: image.sha256,
        });
        rows.images.push(stored(image.clone()));
    }
    rows.releases.push(Release {
        key: ReleaseKey(key),
        sort_key: super::Version::read(version, product.as_str()).sort_key(),
        product,
        version: version.into(),
        yanked: None,
        notes: String::new(),
        published_at: now(),
        published_by: "ci".into(),
    });
}

/// A product with a channel `stable` that points to a release.
pub(crate) fn product(rows: &mut PublishedRows, name: &str, stable: Option<i64>) {
    let name: super::ProductName = name.parse().unwrap();
    rows.channels.push(Channel {
        product: name.clone(),
        name: ChannelName::stable(),
        release: stable.map(ReleaseKey),
        moved_at: now(),
        moved_by: "ci".into(),
    });
    rows.products.push(Product { name, created_at: now(), settings: Settings::default() });
}

/// Product `door` with 1.0.0 (image 10, release 1) and 1.1.0 (image 20 and filesystem 30, release 2),
/// which is stable.
pub(crate) fn door() -> PublishedRows {
    let mut rows = PublishedRows::default();
    product(&mut rows, "door", Some(2));
    publish(&mut rows, 1, "1.0.0", &[image(10)]);
    publish(&mut rows, 2, "1.1.0", &[image(20), filesystem(30)]);
    rows
}
