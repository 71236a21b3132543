//! What a pull brings goes into the flash.

use updraft_agent::pull::{self, Incoming, Sink};
use updraft_agent::{Boot, Cause, Install, OtaBoot, OtaSlot, Request, Size, UpdateError, Updater};
use updraft_core::{Family, OtaTarget};

use crate::esp32::{app, device, flash, table};
use crate::length;

const SLOT: u32 = 0x15_0000;

fn incoming(image: &[u8]) -> Incoming<'static> {
    Incoming { target: OtaTarget::Sketch, size: length(image), md5: None, version: None }
}

fn request<'r>() -> Request<'r> {
    // What the server says counts, not this.
    Request::new(OtaTarget::Filesystem, Size::Known(1))
}

const OUT_OF_ORDER: UpdateError = UpdateError { family: Family::Esp32, cause: Cause::Stream };

#[test]
fn an_image_is_staged_and_can_be_activated() {
    let (table, image, mut flash) = (table("default"), app(5000, 7), flash());
    let mut scratch = [0; 4096];
    let mut updater = Updater::new(&mut flash, device(&table), &mut scratch);
    let mut install = Install::new(&mut updater, request());
    install.begin(&incoming(&image)).unwrap();
    image.chunks(1460).for_each(|block| install.write(block).unwrap());
    install.finish().unwrap();
    assert_eq!(install.write(&image), Err(OUT_OF_ORDER));
    let staged = install.into_staged().unwrap();
    assert_eq!(staged.next(), Some(&OtaSlot(1)));
    OtaBoot::new(&mut flash, device(&table)).activate(staged).unwrap();
    assert_eq!(flash.at(SLOT, image.len()), image);
}

#[test]
fn nothing_is_staged_of_what_is_aborted_damaged_or_out_of_order() {
    let (table, image, mut flash) = (table("default"), app(5000, 7), flash());
    let mut scratch = [0; 4096];
    let mut updater = Updater::new(&mut flash, device(&table), &mut scratch);

    let mut install = Install::new(&mut updater, request());
    assert_eq!(install.write(&image), Err(OUT_OF_ORDER));
    install.begin(&incoming(&image)).unwrap();
    install.write(&image).unwrap();
    install.abort();
    assert_eq!(install.finish(), Err(OUT_OF_ORDER));
    assert_eq!(install.begin(&incoming(&image)), Err(OUT_OF_ORDER));
    assert_eq!(install.into_staged(), None);

    let mut install = Install::new(&mut updater, request());
    install.begin(&Incoming { md5: Some([1; 16]), ..incoming(&image) }).unwrap();
    install.write(&image).unwrap();
    assert_eq!(install.finish().map_err(|error| pull::UpdateError::number(&error)), Err(7));
    assert_eq!(install.into_staged(), None);
}
