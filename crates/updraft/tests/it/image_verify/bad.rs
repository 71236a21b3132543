//! Bad files: each is refused, by one check, for a reason that no other file has.

use std::collections::BTreeMap;

use crc::{CRC_32_ISO_HDLC, Crc};
use updraft_core::{Chip, FlashMode, OtaEntry, OtaState};
use updraft_pack::{Esp32Image, Esp8266Image, eboot, filler, merged_flash, partition_table};

use super::lab::{Lab, checks, field, raw, trailer};
use crate::images::{app, damaged, gzip, littlefs, signed, sketch, unknown};

/// The reasons so far, with the files they were given for.
struct Reasons {
    lab: Lab,
    given: BTreeMap<String, String>,
}

impl Reasons {
    /// `file` fails this one check, for a reason that contains these words.
    fn check(&mut self, name: &str, file: &[u8], options: &str, check: &str, words: &str) {
        let (report, code) = self.lab.verify(file, options);
        assert_eq!((code, &report["verdict"]), (Some(1), &"failed".into()), "{name}: {report:#}");
        let failed = checks(&report, "failed");
        let [(failed, reason)] = &*failed else { panic!("{name}: {failed:?}") };
        assert_eq!(failed, check, "{name}: {reason}");
        assert!(reason.contains(words), "{name}: {reason}");
        let before = self.given.insert(reason.clone(), name.to_owned());
        assert_eq!(before, None, "{name}: {reason}");
    }
}

#[test]
fn every_bad_file_has_a_reason_of_its_own() {
    let mut reasons = Reasons { lab: Lab::new(), given: BTreeMap::new() };
    kinds(&mut reasons);
    structures(&mut reasons);
    gzips(&mut reasons);
    devices(&mut reasons);
    signatures_esp8266(&mut reasons);
    signatures_esp32(&mut reasons);
    let by_openssl = reasons.given.len();
    assert!(by_openssl >= 45, "{by_openssl}");
    secure_boot(&mut reasons);
}

fn kinds(reasons: &mut Reasons) {
    let mut check = |name, file: &[u8], words| reasons.check(name, file, "", "kind", words);
    check("other data", &unknown(3000), "not a firmware image");
    // An application without eboot, as esptool makes it.
    check("plain image", &sketch(1)[0x1000..], "without Arduino's boot loader");
    let mut sdk = sketch(1)[0x1000..].to_vec();
    sdk[..2].copy_from_slice(&[0xEA, 4]);
    check("SDK image", &sdk, "SDK image");
    check("eboot", &eboot().unwrap(), "a boot loader");
    let merged = merged_flash(Chip::Esp32, &app(Chip::Esp32, 1)).unwrap();
    check("merged dump", &merged, "merged flash dump");
    check("partition table", &partition_table(), "a partition table");
    let entry = OtaEntry::new(1, OtaState::Undefined).to_bytes();
    let mut otadata = vec![0xFF; 0x2000];
    otadata[..entry.len()].copy_from_slice(&entry);
    check("otadata", &otadata, "otadata");
    let zlib = miniz_oxide::deflate::compress_to_vec_zlib(&sketch(1), 6);
    check("zlib", &zlib, "zlib stream");
    check("gzip of an application", &gzip(&app(Chip::Esp32, 1)), "gzip of an ESP32 image");
    check("gzip of a filesystem", &gzip(&littlefs()), "gzip of a filesystem");
    check("gzip of a text", &gzip(b"no image"), "other than an ESP8266 sketch");
}

fn structures(reasons: &mut Reasons) {
    let mut check = |name, file: &[u8], kind, words| reasons.check(name, file, "", kind, words);
    check("cut short", &sketch(1)[..5000], "structure", "ends before the image does");
    let mut segments = app(Chip::Esp32, 1);
    segments[1] = 17;
    check("too many segments", &segments, "structure", "names 17 segments");
    let tail = [&sketch(1)[..], &[7; 100]].concat();
    check("something behind it", &tail, "structure", "something stands behind the sketch");

    let old = Esp8266Image::new().filler(900, 1).without_crc().build().unwrap();
    check("boot loader", &damaged(&old, 20), "boot_checksum", "checksum of the boot loader");
    check("checksum", &damaged(&old, 0x1100), "checksum", "the checksum is wrong");
    // The padding counts for the CRC alone.
    check("crc", &damaged(&sketch(1), 0x800), "crc", "the CRC is wrong");
    let hashed = damaged(&app(Chip::Esp32, 1), 5);
    check("hash", &hashed, "hash", "the appended SHA-256 is wrong");
    let odd = application(0x3F40_0020, &[1; 7]);
    check("segment length", &odd, "segments", "length of segment 0");
    let shifted = application(0x3F40_0030, &[1; 8]);
    check("segment place", &shifted, "segments", "segment 0 does not stand");
}

/// An ESP32 application with one segment, by hand: the builder makes no impossible ones.
fn application(address: u32, data: &[u8]) -> Vec<u8> {
    let mut file = Esp32Image::new(Chip::Esp32).without_hash().build().unwrap()[..24].to_vec();
    file[1] = 1;
    file.extend(address.to_le_bytes());
    file.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
    file.extend(data);
    file.resize(file.len() | 15, 0);
    file.push(data.iter().fold(0xEF, |sum, byte| sum ^ byte));
    file
}

fn gzips(reasons: &mut Reasons) {
    let good = gzip(&sketch(1));
    let end = good.len();
    let mut check = |name, change: &dyn Fn(&mut Vec<u8>), words| {
        let mut file = good.clone();
        change(&mut file);
        reasons.check(name, &file, "", "gzip", words);
    };
    check("method", &|file| file[2] = 7, "method 7");
    check("reserved flags", &|file| file[3] = 0x20, "reserved flags (0x20)");
    check("damaged deflate", &|file| file[10] = 7, "gzip data is damaged");
    check("CRC of a gzip", &|file| file[end - 8] ^= 1, "CRC of the inflated data");
    check("ISIZE", &|file| file[end - 4] ^= 1, "wrong inflated size");
    check("ISIZE of zero", &|file| file[end - 4..].fill(0), "inflated size of 0");
    check("padding behind a gzip", &|file| file.extend([0; 16]), "something stands behind");
    check("several members", &|file| file.extend(gzip(b"more")), "several members");
    check("a bomb", &|file| *file = gzip(&vec![0; 17 << 20]), "more than 16 MiB");
}

fn devices(reasons: &mut Reasons) {
    let (esp32, s3) = (app(Chip::Esp32, 1), app(Chip::Esp32S3, 1));
    let running = Esp8266Image::new().flash_mode(FlashMode::Dout).filler(600_000, 5);
    reasons.lab.write("dout.bin", &running.build().unwrap());
    let secure = |version| Esp32Image::new(Chip::Esp32).secure_version(version).build().unwrap();
    reasons.lab.write("secure.bin", &secure(2));
    let large = Esp8266Image::new().filler(500_000, 3).build().unwrap();
    // Inflated it is longer than what lies before the staged copy; compressed it is short.
    let hollow = Esp8266Image::new().payload(&vec![0; 1_044_000]);
    let hollow = gzip(&hollow.flash_mode(FlashMode::Dout).build().unwrap());
    let flash_16m = Esp8266Image::new().flash_size(16 << 20).build().unwrap();

    let mut check = |name, file: &[u8], options, kind, words| {
        reasons.check(name, file, options, kind, words);
    };
    check("family", &sketch(1), "--chip esp32", "chip", "the image is for the esp8266");
    check("chip", &s3, "--chip esp32-c3", "chip", "the device is an esp32c3");
    check("free space", &large, "--free-space 491520", "room", "it needs 507904 bytes");
    check(
        "layout",
        &large,
        "--flash 4m3m --running dout.bin",
        "room",
        "the device has 442368 free",
    );
    check("one application", &esp32, "--flash no_ota", "room", "no second application partition");
    let slot = Esp32Image::new(Chip::Esp32).filler(0x1E_0000, 1).build().unwrap();
    check("slot", &slot, "--flash min_spiffs", "room", "the device has 1966080 free");
    let layout = "--flash 4m3m --running dout.bin";
    check("inflating", &hollow, layout, "inflate", "inflated it needs");
    check("flash size", &flash_16m, "--flash 4m2m", "flash_size", "expects 16777216 bytes");
    let running = "--running dout.bin";
    check("mode, gzip", &gzip(&sketch(1)), running, "flash_mode", "inside the gzip differs");
    check("mode, signed", &signed(&sketch(1)), running, "flash_mode", "(error 12)");
    check("long filesystem", &littlefs(), "--flash 4m", "room", "the flash has no filesystem");
    let long = [littlefs(), vec![0xFF; 0x3_0000]].concat();
    check("filesystem", &long, "--flash min_spiffs --chip esp32", "room", "the filesystem has");
    let options = "--running secure.bin";
    check("rollback", &secure(1), options, "secure_version", "the running one 2");
}

fn signatures_esp8266(reasons: &mut Reasons) {
    for (name, kind) in [("rsa", "rsa:2048"), ("other", "rsa:2048"), ("ec", "prime256v1")] {
        reasons.lab.key(name, kind);
    }
    let image = sketch(1);
    let by = |lab: &Lab, name, options| trailer(&image, &lab.sign(name, &image, options));
    let rsa = by(&reasons.lab, "rsa", "-sha256");
    let other = by(&reasons.lab, "other", "-sha256");
    let sha512 = by(&reasons.lab, "rsa", "-sha512");
    let legacy = trailer(&image, &reasons.lab.sign_legacy("rsa", &image));
    let ec = trailer(&image, &raw(&reasons.lab.sign("ec", &image, "-sha256")));
    let zero = trailer(&image, &[0; 64]);
    // Another sketch of the same length under the signature of the first.
    let swapped = |file: &[u8]| [&sketch(2), &file[image.len()..]].concat();

    let mut check = |name, file: &[u8], key: &str, words| {
        reasons.check(name, file, &format!("--key {key}.pub"), "signature", words);
    };
    check("unsigned", &image, "rsa", "asks for a signature, and there is none");
    check("key", &other, "rsa", "made with another key, or is damaged");
    check("bytes", &swapped(&rsa), "rsa", "the key signed other bytes");
    check("hash function", &sha512, "rsa", "another hash function");
    check("legacy", &legacy, "rsa", "legacy form (no DigestInfo)");
    check("length word", &ec, "rsa", "says 64, not 256");
    check("length word, P-256", &rsa, "ec", "says 256, not 64");
    check("ECDSA", &swapped(&ec), "ec", "another key, or for other bytes");
    check("no ECDSA", &zero, "ec", "no ECDSA signature");
}

fn signatures_esp32(reasons: &mut Reasons) {
    let image = app(Chip::Esp32, 1);
    let pss = "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32";
    let salt = field(&image, &reasons.lab.sign("rsa", &image, pss));
    let v1 = [&image[..], &[0; 4], &filler(64, 6)].concat();
    let mut check = |name, file: &[u8], words| {
        reasons.check(name, file, "--key rsa.pub", "signature", words);
    };
    check("salt", &salt, "32 bytes of salt, the device asks for 222");
    check("secure boot v1", &v1, "secure boot version 1");
}

fn secure_boot(reasons: &mut Reasons) {
    for (name, kind) in [("three", "rsa:3072"), ("p192", "prime192v1"), ("p384", "secp384r1")] {
        reasons.lab.key(name, kind);
    }
    let image = app(Chip::Esp32S3, 1);
    let Some(good) = reasons.lab.secure_boot(&["three"], &image) else { return };
    let start = good.len() - 4096;
    let crc = Crc::<u32>::new(&CRC_32_ISO_HDLC);
    let changed = |at: usize, value: u8| {
        let mut file = good.clone();
        file[start + at] = value;
        let sum = crc.checksum(&file[start..start + 1196]).to_le_bytes();
        file[start + 1196..start + 1200].copy_from_slice(&sum);
        file
    };
    let (bit, zero) = (|at| damaged(&good, start + at)[start + at], 0);
    let mut check = |name, file: &[u8], words| {
        reasons.check(name, file, "", "signature_block", words);
    };
    check("CRC of a block", &damaged(&good, start + 1196), "CRC of the signature block");
    check("accelerator", &changed(424, bit(424)), "chip's accelerator");
    check("modulus", &changed(36, bit(36)), "impossible modulus");
    let mut small = changed(419, zero);
    small[start + 418] |= 0x80;
    let sum = crc.checksum(&small[start..start + 1196]).to_le_bytes();
    small[start + 1196..start + 1200].copy_from_slice(&sum);
    check("small modulus", &small, "an RSA key of 3064 bits");
    for (key, words) in [("p192", "the curve P-192"), ("p384", "the curve P-384")] {
        let file = reasons.lab.secure_boot(&[key], &image).unwrap();
        reasons.check(key, &file, "", "signature_block", words);
    }
    let kind = "a device of this kind takes no RSA-2048 key";
    reasons.check("key kind", &good, "--key rsa.pub", "signature", kind);
    let strange = reasons.lab.secure_boot(&["ec"], &image).unwrap();
    let words = "secure boot of the esp32s3 takes no P-256 key";
    reasons.check("kind of the chip", &strange, "--key ec.pub", "signature_block", words);

    // Reasons that other files have had, now for a sector.
    let check = |file: &[u8], options, words| {
        let (report, code) = reasons.lab.verify(file, options);
        let failed = checks(&report, "failed");
        assert_eq!(code, Some(1), "{report:#}");
        assert!(failed.iter().all(|(_, reason)| reason.contains(words)), "{failed:?}");
    };
    check(&damaged(&good, start - 1), "", "the key signed other bytes");
    check(&changed(812, bit(812)), "", "made with another key, or is damaged");
    reasons.lab.key("four", "rsa:3072");
    // An ESP32 looks at the first block only.
    let both = reasons.lab.secure_boot(&["four", "three"], &app(Chip::Esp32, 1)).unwrap();
    check(&both, "--key three.pub", "made with another key, or is damaged");
    check(&good, "--key four.pub", "made with another key, or is damaged");
}
