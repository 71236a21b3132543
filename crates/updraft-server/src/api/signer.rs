//! Finds out with which product's key an uploaded image was signed. What a signature is worth, core knows.

use std::path::PathBuf;

use updraft_core::signature::{
    ARDUINO_ESP32_FIELD, Hash, PublicKey, Scheme, Sector, Verifier, esp8266_payload,
};
use updraft_core::{Facts, Signature};

use super::key;
use super::problem::{Answer, Problem};
use crate::fleet;
use crate::fleet::KeyId;

/// The first of these keys that the signature of the file at `path` holds under.
pub(crate) async fn find(
    path: PathBuf,
    facts: &Facts,
    keys: Vec<fleet::PublicKey>,
) -> Answer<Option<KeyId>> {
    let Some(signature) = facts.signature else { return Ok(None) };
    let chip = facts.chip;
    if keys.is_empty() {
        return Ok(None);
    }
    let work = move || {
        let file = std::fs::read(path)?;
        let holds = |known: &&fleet::PublicKey| {
            let Some(der) = key::der(&known.pem) else { return false };
            let Ok(key) = PublicKey::from_der(&der) else { return false };
            match signature {
                Signature::SecureBootV2 { .. } => secure_boot(&file, chip, &key),
                Signature::ArduinoEsp32 => arduino_esp32(&file, &key),
                Signature::SecureBootV1 => false,
                Signature::Esp8266 { .. } => esp8266(&file, &key),
            }
        };
        Ok::<_, std::io::Error>(keys.iter().find(holds).map(|key| key.id))
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(found) => found.map_err(|error| Problem::failed(&error)),
        Err(error) => Err(Problem::failed(&error)),
    }
}

fn verifies(scheme: Scheme, payload: &[u8], key: &PublicKey<'_>, signature: &[u8]) -> bool {
    let mut verifier = Verifier::new(scheme);
    verifier.update(payload);
    verifier.finish(key, signature).is_ok()
}

fn secure_boot(file: &[u8], chip: Option<updraft_core::Chip>, key: &PublicKey<'_>) -> bool {
    let Some(end) = file.len().checked_sub(Sector::LENGTH) else { return false };
    let (payload, sector) = file.split_at(end);
    let sector = chip.map_or_else(|| Sector::new(sector), |chip| Sector::for_chip(chip, sector));
    verifies(Scheme::SecureBootV2, payload, key, sector.bytes())
}

fn arduino_esp32(file: &[u8], key: &PublicKey<'_>) -> bool {
    let Some(end) = file.len().checked_sub(ARDUINO_ESP32_FIELD) else { return false };
    let (payload, field) = file.split_at(end);
    // Which hash function the sketch chose is not known.
    Hash::ALL.into_iter().any(|hash| verifies(Scheme::ArduinoEsp32(hash), payload, key, field))
}

fn esp8266(file: &[u8], key: &PublicKey<'_>) -> bool {
    let Some((body, word)) = file.split_last_chunk::<4>() else { return false };
    let word = u32::from_le_bytes(*word);
    let Ok(payload) = esp8266_payload(file.len() as u64, word, key) else { return false };
    let split = usize::try_from(payload).ok().and_then(|end| body.split_at_checked(end));
    split.is_some_and(|(payload, signature)| verifies(Scheme::Esp8266, payload, key, signature))
}

#[cfg(test)]
mod tests {
    use getrandom::SysRng;
    use updraft_core::signature::KeyKind;
    use updraft_core::{Chip, Inspector};
    use updraft_pack::{Esp32Image, Esp8266Image, Format, SigningKey, sign};

    use super::*;

    #[tokio::test]
    async fn an_image_is_signed_by_the_key_that_signed_it() {
        let new = || SigningKey::generate(KeyKind::P256, &mut SysRng).unwrap();
        let known = |key: &SigningKey| key::read(&key.public().unwrap().to_pem().unwrap()).unwrap();
        let (ours, other) = (new(), new());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        for (plain, format) in [
            (Esp8266Image::new().build().unwrap(), Format::Esp8266),
            (Esp32Image::new(Chip::Esp32).build().unwrap(), Format::ArduinoEsp32),
        ] {
            let signed = sign(&plain, &ours, format, &mut SysRng).unwrap().bytes;
            std::fs::write(&path, &signed).unwrap();
            let mut inspector = Inspector::new(signed.len() as u64);
            inspector.update(&signed);
            let facts = inspector.finish();
            let find = async |keys| find(path.clone(), &facts, keys).await.unwrap();
            let id = known(&ours).id;
            assert_eq!(find(vec![known(&other), known(&ours)]).await, Some(id), "{format}");
            assert_eq!(find(vec![known(&other)]).await, None, "{format}");
        }
    }
}
