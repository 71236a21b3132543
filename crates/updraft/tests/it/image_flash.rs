//! `updraft image info --flash`: what happens in the flash of a device, and where it does not fit.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use updraft_core::Chip;
use updraft_pack::{Esp32Image, Esp8266Image, esp32_boot_loader, partition_table};

use crate::image_info::updraft;
use crate::images::littlefs_of;

#[test]
fn an_update_of_an_esp8266_is_drawn_step_by_step() {
    let folder = Folder::new();
    folder.file("old.bin", &esp8266(0x5_B490));
    folder.file("new.bin", &esp8266(0x6_1230));
    let text = folder.draw(&["new.bin", "--flash", "4m2m", "--running", "old.bin"]);
    let expected = "
  flash 4m2m, 4 MiB

  1. the device runs the image given
     |oooooo--------------------------fffffffffffffffffffffffffffffffx|
     o 0x000000 to 0x05c000  the sketch that runs, 373904 bytes
     - 0x05c000 to 0x200000  free
     f 0x200000 to 0x3fa000  filesystem
     - 0x3fa000 to 0x3fb000  free
     x 0x3fb000 to 0x3fc000  EEPROM
     x 0x3fc000 to 0x400000  settings of Espressif's SDK

  2. the file was received and staged below the filesystem
     |oooooo-------------------sssssssfffffffffffffffffffffffffffffffx|
     o 0x000000 to 0x05c000  the sketch that runs, 373904 bytes
     - 0x05c000 to 0x19e000  free
     s 0x19e000 to 0x200000  the staged file, 397872 bytes
     f 0x200000 to 0x3fa000  filesystem
     - 0x3fa000 to 0x3fb000  free
     x 0x3fb000 to 0x3fc000  EEPROM
     x 0x3fc000 to 0x400000  settings of Espressif's SDK

  3. after a restart eboot has copied it
     |NNNNNNN------------------sssssssfffffffffffffffffffffffffffffffx|
     N 0x000000 to 0x062000  the new sketch, 397872 bytes
     - 0x062000 to 0x19e000  free
     s 0x19e000 to 0x200000  what it was copied from, 397872 bytes
     f 0x200000 to 0x3fa000  filesystem
     - 0x3fa000 to 0x3fb000  free
     x 0x3fb000 to 0x3fc000  EEPROM
     x 0x3fc000 to 0x400000  settings of Espressif's SDK

  it fits
";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn what_is_staged_over_the_running_sketch_does_not_fit() {
    let folder = Folder::new();
    folder.file(
        "old.bin",
        &Esp8266Image::new().flash_size(1 << 20).filler(465_800, 1).build().unwrap(),
    );
    folder.file(
        "new.bin",
        &Esp8266Image::new().flash_size(1 << 20).filler(495_800, 1).build().unwrap(),
    );
    let plan = folder.plan(&["new.bin", "--flash", "1m64", "--running", "old.bin"]);
    assert_eq!(problems(&plan), ["it needs 503808 bytes, the device has 491520 free"]);
    assert_eq!(places(&plan, 1, "staged"), [(0x7_0000, 0xE_B000)]);
    assert_eq!(places(&plan, 1, "clash"), [(0x7_0000, 0x7_3000)]);
    assert_eq!(plan["steps"].as_array().unwrap().len(), 2);
}

#[test]
fn a_gzip_needs_room_to_inflate() {
    let folder = Folder::new();
    folder.file("old.bin", &esp8266(400_000));
    let gzip = |length| {
        let image = Esp8266Image::new().payload(&vec![7; length]).build().unwrap();
        crate::images::gzip(&image)
    };
    folder.file("small.bin.gz", &gzip(600_000));
    let plan = folder.plan(&["small.bin.gz", "--flash", "4m3m", "--running", "old.bin"]);
    assert_eq!(problems(&plan), [""; 0]);
    assert_eq!(places(&plan, 2, "clash"), []);
    assert_eq!(places(&plan, 2, "new"), [(0, 0x9_4000)]);

    folder.file("large.bin.gz", &gzip(1_041_400));
    let plan = folder.plan(&["large.bin.gz", "--flash", "4m3m", "--running", "old.bin"]);
    let expected = "inflated it needs 1048576 bytes, and only 1044480 can be overwritten";
    assert_eq!(problems(&plan), [expected]);
    assert_eq!(places(&plan, 2, "clash"), [(0xF_F000, 0x10_0000)]);
}

#[test]
fn an_update_of_an_esp32_goes_to_the_other_slot() {
    let folder = Folder::new();
    let app = |length| Esp32Image::new(Chip::Esp32).filler(length, 1).build().unwrap();
    folder.file("new.bin", &app(1_000_000));
    folder.file("partitions.bin", &partition_table());
    let csv = b"nvs,data,nvs,0x9000,0x5000\notadata,data,ota,,8K\napp0,app,ota_0,,1280K\n\
        app1,app,ota_1,,1280K\nspiffs,data,spiffs,,1408K\ncoredump,data,coredump,,64K\n";
    folder.file("partitions.csv.bin", csv);
    for layout in ["default", "partitions.bin", "partitions.csv.bin"] {
        let plan = folder.plan(&["new.bin", "--flash", layout]);
        assert_eq!(problems(&plan), [""; 0]);
        assert_eq!(places(&plan, 0, "old"), [(0x1_0000, 0x10_43A0)]);
        assert_eq!(places(&plan, 1, "new"), [(0x15_0000, 0x24_43A0)]);
        assert_eq!(plan["steps"][2]["title"], "otadata names app1, which starts from now on");
    }

    folder.file("large.bin", &app(1_400_000));
    let plan = folder.plan(&["large.bin", "--flash", "default"]);
    assert_eq!(problems(&plan), ["it needs 1400352 bytes, the device has 1310720 free"]);
    assert_eq!(places(&plan, 1, "clash"), [(0x29_0000, 0x2A_5E20)]);

    let plan = folder.plan(&["new.bin", "--flash", "huge_app"]);
    assert_eq!(problems(&plan), ["the device has no second application partition"]);
    assert_eq!(plan["steps"].as_array().unwrap().len(), 1);

    folder.file("other.bin", &Esp32Image::new(Chip::Esp32S3).build().unwrap());
    let plan = folder.plan(&["new.bin", "--flash", "default", "--running", "other.bin"]);
    assert_eq!(problems(&plan), ["the image is for the esp32, the device is an esp32s3"]);
}

#[test]
fn a_filesystem_is_written_in_its_place() {
    let folder = Folder::new();
    folder.file("fs.bin", &littlefs_of(8192, 253));
    let plan = folder.plan(&["fs.bin", "--flash", "4m2m"]);
    assert_eq!((problems(&plan), &plan["notes"]), (vec![], &Value::Array(vec![])));
    assert_eq!(places(&plan, 1, "new"), [(0x20_0000, 0x3F_A000)]);
    let plan = folder.plan(&["fs.bin", "--flash", "4m1m"]);
    assert_eq!(problems(&plan), ["it needs 2072576 bytes, the filesystem has 1024000"]);
    let plan = folder.plan(&["fs.bin", "--flash", "4m3m"]);
    assert_eq!(problems(&plan), [""; 0]);
    let note = "it has 253 blocks of 8192 bytes, the device 381: it may not be mounted";
    assert_eq!(plan["notes"][0], note);
    let plan = folder.plan(&["fs.bin", "--flash", "default_8MB"]);
    assert_eq!(problems(&plan), ["it needs 2072576 bytes, the filesystem has 1572864"]);
    assert_eq!(places(&plan, 1, "clash"), [(0x7F_0000, 0x80_0000)]);
}

#[test]
fn what_no_device_could_install_is_not_drawn() {
    let folder = Folder::new();
    folder.file("new.bin", &esp8266(5000));
    folder.file("boot.bin", &esp32_boot_loader(Chip::Esp32).unwrap());
    for (args, problem) in [
        (["boot.bin", "--flash", "default"], "a boot loader, not an application"),
        (
            ["new.bin", "--flash", "default"],
            "the layout is one of the esp32, the image is for the esp8266",
        ),
    ] {
        let plan = folder.plan(&args);
        assert_eq!(problems(&plan), [problem]);
        assert_eq!(plan["steps"], Value::Array(vec![]));
        let text = folder.draw(&args);
        assert!(text.ends_with(&format!("\n  it cannot be installed: {problem}\n")), "{text}");
    }
}

#[test]
fn an_unknown_layout_is_wrong_usage() {
    let folder = Folder::new();
    folder.file("new.bin", &esp8266(5000));
    folder.file("table.bin", &[0xAA; 64]);
    folder.file("csv.bin", b"app0,app,ota_0,0x10000,much\n");
    let error = |layout: &str| {
        let output = folder.run(&["new.bin", "--flash", layout]);
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let unknown = error("4m9m");
    let expected = "updraft: invalid value '4m9m' for '--flash <LAYOUT>': \
        no such layout, and no such file; ESP8266: 512k 512k32";
    assert!(unknown.starts_with(expected), "{unknown}");
    for (name, fault) in [
        ("table.bin", "record 0 starts with AA AA instead of AA 50"),
        ("csv.bin", "line 1: no number: much"),
    ] {
        let path = folder.path(name);
        let expected = format!(
            "updraft: invalid value '{path}' for '--flash <LAYOUT>': \
            not a partition table: {fault}\n"
        );
        assert_eq!(error(name), expected);
    }
    for (running, problem) in [
        (
            "none.bin",
            format!(
                "cannot read {}: No such file or directory (os error 2)",
                folder.path("none.bin")
            ),
        ),
        ("table.bin", format!("no device runs {table}: unknown", table = folder.path("table.bin"))),
    ] {
        let output = folder.run(&["new.bin", "--flash", "4m2m", "--running", running]);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(String::from_utf8(output.stderr).unwrap(), format!("updraft: {problem}\n"));
    }
}

/// A sketch of about this many bytes: a multiple of 16.
fn esp8266(length: usize) -> Vec<u8> {
    let overhead = Esp8266Image::new().build().unwrap().len();
    Esp8266Image::new().filler(length - overhead, 1).build().unwrap()
}

fn problems(plan: &Value) -> Vec<&str> {
    plan["problems"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// Starts and ends of the places that are used so at a step.
fn places(plan: &Value, step: usize, usage: &str) -> Vec<(u64, u64)> {
    let places = plan["steps"][step]["places"].as_array().unwrap();
    let number = |place: &Value, field: &str| place[field].as_u64().unwrap();
    let used = places.iter().filter(|place| place["usage"] == usage);
    used.map(|place| (number(place, "start"), number(place, "end"))).collect()
}

/// A folder of files, named without it.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn file(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn run(&self, args: &[&str]) -> std::process::Output {
        let path =
            |arg: &&str| if arg.contains(".bin") { self.path(arg) } else { (*arg).to_owned() };
        let args: Vec<_> = args.iter().map(path).collect();
        updraft(&args.iter().map(Path::new).collect::<Vec<_>>())
    }

    fn draw(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn plan(&self, args: &[&str]) -> Value {
        let text = self.draw(&[args, &["--json"]].concat());
        let mut facts: Value = serde_json::from_str(&text).unwrap();
        facts[0]["installation"].take()
    }
}
