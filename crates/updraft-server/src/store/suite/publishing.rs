//! Products, releases, channels.

use super::sample::new_release;
use super::{Fixture, at, by, on_both};
use crate::digest::Digest;
use crate::fleet::{Downgrade, Settings};
use crate::store::StoreError;
use crate::store::channels::{Move, Was};
use crate::store::devices::{Edit, Switch};
use crate::store::page::Page;
use crate::store::products::SetProduct;

on_both! {
    a_products_rules_are_changed_by_one_at_a_time,
    a_product_in_use_stays,
    a_release_is_published_whole_or_not_at_all,
    releases_are_listed_by_version,
    a_yanked_release_can_be_given_back,
    a_move_says_how_many_devices_it_reaches,
    a_channel_is_moved_by_one_at_a_time_to_what_may_be_offered,
}

async fn a_products_rules_are_changed_by_one_at_a_time(on: Fixture) {
    let name = on.door().await;
    let settings = Settings { downgrade: Downgrade::Permit, ..Settings::default() };
    let set = |was, settings| SetProduct {
        name: name.clone(),
        was,
        settings,
        words: "downgrades allowed".into(),
    };
    let was = Some(Settings::default());
    on.store.set_product(set(was.clone(), settings.clone()), &by(2)).await.unwrap();
    assert_eq!(on.store.product(name.clone()).await.unwrap().settings, settings);
    let error = on.store.set_product(set(was, settings), &by(3)).await.unwrap_err();
    assert!(matches!(error, StoreError::Changed { .. }), "{error:?}");
    let error = on.store.create_product(name, Settings::default(), &by(4)).await.unwrap_err();
    assert_eq!(error.to_string(), "there is a product \"door\" already");
    let other = "temp".parse().unwrap();
    on.store.create_product(other, Settings::default(), &by(5)).await.unwrap();
    let first = on.store.products(Page::first(1)).await.unwrap();
    let second = Page { after: first.next, limit: 1 };
    let second = on.store.products(second).await.unwrap();
    assert_eq!((first.items[0].name.as_str(), second.items[0].name.as_str()), ("door", "temp"));
    assert_eq!(second.next, None);
}

async fn a_product_in_use_stays(on: Fixture) {
    let door = on.door().await;
    on.release(&door, 1).await;
    let error = on.store.remove_product(door, &by(5)).await.unwrap_err();
    assert!(error.to_string().contains("1 releases and 0 devices"), "{error}");
    let other: crate::fleet::ProductName = "temp".parse().unwrap();
    on.store.create_product(other.clone(), Settings::default(), &by(6)).await.unwrap();
    let to = Move {
        product: other.clone(),
        channel: "stable".parse().unwrap(),
        to: None,
        was: Was::Anywhere,
    };
    on.store.move_channel(to, &by(7)).await.unwrap();
    on.store.remove_product(other.clone(), &by(8)).await.unwrap();
    let error = on.store.product(other).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no product \"temp\"");
}

async fn a_release_is_published_whole_or_not_at_all(on: Fixture) {
    let door = on.door().await;
    let key = on.release(&door, 1).await;
    let (release, images) = on.store.release(key).await.unwrap();
    assert_eq!((release.version.as_str(), release.published_by.as_str()), ("1.1", "anna"));
    assert_eq!(release.published_at, at(3));
    assert_eq!(images.iter().map(|image| image.image).collect::<Vec<_>>(), [Digest([1; 32])]);
    // No image 2 was uploaded.
    let error = on.store.publish(new_release(&door, 2), &by(4)).await.unwrap_err();
    assert!(error.to_string().starts_with("there is no image \"0202"), "{error}");
    assert!(on.store.release_of(door.clone(), "1.2").await.is_err());
    let error = on.store.publish(new_release(&door, 1), &by(4)).await.unwrap_err();
    assert_eq!(error.to_string(), "there is a release \"door 1.1\" already");
    assert_eq!(on.store.release_of(door, "1.1").await.unwrap(), key);
}

async fn releases_are_listed_by_version(on: Fixture) {
    let door = on.door().await;
    for number in [2, 10, 1, 3] {
        on.release(&door, number).await;
    }
    let mut page = Page::first(3);
    let first = on.store.releases(door.clone(), page.clone()).await.unwrap();
    page.after = first.next;
    let second = on.store.releases(door, page).await.unwrap();
    let versions: Vec<_> = first.items.iter().chain(&second.items).collect();
    let versions: Vec<_> = versions.into_iter().map(|release| release.version.as_str()).collect();
    assert_eq!(versions, ["1.10", "1.3", "1.2", "1.1"]);
    assert_eq!((first.items.len(), second.next), (3, None));
}

async fn a_yanked_release_can_be_given_back(on: Fixture) {
    let door = on.door().await;
    let key = on.release(&door, 1).await;
    let yanked = on.store.yank(key, Some("leaks"), &by(5)).await.unwrap().yanked.unwrap();
    assert_eq!((yanked.at, yanked.by.as_str(), yanked.why.as_str()), (at(5), "anna", "leaks"));
    assert_eq!(on.store.yank(key, None, &by(6)).await.unwrap().yanked, None);
}

async fn a_move_says_how_many_devices_it_reaches(on: Fixture) {
    let door = on.door().await;
    let key = on.release(&door, 1).await;
    let edit = async |end, edits: Vec<Edit>| {
        let device = on.device(end, 1).await;
        let product = Edit::Product(Some(door.clone()));
        let edits = [vec![product], edits].concat();
        on.store.edit_device(device, edits, &by(4)).await.unwrap();
    };
    edit(1, vec![]).await;
    edit(2, vec![Edit::Channel(Some("stable".parse().unwrap()))]).await;
    edit(3, vec![Edit::Channel(Some("beta".parse().unwrap()))]).await;
    edit(4, vec![Edit::Pin(Some(key))]).await;
    edit(5, vec![Edit::HandsOff(Switch::On)]).await;
    edit(6, vec![Edit::Block(Switch::On)]).await;
    on.device(7, 1).await;
    let reach =
        async |channel: &str| on.store.reach(door.clone(), channel.parse().unwrap()).await.unwrap();
    assert_eq!((reach("stable").await, reach("beta").await, reach("new").await), (2, 1, 0));
    let channel = "beta".parse().unwrap();
    let to = Move { product: door.clone(), channel, to: Some(key), was: Was::At(None) };
    assert_eq!(on.store.move_channel(to, &by(5)).await.unwrap(), 1);
    let channels = on.store.channels(door).await.unwrap();
    assert_eq!(channels.len(), 1);
    assert_eq!((channels[0].release, channels[0].moved_at), (Some(key), at(5)));
}

async fn a_channel_is_moved_by_one_at_a_time_to_what_may_be_offered(on: Fixture) {
    let door = on.door().await;
    let (one, two) = (on.release(&door, 1).await, on.release(&door, 2).await);
    let to = |to, was| Move {
        product: door.clone(),
        channel: "stable".parse().unwrap(),
        to: Some(to),
        was,
    };
    on.store.move_channel(to(one, Was::At(None)), &by(4)).await.unwrap();
    let error = on.store.move_channel(to(two, Was::At(None)), &by(5)).await.unwrap_err();
    assert!(matches!(error, StoreError::Changed { .. }), "{error:?}");
    on.store.move_channel(to(two, Was::At(Some(one))), &by(5)).await.unwrap();
    on.store.yank(one, Some("leaks"), &by(6)).await.unwrap();
    let error = on.store.move_channel(to(one, Was::Anywhere), &by(7)).await.unwrap_err();
    assert_eq!(error.to_string(), "the release \"1.1\" is yanked");
    let other: crate::fleet::ProductName = "temp".parse().unwrap();
    on.store.create_product(other.clone(), Settings::default(), &by(8)).await.unwrap();
    let error =
        on.store.move_channel(Move { product: other, ..to(two, Was::Anywhere) }, &by(9)).await;
    assert!(matches!(error, Err(StoreError::Missing { .. })), "{error:?}");
}
