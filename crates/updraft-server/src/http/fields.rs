//! The header fields that mean something to anybody here, found in one pass over a head. Their names
//! only: what a device's words mean is its dialect's.

use updraft_core::Family;

use crate::http::BadHead;

/// Header fields by name; values without blanks around them.
#[derive(Debug, Default)]
pub(crate) struct Fields<'b> {
    pub(crate) user_agent: Option<&'b [u8]>,
    pub(crate) range: Option<&'b [u8]>,
    pub(crate) if_range: Option<&'b [u8]>,
    pub(crate) if_none_match: Option<&'b [u8]>,
    pub(crate) authorization: Option<&'b [u8]>,
    host: Option<&'b [u8]>,
    content_length: Option<&'b [u8]>,
    /// There is a transfer coding.
    coded: bool,
    /// The client will close the connection.
    pub(super) closes: bool,
    /// One of the above was sent twice with different values: another reader might take the other
    /// one.
    conflict: bool,
    esp8266: Identity<'b>,
    esp32: Identity<'b>,
}

/// What an Arduino updater tells of its device, in fields with its family's prefix.
#[derive(Debug, Default)]
pub(crate) struct Identity<'b> {
    pub(crate) sta_mac: Option<&'b [u8]>,
    pub(crate) base_mac: Option<&'b [u8]>,
    pub(crate) chip_id: Option<&'b [u8]>,
    pub(crate) mode: Option<&'b [u8]>,
    pub(crate) version: Option<&'b [u8]>,
    pub(crate) sketch_md5: Option<&'b [u8]>,
    pub(crate) sketch_sha256: Option<&'b [u8]>,
    pub(crate) sketch_size: Option<&'b [u8]>,
    pub(crate) free_space: Option<&'b [u8]>,
    pub(crate) chip_size: Option<&'b [u8]>,
    /// One of them was sent twice with different values.
    conflict: bool,
}

/// Whether a name is one of those that mean something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Known,
    Unknown,
}

impl<'b> Fields<'b> {
    /// Takes in one more field of the head.
    #[expect(clippy::inline_always, reason = "a call for each field costs a tenth of all its work")]
    #[inline(always)]
    pub(super) fn take(&mut self, name: &[u8], value: &'b [u8]) -> Meaning {
        let value = trimmed(value);
        if let [b'x' | b'X', ..] = name {
            return if let Some(name) = strip(name, b"x-ESP8266-") {
                self.esp8266.take(name, value)
            } else if let Some(name) = strip(name, b"x-ESP32-") {
                self.esp32.take(name, value)
            } else {
                Meaning::Unknown
            };
        }
        let slot = match (name.len(), last(name)) {
            (4, b't') if is(name, b"Host") => &mut self.host,
            (5, b'e') if is(name, b"Range") => &mut self.range,
            (8, b'e') if is(name, b"If-Range") => &mut self.if_range,
            (10, b't') if is(name, b"User-Agent") => &mut self.user_agent,
            (13, b'n') if is(name, b"Authorization") => &mut self.authorization,
            (13, b'h') if is(name, b"If-None-Match") => &mut self.if_none_match,
            (14, b'h') if is(name, b"Content-Length") => &mut self.content_length,
            (10, b'n') if is(name, b"Connection") => {
                self.closes |= value
                    .split(|&byte| byte == b',')
                    .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"));
                return Meaning::Known;
            }
            (17, b'g') if is(name, b"Transfer-Encoding") => {
                self.coded = true;
                return Meaning::Known;
            }
            _ => return Meaning::Unknown,
        };
        fill(slot, value, &mut self.conflict);
        Meaning::Known
    }

    /// What the fields of that family's updater tell. Two values of one of them are refused.
    pub(crate) fn identity(&self, family: Family) -> Result<&Identity<'b>, BadHead> {
        let identity = match family {
            Family::Esp8266 => &self.esp8266,
            Family::Esp32 => &self.esp32,
        };
        if identity.conflict { Err(BadHead::Conflict) } else { Ok(identity) }
    }

    /// Refuses what another reader might take for something else: fields with two values, and
    /// anything that would let two readers disagree on where this request ends, which is transfer
    /// codings and a body on the device plane. `Content-Length: 0` is what the ESP8266 core sends
    /// with every GET.
    pub(crate) fn refuse_doubtful(&self) -> Result<(), BadHead> {
        if self.conflict {
            return Err(BadHead::Conflict);
        }
        let has_body = self
            .content_length
            .is_some_and(|length| length.is_empty() || length.iter().any(|&digit| digit != b'0'));
        if self.coded || has_body { Err(BadHead::Body) } else { Ok(()) }
    }
}

impl<'b> Identity<'b> {
    #[expect(clippy::inline_always, reason = "as above")]
    #[inline(always)]
    fn take(&mut self, name: &[u8], value: &'b [u8]) -> Meaning {
        let slot = match (name.len(), last(name)) {
            (4, b'e') if is(name, b"mode") => &mut self.mode,
            (7, b'c') if is(name, b"STA-MAC") => &mut self.sta_mac,
            (7, b'n') if is(name, b"version") => &mut self.version,
            (7, b'd') if is(name, b"Chip-ID") => &mut self.chip_id,
            (8, b'c') if is(name, b"BASE-MAC") => &mut self.base_mac,
            (9, b'e') if is(name, b"chip-size") => &mut self.chip_size,
            (10, b'5') if is(name, b"sketch-md5") => &mut self.sketch_md5,
            (10, b'e') if is(name, b"free-space") => &mut self.free_space,
            (11, b'e') if is(name, b"sketch-size") => &mut self.sketch_size,
            (13, b'6') if is(name, b"sketch-sha256") => &mut self.sketch_sha256,
            // Every updater sends these, and nothing here depends on them.
            (6, b'c') if is(name, b"AP-MAC") => return Meaning::Known,
            (11, b'n') if is(name, b"sdk-version") => return Meaning::Known,
            _ => return Meaning::Unknown,
        };
        fill(slot, value, &mut self.conflict);
        Meaning::Known
    }
}

/// A value without blanks around it; most have none.
fn trimmed(value: &[u8]) -> &[u8] {
    match value {
        [first, .., last] if *first > b' ' && *last > b' ' => value,
        _ => value.trim_ascii(),
    }
}

fn fill<'b>(slot: &mut Option<&'b [u8]>, value: &'b [u8], conflict: &mut bool) {
    *conflict |= slot.is_some_and(|first| first != value);
    *slot = Some(value);
}

/// The last byte of a name, a letter as a small one: with the length it tells all known names apart, so
/// that each name is compared with one.
fn last(name: &[u8]) -> u8 {
    // The bit by which ASCII tells small letters from large ones; digits have it, too.
    name.last().map_or(0, |byte| byte | 0x20)
}

/// What follows a prefix.
fn strip<'n, const N: usize>(name: &'n [u8], prefix: &[u8; N]) -> Option<&'n [u8]> {
    name.split_at_checked(N).filter(|(start, _)| is(start, prefix)).map(|(_, rest)| rest)
}

/// Whether a name is the known one, in any case. `known` is in the case in which most clients send it:
/// those take one comparison.
#[inline]
fn is<const N: usize>(name: &[u8], known: &[u8; N]) -> bool {
    name == known || is_in_any_case(name, known)
}

#[cold]
fn is_in_any_case(name: &[u8], known: &[u8]) -> bool {
    name.eq_ignore_ascii_case(known)
}
