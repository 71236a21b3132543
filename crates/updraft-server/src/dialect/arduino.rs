//! Arduino's update clients, `ESP8266HTTPUpdate` and ESP32's `HTTPUpdate`: the same words with
//! `x-ESP8266-` or `x-ESP32-` before them. AutoConnect downloads with them, Tasmota too.

use std::ops::Range;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use updraft_core::Family;

use crate::catalog::Entry;
use crate::catalog::image::Image;
use crate::check_in::{CheckIn, DeviceId, Mac, Mode};
use crate::decide::Decision;
use crate::decide::managed::{self, Refusal};
use crate::digest::{Digest, Md5, Sha256};
use crate::http::{Answer, BadHead, Fields, Status};

/// Who sent a request, as far as this dialect can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// A browser, a tool, a catalog client: no updater.
    Other,
    /// An updater that tells who it is.
    Device(CheckIn),
    /// An updater that names neither a MAC nor a chip id: after a redirect, for one.
    Anonymous(Family),
    /// An updater that asks for a mode nobody knows.
    UnknownMode(Family),
}

impl Client {
    /// Whether this is an updater at all: those get no body with an error.
    pub(crate) fn is_updater(&self) -> bool {
        *self != Self::Other
    }

    /// Who asks, in a word for the log.
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Self::Other => "client asked",
            Self::Device(_) => "device asked",
            Self::Anonymous(_) | Self::UnknownMode(_) => "updater asked",
        }
    }

    /// The check-in, if there is one.
    pub(crate) fn check_in(&self) -> Option<&CheckIn> {
        match self {
            Self::Device(check_in) => Some(check_in),
            _ => None,
        }
    }
}

/// The updaters' User-Agents (`ESP8266httpUpdate.cpp`, `HTTPUpdate.cpp`).
const UPDATERS: [(&[u8], Family); 2] =
    [(b"ESP8266-http-Update", Family::Esp8266), (b"ESP32-http-Update", Family::Esp32)];

/// Longest version text taken over from a request. Longer ones are cut: they are only shown and
/// compared.
const MAX_VERSION: usize = 128;

/// Reads who sent a request. Identity headers with two values are refused.
pub(crate) fn read(fields: &Fields<'_>) -> Result<Client, BadHead> {
    let agent = fields.user_agent.unwrap_or_default();
    let Some(&(_, family)) = UPDATERS.iter().find(|(name, _)| agent.starts_with(name)) else {
        return Ok(Client::Other);
    };
    let fields = fields.identity(family)?;

    let mac = |field: Option<&[u8]>| field.and_then(Mac::read).map(DeviceId::Mac);
    let chip_id = || number(fields.chip_id).and_then(|id| u32::try_from(id).ok());
    let Some(device) = mac(fields.sta_mac)
        .or_else(|| mac(fields.base_mac))
        .or_else(|| chip_id().map(DeviceId::ChipId))
    else {
        return Ok(Client::Anonymous(family));
    };
    let mode = match fields.mode {
        None | Some(b"sketch") => Mode::Sketch,
        Some(b"spiffs") => Mode::Filesystem,
        Some(b"version") => Mode::Version,
        Some(_) => return Ok(Client::UnknownMode(family)),
    };
    let version = std::str::from_utf8(fields.version.unwrap_or_default());
    let version = version.map_err(|_| BadHead::Syntax)?;
    Ok(Client::Device(CheckIn {
        family,
        device,
        mode,
        version: (!version.is_empty()).then(|| shown(version)),
        sketch_md5: digest(fields.sketch_md5),
        sketch_sha256: digest(fields.sketch_sha256),
        sketch_size: number(fields.sketch_size),
        free_space: number(fields.free_space),
        chip_size: number(fields.chip_size),
    }))
}

/// Whether an updater says what it asks for: stock clients always do.
pub(crate) fn names_mode(fields: &Fields<'_>, family: Family) -> bool {
    fields.identity(family).is_ok_and(|identity| identity.mode.is_some())
}

/// User and password of HTTP Basic (RFC 7617), which stock clients send in UTF-8.
pub(crate) fn basic(fields: &Fields<'_>) -> Option<(String, String)> {
    let (scheme, encoded) = fields.authorization?.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    let text = String::from_utf8(BASE64_STANDARD.decode(encoded.trim_ascii()).ok()?).ok()?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

/// A version as it is kept: what a person can read of it.
fn shown(version: &str) -> String {
    if version.len() <= MAX_VERSION && version.bytes().all(|byte| byte.is_ascii_graphic()) {
        return version.to_owned();
    }
    version.chars().filter(|c| !c.is_control()).take(MAX_VERSION).collect()
}

fn digest<const N: usize>(field: Option<&[u8]>) -> Option<Digest<N>> {
    Digest::from_hex(field?).ok()
}

/// A decimal number without a sign, of fewer digits than could be too many.
fn number(field: Option<&[u8]>) -> Option<u64> {
    let digits = field.filter(|digits| (1..20).contains(&digits.len()))?;
    digits.iter().try_fold(0, |number, digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit < 10).then(|| number * 10 + u64::from(digit))
    })
}

/// The answer to a person, or to a tool, that asks for a device's file.
pub(crate) fn refuse_person() -> Answer {
    Answer::text(
        Status::Forbidden,
        "Only an ESP8266 or ESP32 HTTP updater can fetch this. The list for people is at /\n",
    )
}

/// A file that is sent, as far as the head of the answer tells of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent<'a> {
    /// The name that it is saved under.
    pub(crate) name: &'a str,
    /// Length of the whole file in bytes.
    pub(crate) size: u64,
    pub(crate) md5: Md5,
    pub(crate) sha256: Sha256,
}

impl<'a> Sent<'a> {
    /// A file of the catalog.
    pub(crate) fn of(entry: &'a Entry) -> Self {
        let Image { size, md5, sha256, .. } = entry.image;
        Self { name: entry.path.name(), size, md5, sha256 }
    }

    /// The entity tag of the file: its SHA-256.
    pub(crate) fn etag(&self) -> String {
        format!("\"{}\"", self.sha256)
    }
}

/// The answer on a managed path that sends no image, and the version that it tells. `version` is what a
/// device is told that asks for one.
pub(crate) fn managed<'v>(
    check_in: &CheckIn,
    decision: &managed::Decision,
    (version, md5): (&'v str, Option<Md5>),
) -> (Answer, Option<&'v str>) {
    let answer = match decision {
        managed::Decision::Refuse(refusal) => Answer::empty(match refusal {
            Refusal::Credentials => Status::Unauthorized,
            Refusal::Closed | Refusal::Private => Status::Forbidden,
            Refusal::NoSuchProduct => Status::NotFound,
        }),
        _ if check_in.mode == Mode::Version => {
            let answer = Answer::empty(Status::Ok).with("x-version", version);
            let answer = match md5 {
                Some(md5) => answer.with("x-MD5", md5.to_string()),
                None => answer,
            };
            return (answer, Some(version));
        }
        // Of an offer only the head was asked for.
        managed::Decision::Offer(_) => Answer::empty(Status::Ok),
        managed::Decision::UpToDate | managed::Decision::Hold(_) => {
            Answer::empty(Status::NotModified)
        }
    };
    (answer, None)
}

/// The head of an answer that sends an image or a part of it; the body comes from `deliver`.
pub(crate) fn image(sent: &Sent<'_>, status: Status, range: &Range<u64>) -> Answer {
    let answer = Answer::empty(status)
        .with("Content-Type", "application/octet-stream")
        .with("Content-Disposition", disposition(sent.name))
        .with("ETag", sent.etag())
        .with("Accept-Ranges", "bytes");
    if status == Status::PartialContent {
        let last = range.end.saturating_sub(1);
        let value = format!("bytes {}-{last}/{}", range.start, sent.size);
        answer.with("Content-Range", value)
    } else {
        // The MD5 is that of the bytes sent: a part has none.
        answer.with("x-MD5", sent.md5.to_string())
    }
}

/// The answer to `mode: version`: the version the device would be sent, else what it runs or says it
/// runs. Never empty: the client takes that for an error. And that version, for the log.
pub(crate) fn version<'a>(
    check_in: &'a CheckIn,
    entry: &'a Entry,
    runs: Option<&'a Entry>,
    decision: &Decision,
) -> (Answer, &'a str) {
    let refused = matches!(decision, Decision::Refuse(_));
    let version = Some(entry)
        .filter(|_| !refused)
        .and_then(|entry| entry.image.version.as_deref())
        .or_else(|| runs.and_then(|runs| runs.image.version.as_deref()))
        .or(check_in.version.as_deref())
        .unwrap_or("unknown");
    let answer = Answer::empty(Status::Ok).with("x-version", version);
    let answer = if refused { answer } else { answer.with("x-MD5", entry.image.md5.to_string()) };
    (answer, version)
}

/// `Content-Disposition` with the file's name: bare as `updateserver.py` has it, quoted (RFC 9110
/// section 5.6.4) if it is no token.
fn disposition(name: &str) -> String {
    let is_token =
        name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    if is_token {
        return format!("attachment; filename={name}");
    }
    let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
    format!("attachment; filename=\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{ParsedHead, RequestHead};

    fn client(request: &[u8]) -> Result<Client, BadHead> {
        match RequestHead::parse(request, &mut Fields::default()) {
            ParsedHead::Complete(head, _) => read(head.fields),
            other => panic!("{other:?}"),
        }
    }

    fn with_fields(agent: &str, fields: &str) -> Result<Client, BadHead> {
        client(format!("GET / HTTP/1.0\r\nUser-Agent: {agent}\r\n{fields}\r\n").as_bytes())
    }

    #[test]
    fn a_captured_request_says_all_of_this() {
        let request = include_bytes!("../../../../testdata/wire/arduino_esp8266/sketch.http");
        let Ok(Client::Device(check_in)) = client(request) else { panic!("no check-in") };
        assert_eq!(
            check_in,
            CheckIn {
                family: Family::Esp8266,
                device: DeviceId::Mac(Mac::read(b"5C:CF:7F:B1:E0:42").unwrap()),
                mode: Mode::Sketch,
                version: Some("1.0.0".into()),
                sketch_md5: Some("d41d8cd98f00b204e9800998ecf8427e".parse().unwrap()),
                sketch_sha256: None,
                sketch_size: Some(400_000),
                free_space: Some(1_695_744),
                chip_size: Some(4_194_304),
            }
        );
    }

    #[test]
    fn identity_falls_back_from_station_to_base_mac_to_chip_id() {
        let id = |fields: &str| match with_fields("ESP8266-http-Update", fields).unwrap() {
            Client::Device(check_in) => check_in.device.to_string(),
            other => panic!("{other:?}"),
        };
        let zero = "x-esp8266-sta-mac: 00:00:00:00:00:00\r\n";
        assert_eq!(
            id(&format!("{zero}x-ESP8266-base-mac: 5c:cf:7f:00:00:01\r\n")),
            "5C:CF:7F:00:00:01"
        );
        assert_eq!(id(&format!("{zero}x-ESP8266-Chip-ID: 11657282\r\n")), "chip 11657282");
    }

    #[test]
    fn an_updater_without_identity_or_with_a_strange_mode_is_told_apart() {
        assert_eq!(
            with_fields("ESP32-http-Update", "x-ESP8266-STA-MAC: 5C:CF:7F:B1:E0:42\r\n"),
            Ok(Client::Anonymous(Family::Esp32))
        );
        assert_eq!(
            with_fields("ESP8266-http-Update", "x-ESP8266-Chip-ID: 1\r\nx-ESP8266-mode: nvs\r\n"),
            Ok(Client::UnknownMode(Family::Esp8266))
        );
        assert_eq!(with_fields("curl/8 ESP8266-http-Update", ""), Ok(Client::Other));
        assert_eq!(client(b"GET / HTTP/1.0\r\n\r\n"), Ok(Client::Other));
    }

    #[test]
    fn names_that_are_no_token_are_quoted() {
        assert_eq!(disposition("door-1.2.0.bin"), "attachment; filename=door-1.2.0.bin");
        assert_eq!(disposition("a \"b\".bin"), "attachment; filename=\"a \\\"b\\\".bin\"");
    }

    #[test]
    fn two_values_of_one_identity_field_are_refused() {
        let twice = "x-ESP8266-Chip-ID: 1\r\nX-esp8266-chip-id: 2\r\n";
        assert_eq!(with_fields("ESP8266-http-Update", twice), Err(BadHead::Conflict));
    }
}
