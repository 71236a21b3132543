//! Makes the scenarios: small images that can be cut at every pair of places, and large ones.

use md5::{Digest as _, Md5};
use updraft_core::{Chip, Esp8266Layout, FilesystemKind, FlashMode, OtaTarget, PartitionTable};
use updraft_pack::{
    Esp32Image, Esp8266Image, Format, Gzip, Record, SignError, TWO_OTA_TABLE, filesystem, filler,
    table_of,
};

use super::Effort;
use super::scenario::{Expected, Filesystems, LabError, Scenario, Second, Trial};
use crate::boot::esp32::{Loader, Rollback};
use crate::device::{Device, Model};
use crate::software::{self, Delivery};

/// Bytes of what is in a small image: it takes three sectors.
const SMALL: usize = 8_000;
/// And in a large one.
const LARGE: usize = 150_000;

/// Signs a file in one of the two forms.
pub type Sign<'a> = dyn Fn(&[u8], Format) -> Result<Vec<u8>, SignError> + 'a;

/// Where the other sector of otadata leads to what is neither the old nor the new image.
const THREE_SLOTS: [Record<'static>; 4] = [
    Record::new("otadata", 1, 0x00, 0xE000, 0x2000),
    Record::new("ota_0", 0, 0x10, 0x1_0000, 0x1_0000),
    Record::new("ota_1", 0, 0x11, 0x2_0000, 0x1_0000),
    Record::new("ota_2", 0, 0x12, 0x3_0000, 0x1_0000),
];

/// Who signs: the devices trust this key.
pub struct Signer<'a> {
    /// The public key in DER.
    pub key: Vec<u8>,
    /// Signs a file.
    pub sign: &'a Sign<'a>,
}

/// All that is tried, the longest first.
pub(super) fn scenarios(effort: Effort, signer: &Signer<'_>) -> Result<Vec<Scenario>, LabError> {
    let lab = Lab { effort, signer };
    let mut all = lab.esp32()?;
    all.extend(lab.esp8266()?);
    Ok(all)
}

struct Lab<'a> {
    effort: Effort,
    signer: &'a Signer<'a>,
}

/// A device that runs the old image, and the new one.
#[derive(Clone)]
struct Bench {
    device: Device,
    /// The new image, as it is sent without a wrapper.
    image: Vec<u8>,
    /// Its MD5 once it runs.
    new: [u8; 16],
}

impl Lab<'_> {
    fn esp8266(&self) -> Result<Vec<Scenario>, LabError> {
        let small = Self::sketches("1m64", &small_sketch(2))?;
        let mut all = Vec::new();
        for (size, bench) in
            self.sizes(small.clone(), || Self::sketches("4m2m", &large_sketch(2)))?
        {
            let gzip = Gzip::new(&bench.image).build();
            all.push(self.sketch(&bench, size, "plain", bench.image.clone(), None)?);
            all.push(self.sketch(&bench, size, "gzip", gzip.clone(), None)?);
            all.push(self.signed(&bench, size, "plain, signed", &bench.image, Format::Esp8266)?);
            all.push(self.signed(&bench, size, "gzip, signed", &gzip, Format::Esp8266)?);
        }
        let other_mode = small_sketch(2).flash_mode(FlashMode::Dout);
        let bench = Self::sketches("1m64", &other_mode)?;
        let name = "plain, of another flash mode";
        all.push(self.sketch(&bench, Size::Small, name, bench.image.clone(), None)?);
        let bench = Self::sketches("1m64", &small_sketch(2).flash_frequency_mhz(80))?;
        let name = "plain, with another eboot";
        all.push(self.sketch(&bench, Size::Small, name, bench.image.clone(), None)?);
        all.push(self.unstarted(&small, small_sketch(3).build()?)?);
        all.extend(self.filesystems(&small, Some(Format::Esp8266))?);
        let gzip = Gzip::new(&small.image).build();
        all.extend(self.bad(&small, Format::Esp8266, &gzip)?);
        Ok(all)
    }

    fn esp32(&self) -> Result<Vec<Scenario>, LabError> {
        let default = PartitionTable::standard("default").ok_or(LabError::Layout("default"))?;
        let table = |records: &[Record<'_>]| {
            PartitionTable::parse(&table_of(records))
                .map_err(|_| LabError::Layout("of these records"))
        };
        let (factory, three) = (table(&TWO_OTA_TABLE)?, table(&THREE_SLOTS)?);
        let loader = Loader::new(Chip::Esp32);
        let bench = |chip, table: &PartitionTable, length| {
            let model = Model::esp32(chip, table.clone(), 4 << 20);
            Self::apps(model, &app(chip, length, 1), &app(chip, length, 2))
        };
        let small = bench(Chip::Esp32, &default, SMALL)?;
        let format = Format::ArduinoEsp32;
        let mut all = Vec::new();
        for (size, bench) in self.sizes(small.clone(), || bench(Chip::Esp32, &default, LARGE))? {
            all.push(self.sketch(&bench, size, "plain", bench.image.clone(), None)?);
            all.push(self.signed(&bench, size, "plain, signed", &bench.image, format)?);
        }
        let one =
            |bench: &Bench, name| self.sketch(bench, Size::Small, name, bench.image.clone(), None);
        all.push(one(&bench(Chip::Esp32C3, &default, SMALL)?, "plain, ESP32-C3")?);
        all.push(one(&bench(Chip::Esp32, &factory, SMALL)?, "plain, over the factory's")?);
        all.push(one(&Self::updated(&small)?, "plain, the second update")?);
        let of_three = Self::updated(&bench(Chip::Esp32, &three, SMALL)?)?;
        all.push(one(&of_three, "plain, the second update, three slots")?);
        let model = Model::Esp32 {
            loader: Loader { rollback: Rollback::Off, ..loader },
            table: Box::new(default.clone()),
            flash: 4 << 20,
        };
        let (old, new) = (app(Chip::Esp32, SMALL, 1), app(Chip::Esp32, SMALL, 2));
        all.push(one(&Self::apps(model, &old, &new)?, "plain, no rollback")?);
        let failed = one(&small, "plain, never says that it works")?;
        all.push(Scenario { trial: Trial::Failed, ..failed });
        all.push(self.unstarted(&small, app(Chip::Esp32, SMALL, 3).build()?)?);
        all.extend(self.filesystems(&small, None)?);
        all.extend(self.bad(&small, format, &[])?);
        Ok(all)
    }

    /// The small bench and, if there is time, a large one.
    fn sizes(
        &self,
        small: Bench,
        large: impl FnOnce() -> Result<Bench, LabError>,
    ) -> Result<Vec<(Size, Bench)>, LabError> {
        let mut sizes = vec![(Size::Small, small)];
        if self.effort == Effort::Full {
            sizes.push((Size::Large, large()?));
        }
        Ok(sizes)
    }

    /// An ESP8266 of this layout that runs a sketch, and the one that it is to run.
    fn sketches(layout: &'static str, new: &Esp8266Image) -> Result<Bench, LabError> {
        let model = Esp8266Layout::named(layout).ok_or(LabError::Layout(layout))?;
        let old = small_sketch(1).build()?;
        let image = new.build()?;
        // The updater writes the running mode into it.
        let mut runs = image.clone();
        runs[2] = old[2];
        let device = Device::new(Model::Esp8266(model), &old)?;
        Ok(Bench { device, new: Md5::digest(&runs).into(), image })
    }

    /// A chip of the ESP32 family that runs one application, and another one.
    fn apps(model: Model, old: &Esp32Image, new: &Esp32Image) -> Result<Bench, LabError> {
        let image = new.build()?;
        let device = Device::new(model, &old.build()?)?;
        Ok(Bench { device, new: Md5::digest(&image).into(), image })
    }

    /// The bench after an update: what ran before is in the other slot.
    fn updated(bench: &Bench) -> Result<Bench, LabError> {
        let mut device = bench.device.clone();
        let running = device.boot().map_err(LabError::Dead)?;
        let between = app(Chip::Esp32, SMALL, 3).build()?;
        software::install(&mut device, &running, &Delivery::new(OtaTarget::Sketch, between))?;
        let running = device.boot().map_err(LabError::Dead)?;
        software::confirm(&mut device, &running)?;
        Ok(Bench { device, ..bench.clone() })
    }

    /// An update while another one is there that was not started yet.
    fn unstarted(&self, bench: &Bench, between: Vec<u8>) -> Result<Scenario, LabError> {
        let name = "plain, over one that has not started";
        let scenario = self.sketch(bench, Size::Small, name, bench.image.clone(), None)?;
        let md5 = Md5::digest(&between).into();
        let (mut device, running) = (scenario.device.clone(), scenario.running);
        software::install(&mut device, &running, &Delivery::new(OtaTarget::Sketch, between))?;
        Ok(Scenario { device, between: Some(md5), ..scenario })
    }

    /// A sketch that is delivered in this form.
    fn sketch(
        &self,
        bench: &Bench,
        size: Size,
        name: &str,
        bytes: Vec<u8>,
        key: Option<Vec<u8>>,
    ) -> Result<Scenario, LabError> {
        let mut device = bench.device.clone();
        let running = device.boot().map_err(LabError::Dead)?;
        let good = Delivery { key, ..Delivery::new(OtaTarget::Sketch, bytes) };
        Ok(Scenario {
            name: format!("sketch, {name}{}", size.words()),
            old: running.md5,
            new: bench.new,
            between: None,
            device,
            running,
            filesystem: None,
            tried: good.clone(),
            expected: Expected::Installed,
            good,
            trial: Trial::Passed,
            second: match (size, self.effort) {
                (Size::Small, Effort::Full) => Second::All,
                (Size::Small, Effort::Quick) => Second::Some,
                (Size::Large, _) => Second::None,
            },
        })
    }

    fn signed(
        &self,
        bench: &Bench,
        size: Size,
        name: &str,
        payload: &[u8],
        format: Format,
    ) -> Result<Scenario, LabError> {
        let bytes = (self.signer.sign)(payload, format)?;
        self.sketch(bench, size, name, bytes, Some(self.signer.key.clone()))
    }

    /// A filesystem, which is overwritten in place.
    fn filesystems(
        &self,
        bench: &Bench,
        format: Option<Format>,
    ) -> Result<Vec<Scenario>, LabError> {
        let (old, new) = (little_fs(1)?, little_fs(2)?);
        let mut bench = bench.clone();
        let start = bench.device.model().filesystem().start;
        let put = bench.device.split().1.put(start, &old);
        put.map_err(|error| LabError::Device(error.into()))?;
        let files = [(None, "plain", new.clone())].into_iter().chain(match format {
            Some(format) => {
                let bytes = (self.signer.sign)(&new, format)?;
                Some((Some(self.signer.key.clone()), "signed", bytes))
            }
            None => None,
        });
        files
            .map(|(key, name, bytes)| {
                let sketch = self.sketch(&bench, Size::Small, "", Vec::new(), None)?;
                let good = Delivery { key, ..Delivery::new(OtaTarget::Filesystem, bytes) };
                let filesystem = Filesystems { old: old.clone(), new: new.clone() };
                Ok(Scenario {
                    name: format!("filesystem, {name}"),
                    // The sketch stays.
                    new: sketch.old,
                    filesystem: Some(filesystem),
                    tried: good.clone(),
                    good,
                    ..sketch
                })
            })
            .collect()
    }

    /// Files in which something is wrong, or of which only half arrives.
    fn bad(&self, bench: &Bench, format: Format, gzip: &[u8]) -> Result<Vec<Scenario>, LabError> {
        let image = &bench.image;
        let plain = self.sketch(bench, Size::Small, "", image.clone(), None)?;
        let signed = self.signed(bench, Size::Small, "", image, format)?;
        let wrong = |name: &str, good: &Scenario, change: &dyn Fn(&mut Delivery)| {
            let mut tried = good.good.clone();
            change(&mut tried);
            let second = match self.effort {
                Effort::Full => Second::Some,
                Effort::Quick => Second::None,
            };
            let (name, expected) = (format!("sketch, {name}"), Expected::Refused);
            Scenario { name, tried, expected, second, ..good.clone() }
        };
        let damage = |delivery: &mut Delivery| {
            let middle = delivery.bytes.len() / 2;
            delivery.bytes[middle] ^= 1;
        };
        let mut all = vec![
            wrong("wrong MD5", &plain, &|tried| tried.md5 = Some([0; 16])),
            wrong("a damaged byte", &plain, &damage),
            wrong("a damaged byte, no MD5", &plain, &|tried| {
                damage(tried);
                tried.md5 = None;
            }),
            wrong("cut short, no MD5", &plain, &|tried| {
                tried.bytes.truncate(image.len() / 2);
                *tried = Delivery { md5: None, arrive: tried.bytes.len(), ..tried.clone() };
            }),
            wrong("given up half-way", &plain, &|tried| tried.arrive = image.len() / 2),
            wrong("not signed", &signed, &|tried| {
                tried.bytes.clone_from(image);
                tried.arrive = image.len();
                tried.md5 = None;
            }),
            wrong("a wrong signature", &signed, &|tried| {
                let signature = image.len() + 9;
                tried.bytes[signature] ^= 1;
                tried.md5 = None;
            }),
        ];
        if !gzip.is_empty() {
            let plain = self.sketch(bench, Size::Small, "", gzip.to_vec(), None)?;
            all.push(wrong("gzip, a damaged byte, no MD5", &plain, &|tried| {
                damage(tried);
                tried.md5 = None;
            }));
        }
        Ok(all)
    }
}

/// How large an image is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Size {
    Small,
    Large,
}

impl Size {
    fn words(self) -> &'static str {
        match self {
            Self::Small => "",
            Self::Large => ", large",
        }
    }
}

fn small_sketch(seed: u64) -> Esp8266Image {
    Esp8266Image::new().flash_size(1 << 20).payload(&payload(SMALL, seed))
}

fn large_sketch(seed: u64) -> Esp8266Image {
    small_sketch(seed).payload(&payload(LARGE, seed))
}

/// Bytes that a gzip makes half as long.
fn payload(length: usize, seed: u64) -> Vec<u8> {
    filler(length, seed).into_iter().map(|byte| byte & 0x0F).collect()
}

fn app(chip: Chip, length: usize, seed: u64) -> Esp32Image {
    Esp32Image::new(chip).filler(length, seed)
}

/// A filesystem of three sectors, with something in it.
fn little_fs(seed: u64) -> Result<Vec<u8>, LabError> {
    let mut image = filesystem(FilesystemKind::LittleFs, 4096, 3)?;
    let content = 4096..image.len();
    let bytes = filler(content.len(), seed);
    image[content].copy_from_slice(&bytes);
    Ok(image)
}
