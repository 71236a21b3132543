//! `updraft image info` on files that are no single image: dumps, partition tables, otadata; and on
//! what stands in and behind images.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use updraft_core::{Chip, OtaEntry, OtaState};
use updraft_pack::{DEFAULT_TABLE, Esp32Image, filler, merged_flash, partition_table, table_of};

use crate::image_info::{Judge, updraft};
use crate::images::{littlefs, littlefs_of, sketch};

#[test]
fn the_parts_of_a_dump_are_listed_with_what_starts() {
    let app = |version| {
        let image = Esp32Image::new(Chip::Esp32C3).project("gate").version(version);
        image.filler(900, 1).build().unwrap()
    };
    let mut flash = merged_flash(Chip::Esp32C3, &app("2.0.1")).unwrap();
    write(&mut flash, 0xE000, &OtaEntry::new(1, OtaState::Valid).to_bytes());
    write(&mut flash, 0xF000, &OtaEntry::new(2, OtaState::New).to_bytes());
    write(&mut flash, 0x15_0000, &app("2.1.0"));
    write(&mut flash, 0x29_0000, &littlefs());
    write(&mut flash, 0x3F_0000, b"core");
    let sheet = sheet("gate.factory.bin", &flash);
    let expected = "  inside        \
        boot loader      0x000000     32768 bytes  boot loader
                partition table  0x008000      3072 bytes  partition table
                nvs              0x009000     20480 bytes  empty
                otadata          0x00e000      8192 bytes  sequence 1, valid; sequence 2, new
                app0             0x010000   1310720 bytes  ESP32 application gate 2.0.1, 1248 bytes
                app1             0x150000   1310720 bytes  ESP32 application gate 2.1.0, 1248 bytes, starts
                spiffs           0x290000   1441792 bytes  LittleFS filesystem, 2 blocks of 4096 bytes
                coredump         0x3f0000     65536 bytes  data
";
    assert!(sheet.ends_with(expected), "{sheet}");

    let parts = &facts("dump.bin", &flash[..0x29_0000])["parts"];
    assert_eq!(parts[5]["image"]["version"], "2.1.0");
    assert_eq!(
        (&parts[1]["holds"], &parts[7]["holds"]),
        (&json!("partition_table"), &json!("missing"))
    );
    assert_eq!((&parts[4]["starts"], &parts[5]["starts"]), (&json!(false), &json!(true)));
    assert_eq!((&parts[6]["holds"], &parts[6]["image"]), (&json!("missing"), &Value::Null));

    flash[0x1_0030] ^= 1;
    let parts = &facts("damaged.bin", &flash)["parts"];
    assert_eq!(parts[4]["image"]["checks"]["hash"], "bad");
}

#[test]
fn a_dump_with_a_broken_table_says_what_is_wrong() {
    let app = Esp32Image::new(Chip::Esp32).build().unwrap();
    let mut flash = merged_flash(Chip::Esp32, &app).unwrap();
    flash[0x8000 + 6 * 32 + 20] ^= 1;
    let text = sheet("dump.bin", &flash);
    let expected =
        "partition table  0x008000      3072 bytes  bad: the MD5 of the table is wrong\n";
    assert!(text.ends_with(expected), "{text}");
    let facts = facts("dump.bin", &flash);
    assert_eq!(facts["partition_table"]["fault"], "the MD5 of the table is wrong");
    assert_eq!(facts["parts"].as_array().unwrap().len(), 2);
}

#[test]
fn the_filesystem_of_an_esp8266_dump_tells_its_layout() {
    let sketch = sketch(1);
    let mut flash = sketch.clone();
    flash.resize(4 << 20, 0xFF);
    write(&mut flash, 0x20_0000, &littlefs_of(8192, 253));
    let text = sheet("dump.bin", &flash);
    let length = sketch.len();
    let expected = format!(
        "  inside        sketch                  0x000000  {length:>8} bytes  ESP8266 sketch, {length} bytes, starts
                filesystem, as in 4m2m  0x200000   2072576 bytes  LittleFS filesystem, 253 blocks of 8192 bytes\n"
    );
    assert!(text.ends_with(&expected), "{text}");
}

#[test]
fn the_parts_of_a_real_dump_are_what_they_are_alone() {
    let Some(judge) = Judge::find() else { return };
    let flash = std::fs::read(judge.firmware("esp-linker-esp32.bin")).unwrap();
    let dump = judge.info("merged.bin", &flash);
    let parts = dump["parts"].as_array().unwrap();
    let names: Vec<_> = parts.iter().map(|part| part["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["boot loader", "partition table", "nvs", "otadata", "app0", "app1", "spiffs", "coredump"]
    );
    // As esptool reads it, too: see `image_info`.
    let app = judge.check("app.bin", &flash[0x1_0000..]);
    assert_eq!(parts[4]["image"]["size"], app["sizes"]["sketch"]);
    assert_eq!(parts[4]["image"]["checks"], app["checks"]);
    assert_eq!((&parts[4]["starts"], &parts[5]["holds"]), (&json!(true), &json!("missing")));
    // Arduino's `boot_app0.bin`.
    let otadata = judge.info("boot_app0.bin", &flash[0xE000..0x1_0000]);
    assert_eq!(otadata["kind"], "otadata");
    assert_eq!(
        (&otadata["otadata"]["active"], &otadata["otadata"]["starts"]),
        (&json!(0), &json!("ota_0"))
    );
    assert_eq!(parts[3]["otadata"], otadata["otadata"]);
    let table = judge.info("table.bin", &flash[0x8000..0x8C00]);
    assert_eq!(table["partition_table"], dump["partition_table"]);
}

#[test]
fn a_partition_table_is_listed() {
    let table = partition_table();
    let text = sheet("partitions.bin", &table);
    let expected = "  partitions    \
        nvs       0x009000     20480 bytes  data nvs
                otadata   0x00e000      8192 bytes  data ota
                app0      0x010000   1310720 bytes  app ota_0
                app1      0x150000   1310720 bytes  app ota_1
                spiffs    0x290000   1441792 bytes  data spiffs
                coredump  0x3f0000     65536 bytes  data coredump
";
    assert!(text.ends_with(expected), "{text}");
    let mut broken = table.clone();
    broken[2 * 32 + 10] = 0x15;
    let text = sheet("partitions.bin", &broken);
    assert!(text.ends_with("  partitions    bad: partitions app0 and app1 overlap\n"), "{text}");
    let facts = facts("partitions.bin", &table);
    assert_eq!(
        facts["partition_table"]["partitions"][2],
        json!({
            "label": "app0", "kind": "app ota_0", "offset": 0x1_0000, "size": 0x14_0000,
            "encrypted": false, "read_only": false,
        })
    );
    let mut records = DEFAULT_TABLE;
    (records[0].flags, records[4].flags) = (1, 2);
    let table = table_of(&records);
    let text = sheet("partitions.bin", &table);
    assert!(
        text.contains("  data nvs, encrypted\n") && text.contains("  data spiffs, read-only\n")
    );
    let rows = &self::facts("partitions.bin", &table)["partition_table"]["partitions"];
    assert_eq!((&rows[0]["encrypted"], &rows[0]["read_only"]), (&json!(true), &json!(false)));
    assert_eq!((&rows[4]["encrypted"], &rows[4]["read_only"]), (&json!(false), &json!(true)));
}

#[test]
fn otadata_says_what_starts() {
    let mut file = vec![0xFF; 0x2000];
    write(&mut file, 0, &OtaEntry::new(3, OtaState::Valid).to_bytes());
    write(&mut file, 0x1000, &OtaEntry::new(4, OtaState::Aborted).to_bytes());
    let text = sheet("otadata.bin", &file);
    let expected = "  sectors       sequence 3, valid\
        \n                sequence 4, aborted: does not count\
        \n  starts        ota_0, if there are two slots\n";
    assert!(text.ends_with(expected), "{text}");
    assert!(text.contains("  kind          otadata\n"), "{text}");
    let otadata = &facts("otadata.bin", &file)["otadata"];
    assert_eq!((&otadata["active"], &otadata["starts"]), (&json!(0), &json!("ota_0")));
    assert_eq!(otadata["sectors"][1], json!({ "sequence": 4, "state": "aborted" }));
}

#[test]
fn signatures_and_filesystems_are_described() {
    let has = |name: &str, file: &[u8], line: &str| {
        let text = sheet(name, file);
        assert!(text.contains(&format!("\n  {line}\n")), "{text}");
    };
    let signed = |length: u16| {
        let mut file = sketch(1);
        file.extend(filler(length.into(), 9));
        file.extend(u32::from(length).to_le_bytes());
        file
    };
    let of = |kind| format!("signature     Arduino ESP8266, {kind}, not verified");
    has("rsa.bin", &signed(256), &of("256 bytes, RSA-2048"));
    has("ecdsa.bin", &signed(64), &of("64 bytes, P-256"));
    let note = "note          only for devices that run in DIO: the flash mode is signed, too";
    has("rsa.bin", &signed(256), note);
    has("fs.bin", &littlefs_of(8192, 125), "blocks        125 of 8192 bytes");
    let facts = facts("rsa.bin", &signed(512));
    assert_eq!((&facts["signature_key"], &facts["blocks"]), (&json!("RSA-4096"), &Value::Null));
}

/// Puts `bytes` at `offset` of a flash, which grows as needed.
fn write(flash: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    flash.resize(flash.len().max(offset + bytes.len()), 0xFF);
    flash[offset..offset + bytes.len()].copy_from_slice(bytes);
}

fn sheet(name: &str, file: &[u8]) -> String {
    run(name, file, &[])
}

fn facts(name: &str, file: &[u8]) -> Value {
    let text = run(name, file, &[Path::new("--json")]);
    let Value::Array(mut facts) = serde_json::from_str(&text).unwrap() else { panic!("{text}") };
    facts.remove(0)
}

fn run(name: &str, file: &[u8], args: &[&Path]) -> String {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, file).unwrap();
    let output = updraft(&[args, &[&path]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
