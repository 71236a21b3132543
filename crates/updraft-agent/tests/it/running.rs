//! What a device reports of the sketch that it runs.

use updraft_agent::{Cause, Running};
use updraft_core::{
    AppKind, Chip, Esp8266Layout, FlashMode, Inspector, NotOta, PartitionTable, RunningMd5,
};
use updraft_pack::{Esp32Image, Esp8266Image, filler};

use crate::flash::{Broken, Flash};
use crate::length;

fn esp8266(flash: &mut Flash, layout: &str, scratch: usize) -> Result<Running, Cause> {
    let layout = Esp8266Layout::named(layout).unwrap();
    Running::on_esp8266(flash, &layout, &mut vec![0; scratch])
}

#[test]
fn an_esp8266_reports_its_sketch_as_it_is_in_the_flash() {
    let mut sketch = Esp8266Image::new().filler(30_000, 1).build().unwrap();
    // As an update leaves it that changed the mode.
    sketch[2] = FlashMode::Dout.byte();
    let mut inspector = Inspector::new(sketch.len() as u64);
    inspector.update(&sketch);
    let expected = Running {
        size: length(&sketch),
        md5: inspector.finish().md5,
        sha256: None,
        flash_mode: Some(FlashMode::Dout),
    };
    // What was there before is behind it. In 4m3m it and the sketch fill a MiB.
    let mut flash = Flash::filled(4 << 20, 0x55).with(0, &filler(900_000, 2)).with(0, &sketch);
    assert_eq!(esp8266(&mut flash, "4m3m", 4096), Ok(expected));
    assert_eq!(esp8266(&mut flash, "1m64", 1001), Ok(expected));
    assert_eq!(esp8266(&mut flash, "1m64", 3), Err(Cause::Memory));
    let mut broken = Flash { broken: Broken::Read, ..flash };
    assert_eq!(esp8266(&mut broken, "1m64", 4096), Err(Cause::Read));
    let mut erased = Flash::filled(1 << 20, 0xFF);
    assert_eq!(esp8266(&mut erased, "1m64", 4096), Err(Cause::Image(NotOta::Unknown)));
}

#[test]
fn an_esp32_reports_the_application_in_its_partition() {
    let image = Esp32Image::new(Chip::Esp32S3).code(b"code").filler(30_000, 1);
    let app = image.flash_size(4 << 20).build().unwrap();
    let mut inspector = Inspector::new(app.len() as u64);
    inspector.update(&app);
    let facts = inspector.finish();
    let RunningMd5::One(md5) = facts.running.md5 else { panic!("{:?}", facts.running) };
    let sha256 = facts.running.sha256;
    assert!(sha256.is_some());
    let table = PartitionTable::standard("default").unwrap();
    let mut flash: Flash = Flash::filled(4 << 20, 0x55).with(0x15_0000, &app);
    let mut check = |running, expected| {
        let mut scratch = [0; 4096];
        assert_eq!(Running::on_esp32(&mut flash, &table, running, &mut scratch), expected);
    };
    let size = length(&app);
    let flash_mode = Some(FlashMode::Dio);
    check(AppKind::Ota(1), Ok(Running { size, md5, sha256, flash_mode }));
    check(AppKind::Ota(0), Err(Cause::Image(NotOta::Unknown)));
    check(AppKind::Ota(2), Err(Cause::NoPartition));
}
