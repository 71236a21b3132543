//! Reads a head of the plain form that devices send: a GET in visible ASCII, each line ended by CRLF.
//! It knows no errors. What is of another form, or not complete, is left to the full reader; what is
//! of this form the full reader would read alike.

use crate::http::fields::{Fields, Meaning};
use crate::http::head::{MAX_FIELDS, Version};

/// Target, version and length of a complete head of the plain form. Its fields are taken into `fields`,
/// which are of no use if it is of another form.
pub(super) fn read<'b>(
    bytes: &'b [u8],
    fields: &mut Fields<'b>,
) -> Option<(&'b str, Version, usize)> {
    let rest = bytes.strip_prefix(b"GET ")?;
    let (target, rest) = rest.split_at_checked(position(rest, |word| is_outside(word, b'!'))?)?;
    let (line_end, mut rest) = rest.split_first_chunk()?;
    let version = match line_end {
        b" HTTP/1.0\r\n" => Version::Http10,
        b" HTTP/1.1\r\n" => Version::Http11,
        _ => return None,
    };
    if target.is_empty() {
        return None;
    }
    let mut room = MAX_FIELDS;
    while !rest.starts_with(b"\r\n") {
        room = room.checked_sub(1)?;
        let (name, after) = rest.split_at_checked(position(rest, is_colon)?)?;
        let after = after.strip_prefix(b": ").or_else(|| after.strip_prefix(b":"))?;
        let end = position(after, |word| is_outside(word, b' '))?;
        let (value, after) = after.split_at_checked(end)?;
        rest = after.strip_prefix(b"\r\n")?;
        if fields.take(name, value) == Meaning::Unknown && !is_token(name) {
            return None;
        }
    }
    let target = std::str::from_utf8(target).ok()?;
    let length = bytes.len() - rest.len() + b"\r\n".len();
    Some((target, version, length))
}

/// Whether a field can have that name (RFC 9110 section 5.6.2). The known ones need not be asked.
fn is_token(name: &[u8]) -> bool {
    let is_plain = |&byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !name.is_empty() && name.iter().all(is_plain)
}

/// Where the first byte is that `marked` marks. It looks at eight at once, the first of them lowest,
/// and sets the highest bit of a byte; above the first one it may be wrong.
fn position(bytes: &[u8], marked: impl Fn(u64) -> u64) -> Option<usize> {
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk() {
        let marks = marked(u64::from_le_bytes(*word)) & (HIGHEST * EACH);
        if marks != 0 {
            return Some(bytes.len() - rest.len() + marks.trailing_zeros() as usize / 8);
        }
        rest = after;
    }
    let place = rest.iter().position(|&byte| marked(byte.into()) & HIGHEST != 0)?;
    Some(bytes.len() - rest.len() + place)
}

/// A word with this in each byte is that many times as much.
const EACH: u64 = u64::from_le_bytes([1; 8]);
/// A byte's highest bit.
const HIGHEST: u64 = 0x80;

/// Marks what is no visible ASCII from `first` (at most `!`) on.
fn is_outside(word: u64, first: u8) -> u64 {
    let is_less = word.wrapping_sub(u64::from(first) * EACH);
    let is_more = word.wrapping_add((HIGHEST - u64::from(b'~') - 1) * EACH);
    is_less | is_more | word
}

/// Marks colons.
fn is_colon(word: u64) -> u64 {
    let zero = word ^ (u64::from(b':') * EACH);
    zero.wrapping_sub(EACH) & !zero
}
