//! Updates that somebody must have signed.

use getrandom::SysRng;
use updraft_agent::{Cause, Request, Size, Trust, UpdateError};
use updraft_core::signature::{Hash, KeyKind, PublicKey, Scheme, SignatureError};
use updraft_core::{EbootCommand, FlashMode, OtaTarget};
use updraft_pack::{Esp8266Image, Format, Gzip, SigningKey, secure_boot, sign};

use crate::{esp32, esp8266, length};

/// The key of this kind in `testdata/keys`.
fn key(kind: KeyKind) -> SigningKey {
    let name = kind.to_string().to_lowercase().replace('-', "");
    let path = format!("{}/../../testdata/keys/{name}.pem", env!("CARGO_MANIFEST_DIR"));
    SigningKey::from_pem(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn other_key() -> SigningKey {
    SigningKey::generate(KeyKind::P256, &mut SysRng).unwrap()
}

/// Has `install` trust `keys`.
fn trusting<T>(
    scheme: Scheme,
    keys: &[&SigningKey],
    install: impl FnOnce(Trust<'_>) -> Result<T, UpdateError>,
) -> Result<T, Cause> {
    let ders: Vec<_> = keys.iter().map(|key| key.public().unwrap()).collect();
    let keys: Vec<_> = ders.iter().map(|key| PublicKey::from_der(key.der()).unwrap()).collect();
    install(Trust { scheme, keys: &keys }).map_err(|error| {
        let number = match error.cause {
            Cause::Signature(_) if error.family == updraft_core::Family::Esp8266 => 12,
            Cause::Signature(_) => 14,
            _ => error.number(),
        };
        assert_eq!(error.number(), number);
        error.cause
    })
}

fn on_esp8266(file: &[u8], keys: &[&SigningKey]) -> Result<Option<EbootCommand>, Cause> {
    trusting(Scheme::Esp8266, keys, |trust| {
        let request = Request { trust: Some(trust), ..esp8266::known(file) };
        let device = esp8266::device();
        let staged = esp8266::update(&mut esp8266::flash(), device, request, file)?;
        Ok(staged.next().copied())
    })
}

fn on_esp32(scheme: Scheme, file: &[u8], keys: &[&SigningKey]) -> Result<(), Cause> {
    let table = esp32::table("default");
    trusting(scheme, keys, |trust| {
        let request = Request { trust: Some(trust), ..esp32::known(file) };
        let mut flash = esp32::flash();
        esp32::update(&mut flash, esp32::device(&table), request, file).map(drop)
    })
}

fn esp8266_signed(file: &[u8], key: &SigningKey) -> Vec<u8> {
    sign(file, key, Format::Esp8266, &mut SysRng).unwrap().bytes
}

#[test]
fn an_esp8266_takes_what_a_trusted_key_signed() {
    let other = other_key();
    for kind in KeyKind::ALL {
        let key = key(kind);
        let plain = esp8266::sketch(10_000, 2);
        for payload in [plain.clone(), Gzip::new(&plain).build()] {
            let file = esp8266_signed(&payload, &key);
            // eboot is not told of the signature.
            let length = length(&payload);
            let command = EbootCommand::CopyRaw { from: esp8266::staged_at(&file), to: 0, length };
            assert_eq!(on_esp8266(&file, &[&key]), Ok(Some(command)));
            assert_eq!(on_esp8266(&file, &[&other, &key]), Ok(Some(command)));
            assert_eq!(on_esp8266(&file, &[&key, &other]), Ok(Some(command)));
            let refused = on_esp8266(&file, &[&other]).unwrap_err();
            assert!(matches!(refused, Cause::Signature(_)), "{refused:?}");
            let refused = on_esp8266(&payload, &[&key]).unwrap_err();
            assert!(matches!(refused, Cause::Signature(_)), "{refused:?}");
            let mut damaged = file.clone();
            damaged[5000.min(payload.len() - 20)] ^= 1;
            let refused = on_esp8266(&damaged, &[&key]).unwrap_err();
            assert!(matches!(refused, Cause::Signature(_)), "{refused:?}");

            // Whoever asks for no signature must not have eboot take it for a part of the gzip.
            let request = esp8266::known(&file);
            let device = esp8266::device();
            let staged = esp8266::update(&mut esp8266::flash(), device, request, &file).unwrap();
            assert_eq!(staged.next(), Some(&command));
        }
    }
}

#[test]
fn with_no_key_nothing_is_trusted() {
    let file = esp8266_signed(&esp8266::sketch(1000, 2), &key(KeyKind::P256));
    assert_eq!(on_esp8266(&file, &[]), Err(Cause::Signature(SignatureError::Absent)));
    let file = esp32::app(1000, 2);
    let scheme = Scheme::ArduinoEsp32(Hash::Sha256);
    assert_eq!(on_esp32(scheme, &file, &[]), Err(Cause::Signature(SignatureError::Absent)));
    let tiny = [0xE9, 0, 0];
    let key = key(KeyKind::P256);
    let none = Err(Cause::Signature(SignatureError::NoPayload));
    assert_eq!(on_esp8266(&tiny, &[&key]), none);
    assert_eq!(on_esp32(scheme, &tiny, &[&key]).map(|()| None), none);
}

/// As on a stock device: the signature is over what is in the flash.
#[test]
fn a_signed_sketch_must_have_the_running_flash_mode() {
    let key = key(KeyKind::Rsa2048);
    let sketch = Esp8266Image::new().flash_size(1 << 20).flash_mode(FlashMode::Qio).filler(5000, 3);
    let file = esp8266_signed(&sketch.build().unwrap(), &key);
    let expected = Cause::Signature(SignatureError::OtherBytes);
    assert_eq!(on_esp8266(&file, &[&key]), Err(expected));
}

#[test]
fn a_signed_filesystem_is_checked_once_it_is_written() {
    let key = key(KeyKind::P256);
    let image = updraft_pack::filesystem(updraft_core::FilesystemKind::LittleFs, 4096, 8).unwrap();
    let file = esp8266_signed(&image, &key);
    let check = |keys: &[&SigningKey]| {
        trusting(Scheme::Esp8266, keys, |trust| {
            let size = Size::Known(length(&file));
            let request =
                Request { trust: Some(trust), ..Request::new(OtaTarget::Filesystem, size) };
            let device = esp8266::device();
            esp8266::update(&mut esp8266::flash(), device, request, &file).map(drop)
        })
    };
    assert_eq!(check(&[&key]), Ok(()));
    let refused = Cause::Signature(SignatureError::OtherKeyOrBytes);
    assert_eq!(check(&[&other_key()]), Err(refused));
}

#[test]
fn an_esp32_takes_what_a_trusted_key_signed() {
    let other = other_key();
    let scheme = Scheme::ArduinoEsp32(Hash::Sha256);
    for kind in KeyKind::ALL {
        let key = key(kind);
        let app = esp32::app(10_000, 2);
        let file = sign(&app, &key, Format::ArduinoEsp32, &mut SysRng).unwrap().bytes;
        assert_eq!(on_esp32(scheme, &file, &[&key]), Ok(()));
        assert_eq!(on_esp32(scheme, &file, &[&other, &key]), Ok(()));
        let mut damaged = file.clone();
        damaged[5] ^= 1;
        for (file, key) in [(&file, &other), (&app, &key), (&damaged, &key)] {
            let refused = on_esp32(scheme, file, &[key]).unwrap_err();
            assert!(matches!(refused, Cause::Signature(_)), "{refused:?}");
        }
    }
}

#[test]
fn secure_boot_sectors_are_checked_too() {
    let key = key(KeyKind::P256);
    let app = esp32::app(10_000, 2);
    let file = secure_boot(&app, &[&key], &mut SysRng).unwrap();
    let check = |file: &[u8], key: &SigningKey| on_esp32(Scheme::SecureBootV2, file, &[key]);
    assert_eq!(check(&file, &key), Ok(()));
    assert!(matches!(check(&file, &other_key()), Err(Cause::Signature(_))));
    assert!(matches!(check(&app, &key), Err(Cause::Signature(_))));
}

#[test]
fn a_signature_must_fit_into_the_memory() {
    let key = key(KeyKind::Rsa4096);
    let file = esp8266_signed(&esp8266::sketch(1000, 2), &key);
    let check = |scratch: usize| {
        trusting(Scheme::Esp8266, &[&key], |trust| {
            let request = Request { trust: Some(trust), ..esp8266::known(&file) };
            let pieces = (scratch, &[700][..]);
            let mut flash = esp8266::flash();
            crate::update(&mut flash, esp8266::device(), request, &file, pieces).map(drop)
        })
    };
    assert_eq!(check(519), Err(Cause::Memory));
    assert_eq!(check(520), Ok(()));
}
