//! Reads the file once more for its signature. Nothing is judged here: core's verifiers are fed.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use updraft_core::signature::{
    ARDUINO_ESP32_FIELD, Fingerprint, Hash, KeyKind, PublicKey, Scheme, Sector, SignatureError,
    Verifier, esp8266_payload,
};
use updraft_core::{Facts, Family, Signature};

use crate::image::facts::BLOCK;

/// What the signature of a file is worth.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// A secure boot block by the key in it; `None` if there is no such sector.
    pub(super) block: Option<Result<(KeyKind, Fingerprint), SignatureError>>,
    /// By the key that was given; `None` if none was.
    pub(super) key: Option<Result<KeyKind, SignatureError>>,
    /// The hash function of a signature that holds, where there is a choice.
    pub(super) hash: Option<Hash>,
}

impl Found {
    /// The key in the block that holds.
    pub(super) fn signer(&self) -> Option<(KeyKind, Fingerprint)> {
        self.block.as_ref().and_then(|block| block.ok())
    }
}

/// Checks the file at `path`, which the facts are of, for a device of `family`.
pub(super) fn check(
    path: &Path,
    facts: &Facts,
    family: Family,
    key: Option<&PublicKey<'_>>,
) -> io::Result<Found> {
    let length = facts.sizes.file;
    let mut found = Found::default();
    let mut file = File::open(path)?;
    let file = &mut file;
    let by_key =
        |result: Result<(), SignatureError>, key: &PublicKey<'_>| result.map(|()| key.kind());
    match (facts.signature, key) {
        (Some(Signature::SecureBootV2 { .. }), _) => {
            let payload = length.saturating_sub(Sector::LENGTH as u64);
            let [verifier] = read(file, payload, [Scheme::SecureBootV2])?;
            let bytes = rest(file)?;
            let sector = match facts.chip {
                Some(chip) => Sector::for_chip(chip, &bytes),
                None => Sector::new(&bytes),
            };
            let signer = verifier.clone().finish_sector(sector);
            found.block = Some(signer.map(|key| (key.kind(), key.fingerprint())));
            found.key = key.map(|key| by_key(verifier.finish(key, sector.bytes()), key));
        }
        (Some(Signature::ArduinoEsp32), Some(key)) => {
            let payload = length.saturating_sub(ARDUINO_ESP32_FIELD as u64);
            // Which hash function the sketch chose is not known.
            let verifiers = read(file, payload, Hash::ALL.map(Scheme::ArduinoEsp32))?;
            let field = rest(file)?;
            let results = verifiers.map(|verifier| verifier.finish(key, &field));
            let mut tried = Hash::ALL.into_iter().zip(&results);
            found.hash = tried.find(|(_, result)| result.is_ok()).map(|(hash, _)| hash);
            found.key = Some(by_key(telling(&results), key));
        }
        (_, None) => {}
        (signature, Some(key)) => {
            found.key = Some(match (signature, family) {
                (Some(Signature::SecureBootV1), _) => Err(SignatureError::SecureBootV1),
                (None, Family::Esp32) => Err(SignatureError::Absent),
                _ => by_key(esp8266(file, length, key)?, key),
            });
        }
    }
    Ok(found)
}

fn esp8266(
    file: &mut (impl Read + Seek),
    length: u64,
    key: &PublicKey<'_>,
) -> io::Result<Result<(), SignatureError>> {
    let Some(word_start) = length.checked_sub(4) else {
        return Ok(Err(SignatureError::NoPayload));
    };
    file.seek(SeekFrom::Start(word_start))?;
    let mut word = [0; 4];
    file.read_exact(&mut word)?;
    let payload = match esp8266_payload(length, u32::from_le_bytes(word), key) {
        Ok(payload) => payload,
        Err(error) => return Ok(Err(error)),
    };
    file.rewind()?;
    let [verifier] = read(file, payload, [Scheme::Esp8266])?;
    let trailer = rest(file)?;
    let signature = trailer.split_last_chunk::<4>().map_or(&[][..], |(signature, _)| signature);
    Ok(verifier.finish(key, signature))
}

/// Gives the first `length` bytes of `file`, from where it stands, to a verifier for each scheme.
fn read<const N: usize>(
    file: &mut impl Read,
    length: u64,
    schemes: [Scheme; N],
) -> io::Result<[Verifier; N]> {
    let mut verifiers = schemes.map(Verifier::new);
    let mut payload = file.take(length);
    let mut block = vec![0; BLOCK];
    loop {
        let length = payload.read(&mut block)?;
        if length == 0 {
            return Ok(verifiers);
        }
        for verifier in &mut verifiers {
            verifier.update(&block[..length]);
        }
    }
}

/// What follows: signatures are short.
fn rest(file: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut rest = Vec::new();
    file.take(BLOCK as u64).read_to_end(&mut rest)?;
    Ok(rest)
}

/// Of several results the one that says most: that it holds, or that it is of this key.
fn telling(results: &[Result<(), SignatureError>; 3]) -> Result<(), SignatureError> {
    let says_little = |result: &&Result<(), SignatureError>| {
        matches!(result, Err(SignatureError::OtherKey | SignatureError::OtherKeyOrBytes))
    };
    let holds = results.iter().find(|result| result.is_ok());
    let clear = holds.or_else(|| results.iter().find(|result| !says_little(result)));
    *clear.unwrap_or(&results[0])
}
