//! Updates of an ESP8266.

use updraft_agent::{
    Boot, BootMode, Cause, Eboot, Esp8266, Request, RtcMemory, Size, Staged, UpdateError, Updater,
};
use updraft_core::{EbootCommand, Esp8266Layout, OtaTarget};
use updraft_pack::Esp8266Image;

use crate::flash::Flash;

/// An ESP8266 of 4m2m that runs a sketch of `sketch_size` bytes.
pub(crate) fn device(sketch_size: u32) -> Esp8266 {
    let layout = Esp8266Layout::named("4m2m").unwrap();
    Esp8266 { layout, sketch_size, boot_mode: BootMode::Flash }
}

pub(crate) fn sketch(length: usize, seed: u64) -> Vec<u8> {
    Esp8266Image::new().filler(length, seed).build().unwrap()
}

/// Its flash.
pub(crate) fn flash(running: &[u8]) -> Flash {
    Flash::filled(4 << 20, 0x55).with(0, running)
}

/// Writes `file` in blocks of this size.
pub(crate) fn update(
    flash: &mut Flash,
    device: Esp8266,
    request: Request<'_>,
    file: &[u8],
    block: usize,
) -> Result<Staged<EbootCommand>, UpdateError> {
    let mut scratch = [0; 4096];
    let mut updater = Updater::new(flash, device, &mut scratch);
    let mut update = updater.begin(request)?;
    for block in file.chunks(block) {
        update.write(block)?;
    }
    update.finish()
}

pub(crate) fn known(file: &[u8]) -> Request<'static> {
    Request::new(OtaTarget::Sketch, Size::Known(u32::try_from(file.len()).unwrap()))
}

struct Rtc([u8; 128]);

impl RtcMemory for &mut Rtc {
    type Error = ();

    fn read(&mut self) -> Result<[u8; EbootCommand::LENGTH], ()> {
        Ok(self.0)
    }

    fn write(&mut self, bytes: &[u8; EbootCommand::LENGTH]) -> Result<(), ()> {
        self.0 = *bytes;
        Ok(())
    }
}

#[test]
fn a_sketch_is_staged_below_the_filesystem_and_eboot_is_told() {
    let (old, new) = (sketch(370_000, 1), sketch(390_000, 2));
    let mut flash = flash(&old);
    let device = device(u32::try_from(old.len()).unwrap());
    let staged = update(&mut flash, device, known(&new), &new, 1460).unwrap();
    let length = u32::try_from(new.len()).unwrap();
    let from = 0x20_0000 - length.next_multiple_of(4096);
    assert_eq!(flash.at(from, new.len()), new);
    assert_eq!(flash.at(0, old.len()), old);
    let command = EbootCommand::CopyRaw { from, to: 0, length };
    assert_eq!(staged.next(), Some(&command));
    let mut rtc = Rtc([0; 128]);
    Eboot::new(&mut rtc).activate(staged).unwrap();
    assert_eq!(rtc.0, command.to_bytes());
    let cause = update(&mut flash, device, known(&new), &new[..5000], 999).unwrap_err().cause;
    assert_eq!(cause, Cause::Incomplete);
}
