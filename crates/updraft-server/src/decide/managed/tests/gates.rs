//! Each gate has its own reason; and which image of a release is chosen.

use super::*;
use crate::fleet::ReleaseImage;

fn device_gate(world: &World, why: Why) {
    world.holds(Hold::Device(why));
}

#[test]
fn an_image_that_the_device_would_not_survive_is_not_sent() {
    let large = world().image(20, |stored| stored.image.size = 1_695_745);
    device_gate(&large, Why::TooLarge { needs: 1_699_840, free: 1_695_744 });
    let small = world().with(|world| world.check_in.chip_size = Some(1 << 20));
    device_gate(&small, Why::FlashSize { image: 4 << 20, chip: 1 << 20 });
    let esp32 = world().with(|world| world.check_in.family = Family::Esp32);
    device_gate(&esp32, Why::Family(Family::Esp8266));
    let one = esp32_world().with(|world| world.check_in.free_space = Some(0));
    device_gate(&one, Why::NoOtaPartition);
    let signed = world().runs(10, None).image(20, |stored| stored.image.signed = true);
    device_gate(&signed, Why::SignedMode);
    let bad = world().image(20, |stored| stored.image.target = Target::Never("bad CRC".into()));
    bad.holds(Hold::NotOta("bad CRC".into()));
    let gone = world().image(20, |stored| stored.place = Place::Gone);
    gone.holds(Hold::Gone);
}

#[test]
fn a_signed_image_for_an_unknown_flash_mode_is_noted() {
    let world = world().runs(99, Some("0.9")).image(20, |stored| stored.image.signed = true);
    assert_eq!(world.offers(20).note, Note::FlashModeUnknown);
}

#[test]
fn a_yanked_release_is_offered_to_nobody() {
    let yank = Yank { at: now(), by: "me".into(), why: "bricks".into() };
    let world = world().with(|world| world.rows.releases[1].yanked = Some(yank));
    world.holds(Hold::Yanked("1.1.0".into()));
    world.runs(20, None).is_up_to_date();
}

#[test]
fn a_product_that_demands_its_signature_sends_nothing_else() {
    let key = |number| KeyId(Digest([number; 32]));
    let world = world().runs(12, None).rules(|rules| {
        rules.signing_key = Some(PublicKey { id: key(1), pem: String::new() });
    });
    world.holds(Hold::Unsigned);
    let signed = |by| {
        let world = world.clone();
        world.image(20, |stored| (stored.image.signed, stored.signed_by) = (true, by))
    };
    signed(None).holds(Hold::WrongKey);
    signed(Some(key(2))).holds(Hold::WrongKey);
    signed(Some(key(1))).offers(20);
}

#[test]
fn an_esp32_gets_the_image_of_its_chip() {
    esp32_world().offers(120);
    let bench = |version| {
        esp32_world().with(|world| {
            world.check_in.sketch_sha256 = Some(Digest([99; 32]));
            world.check_in.version = Some(version);
        })
    };
    let old = bench("0.9".to_owned());
    old.holds(Hold::ChipUnknown(vec![Chip::Esp32S3, Chip::Esp32C3]));
    let known = KnownChip { chip: Chip::Esp32C3, from: KnownFrom::Person };
    old.clone().device(|device| device.chip = Some(known)).offers(130);
    let other = KnownChip { chip: Chip::Esp32S2, ..known };
    let other = old.clone().device(|device| device.chip = Some(other));
    device_gate(&other, Why::Chip { image: Chip::Esp32S3, device: Chip::Esp32S2 });
    let any = Image { chip: None, ..esp32_image(140, Chip::Esp32) };
    let with_any = other.with(|world| {
        let row = world.rows.release_images.last().unwrap().clone();
        let any_chip = ReleaseImage { chip: None, image: any.sha256, ..row };
        world.rows.release_images.push(any_chip);
        world.rows.images.push(stored(any));
    });
    with_any.offers(140);
    let only_one = old.with(|world| {
        world.rows.release_images.retain(|image| image.chip != Some(Chip::Esp32C3));
    });
    only_one.offers(120);
}

#[test]
fn the_image_for_the_largest_flash_that_fits_is_chosen() {
    let of = |number, flash_size| Image { flash_size: Some(flash_size), ..image(number) };
    let world = |chip_size| {
        world().with(|world| {
            let images = [of(50, 1 << 20), of(60, 2 << 20), of(70, 4 << 20)];
            publish(&mut world.rows, 3, "1.2.0", &images);
            world.rows.channels[0].release = Some(ReleaseKey(3));
            world.check_in.chip_size = chip_size;
        })
    };
    world(Some(16 << 20)).offers(70);
    world(Some(4 << 20)).offers(70);
    world(Some(3 << 20)).offers(60);
    world(Some(1 << 20)).offers(50);
    world(None).offers(50);
    device_gate(&world(Some(1 << 19)), Why::FlashSize { image: 1 << 20, chip: 1 << 19 });
}

/// 1.1.0 as a gzip, too.
pub(super) fn with_gzip() -> World {
    let gzip = Image {
        sha256: sha256(25),
        md5: Digest([25; 16]),
        size: 300_000,
        inflated: Some(400_000),
        ..image(20)
    };
    world().with(|world| {
        let plain = world.rows.release_images.iter().find(|i| i.image == sha256(20)).unwrap();
        let row = ReleaseImage { image: gzip.sha256, ..plain.clone() };
        world.rows.release_images.push(row);
        world.rows.images.push(stored(gzip));
    })
}

#[test]
fn a_gzip_goes_to_those_that_proved_to_take_one() {
    with_gzip().offers(20);
    let proven = || with_gzip().device(|device| device.gzip = GzipUse::Confirmed);
    assert_eq!(proven().offers(25).form, Form::Gzip);
    with_gzip().device(|device| device.gzip = GzipUse::Always).offers(25);
    with_gzip().rules(|rules| rules.gzip = GzipPolicy::Always).offers(25);
    proven().rules(|rules| rules.gzip = GzipPolicy::Never).offers(20);
    let always = with_gzip().rules(|rules| rules.gzip = GzipPolicy::Always);
    always.device(|device| device.gzip = GzipUse::Never).offers(20);
    // The mode inside is DIO; this one runs QIO, and that one nobody knows.
    proven().runs(10, None).offers(20);
    proven().runs(99, Some("0.9")).offers(20);
    proven()
        .with(|world| world.check_in.free_space = Some(300_000))
        .holds(Hold::Device(Why::TooLarge { needs: 401_408, free: 300_000 }));
    // Whoever runs it runs the release, however it came.
    proven().runs(22, None).is_up_to_date();
}

#[test]
fn where_there_is_only_a_gzip_it_is_said_why_it_is_not_sent() {
    let only =
        || with_gzip().with(|world| world.rows.release_images.retain(|i| i.image != sha256(20)));
    only().holds(Hold::OnlyGzip(NoGzip::Unproven));
    let proven = || only().device(|device| device.gzip = GzipUse::Confirmed);
    proven().offers(25);
    proven().runs(10, None).holds(Hold::OnlyGzip(NoGzip::Mode));
    proven().runs(99, Some("0.9")).holds(Hold::OnlyGzip(NoGzip::ModeUnknown));
    let tight = proven().with(|world| world.check_in.free_space = Some(299_000));
    tight.holds(Hold::OnlyGzip(NoGzip::Room));
    let key = PublicKey { id: KeyId(Digest([1; 32])), pem: String::new() };
    let unsigned = proven().rules(|rules| rules.signing_key = Some(key));
    unsigned.holds(Hold::OnlyGzip(NoGzip::Unsigned));
}
