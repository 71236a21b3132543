//! `updraft image info` against an independent judge: what it says of an image is what Espressif's
//! esptool says of it, for images of our builder and for real ones.
//!
//! The judges are a Python environment with `esptool` and `esp-linker` (which contains real images)
//! at `$UPDRAFT_JUDGES` or `target/judges`; without it these tests are skipped, but never in CI.

use std::io::{Write as _, stdout};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;
use updraft_core::{Chip, FlashMode};
use updraft_pack::{Esp32Image, Esp8266Image, eboot, esp32_boot_loader};

/// Every chip, with one mode, size and frequency after the other.
#[test]
fn built_images_are_read_as_esptool_reads_them() {
    let Some(judge) = Judge::find() else { return };
    let modes = [FlashMode::Qio, FlashMode::Qout, FlashMode::Dio, FlashMode::Dout];
    let mut frequencies = [80, 60, 48, 40, 30, 26, 24, 20, 16, 15, 12].into_iter().cycle();
    for (i, chip) in Chip::all().filter(|chip| chip.id().is_some()).enumerate() {
        let image = Esp32Image::new(chip)
            .flash_mode(modes[i % 4])
            .flash_size(1 << (20 + i % 8))
            .filler(100 + i, 1)
            .code(&[5; 40]);
        let built = frequencies.find_map(|mhz| image.clone().flash_frequency_mhz(mhz).build().ok());
        judge.check(&format!("{chip}.bin"), &built.unwrap());
    }
    judge.check("boot_loader.bin", &esp32_boot_loader(Chip::Esp32S3).unwrap());
    judge.check("no_hash.bin", &Esp32Image::new(Chip::Esp32C3).without_hash().build().unwrap());

    judge.check("eboot.bin", &eboot().unwrap());
    for (i, size) in
        [256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20, 8 << 20, 16 << 20].into_iter().enumerate()
    {
        let image = Esp8266Image::new()
            .flash_mode(modes[i % 4])
            .flash_size(size)
            .flash_frequency_mhz([80, 40, 26, 20][i % 4])
            .filler(100 + i, 1)
            .without_crc();
        // esptool reads one image, the one at the start; so it is given the application alone.
        judge.check(&format!("esp8266_{i}.bin"), &image.build().unwrap()[0x1000..]);
    }
}

#[test]
fn damage_is_seen_where_esptool_sees_it() {
    let Some(judge) = Judge::find() else { return };
    for at in [40, 340] {
        let mut image = Esp32Image::new(Chip::Esp32).payload(&[1; 64]).build().unwrap();
        image[at] ^= 1;
        judge.check(&format!("damaged_at_{at}.bin"), &image);
    }
    let mut eboot = eboot().unwrap();
    eboot[20] ^= 1;
    judge.check("damaged_eboot.bin", &eboot);
}

#[test]
fn a_real_esp8266_sketch_is_read_right() {
    let Some(judge) = Judge::find() else { return };
    let sketch = std::fs::read(judge.firmware("esp-linker-esp8266.bin")).unwrap();
    let facts = judge.info("sketch.bin", &sketch);
    assert_eq!(facts["kind"], "ESP8266 sketch");
    assert_eq!(facts["ota"], "sketch");
    assert_eq!(
        facts["checks"],
        json!({ "checksum": "ok", "boot_checksum": "ok", "crc": "ok", "hash": "absent" })
    );
    assert_eq!(facts["sizes"]["sketch"], sketch.len());
    assert_eq!(facts["running"]["md5"][2], facts["md5"]);

    // Its application as the linker left it, with the words for length and CRC zero.
    let mut app = sketch[0x1000..].to_vec();
    app[0x10..0x18].fill(0);
    let alone = judge.check("app.bin", &app);
    assert_eq!(alone["entry"], facts["entry"]);
    for (one, other) in segments(&alone).iter().zip(segments(&facts)) {
        assert_eq!((&one["address"], &one["length"]), (&other["address"], &other["length"]));
    }
}

#[test]
fn a_real_merged_dump_and_its_parts_are_read_right() {
    let Some(judge) = Judge::find() else { return };
    let flash = std::fs::read(judge.firmware("esp-linker-esp32.bin")).unwrap();
    let facts = judge.info("merged.bin", &flash);
    assert_eq!(facts["kind"], "merged flash dump");
    assert_eq!(facts["ota"], Value::Null);
    assert_eq!(facts["checks"]["checksum"], "ok");
    assert_eq!(facts["checks"]["boot_checksum"], "ok");

    let app = judge.check("app.bin", &flash[0x1_0000..]);
    assert_eq!(app["kind"], "ESP32 application");
    assert_eq!(app["ota"], "sketch");
    assert_eq!(app["checks"]["hash"], "ok");
    // The words in its descriptor are those of Arduino's prebuilt libraries.
    assert_eq!((&app["version"], &app["project"]), (&Value::Null, &Value::Null));
    assert_eq!(app["running"]["md5"], json!([app["md5"]]));
    assert_eq!(app["entry"], facts["entry"]);

    let boot_loader = judge.check("boot_loader.bin", &flash[0x1000..0x8000]);
    assert_eq!(boot_loader["kind"], "boot loader");
    let table = judge.info("table.bin", &flash[0x8000..0x9000]);
    assert_eq!(table["kind"], "partition table");
}

#[test]
fn what_is_no_image_is_said_with_its_name() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "no firmware").unwrap();
    let output = updraft(&[&path]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error, format!("updraft: not a firmware image: {}\n", path.display()));
    let sheet = String::from_utf8(output.stdout).unwrap();
    assert!(sheet.contains("  kind          unknown\n"), "{sheet}");
    assert!(sheet.contains("  size          11 bytes\n"), "{sheet}");

    assert_eq!(updraft(&[]).status.code(), Some(2));
}

#[test]
fn what_cannot_be_read_hides_nothing_else() {
    let folder = TempDir::new().unwrap();
    let [missing, sketch, notes] =
        ["missing.bin", "door.bin", "notes.txt"].map(|name| folder.path().join(name));
    std::fs::write(&sketch, Esp8266Image::new().build().unwrap()).unwrap();
    std::fs::write(&notes, "no firmware").unwrap();
    let names = |files: &[&PathBuf]| {
        let long = [Path::new("--long")].into_iter();
        let args: Vec<_> = long.chain(files.iter().map(|path| path.as_path())).collect();
        let output = updraft(&args);
        let [sheets, errors] =
            [output.stdout, output.stderr].map(|s| String::from_utf8(s).unwrap());
        let sheets = sheets.split_terminator("\n\n").map(|sheet| sheet.lines().next().unwrap());
        let sheets = sheets.map(PathBuf::from).collect::<Vec<_>>();
        let errors = errors.lines().map(str::to_owned).collect::<Vec<_>>();
        (sheets, errors, output.status.code())
    };
    let unread = |path: &Path, why: &str| format!("updraft: cannot read {}: {why}", path.display());
    let is_missing = unread(&missing, "No such file or directory (os error 2)");
    let is_folder = unread(folder.path(), "Is a directory (os error 21)");
    let is_unknown = format!("updraft: not a firmware image: {}", notes.display());

    assert_eq!(names(&[&missing]), (vec![], vec![is_missing.clone()], Some(2)));
    let expected = (vec![sketch.clone()], vec![is_missing.clone()], Some(2));
    assert_eq!(names(&[&missing, &sketch]), expected);
    assert_eq!(names(&[&sketch, &missing]), expected);
    assert_eq!(
        names(&[&folder.path().to_owned(), &notes, &missing, &sketch]),
        (vec![notes.clone(), sketch.clone()], vec![is_unknown, is_folder, is_missing], Some(2))
    );

    let output = updraft(&[Path::new("--json"), &missing, &sketch]);
    assert_eq!(output.status.code(), Some(2));
    let facts: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(facts.as_array().unwrap().len(), 1);
    assert_eq!(facts[0]["ota"], "sketch");
}

#[test]
fn sums_of_boot_loader_and_application_are_told_apart() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("door.bin");
    let mut sketch = Esp8266Image::new().build().unwrap();
    sketch[20] ^= 1; // in eboot
    std::fs::write(&path, sketch).unwrap();
    let sheet = String::from_utf8(updraft(&[&path]).stdout).unwrap();
    let expected = "\n  over the air  no: the checksum of the boot loader is wrong\
        \n  checksum      ok\n  boot checksum bad\n  CRC           bad\n";
    assert!(sheet.contains(expected), "{sheet}");
    let json = updraft(&[Path::new("--json"), &path]).stdout;
    let facts: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(facts[0]["checks"]["boot_checksum"], "bad");
    assert_eq!(facts[0]["refusal"], "the checksum of the boot loader is wrong");
}

#[test]
fn several_files_have_a_line_each_or_a_sheet() {
    let folder = TempDir::new().unwrap();
    let [one, two] = ["one.bin", "two.bin"].map(|name| folder.path().join(name));
    std::fs::write(&one, Esp8266Image::new().build().unwrap()).unwrap();
    std::fs::write(&two, Esp32Image::new(Chip::Esp32).project("gate").build().unwrap()).unwrap();
    let output = updraft(&[&one, &two]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    let (one_name, two_name) = (one.display().to_string(), two.display().to_string());
    let width = one_name.len();
    let expected = format!(
        "{:<width$}  KIND               CHIP     VERSION  BYTES  OVER THE AIR\n\
        {one_name}  ESP8266 sketch     esp8266  -         4176  as a sketch\n\
        {two_name}  ESP32 application  esp32    1.0.0      352  as a sketch\n",
        "FILE"
    );
    assert_eq!(text, expected);

    let output = updraft(&[Path::new("--long"), &one, &two]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    let sheets: Vec<_> = text.split("\n\n").collect();
    assert_eq!(sheets.len(), 2);
    assert!(sheets[0].starts_with(&format!("{}\n", one.display())), "{text}");
    assert!(sheets[1].contains("  project       gate\n"), "{text}");
}

/// esptool, and a place for files to show to it.
pub(crate) struct Judge {
    environment: PathBuf,
    folder: TempDir,
}

impl Judge {
    /// The judge, if it is installed; in CI it must be.
    pub(crate) fn find() -> Option<Self> {
        let environment = variable("UPDRAFT_JUDGES").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/judges"),
            PathBuf::from,
        );
        if environment.join("bin/esptool").exists() {
            return Some(Self { environment, folder: TempDir::new().unwrap() });
        }
        assert!(variable("CI").is_none(), "no esptool in {}", environment.display());
        let _ = writeln!(stdout(), "skipped: no esptool in {}", environment.display());
        None
    }

    /// The path of a real image.
    pub(crate) fn firmware(&self, name: &str) -> PathBuf {
        let library = std::fs::read_dir(self.environment.join("lib")).unwrap();
        let paths = library.map(|entry| entry.unwrap().path());
        let mut found = paths.map(|path| path.join("site-packages/esp_linker/firmware").join(name));
        found.find(|path| path.exists()).unwrap()
    }

    /// What we say of `image`.
    pub(crate) fn info(&self, name: &str, image: &[u8]) -> Value {
        let path = self.folder.path().join(name);
        std::fs::write(&path, image).unwrap();
        let output = updraft(&[Path::new("--json"), &path]);
        let Value::Array(mut facts) = serde_json::from_slice(&output.stdout).unwrap() else {
            panic!("{output:?}")
        };
        assert_eq!(facts.len(), 1);
        facts.remove(0)
    }

    /// Compares what we say of `image` with what esptool says, and returns it.
    pub(crate) fn check(&self, name: &str, image: &[u8]) -> Value {
        let facts = self.info(name, image);
        let path = self.folder.path().join(name);
        let output = Command::new(self.environment.join("bin/esptool"))
            .arg("image-info")
            .arg(&path)
            .output()
            .unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
        let report = Report(String::from_utf8(output.stdout).unwrap());

        let chip = report.value("Detected image type").to_lowercase().replace('-', "");
        assert_eq!(facts["chip"], chip, "{name}");
        let flash = &facts["flash"];
        assert_eq!(flash["mode"], report.value("Flash mode"), "{name}");
        assert_eq!(flash["size"], report.flash_size(), "{name}");
        assert_eq!(format!("{}m", flash["frequency_mhz"]), report.value("Flash freq"), "{name}");
        assert_eq!(facts["entry"], number(report.value("Entry point")), "{name}");
        // esptool shows lengths with its own padding to multiples of four.
        let mut padded = segments(&facts);
        for segment in &mut padded {
            segment["length"] = json!(segment["length"].as_u64().unwrap().next_multiple_of(4));
        }
        assert_eq!(padded, report.segments(), "{name}");
        let checks = &facts["checks"];
        assert_eq!(checks["checksum"], report.verdict("Checksum"), "{name}");
        assert_eq!(checks["hash"], report.verdict("Validation hash"), "{name}");
        facts
    }
}

/// The text esptool prints.
struct Report(String);

impl Report {
    /// What stands behind `key:`, empty if there is no such line.
    fn value(&self, key: &str) -> &str {
        let mut lines = self.0.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(name, _)| *name == key).map_or("", |(_, value)| value)
    }

    /// Flash size in bytes.
    fn flash_size(&self) -> u64 {
        let text = self.value("Flash size");
        let digits = text.trim_end_matches(char::is_alphabetic);
        let unit = if text.ends_with("KB") { 10 } else { 20 };
        digits.parse::<u64>().unwrap() << unit
    }

    fn verdict(&self, key: &str) -> &'static str {
        match self.value(key) {
            "" => "absent",
            text if text.ends_with("(valid)") => "ok",
            _ => "bad",
        }
    }

    /// The rows of the table of segments, as we write them.
    fn segments(&self) -> Vec<Value> {
        let rows = self.0.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        rows.filter_map(|row| match *row {
            [index, length, address, offset, ..] if index.parse::<u8>().is_ok() => Some(json!({
                "address": number(address),
                "length": number(length),
                // esptool says where the segment's header is, 8 bytes before its data.
                "offset": number(offset) + 8,
            })),
            _ => None,
        })
        .collect()
    }
}

fn segments(facts: &Value) -> Vec<Value> {
    facts["segments"].as_array().unwrap().clone()
}

/// A hexadecimal number behind `0x`.
fn number(text: &str) -> u64 {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
}

/// Runs `updraft image info`.
pub(crate) fn updraft(args: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_updraft")).args(["image", "info"]).args(args).output().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a test has no other way to its surroundings")]
fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}
