//! Who is let in, and which product answers.

use super::*;

fn unknown() -> World {
    world().with(|world| (world.device, world.product) = (None, Some("door")))
}

fn two_products() -> World {
    world().with(|world| {
        product(&mut world.rows, "temp", None);
        world.device.as_mut().unwrap().product = None;
    })
}

fn name(text: &str) -> ProductName {
    text.parse().unwrap()
}

#[test]
fn an_unknown_device_is_registered_and_served() {
    let told = unknown().told();
    assert_eq!(told.registration, Registration::New(Admission::Accepted));
    assert_eq!(told.product, Some((name("door"), ProductBy::Url)));
    unknown().offers(20);
}

#[test]
fn a_product_may_let_in_nobody_or_only_after_a_look() {
    let rule = |rule| unknown().rules(|rules| rules.unknown_devices = rule);
    let pending = rule(UnknownDevices::Pending);
    pending.holds(Hold::Pending);
    assert_eq!(pending.told().registration, Registration::New(Admission::Pending));
    let closed = rule(UnknownDevices::Closed);
    closed.refuses(Refusal::Closed);
    assert_eq!(closed.told().registration, Registration::Not);
    // Whoever is known stays known.
    world().rules(|rules| rules.unknown_devices = UnknownDevices::Closed).offers(20);
}

#[test]
fn a_full_registry_takes_no_more_and_serves_those_it_knows() {
    let full = unknown().with(|world| world.room = Room::Full);
    full.holds(Hold::RegistryFull);
    assert_eq!(full.told().registration, Registration::Not);
    world().with(|world| world.room = Room::Full).offers(20);
}

#[test]
fn a_product_that_is_not_there_is_not_found() {
    let told = unknown().with(|world| world.product = Some("dor")).told();
    assert_eq!(told.decision, Decision::Refuse(Refusal::NoSuchProduct));
    assert_eq!(told.registration, Registration::New(Admission::Accepted));
}

#[test]
fn without_a_product_it_is_its_own_or_the_default_or_the_only_one() {
    let by = |world: World| world.told().product;
    assert_eq!(by(world()), Some((name("door"), ProductBy::Registered)));
    let new = || world().device(|device| device.product = None);
    assert_eq!(by(new()), Some((name("door"), ProductBy::Only)));
    let default = two_products().with(|w| w.policy.default_product = Some(name("temp")));
    assert_eq!(by(default), Some((name("temp"), ProductBy::Default)));
}

#[test]
fn where_nothing_says_which_product_it_is_one_is_suggested() {
    let suggests = |world: World, product: Option<&str>| {
        world.holds(Hold::NoProduct { suggestion: product.map(name) });
    };
    suggests(two_products(), Some("door"));
    suggests(two_products().runs(99, Some("temp-1.0")), Some("temp"));
    suggests(two_products().runs(99, Some("temperature-1.0")), None);
}

#[test]
fn a_device_that_asks_for_another_product_moves_if_that_one_is_open() {
    let asks = || {
        two_products().with(|w| w.product = Some("door")).device(|d| d.product = Some(name("temp")))
    };
    assert_eq!(asks().told().product, Some((name("door"), ProductBy::Move)));
    // Nothing of its former product holds.
    asks().device(|device| device.pin = Some(ReleaseKey(9))).offers(20);

    let mismatch = Hold::ProductMismatch { asked: name("door"), registered: name("temp") };
    asks().rules(|rules| rules.unknown_devices = UnknownDevices::Pending).holds(mismatch.clone());
    let held = asks().with(|w| w.rows.products[1].settings.mismatch = Mismatch::Hold);
    held.holds(mismatch);
}

#[test]
fn a_product_s_secret_must_be_shown_before_anything_else() {
    let salted: crate::digest::Sha256 =
        // SHA-256 of "saltsesame".
        "fcc28a7d49fee2d1f9d5bf551f7554498a5fd92c7d1626b0b45e43221e8690cf".parse().unwrap();
    let auth = Auth::Basic { user: "door".into(), salt: "salt".into(), password: salted };
    let world = unknown().rules(|rules| rules.auth = auth);
    world.refuses(Refusal::Credentials);
    assert_eq!(world.told().registration, Registration::Not);
    let shown = Shown { basic: Some(("door", "wrong")), path_token: None };
    world.clone().with(|world| world.shown = shown).refuses(Refusal::Credentials);
    let shown = Shown { basic: Some(("door", "sesame")), path_token: None };
    let world = world.with(|world| world.shown = shown);
    world.offers(20);
    // Who has the secret is entitled, whatever its name.
    world.rules(|rules| rules.privacy = Privacy::Private).offers(20);
}

#[test]
fn a_private_product_is_not_for_weak_identity() {
    let private = unknown().rules(|rules| rules.privacy = Privacy::Private);
    private.refuses(Refusal::Private);
    private.with(|world| world.strength = Strength::Strong).offers(20);
}
