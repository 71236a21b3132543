//! Reads an update back from the flash, once, and finds out what it is and who signed it. It never
//! decides whether the device could start it.

use embedded_storage::nor_flash::NorFlash;
use updraft_core::signature::{
    ARDUINO_ESP32_FIELD, Scheme, SignatureError, Verifier, esp8266_payload,
};
use updraft_core::{Facts, Family, Inflater, Inspector};

use super::Trust;
use super::area::{Area, number};
use super::error::Cause;

/// Length of the word behind a signature of the ESP8266.
const LENGTH_WORD: u32 = 4;
/// Secure boot's sector, and what of it can hold something: three blocks of 1216 bytes
/// (`ets_secure_boot_signature_t`, ESP-IDF).
const SECTOR: u32 = 4096;
const BLOCKS: usize = 3 * 1216;

/// What was found.
pub(super) struct Found {
    /// What the bytes are, as they came.
    pub(super) facts: Facts,
    /// How long they are without a signature; an error if no trusted key made it.
    pub(super) payload: Result<u32, Cause>,
}

/// Bytes that must be read at once to check a signature.
pub(super) fn field(trust: &Trust<'_>) -> usize {
    match trust.scheme {
        Scheme::Esp8266 => {
            let lengths = trust.keys.iter().map(|key| usize::from(key.signature_length()));
            lengths.max().unwrap_or_default()
        }
        Scheme::ArduinoEsp32(_) => ARDUINO_ESP32_FIELD,
        Scheme::SecureBootV2 => BLOCKS,
    }
}

/// Reads back what was written.
pub(super) fn check<F: NorFlash>(
    area: &mut Area<'_, F>,
    trust: Option<&Trust<'_>>,
    inflater: Option<&mut Inflater>,
) -> Result<Found, Cause> {
    let length = area.written();
    let mut signed = trust.map(|trust| (trust, payload(area, trust), Verifier::new(trust.scheme)));
    let mut inspector = match inflater {
        None => Inspector::new(length.into()),
        Some(inflater) => Inspector::with_inflater(length.into(), inflater),
    };
    area.read_back(|at, bytes, mode| {
        // A signature is over what is in the flash, as a stock updater has it (and so one whose mode
        // was changed fails); all else is about what came.
        if let Some((_, Ok(payload), verifier)) = &mut signed {
            let left = usize::try_from(payload.saturating_sub(at)).unwrap_or(usize::MAX);
            verifier.update(bytes.get(..left).unwrap_or(bytes));
        }
        match (mode, bytes) {
            (Some(mode), [magic, count, _, rest @ ..]) => {
                inspector.update(&[*magic, *count, mode]);
                inspector.update(rest);
            }
            _ => inspector.update(bytes),
        }
    })?;
    let facts = inspector.finish();
    let payload = match signed {
        None => Ok(unverified(&facts, length)),
        Some((trust, payload, verifier)) => {
            payload.and_then(|payload| verify(area, trust, &verifier, payload).map(|()| payload))
        }
    };
    Ok(Found { facts, payload })
}

/// The length of what nobody had to sign. eboot must not take a signature behind a gzip for its size.
fn unverified(facts: &Facts, length: u32) -> u32 {
    let is_esp8266 = facts.family() != Some(Family::Esp32);
    let payload = u32::try_from(facts.sizes.payload).unwrap_or(length);
    if is_esp8266 && facts.signature.is_some() { payload } else { length }
}

/// How long the payload is: the signature starts where it ends.
fn payload<F: NorFlash>(area: &mut Area<'_, F>, trust: &Trust<'_>) -> Result<u32, Cause> {
    let length = area.written();
    let none = Cause::Signature(SignatureError::NoPayload);
    let field = match trust.scheme {
        Scheme::Esp8266 => {
            let at = length.checked_sub(LENGTH_WORD).ok_or(none)?;
            let word = area.read(at, 4)?.first_chunk().copied().map(u32::from_le_bytes);
            let word = word.unwrap_or_default();
            let ends = trust.keys.iter().map(|key| esp8266_payload(length.into(), word, key));
            let end = ends.reduce(Result::or).unwrap_or(Err(SignatureError::Absent));
            return u32::try_from(end.map_err(Cause::Signature)?).map_err(|_| none);
        }
        Scheme::ArduinoEsp32(_) => number(ARDUINO_ESP32_FIELD),
        Scheme::SecureBootV2 => SECTOR,
    };
    length.checked_sub(field).filter(|end| *end > 0).ok_or(none)
}

/// Whether one of the keys made the signature behind the payload, which ends at `end`.
fn verify<F: NorFlash>(
    area: &mut Area<'_, F>,
    trust: &Trust<'_>,
    verifier: &Verifier,
    end: u32,
) -> Result<(), Cause> {
    let behind = usize::try_from(area.written().saturating_sub(end)).unwrap_or(usize::MAX);
    let length = match trust.scheme {
        Scheme::Esp8266 => behind.saturating_sub(4),
        Scheme::ArduinoEsp32(_) => ARDUINO_ESP32_FIELD,
        Scheme::SecureBootV2 => BLOCKS,
    };
    let signature = area.read(end, length)?;
    let results = trust.keys.iter().map(|key| verifier.clone().finish(key, signature));
    let result = results.reduce(Result::or).unwrap_or(Err(SignatureError::Absent));
    result.map_err(Cause::Signature)
}
