//! Signatures that OpenSSL accepts in the form in which devices get them, and those that it must not.

use getrandom::SysRng;
use updraft_core::signature::KeyKind;
use updraft_core::{Chip, FilesystemKind, FlashMode, Signature};
use updraft_pack::{
    Esp32Image, Esp8266Image, Format, Gzip, Note, SignError, SignatureDefect, SigningKey, compress,
    filesystem, secure_boot, sign, sign_wrongly,
};

use crate::judges::{Judges, inspect, key};

fn sketch() -> Vec<u8> {
    Esp8266Image::new().filler(500, 1).build().unwrap()
}

fn app() -> Vec<u8> {
    Esp32Image::new(Chip::Esp32C3).filler(500, 1).build().unwrap()
}

/// Whether OpenSSL accepts the signature at the end of `file`, over what is before it.
fn accepts(file: &[u8], payload: usize, key: &SigningKey, format: Format) -> bool {
    let judges = Judges::new();
    let (payload, rest) = file.split_at(payload);
    judges.write("payload", payload);
    judges.write("key.pem", key.public().unwrap().to_pem().unwrap());
    let length = usize::from(key.kind().signature_length());
    let is_p256 = key.kind() == KeyKind::P256;
    match format {
        Format::Esp8266 => {
            let (signature, word) = rest.split_at(rest.len() - 4);
            assert_eq!(word, u32::try_from(length).unwrap().to_le_bytes());
            assert_eq!(signature.len(), length);
            let signature = if is_p256 { der(signature) } else { signature.to_vec() };
            judges.write("signature", signature);
            judges.openssl_accepts("dgst -sha256 -verify key.pem -signature signature payload")
        }
        Format::ArduinoEsp32 => {
            assert_eq!(rest.len(), 512);
            // As `bin_signing.py` takes it from the field.
            let zeros = rest.iter().rev().take_while(|&&byte| byte == 0).count();
            judges.write("signature", &rest[..512 - zeros]);
            let pss = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:";
            let options = if is_p256 { String::new() } else { format!("{pss}{}", length - 34) };
            judges.openssl_accepts(&format!(
                "dgst -sha256 {options} -verify key.pem -signature signature payload"
            ))
        }
    }
}

/// r and s as ASN.1, the only form that OpenSSL reads.
fn der(raw: &[u8]) -> Vec<u8> {
    let number = |bytes: &[u8]| {
        let start = bytes.iter().position(|&byte| byte != 0).unwrap();
        let zero: &[u8] = if bytes[start] >= 0x80 { &[0] } else { &[] };
        let value = [zero, &bytes[start..]].concat();
        [vec![2, u8::try_from(value.len()).unwrap()], value].concat()
    };
    let both = [number(&raw[..32]), number(&raw[32..])].concat();
    [vec![0x30, u8::try_from(both.len()).unwrap()], both].concat()
}

#[test]
fn openssl_accepts_every_kind_of_signature() {
    for kind in KeyKind::ALL {
        let key = key(kind);
        let zipped = compress(&sketch()).unwrap().bytes;
        let littlefs = filesystem(FilesystemKind::LittleFs, 4096, 2).unwrap();
        for (format, file) in [
            (Format::Esp8266, sketch()),
            (Format::Esp8266, zipped),
            (Format::Esp8266, littlefs),
            (Format::ArduinoEsp32, app()),
        ] {
            let signed = sign(&file, &key, format, &mut SysRng).unwrap();
            let found = Format::for_file(&file);
            assert!(found == Ok(format) || found == Err(SignError::NoFamily), "{found:?}");
            assert!(signed.bytes.starts_with(&file));
            assert_eq!(signed.payload, file.len());
            assert!(accepts(&signed.bytes, file.len(), &key, format), "{kind} {format}");

            let facts = inspect(&signed.bytes);
            let length = kind.signature_length();
            let expected = match format {
                Format::Esp8266 => Signature::Esp8266 { length },
                Format::ArduinoEsp32 => Signature::ArduinoEsp32,
            };
            assert_eq!(facts.signature, Some(expected), "{kind} {format}");
            assert!(facts.ota().is_ok());
            assert_eq!(facts.sizes.payload, file.len() as u64);

            let again = sign(&signed.bytes, &key, format, &mut SysRng).unwrap_err();
            assert!(again.to_string().starts_with("the file is signed already: "), "{again}");
        }
    }
}

#[test]
fn openssl_refuses_every_wrong_signature() {
    for kind in [KeyKind::Rsa2048, KeyKind::P256] {
        let key = key(kind);
        for (format, file) in [(Format::Esp8266, sketch()), (Format::ArduinoEsp32, app())] {
            let wrong = |defect| sign_wrongly(&file, &key, format, defect, &mut SysRng).unwrap();
            for defect in [SignatureDefect::Bit, SignatureDefect::OtherBytes] {
                let signed = wrong(defect);
                assert!(signed.starts_with(&file));
                assert!(!accepts(&signed, file.len(), &key, format), "{kind} {format} {defect:?}");
            }
            let other = SigningKey::generate(KeyKind::P256, &mut SysRng).unwrap();
            if kind == KeyKind::P256 {
                let signed = sign(&file, &other, format, &mut SysRng).unwrap();
                assert!(!accepts(&signed.bytes, file.len(), &key, format));
            }
        }
        let wrong = |format, file: &[u8]| {
            let length = SignatureDefect::Length;
            sign_wrongly(file, &key, format, length, &mut SysRng).unwrap()
        };
        let signed = wrong(Format::Esp8266, &sketch());
        let word = u32::from_le_bytes(signed[signed.len() - 4..].try_into().unwrap());
        assert_eq!(word, u32::from(kind.signature_length()) ^ 1);
        assert_eq!(wrong(Format::ArduinoEsp32, &app()).len(), app().len() + 496);
    }
}

/// The form is the one that OpenSSL knows by its older command, over the bare digest.
#[test]
fn the_other_form_of_an_esp8266_signature_is_the_legacy_one() {
    let (judges, key, file) = (Judges::new(), key(KeyKind::Rsa2048), sketch());
    let form = SignatureDefect::OtherForm;
    let signed = sign_wrongly(&file, &key, Format::Esp8266, form, &mut SysRng).unwrap();
    assert!(!accepts(&signed, file.len(), &key, Format::Esp8266));
    judges.write("payload", &file);
    judges.write("signature", &signed[file.len()..signed.len() - 4]);
    judges.write("key.pem", key.public().unwrap().to_pem().unwrap());
    let digest = judges.openssl("dgst -sha256 -binary payload");
    let padding = "-pkeyopt rsa_padding_mode:pkcs1";
    let words = format!("pkeyutl -verifyrecover -pubin -inkey key.pem -in signature {padding}");
    assert_eq!(judges.openssl(&words), digest);
}

/// `bin_signing.py` takes off zeros at the end, the signature's own ones, too.
#[test]
fn no_signature_in_a_field_ends_in_zero() {
    let (key, file) = (key(KeyKind::P256), app());
    let len = file.len();
    for _ in 0..600 {
        let signed = sign(&file, &key, Format::ArduinoEsp32, &mut SysRng).unwrap().bytes;
        let der = 2 + usize::from(signed[len + 1]);
        assert_ne!(signed[len + der - 1], 0);
    }
}

#[test]
fn what_no_device_would_take_is_not_signed() {
    let key = key(KeyKind::P256);
    let check = |file: &[u8], format, expected: &str| {
        let error = sign(file, &key, format, &mut SysRng).unwrap_err();
        assert_eq!(error.to_string(), expected);
        if matches!(error, SignError::NotOta(_)) {
            assert_eq!(Format::for_file(file), Err(error));
        }
    };
    let mut broken = sketch();
    broken[0x1030] ^= 1;
    check(&broken, Format::Esp8266, "no device would take it: the checksum is wrong");
    let unknown = "no device would take it: not a firmware image that is known, or encrypted";
    check(b"notes", Format::Esp8266, unknown);
    let gzip = "no device would take it: a gzip of an ESP32 image, which no ESP32 inflates";
    check(&Gzip::new(&app()).build(), Format::ArduinoEsp32, gzip);
    let family = "the image is for the esp32, which knows no Arduino ESP8266 signature";
    check(&app(), Format::Esp8266, family);
    let family = "the image is for the esp8266, which knows no Arduino ESP32 signature";
    check(&sketch(), Format::ArduinoEsp32, family);
    let littlefs = filesystem(FilesystemKind::LittleFs, 4096, 2).unwrap();
    let full = "a filesystem for an ESP32 cannot be signed: it fills its partition";
    check(&littlefs, Format::ArduinoEsp32, full);
    let sector = secure_boot(&app(), &[&key], &mut SysRng).unwrap();
    let error = sign(&sector, &key, Format::ArduinoEsp32, &mut SysRng).unwrap_err();
    assert!(error.to_string().starts_with("the file is signed already: secure boot v2"), "{error}");
}

#[test]
fn what_a_person_should_know_is_said() {
    let notes =
        |file: &[u8], kind, format| sign(file, &key(kind), format, &mut SysRng).unwrap().notes;
    let rsa = KeyKind::Rsa2048;
    let dout = Esp8266Image::new().flash_mode(FlashMode::Dout).build().unwrap();
    assert_eq!(notes(&dout, rsa, Format::Esp8266), [Note::SignedMode(FlashMode::Dout)]);
    let zipped = compress(&dout).unwrap().bytes;
    assert_eq!(notes(&zipped, rsa, Format::Esp8266), [Note::GzipMode(FlashMode::Dout)]);
    let of_p256 = notes(&dout, KeyKind::P256, Format::Esp8266);
    assert_eq!(of_p256, [Note::SignedMode(FlashMode::Dout), Note::Verifier]);
    let littlefs = filesystem(FilesystemKind::LittleFs, 4096, 2).unwrap();
    assert_eq!(notes(&littlefs, rsa, Format::Esp8266), [Note::FilesystemRoom]);
    assert_eq!(notes(&app(), KeyKind::P256, Format::ArduinoEsp32), []);
}
