//! What holds a file back from a device that would not survive it, why, and what does not.

use updraft_core::{Chip, FlashMode};
use updraft_pack::{
    Esp32Image, Esp8266Image, eboot, esp32_boot_loader, merged_flash, partition_table,
};

use super::{check_image, check_refused, with};
use crate::harness::{ESP32, ESP8266, setup};
use crate::images;

/// A device that asks for a file it must not get.
struct Refused {
    device: String,
    file: Vec<u8>,
    why: String,
}

fn refused(device: impl Into<String>, file: Vec<u8>, why: impl Into<String>) -> Refused {
    Refused { device: device.into(), file, why: why.into() }
}

/// A device that runs `running`, which the catalog knows too.
const RUNNING: &str = "running.bin";

fn check(cases: Vec<Refused>, running: &[u8]) {
    for Refused { device, file, why } in cases {
        // Held back: a code for the device, the reason for a person.
        let server = setup().file("x.bin", &file).file(RUNNING, running).start();
        server.scanned();
        check_refused(&server.get("/x.bin", &device), 403);
        let line = server.logged_request("/x.bin");
        assert_eq!(line["message"], format!("device asked /x.bin: 403, {why}"));
        assert_eq!((&line["level"], &line["status"]), (&"WARN".into(), &403.into()));

        // The same for a HEAD; and with the gates off it goes, with a warning.
        let head = server.send(format!("HEAD /x.bin HTTP/1.0\r\n{device}\r\n"));
        check_refused(&head, 403);
        let args: &[&str] = &["--no-gate"];
        let server = setup().file("x.bin", &file).file(RUNNING, running).args(args).start();
        server.scanned();
        check_image(&server.get("/x.bin", &device), "x.bin", &file);
        let line = server.logged_request("/x.bin");
        let message = format!("device asked /x.bin: 200, sent with gates off, though {why}");
        assert_eq!((&line["level"], &line["message"]), (&"WARN".into(), &message.into()));
    }
}

fn esp8266(name: &str, value: &str) -> String {
    with(ESP8266, &format!("x-ESP8266-{name}"), Some(value))
}

fn esp32(name: &str, value: &str) -> String {
    with(ESP32, &format!("x-ESP32-{name}"), Some(value))
}

#[test]
fn the_wrong_family_chip_or_kind_is_held_back() {
    let (sketch, gate) = (images::sketch(1), images::app(Chip::Esp32, 2));
    let lamp = images::app(Chip::Esp32C3, 3);
    let runs_lamp = esp32("sketch-md5", &images::md5(&lamp));
    let sketch_for_fs = "the file is a sketch, not a filesystem";
    let fs_for_sketch = "the file is a filesystem, not a sketch";
    check(
        vec![
            refused(ESP8266, gate.clone(), "the image is for the esp32"),
            refused(ESP8266, lamp.clone(), "the image is for the esp32"),
            refused(ESP32, sketch.clone(), "the image is for the esp8266"),
            refused(ESP32, images::gzip(&sketch), "the image is for the esp8266"),
            refused(
                runs_lamp,
                gate.clone(),
                "the image is for the esp32, the device is an esp32c3",
            ),
            refused(esp8266("mode", "spiffs"), sketch, sketch_for_fs),
            refused(esp32("mode", "spiffs"), gate, sketch_for_fs),
            refused(ESP8266, images::littlefs(), fs_for_sketch),
            refused(ESP32, images::littlefs(), fs_for_sketch),
        ],
        &lamp,
    );
}

#[test]
fn what_no_device_could_install_is_held_back() {
    let (sketch, gate) = (images::sketch(1), images::app(Chip::Esp32, 2));
    let fs = images::littlefs();
    let boot_loader = "a boot loader, not an application";
    let merged = "a merged flash dump, made to be flashed by cable";
    let gzip_of_app = "a gzip of an ESP32 image, which no ESP32 inflates";
    let gzip_of_fs = "a gzip of a filesystem, which no device inflates";
    let without_crc = Esp8266Image::new().filler(900, 1).without_crc().build().unwrap();
    let end = gate.len() - 1;
    let mut bad_gzip = images::gzip(&sketch);
    let crc = bad_gzip.len() - 8;
    bad_gzip[crc] ^= 1;
    check(
        vec![
            refused(ESP8266, eboot().unwrap(), boot_loader),
            refused(ESP32, esp32_boot_loader(Chip::Esp32).unwrap(), boot_loader),
            refused(ESP32, merged_flash(Chip::Esp32, &gate).unwrap(), merged),
            refused(ESP32, merged_flash(Chip::Esp32C3, &gate).unwrap(), merged),
            refused(ESP32, partition_table(), "a partition table"),
            refused(ESP32, images::gzip(&gate), gzip_of_app),
            refused(ESP8266, images::gzip(&fs), gzip_of_fs),
            refused(esp8266("mode", "spiffs"), images::gzip(&fs), gzip_of_fs),
            refused(ESP8266, images::damaged(&without_crc, 0x1100), "the checksum is wrong"),
            refused(ESP8266, images::damaged(&sketch, 0x1014), "the CRC is wrong"),
            refused(ESP32, images::damaged(&gate, 400), "the checksum is wrong"),
            refused(ESP32, images::damaged(&gate, end), "the appended SHA-256 is wrong"),
            refused(
                ESP8266,
                sketch[..sketch.len() - 64].to_vec(),
                "the file ends before the image does",
            ),
            refused(ESP8266, bad_gzip, "the CRC of the inflated data is wrong"),
        ],
        &sketch,
    );
}

/// The ESP8266 takes whole sectors, the ESP32 a partition; and a header can ask for more flash than
/// the chip has.
#[test]
fn what_does_not_fit_is_held_back() {
    let sketch = images::sketch(1);
    let gate = images::app(Chip::Esp32, 2);
    assert_eq!(sketch.len().div_ceil(4096), 2);
    let gate_size = gate.len();
    let big_sketch = Esp8266Image::new().flash_size(16 << 20).build().unwrap();
    let big_app = Esp32Image::new(Chip::Esp32).flash_size(8 << 20).build().unwrap();
    // 200 KiB of nothing make a tiny gzip, and overwrite it when they are inflated.
    let zeros = images::gzip(&Esp8266Image::new().payload(&vec![0; 200 << 10]).build().unwrap());
    let inflated = (0x1000 + (200 << 10) + 200_usize).next_multiple_of(4096);
    let small = with(&esp8266("free-space", "8192"), "x-ESP8266-sketch-size", Some("4097"));
    check(
        vec![
            refused(
                esp8266("free-space", "8191"),
                sketch.clone(),
                "it needs 8192 bytes, the device has 8191 free",
            ),
            refused(
                esp32("free-space", &(gate_size - 1).to_string()),
                gate.clone(),
                format!("it needs {gate_size} bytes, the device has {} free", gate_size - 1),
            ),
            refused(
                esp32("free-space", "0"),
                gate,
                "the device has no second application partition",
            ),
            refused(
                ESP8266,
                big_sketch,
                "the image expects 16777216 bytes of flash, the chip has 4194304",
            ),
            refused(
                ESP32,
                big_app,
                "the image expects 8388608 bytes of flash, the chip has 4194304",
            ),
            refused(
                small,
                zeros,
                // free + sketch in sectors - gzip in sectors
                format!("inflated it needs {inflated} bytes, and only 12288 can be overwritten"),
            ),
        ],
        &sketch,
    );
}

/// The updater writes the running mode into byte 2: behind that a signature fails, and inside a gzip
/// nobody can write it.
#[test]
fn a_flash_mode_that_cannot_be_rewritten_is_held_back() {
    let running = images::sketch(1);
    let runs_qio = esp8266("sketch-md5", &images::md5(&images::in_flash(&running, 0)));
    let dio = Esp8266Image::new().flash_mode(FlashMode::Dio).filler(900, 2).build().unwrap();
    check(
        vec![
            refused(
                &*runs_qio,
                images::signed(&dio),
                "the flash mode would be rewritten, and the signature would fail (error 12)",
            ),
            refused(
                &*runs_qio,
                images::gzip(&dio),
                "the flash mode inside the gzip differs from the running one",
            ),
        ],
        &running,
    );
}

/// Nothing is held back for what is not known, nor for what just fits.
#[test]
fn what_is_not_known_to_be_wrong_is_sent() {
    let sketch = images::sketch(1);
    let gate = images::app(Chip::Esp32, 2);
    let gate_size = gate.len().to_string();
    let fs = images::littlefs();
    let without = |fields: &str, name: &str| with(fields, name, None);
    let bare = "User-Agent: ESP8266-http-Update\r\nx-ESP8266-Chip-ID: 7\r\n".to_owned();
    let runs =
        |mode| esp8266("sketch-md5", &images::md5(&images::in_flash(&images::sketch(9), mode)));
    for (device, file) in [
        (esp8266("free-space", "8192"), sketch.clone()),
        (without(ESP8266, "x-ESP8266-free-space"), sketch.clone()),
        (esp8266("free-space", "plenty"), sketch.clone()),
        (without(ESP8266, "x-ESP8266-mode"), sketch.clone()),
        (bare, sketch.clone()),
        (esp8266("chip-size", "4194304"), sketch.clone()),
        // The running mode is the one of the image; or any, where the updater may rewrite it.
        (runs(2), images::signed(&sketch)),
        (runs(2), images::gzip(&sketch)),
        (runs(0), sketch.clone()),
        // Free space is the sketch's: a filesystem has its own place.
        (with(&esp8266("mode", "spiffs"), "x-ESP8266-free-space", Some("0")), fs.clone()),
        (with(&esp32("mode", "spiffs"), "x-ESP32-free-space", Some("0")), fs),
        (esp32("free-space", &gate_size), gate.clone()),
        (without(ESP32, "x-ESP32-free-space"), gate.clone()),
        (without(ESP32, "x-ESP32-chip-size"), gate),
    ] {
        let server = setup().file("x.bin", &file).file(RUNNING, images::sketch(9)).start();
        server.scanned();
        check_image(&server.get("/x.bin", &device), "x.bin", &file);
        let line = server.logged_request("/x.bin");
        assert_eq!(line["message"], "device asked /x.bin: 200, sent", "{device}");
        assert_eq!(line["level"], "INFO", "{device}");
    }
}

/// Inside a gzip or under a signature the flash mode cannot be rewritten. Where nobody knows which one
/// the device runs, it is sent, and a person is told.
#[test]
fn a_flash_mode_that_nobody_can_compare_is_a_warning() {
    let sketch = images::sketch(1);
    for file in
        [images::gzip(&sketch), images::signed(&sketch), images::signed(&images::gzip(&sketch))]
    {
        let server = setup().file("x.bin", &file).start();
        check_image(&server.get("/x.bin", ESP8266), "x.bin", &file);
        let line = server.logged_request("/x.bin");
        let words = "sent, though its flash mode could not be compared with the running one";
        assert_eq!(line["message"], format!("device asked /x.bin: 200, {words}"));
        assert_eq!(line["level"], "WARN");
    }
}

/// It may be encrypted: only the device can tell.
#[test]
fn what_is_not_recognised_is_sent_with_a_warning() {
    let garbage = images::unknown(5000);
    let server = setup().file("x.bin", &garbage).start();
    for device in [ESP8266, ESP32, &esp8266("mode", "spiffs")] {
        check_image(&server.get("/x.bin", device), "x.bin", &garbage);
    }
    let line = server.logged_request("/x.bin");
    assert_eq!(line["message"], "device asked /x.bin: 200, sent, though not recognised");
    assert_eq!(line["level"], "WARN");
    // What is known of it is its size.
    check_refused(&server.get("/x.bin", &esp8266("free-space", "4096")), 403);
    check_refused(&server.get("/x.bin", &esp32("free-space", "4999")), 403);
}

/// Being up to date is seen before any gate: nothing is sent, so nothing can go wrong.
#[test]
fn a_device_that_runs_a_file_that_does_not_fit_twice_is_up_to_date() {
    let sketch = images::sketch(1);
    let server = setup().file("x.bin", &sketch).start();
    let device =
        with(&esp8266("free-space", "4096"), "x-ESP8266-sketch-md5", Some(&images::md5(&sketch)));
    assert_eq!(server.get("/x.bin", &device).status, 304);
}
