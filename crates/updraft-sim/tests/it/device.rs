//! A device says of what runs on it what the real one says.

use updraft_core::{AppKind, Chip, Esp8266Layout, FlashMode, OtaTarget, PartitionTable};
use updraft_pack::{Esp32Image, Esp8266Image, Gzip};
use updraft_sim::boot::eboot::Copied;
use updraft_sim::boot::esp32::Slot;
use updraft_sim::software::{Delivery, confirm, install};
use updraft_sim::{Device, Model, Running};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[test]
fn an_esp8266_reports_the_reference_sketch() {
    let sketch = Esp8266Image::new().payload(&[0x11; 56]).build().unwrap();
    let model = Model::Esp8266(Esp8266Layout::named("4m2m").unwrap());
    let running = Device::new(model, &sketch).unwrap().boot().unwrap();
    let Running { start, size, md5, sha256, free_space, slot } = running;
    assert_eq!((start, size, sha256, slot), (0, 4224, None, None));
    assert_eq!(hex(&md5), "d5ef89545cd1fd078bc6665b01928353");
    assert_eq!(free_space, 0x20_0000 - 0x2000);
}

#[test]
fn an_esp32_reports_its_digests_and_the_next_slot() {
    let check = |table, slot, free_space, start| {
        let image = Esp32Image::new(Chip::Esp32).filler(40_000, 1).build().unwrap();
        let table = PartitionTable::standard(table).unwrap();
        let model = Model::esp32(Chip::Esp32, table, 4 << 20);
        let running = Device::new(model, &image).unwrap().boot().unwrap();
        assert_eq!(running.size as usize, image.len());
        assert_eq!(running.sha256.unwrap()[..], image[image.len() - 32..]);
        assert_eq!((running.slot, running.free_space), (Some(slot), free_space));
        assert_eq!(running.start, start);
    };
    check("default", Slot::Ota(0), 0x14_0000, 0x1_0000);
    check("huge_app", Slot::Ota(0), 0, 0x1_0000);
}

#[test]
fn a_device_in_a_file_outlives_the_process_and_its_memory_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("door.flash");
    let model = || Model::Esp8266(Esp8266Layout::named("1m64").unwrap());
    let sketch = |seed| Esp8266Image::new().filler(3_000, seed).build().unwrap();
    let mut device = Device::open(model(), &path, &sketch(1)).unwrap();
    let first = device.boot().unwrap();
    device.split().2.write(&[7; 128]);
    drop(device);
    // What it is made with counts only the first time.
    let mut device = Device::open(model(), &path, &sketch(2)).unwrap();
    assert_eq!(device.boot(), Ok(first));
    assert_ne!(device.split().2.bytes(), &[7; 128]);
    let other = Model::Esp8266(Esp8266Layout::named("4m2m").unwrap());
    assert!(Device::open(other, &path, &sketch(1)).is_err());
}

/// What our agent reads of itself from the flash.
fn read_by_agent(device: &mut Device, running: &Running) -> updraft_agent::Running {
    let mut scratch = [0; 512];
    let (model, flash, _) = device.split();
    let read = match model {
        Model::Esp8266(layout) => updraft_agent::Running::on_esp8266(flash, layout, &mut scratch),
        Model::Esp32 { table, .. } => {
            let Some(Slot::Ota(number)) = running.slot else { panic!("no slot") };
            let running = AppKind::Ota(number);
            updraft_agent::Running::on_esp32(flash, table, running, &mut scratch)
        }
    };
    read.unwrap()
}

#[test]
fn the_software_reads_of_itself_what_the_boot_loader_started() {
    let check = |model: Model, images: &[Vec<u8>]| {
        let mut device = Device::new(model, &images[0]).unwrap();
        let mut running = device.boot().unwrap();
        for image in images {
            install(&mut device, &running, &Delivery::new(OtaTarget::Sketch, image.clone()))
                .unwrap();
            running = device.boot().unwrap();
            confirm(&mut device, &running).unwrap();
            let read = read_by_agent(&mut device, &running);
            let expected = (running.size, running.md5, running.sha256);
            assert_eq!((read.size, read.md5, read.sha256), expected);
        }
        device
    };
    let sketch = |length, mode| {
        let image = Esp8266Image::new().flash_size(1 << 20).filler(length, 1).flash_mode(mode);
        image.build().unwrap()
    };
    let long = sketch(60_000, FlashMode::Dio);
    // Shorter, of another mode, and inflated: what was there before stands behind.
    let images = [
        long.clone(),
        sketch(3_000, FlashMode::Dio),
        sketch(5_000, FlashMode::Qio),
        Gzip::new(&long).build(),
    ];
    let device = check(Model::Esp8266(Esp8266Layout::named("1m64").unwrap()), &images);
    assert_eq!(device.copied(), Some(Copied::Done));
    assert_eq!(device.flash().misuse(), None);
    let app = |length| Esp32Image::new(Chip::Esp32S3).filler(length, 1).build().unwrap();
    let table = PartitionTable::standard("default").unwrap();
    check(Model::esp32(Chip::Esp32S3, table, 4 << 20), &[app(70_000), app(3_000), app(9_000)]);
}
