//! Recognises the signatures that stand behind an image. They are not verified here.

use crate::facts::{Signature, SignatureKey};
use crate::signature::ARDUINO_ESP32_FIELD;
use crate::window::{Window, word};

/// Lengths of the signatures an Arduino ESP8266 image may carry: P-256, P-384 and P-521 (r and s),
/// RSA of 1024, 2048, 3072 and 4096 bits.
const ESP8266_LENGTHS: [u16; 7] = [64, 96, 128, 132, 256, 384, 512];
/// The word behind them that names their length.
const LENGTH_WORD: u64 = 4;
/// ESP-IDF's secure boot version 1: a version word of zero, then the signature.
const SECURE_BOOT_V1: u64 = 68;
/// ESP-IDF's secure boot version 2: a sector of its own behind an image that fills its last sector.
const SECTOR: u64 = 4096;
/// Length of a block in that sector (`ets_secure_boot_sig_block_t`, ESP-IDF).
const BLOCK: u64 = 1216;
/// What of that sector is looked at: up to the number of the curve behind a SHA-384.
const SECTOR_START: usize = 53;

/// Keeps what is needed to recognise a signature at the end of a file.
#[derive(Clone, Debug)]
pub(super) struct Trailer {
    length: u64,
    /// The last word: of a signed ESP8266 file, the length of the signature.
    last: Window<4>,
    /// For each of [`ESP8266_LENGTHS`] the last word before such a signature: ISIZE of a gzip.
    before: [Window<4>; ESP8266_LENGTHS.len()],
    arduino_esp32: Window<ARDUINO_ESP32_FIELD>,
    secure_boot_v1: Window<4>,
    secure_boot_v2: Window<SECTOR_START>,
    /// The first bytes of the second and third block of that sector.
    further_blocks: [Window<1>; 2],
}

impl Trailer {
    /// For a file of `length` bytes.
    pub(super) fn new(length: u64) -> Self {
        let from_end = |count: u64| length.checked_sub(count).unwrap_or(u64::MAX);
        Self {
            length,
            last: Window::at(from_end(LENGTH_WORD)),
            before: ESP8266_LENGTHS.map(|n| Window::at(from_end(u64::from(n) + LENGTH_WORD + 4))),
            arduino_esp32: Window::at(from_end(ARDUINO_ESP32_FIELD as u64)),
            secure_boot_v1: Window::at(from_end(SECURE_BOOT_V1)),
            secure_boot_v2: Window::at(from_end(SECTOR)),
            further_blocks: [1, 2].map(|place| Window::at(from_end(SECTOR - place * BLOCK))),
        }
    }

    pub(super) fn update(&mut self, offset: u64, chunk: &[u8]) {
        let Self { length: _, last, before, arduino_esp32, .. } = self;
        let Self { secure_boot_v1, secure_boot_v2, further_blocks, .. } = self;
        for window in before {
            window.update(offset, chunk);
        }
        for window in further_blocks {
            window.update(offset, chunk);
        }
        for window in [last, secure_boot_v1] {
            window.update(offset, chunk);
        }
        arduino_esp32.update(offset, chunk);
        secure_boot_v2.update(offset, chunk);
    }

    /// An Arduino ESP8266 signature, if the last word may be the length of one: the signature and
    /// how long the file is without it.
    pub(super) fn esp8266(&self) -> Option<(Signature, u64)> {
        let word = word(self.last.full()?, 0)?;
        let length = ESP8266_LENGTHS.into_iter().find(|&length| u32::from(length) == word)?;
        let payload = self.length.checked_sub(u64::from(length) + LENGTH_WORD)?;
        Some((Signature::Esp8266 { length }, payload))
    }

    /// A signature behind an ESP32-family image that ends at `end`.
    pub(super) fn esp32(&self, end: u64) -> Option<Signature> {
        let trailing = self.length.checked_sub(end)?;
        let sector = end.checked_next_multiple_of(SECTOR)?.checked_add(SECTOR)?;
        // Magic E7, version 2 (RSA) or 3 (ECDSA) (`ets_secure_boot_sig_block`, ESP-IDF).
        if sector == self.length && matches!(self.secure_boot_v2.full()?, [0xE7, 2 | 3, ..]) {
            let further = self.further_blocks.iter();
            let is_block = |window: &&Window<1>| window.full() == Some(&[0xE7]);
            let blocks = further.take_while(is_block).fold(1, |count, _| count + 1);
            return Some(Signature::SecureBootV2 { blocks });
        }
        if trailing == SECURE_BOOT_V1 && *self.secure_boot_v1.full()? == [0; 4] {
            return Some(Signature::SecureBootV1);
        }
        // A signature does not start like erased flash or padding.
        let looks_signed =
            !matches!(self.arduino_esp32.full()?, [0, 0, 0, 0, ..] | [0xFF, 0xFF, 0xFF, 0xFF, ..]);
        (trailing == ARDUINO_ESP32_FIELD as u64 && looks_signed).then_some(Signature::ArduinoEsp32)
    }

    /// The key that made a signature of this file, as far as its bytes say.
    pub(super) fn key(&self, signature: Signature) -> Option<SignatureKey> {
        match signature {
            Signature::Esp8266 { length } => Some(match length {
                64 => SignatureKey::P(256),
                96 => SignatureKey::P(384),
                132 => SignatureKey::P(521),
                bytes => SignatureKey::Rsa(bytes.saturating_mul(8)),
            }),
            Signature::ArduinoEsp32 => self.key_of_field(),
            Signature::SecureBootV1 => Some(SignatureKey::P(256)),
            Signature::SecureBootV2 { .. } => self.key_of_sector(),
        }
    }

    /// ECDSA is in DER, as a sequence (30) and its length; RSA fills 256, 384 or 512 bytes. Zeros
    /// follow.
    fn key_of_field(&self) -> Option<SignatureKey> {
        let field = self.arduino_esp32.full()?;
        let length = field.iter().rposition(|&byte| byte != 0)? + 1;
        let [sequence, rest, ..] = *field;
        match length {
            // Two numbers of 32 bytes or less, each with its head and perhaps a zero before it.
            ..=72 if sequence == 0x30 && usize::from(rest) + 2 >= length => {
                Some(SignatureKey::P(256))
            }
            ..=104 if sequence == 0x30 && usize::from(rest) + 2 >= length => {
                Some(SignatureKey::P(384))
            }
            129..=256 => Some(SignatureKey::Rsa(2048)),
            257..=384 => Some(SignatureKey::Rsa(3072)),
            385.. => Some(SignatureKey::Rsa(4096)),
            _ => None,
        }
    }

    /// The version is 2 for RSA of 3072 bits, 3 for ECDSA; the number of the curve stands behind a
    /// digest of 32 bytes, or of 48 (`ets_secure_boot_sig_block_t`, ESP-IDF).
    fn key_of_sector(&self) -> Option<SignatureKey> {
        let [_, version, hash, ..] = *self.secure_boot_v2.full()?;
        let curve = self.secure_boot_v2.full()?.get(if hash == 1 { 52 } else { 36 })?;
        match (version, curve) {
            (2, _) => Some(SignatureKey::Rsa(3072)),
            (3, 1) => Some(SignatureKey::P(192)),
            (3, 2) => Some(SignatureKey::P(256)),
            (3, 3) => Some(SignatureKey::P(384)),
            _ => None,
        }
    }

    /// The last word of the file without an ESP8266 signature.
    pub(super) fn last_word_of_payload(&self) -> Option<u32> {
        let window = match self.esp8266() {
            None => &self.last,
            Some((Signature::Esp8266 { length }, _)) => {
                let signed = ESP8266_LENGTHS.into_iter().zip(&self.before);
                signed.into_iter().find(|&(n, _)| n == length)?.1
            }
            Some(_) => return None,
        };
        word(window.full()?, 0)
    }
}
