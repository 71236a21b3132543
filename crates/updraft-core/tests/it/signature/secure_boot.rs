//! The signature sector of secure boot version 2, made by espsecure.

use std::path::Path;
use std::process::Command;

use sha2::{Digest as _, Sha256};
use updraft_core::signature::{
    BlockError, Curve, KeyError, KeyKind, PublicKey, Scheme, Sector, SignatureError, Verifier,
};
use updraft_core::{Chip, Signature, SignatureKey};
use updraft_pack::Esp32Image;

use super::{OpenSsl, espsecure, verify};
use crate::inspect;

/// An application that espsecure signed with these keys.
fn signed(espsecure: &Path, openssl: &OpenSsl, names: &[&str]) -> Vec<u8> {
    let image = Esp32Image::new(Chip::Esp32S3).filler(5000, 3).build().unwrap();
    openssl.write("image", &image);
    let mut command = Command::new(espsecure);
    command.args(["sign-data", "-v", "2", "-k"]).current_dir(&openssl.folder);
    command.args(names.iter().map(|name| format!("{name}.pem")));
    let output = command.args(["-o", "signed", "image"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    std::fs::read(openssl.path("signed")).unwrap()
}

/// Image with its padding, and sector.
fn split(file: &[u8]) -> (&[u8], &[u8]) {
    file.split_at(file.len() - Sector::LENGTH)
}

#[test]
fn what_espsecure_signs_holds() {
    let Some(espsecure) = espsecure() else { return };
    let openssl = OpenSsl::new();
    for (kind, name) in [(KeyKind::Rsa3072, "rsa:3072"), (KeyKind::P256, "prime256v1")] {
        let keys = ["one", "two", "three"].map(|key| openssl.key(key, name));
        let other = openssl.key("other", name);
        // espsecure gives an ECDSA image one block only.
        let several = if kind == KeyKind::Rsa3072 { 3 } else { 1 };
        for count in [1, several] {
            let file = signed(&espsecure, &openssl, &["one", "two", "three"][..count]);
            let (image, sector) = split(&file);
            let check = |key: &[u8], image: &[u8], sector: &[u8], expected| {
                assert_eq!(verify(Scheme::SecureBootV2, key, image, sector), expected, "{kind}");
            };
            for key in &keys[..count] {
                check(key, image, sector, Ok(()));
                check(key, &image[1..], sector, Err(SignatureError::OtherBytes));
            }
            check(&other, image, sector, Err(SignatureError::OtherKey));
            let sha256 = Sha256::digest(image).into();
            let mut verifier = Verifier::new(Scheme::SecureBootV2);
            verifier.update(image);
            let found = verifier.finish_sector(Sector::new(sector));
            assert_eq!(found, Ok(PublicKey::from_der(&keys[0]).unwrap()));
            let blocks: Vec<_> = Sector::new(sector).blocks().collect();
            assert_eq!(blocks.len(), count);
            for ((place, block), (expected, key)) in blocks.iter().zip(keys.iter().enumerate()) {
                let block = block.as_ref().unwrap();
                let key = PublicKey::from_der(key).unwrap();
                assert_eq!((*place, block.key(), block.key().kind()), (expected, &key, kind));
                assert_eq!(block.key().fingerprint(), key.fingerprint());
                assert_eq!(block.verify(&sha256), Ok(()));
                assert_eq!(block.verify(&[7; 32]), Err(SignatureError::OtherBytes));
            }
        }
    }
}

#[test]
fn a_block_of_no_use_is_named() {
    let Some(espsecure) = espsecure() else { return };
    let openssl = OpenSsl::new();
    let key = openssl.key("one", "rsa:3072");
    let file = signed(&espsecure, &openssl, &["one"]);
    let (image, sector) = split(&file);
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    let check = |change: &dyn Fn(&mut [u8]), expected| {
        let mut sector = sector.to_vec();
        change(&mut sector);
        let sum = crc.checksum(&sector[..1196]).to_le_bytes();
        sector[1196..1200].copy_from_slice(&sum);
        assert_eq!(verify(Scheme::SecureBootV2, &key, image, &sector), Err(expected));
    };
    let of_block = SignatureError::Block;
    check(&|sector| sector[0] = 0, SignatureError::NoBlock);
    check(&|sector| sector[1] = 1, of_block(BlockError::Version(1)));
    check(&|sector| sector[4] ^= 1, SignatureError::OtherBytes);
    check(&|sector| sector[36] ^= 1, of_block(BlockError::Key(KeyError::RsaNumbers)));
    let smaller = of_block(BlockError::Key(KeyError::RsaSize { bits: 3064 }));
    check(&|sector| sector[418..420].copy_from_slice(&[0x80, 0]), smaller);
    check(&|sector| sector[38] ^= 1, of_block(BlockError::Accelerator));
    check(&|sector| sector[424] ^= 1, of_block(BlockError::Accelerator));
    check(&|sector| sector[808] ^= 1, of_block(BlockError::Accelerator));
    check(&|sector| sector[812] ^= 1, SignatureError::OtherKey);
    let mut wrong_crc = sector.to_vec();
    wrong_crc[1196] ^= 1;
    let result = verify(Scheme::SecureBootV2, &key, image, &wrong_crc);
    assert_eq!(result, Err(of_block(BlockError::Crc)));
    let result = verify(Scheme::SecureBootV2, &key, image, &sector[..1215]);
    assert_eq!(result, Err(SignatureError::NoBlock));

    let rsa4096 = openssl.key("four", "rsa:4096");
    let result = verify(Scheme::SecureBootV2, &rsa4096, image, sector);
    assert_eq!(result, Err(SignatureError::KeyKind(KeyKind::Rsa4096)));
    // A broken block does not spoil the one behind it.
    openssl.key("two", "rsa:3072");
    let mut both = signed(&espsecure, &openssl, &["two", "one"]);
    let start = both.len() - Sector::LENGTH;
    both[start + 900] ^= 1;
    let (image, sector) = split(&both);
    assert_eq!(verify(Scheme::SecureBootV2, &key, image, sector), Ok(()));
}

#[test]
fn curves_that_are_not_supported_are_named() {
    let Some(espsecure) = espsecure() else { return };
    let openssl = OpenSsl::new();
    for (name, curve) in [("prime192v1", Curve::P192), ("secp384r1", Curve::P384)] {
        openssl.key("key", name);
        let file = signed(&espsecure, &openssl, &["key"]);
        let (image, sector) = split(&file);
        let mut blocks = Sector::new(sector).blocks();
        assert_eq!(blocks.next().unwrap().1.unwrap_err(), BlockError::Curve(curve));
        let der = openssl.key("other", "prime256v1");
        let mut verifier = Verifier::new(Scheme::SecureBootV2);
        verifier.update(image);
        let result = verifier.finish(&PublicKey::from_der(&der).unwrap(), sector);
        assert_eq!(result, Err(SignatureError::Block(BlockError::Curve(curve))));
    }
}

#[test]
fn the_inspector_sees_the_sector_where_espsecure_puts_it() {
    let Some(espsecure) = espsecure() else { return };
    let openssl = OpenSsl::new();
    for name in ["one", "two", "three"] {
        openssl.key(name, "rsa:3072");
    }
    for blocks in 1..=3_u8 {
        let names = &["one", "two", "three"][..blocks.into()];
        let facts = inspect(&signed(&espsecure, &openssl, names));
        assert_eq!(facts.signature, Some(Signature::SecureBootV2 { blocks }));
        assert_eq!(facts.key, Some(SignatureKey::Rsa(3072)));
        assert!(facts.ota().is_ok());
    }
}
