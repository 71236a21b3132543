//! Devices: registering, finding, deciding for them, importing many.

use std::time::Duration;

use updraft_core::{Chip, Family};

use super::sample::{device, image, mac, md5, upload};
use super::{Fixture, at, by, on_both};
use crate::check_in::DeviceId;
use crate::fleet::{
    Admission, Conflict, Device, GzipUse, Hardware, KnownChip, KnownFrom, LastTwo, Place, Rhythm,
    RunningDigest, SketchDigest,
};
use crate::store::StoreError;
use crate::store::devices::{Edit, Filter, NEVER, Registered, Switch};
use crate::store::import::{Imported, ImportedCount};
use crate::store::inventory::Builds;
use crate::store::page::Page;

on_both! {
    a_device_is_kept_as_it_is,
    a_device_is_registered_once,
    strangers_are_limited,
    a_device_has_a_name_a_mac_and_a_number,
    what_people_decide_is_kept,
    the_latest_check_in_counts,
    people_know_better_than_check_ins,
    a_removed_device_is_forgotten,
    devices_are_filtered_and_paged,
    an_unknown_build_is_named_once_its_image_comes,
    a_hundred_thousand_devices_are_imported_in_seconds,
    an_import_leaves_what_it_does_not_name,
    files_that_nothing_needs_are_given_up,
    what_lies_in_the_catalog_is_known,
}

async fn a_device_is_kept_as_it_is(on: Fixture) {
    for identity in [DeviceId::Mac(mac(1)), DeviceId::ChipId(0x00B1_E042)] {
        let whole = Device {
            identity,
            admission: Admission::Pending,
            conflict: Conflict {
                since: Some(at(3)),
                other_hardware: Some(Hardware { family: Family::Esp32, chip_size: Some(16 << 20) }),
                other_digest: Some(SketchDigest::Md5(md5(7, 0))),
                flips: 2,
                flips_since: Some(at(2)),
            },
            strays: LastTwo { last: Some(at(4)), before: Some(at(1)) },
            gzip: GzipUse::Confirmed,
            ..device(1, 5)
        };
        let registered = on.store.register(whole.clone(), Vec::new(), 9).await.unwrap();
        let Registered::New(key) = registered else { panic!("{registered:?}") };
        assert_eq!(on.store.device(key).await.unwrap(), Device { key, ..whole.clone() });
        let edited = on.store.edit_device(key, vec![Edit::NoConflict], &by(9)).await.unwrap();
        assert_eq!(edited, Device { key, conflict: Conflict::default(), ..whole });
    }
}

async fn a_device_is_registered_once(on: Fixture) {
    let other = on.another().await;
    let (one, two) = tokio::join!(
        on.store.register(device(1, 1), Vec::new(), 9),
        other.register(device(1, 1), Vec::new(), 9)
    );
    let keys = match (one.unwrap(), two.unwrap()) {
        (Registered::New(new), Registered::Known(known))
        | (Registered::Known(known), Registered::New(new)) => (new, known),
        other => panic!("{other:?}"),
    };
    assert_eq!(keys.0, keys.1);
    let situation = other.situation(DeviceId::Mac(mac(1))).await.unwrap().unwrap();
    assert_eq!(situation.device.key, keys.0);
    assert_eq!(other.situation(DeviceId::Mac(mac(2))).await.unwrap(), None);
    other.close().await;
}

async fn strangers_are_limited(on: Fixture) {
    let first = on.device(1, 1).await;
    on.device(2, 1).await;
    let register = async |end| on.store.register(device(end, 1), Vec::new(), 2).await.unwrap();
    assert_eq!(register(3).await, Registered::Full);
    assert_eq!(register(1).await, Registered::Known(first));
    // A person knows one of them: it is no stranger any more.
    let edits = vec![Edit::Admission(Admission::Accepted)];
    on.store.edit_device(first, edits, &by(1)).await.unwrap();
    assert!(matches!(register(3).await, Registered::New(_)));
    assert_eq!(register(4).await, Registered::Full);
}

async fn a_device_has_a_name_a_mac_and_a_number(on: Fixture) {
    let key = on.device(0xB1_E042, 1).await;
    let name = vec![Edit::Name(Some("Küche 1".into()))];
    on.store.edit_device(key, name.clone(), &by(1)).await.unwrap();
    let number = key.0.to_string();
    for name in ["Küche 1", "5C:CF:7F:B1:E0:42", "5ccf7fb1e042", &number] {
        assert_eq!(on.store.device_named(name).await.unwrap(), key, "{name}");
    }
    for name in ["", "küche", "5C:CF:7F:B1:E0:43", "-1", "99999"] {
        let error = on.store.device_named(name).await.unwrap_err();
        assert!(matches!(error, StoreError::Missing { .. }), "{name}: {error:?}");
    }
    let other = on.device(2, 1).await;
    let error = on.store.edit_device(other, name, &by(2)).await.unwrap_err();
    assert_eq!(error.to_string(), "there is a device \"Küche 1\" already");
}

async fn what_people_decide_is_kept(on: Fixture) {
    let door = on.door().await;
    let release = on.release(&door, 1).await;
    let key = on.device(1, 1).await;
    let chip = KnownChip { chip: Chip::Esp8266, from: KnownFrom::Person };
    let edits = vec![
        Edit::Name(Some("front door".into())),
        Edit::Notes("behind the \"panel\"".into()),
        Edit::Tag("desk".parse().unwrap()),
        Edit::Tag("kitchen".parse().unwrap()),
        Edit::Tag("kitchen".parse().unwrap()),
        Edit::Untag("desk".parse().unwrap()),
        Edit::Product(Some(door.clone())),
        Edit::Channel(Some("beta".parse().unwrap())),
        Edit::Pin(Some(release)),
        Edit::Admission(Admission::Pending),
        Edit::Block(Switch::On),
        Edit::HandsOff(Switch::On),
        Edit::Adopt(Some(SketchDigest::Md5(md5(1, 2)))),
        Edit::Gzip(GzipUse::Never),
        Edit::FilesystemSize(Some(1 << 20)),
        Edit::Chip(Some(chip)),
    ];
    let edited = on.store.edit_device(key, edits, &by(4)).await.unwrap();
    let expected = Device {
        key,
        name: Some("front door".into()),
        notes: "behind the \"panel\"".into(),
        tags: ["kitchen".parse().unwrap()].into(),
        product: Some(door),
        channel: Some("beta".parse().unwrap()),
        pin: Some(release),
        admission: Admission::Pending,
        is_blocked: true,
        is_hands_off: true,
        adopted: Some(SketchDigest::Md5(md5(1, 2))),
        gzip: GzipUse::Never,
        filesystem_size: Some(1 << 20),
        chip: Some(chip),
        ..device(1, 1)
    };
    assert_eq!(edited, expected);
    assert_eq!(on.store.device(key).await.unwrap(), expected);
    let edits = vec![Edit::Block(Switch::Off), Edit::HandsOff(Switch::Off)];
    let edited = on.store.edit_device(key, edits, &by(5)).await.unwrap();
    assert!(!edited.is_blocked && !edited.is_hands_off);
    // A pin goes with its product.
    let moved = on.store.edit_device(key, vec![Edit::Product(None)], &by(5)).await.unwrap();
    assert_eq!(moved.pin, None);
    let error = on.store.edit_device(key, vec![Edit::Pin(Some(release))], &by(6)).await;
    assert!(matches!(error, Err(StoreError::Missing { .. })), "{error:?}");
}

async fn the_latest_check_in_counts(on: Fixture) {
    let key = on.device(1, 1).await;
    let rhythm = Rhythm { interval: Duration::from_mins(1), intervals: 9 };
    let seen = |second, number| Device { key, last_seen: at(second), rhythm, ..device(1, number) };
    on.store.observe(vec![seen(20, 2)]).await.unwrap();
    on.store.observe(vec![seen(10, 3)]).await.unwrap();
    let found = on.store.device(key).await.unwrap();
    assert_eq!((found.last_seen, found.rhythm), (at(20), rhythm));
    assert_eq!(found.reported, seen(20, 2).reported);
}

async fn people_know_better_than_check_ins(on: Fixture) {
    let key = on.device(1, 1).await;
    let chip = KnownChip { chip: Chip::Esp8266, from: KnownFrom::Person };
    let edits = vec![Edit::Chip(Some(chip)), Edit::Gzip(GzipUse::Always)];
    on.store.edit_device(key, edits, &by(1)).await.unwrap();
    let seen = Device {
        key,
        chip: None,
        gzip: GzipUse::Confirmed,
        name: Some("x".into()),
        last_seen: at(9),
        ..device(1, 2)
    };
    on.store.observe(vec![seen]).await.unwrap();
    let found = on.store.device(key).await.unwrap();
    assert_eq!((found.chip, found.gzip, found.name), (Some(chip), GzipUse::Always, None));
    assert_eq!(found.last_seen, at(9));
}

async fn a_removed_device_is_forgotten(on: Fixture) {
    let key = on.device(1, 1).await;
    let edits = vec![Edit::Tag("desk".parse().unwrap())];
    on.store.edit_device(key, edits, &by(1)).await.unwrap();
    on.store.remove_device(key, &by(2)).await.unwrap();
    assert!(on.store.device(key).await.is_err());
    assert!(on.store.remove_device(key, &by(3)).await.is_err());
    // A check-in that was under way changes nothing.
    on.store.observe(vec![Device { key, ..device(1, 1) }]).await.unwrap();
    let again = on.device(1, 1).await;
    assert!(on.store.device(again).await.unwrap().tags.is_empty());
    assert_ne!(again, key);
}

async fn devices_are_filtered_and_paged(on: Fixture) {
    let door = on.door().await;
    for end in 1..=20 {
        let key = on.device(end, u8::try_from(end % 3).unwrap()).await;
        if end % 2 == 0 {
            let edits = vec![Edit::Product(Some(door.clone())), Edit::Tag("even".parse().unwrap())];
            on.store.edit_device(key, edits, &by(1)).await.unwrap();
        }
    }
    let count = async |filter: Filter| {
        let (mut page, mut seen) = (Page::first(4), Vec::new());
        loop {
            let piece = on.store.devices(filter.clone(), page.clone()).await.unwrap();
            assert!(piece.items.len() <= 4);
            seen.extend(piece.items.into_iter().map(|device| device.key));
            match piece.next {
                Some(next) => page.after = Some(next),
                None => break,
            }
        }
        assert!(seen.is_sorted());
        seen.dedup();
        seen.len()
    };
    let all = Filter::default();
    assert_eq!(count(all.clone()).await, 20);
    assert_eq!(count(Filter { product: Some(door.clone()), ..all.clone() }).await, 10);
    assert_eq!(count(Filter { tag: Some("even".parse().unwrap()), ..all.clone() }).await, 10);
    let running = Some(SketchDigest::Md5(md5(0, 2)));
    assert_eq!(count(Filter { running, ..all.clone() }).await, 6);
    assert_eq!(count(Filter { running, product: Some(door), ..all.clone() }).await, 3);
    assert_eq!(count(Filter { admission: Some(Admission::Pending), ..all }).await, 0);
}

async fn an_unknown_build_is_named_once_its_image_comes(on: Fixture) {
    for (end, number) in [(1, 1), (2, 1), (3, 2)] {
        on.device(end, number).await;
    }
    let unknown =
        async || on.store.inventory(None, Builds::Unknown, Page::first(9)).await.unwrap().items;
    let builds = unknown().await;
    assert_eq!(builds.iter().map(|build| build.devices).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(builds[0].digest, SketchDigest::Md5(md5(1, 2)));
    assert_eq!((builds[0].image, builds[0].version.as_deref()), (None, Some("1.1")));
    let revision = on.store.revision();
    let added = on.store.add_image(upload(1, "file-1"), &by(1)).await.unwrap();
    assert_eq!((added.running, added.file.as_str()), (2, "file-1"));
    assert!(on.store.revision() > revision, "what was decided on an unknown build is outdated");
    assert_eq!(unknown().await.len(), 1);
    let digest = SketchDigest::Md5(md5(2, 2));
    let learnt = RunningDigest { digest, image: image(1).sha256, flash_mode: Some(2) };
    on.store.learn_digest(learnt).await.unwrap();
    assert!(unknown().await.is_empty());
    let all = on.store.inventory(None, Builds::All, Page::first(1)).await.unwrap();
    assert_eq!(all.items[0].name.as_deref(), Some("door-1.bin"));
    assert_eq!(all.items[0].image, Some(image(1).sha256));
    let rest = Page { after: all.next, limit: 9 };
    let rest = on.store.inventory(None, Builds::All, rest).await.unwrap();
    assert_eq!(rest.items.iter().map(|build| build.devices).collect::<Vec<_>>(), [1]);
    let door = on.door().await;
    let none = on.store.inventory(Some(door), Builds::All, Page::first(9)).await.unwrap();
    assert!(none.items.is_empty());
}

fn imported(end: u32) -> Imported {
    Imported {
        mac: mac(end),
        family: Family::Esp8266,
        chip: None,
        name: None,
        notes: None,
        product: Some("door".parse().unwrap()),
        channel: None,
        tags: [].into(),
    }
}

async fn a_hundred_thousand_devices_are_imported_in_seconds(on: Fixture) {
    on.door().await;
    let list = (0..100_000)
        .map(|end| Imported {
            name: Some(format!("door {end}")),
            tags: [format!("floor-{}", end % 30).parse().unwrap()].into(),
            ..imported(end)
        })
        .collect();
    let anna = by(1);
    let work = on.store.import(list, &anna);
    let count = tokio::time::timeout(Duration::from_secs(30), work).await;
    assert_eq!(count.unwrap().unwrap(), ImportedCount { new: 100_000, known: 0 });
    assert_eq!(on.store.device_count().await.unwrap(), 100_000);
    let key = on.store.device_named("door 99999").await.unwrap();
    let found = on.store.device(key).await.unwrap();
    assert_eq!(found.tags, ["floor-9".parse().unwrap()].into());
    assert_eq!((found.last_seen, found.first_seen), (NEVER, at(1)));
}

async fn an_import_leaves_what_it_does_not_name(on: Fixture) {
    on.door().await;
    let key = on.device(1, 1).await;
    let edits = vec![
        Edit::Name(Some("front".into())),
        Edit::Notes("old".into()),
        Edit::Tag("desk".parse().unwrap()),
    ];
    on.store.edit_device(key, edits, &by(1)).await.unwrap();
    let tags = ["kitchen".parse().unwrap()].into();
    let list = vec![Imported { tags, ..imported(1) }, imported(2)];
    let count = on.store.import(list, &by(2)).await.unwrap();
    assert_eq!(count, ImportedCount { new: 1, known: 1 });
    let found = on.store.device(key).await.unwrap();
    assert_eq!((found.name.as_deref(), found.notes.as_str()), (Some("front"), "old"));
    assert_eq!(found.product, Some("door".parse().unwrap()));
    assert_eq!(found.tags, ["desk".parse().unwrap(), "kitchen".parse().unwrap()].into());
    assert_eq!(found.reported, device(1, 1).reported);
    // All or nothing: the second one takes a name that is taken.
    let list = vec![imported(3), Imported { name: Some("front".into()), ..imported(4) }];
    let error = on.store.import(list, &by(3)).await.unwrap_err();
    assert!(matches!(error, StoreError::Exists { .. }), "{error:?}");
    assert_eq!(on.store.device_count().await.unwrap(), 2);
}

async fn files_that_nothing_needs_are_given_up(on: Fixture) {
    let door = on.door().await;
    on.release(&door, 1).await;
    on.store.add_image(upload(2, "file-2"), &by(10)).await.unwrap();
    on.store.add_image(upload(3, "file-3"), &by(20)).await.unwrap();
    // Uploaded again: it keeps its file, and is young again.
    let again = on.store.add_image(upload(3, "other-3"), &by(40)).await.unwrap();
    assert_eq!(again.file, "file-3");
    assert_eq!(on.store.drop_unused_files(at(30)).await.unwrap(), ["file-2"]);
    assert_eq!(on.store.drop_unused_files(at(30)).await.unwrap(), [] as [String; 0]);
    let gone = on.store.image(image(2).sha256).await.unwrap();
    assert_eq!((gone.file, gone.stored.place), (None, Place::Gone));
    let files = ["file-1", "file-2", "other-3"].map(str::to_owned).to_vec();
    assert_eq!(on.store.strays(files).await.unwrap(), ["file-2", "other-3"]);
    let all = on.store.images(Page::first(9)).await.unwrap().items;
    assert_eq!(all.len(), 3, "what a device may still run stays known");
}

async fn what_lies_in_the_catalog_is_known(on: Fixture) {
    on.device(1, 1).await;
    let place = async |number: u8| on.store.image(image(number).sha256).await.unwrap().stored.place;
    let revision = on.store.revision();
    on.store.see_catalog(vec![(image(1), "door.bin".into())], at(1)).await.unwrap();
    assert!(on.store.revision() > revision);
    assert_eq!(place(1).await, Place::Catalog);
    let builds = on.store.inventory(None, Builds::All, Page::first(9)).await.unwrap().items;
    assert_eq!(builds[0].name.as_deref(), Some("door.bin"));
    let revision = on.store.revision();
    on.store.see_catalog(vec![(image(1), "door.bin".into())], at(2)).await.unwrap();
    assert_eq!(on.store.revision(), revision, "nothing new, nothing to decide anew");
    on.store.see_catalog(vec![(image(2), "door.bin".into())], at(3)).await.unwrap();
    assert_eq!((place(1).await, place(2).await), (Place::Gone, Place::Catalog));
    on.store.add_image(upload(2, "file-2"), &by(4)).await.unwrap();
    assert_eq!(place(2).await, Place::Store);
    let shelf = on.store.shelf().await.unwrap();
    assert_eq!((shelf.rows.images.len(), shelf.revision), (2, on.store.revision()));
    assert_eq!(shelf.files, [(image(2).sha256, "file-2".to_owned())].into());
    let digest = SketchDigest::Md5(md5(2, 1));
    let running = shelf.rows.digests.iter().find(|running| running.digest == digest).unwrap();
    assert_eq!((running.image, running.flash_mode), (image(2).sha256, Some(1)));
}
