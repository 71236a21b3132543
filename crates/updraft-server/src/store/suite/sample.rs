//! Rows for the cases, made short.

use std::time::Duration;

use updraft_core::{Chip, Family};

use super::{Fixture, at, by};
use crate::catalog::image::{Image, Target};
use crate::check_in::{DeviceId, Mac};
use crate::digest::Digest;
use crate::fleet::{
    Admission, Attempt, AttemptKey, Conflict, Counts, Device, DeviceKey, Goal, GzipUse, KnownChip,
    KnownFrom, LastTwo, Part, ProductName, ReleaseKey, Reported, Rhythm, Settings, SketchDigest,
    State, Strength,
};
use crate::store::devices::Registered;
use crate::store::images::NewImage;
use crate::store::releases::{NewRelease, NewReleaseImage};

/// A MAC with this end.
pub(super) fn mac(end: u32) -> Mac {
    Mac::read(format!("5CCF7F{end:06X}").as_bytes()).unwrap()
}

/// An image all of whose digests are of this number.
pub(super) fn image(number: u8) -> Image {
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
        sha256: Digest([number; 32]),
        running_md5: (0..4).map(|mode| md5(number, mode)).collect(),
        running_sha256: None,
    }
}

/// What a device reports that runs image `number` in this flash mode.
pub(super) fn md5(number: u8, mode: u8) -> Digest<16> {
    let mut digest = [number; 16];
    digest[15] = mode;
    Digest(digest)
}

/// An upload of [`image`].
pub(super) fn upload(number: u8, file: &str) -> NewImage {
    let name = format!("door-{number}.bin");
    NewImage { image: image(number), name, file: file.into(), signed_by: None }
}

/// A device that runs image `number` in mode DIO.
pub(super) fn device(end: u32, number: u8) -> Device {
    Device {
        key: DeviceKey(0),
        identity: DeviceId::Mac(mac(end)),
        family: Family::Esp8266,
        chip: Some(KnownChip { chip: Chip::Esp8266, from: KnownFrom::Client }),
        name: None,
        notes: String::new(),
        tags: [].into(),
        product: None,
        channel: None,
        pin: None,
        admission: Admission::Accepted,
        is_blocked: false,
        is_hands_off: false,
        adopted: None,
        gzip: GzipUse::Unproven,
        filesystem_size: None,
        reported: Reported {
            version: Some(format!("1.{number}")),
            sketch_md5: Some(md5(number, 2)),
            sketch_sha256: None,
            sketch_size: Some(400_000),
            free_space: Some(1_695_744),
            chip_size: Some(4 << 20),
            sdk: Some("2.2.2".into()),
            flash_mode: Some(2),
            address: Some("192.0.2.7".parse().unwrap()),
        },
        first_seen: at(0),
        last_seen: at(0),
        rhythm: Rhythm { interval: Duration::from_mins(5), intervals: 3 },
        conflict: Conflict::default(),
        strays: LastTwo::default(),
    }
}

/// An attempt that is being offered.
pub(super) fn attempt(device: DeviceKey, goal: Goal, number: u8, second: i64) -> Attempt {
    Attempt {
        key: AttemptKey(0),
        device,
        part: Part::Sketch,
        goal,
        image: Digest([number; 32]),
        from: Some(SketchDigest::Md5(md5(9, 2))),
        from_version: Some("1.9".into()),
        address: Some("192.0.2.7".parse().unwrap()),
        strength: Strength::Weak,
        state: State::Offered,
        state_since: at(second),
        cause: None,
        size: 400_000,
        acknowledged: 0,
        proof: None,
        opened_at: at(second),
        offered_at: at(second),
        running_at: None,
        counts: Counts::default(),
        watch: LastTwo::default(),
    }
}

impl Fixture {
    /// Registers [`device`].
    pub(super) async fn device(&self, end: u32, number: u8) -> DeviceKey {
        match self.store.register(device(end, number), Vec::new(), 10_000).await.unwrap() {
            Registered::New(key) => key,
            other => panic!("{other:?}"),
        }
    }

    /// Makes the product `door`.
    pub(super) async fn door(&self) -> ProductName {
        let door: ProductName = "door".parse().unwrap();
        self.store.create_product(door.clone(), Settings::default(), &by(1)).await.unwrap();
        door
    }

    /// Publishes version `1.<number>` of a product, with image `number`.
    pub(super) async fn release(&self, product: &ProductName, number: u8) -> ReleaseKey {
        let new = upload(number, &format!("file-{number}"));
        self.store.add_image(new, &by(2)).await.unwrap();
        self.store.publish(new_release(product, number), &by(3)).await.unwrap().key
    }
}

/// See [`Fixture::release`].
pub(super) fn new_release(product: &ProductName, number: u8) -> NewRelease {
    NewRelease {
        product: product.clone(),
        version: format!("1.{number}"),
        sort_key: format!("a1b{number:03}"),
        notes: "less noise".into(),
        images: vec![NewReleaseImage {
            part: Part::Sketch,
            chip: Some(Chip::Esp8266),
            flash_size: Some(4 << 20),
            image: Digest([number; 32]),
        }],
    }
}
