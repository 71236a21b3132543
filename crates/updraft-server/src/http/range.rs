//! One byte range of a body (RFC 9110 section 14).

use std::ops::Range;

/// What a `Range` header asks of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// All of it: no range, one that is not understood, or several.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes that are not there: 416.
    Nothing,
}

/// Reads a `Range` header for a body of `length` bytes. What is no single well-formed byte range is
/// ignored, as the RFC allows.
pub(crate) fn parse(header: Option<&[u8]>, length: u64) -> Asked {
    header
        .and_then(|value| std::str::from_utf8(value).ok())
        .and_then(|value| value.strip_prefix("bytes="))
        .filter(|ranges| !ranges.contains(','))
        .and_then(|range| range.trim().split_once('-'))
        .and_then(|(first, last)| read(first.trim(), last.trim(), length))
        .unwrap_or(Asked::Whole)
}

fn read(first: &str, last: &str, length: u64) -> Option<Asked> {
    let range = if first.is_empty() {
        // The last bytes of the body, as many as it has.
        length.saturating_sub(number(last)?)..length
    } else {
        let first = number(first)?;
        let end = if last.is_empty() { length } else { number(last)?.saturating_add(1) };
        if end <= first && !last.is_empty() {
            return None;
        }
        first..end.min(length)
    };
    Some(if range.start < range.end { Asked::Part(range) } else { Asked::Nothing })
}

/// Decimal digits alone: `str::parse` would take a sign.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, expect: Asked) {
        let asked = parse(Some(header.as_bytes()), 100);
        assert_eq!((header, asked), (header, expect));
    }

    #[test]
    fn one_range_is_understood() {
        check("bytes=0-0", Asked::Part(0..1));
        check("bytes=10-", Asked::Part(10..100));
        check("bytes=10-19", Asked::Part(10..20));
        check("bytes=90-500", Asked::Part(90..100));
        check("bytes=-1", Asked::Part(99..100));
        check("bytes=-500", Asked::Part(0..100));
    }

    #[test]
    fn what_is_not_there_is_said_so() {
        check("bytes=100-", Asked::Nothing);
        check("bytes=100-200", Asked::Nothing);
        check("bytes=-0", Asked::Nothing);
        assert_eq!(parse(Some(b"bytes=0-0"), 0), Asked::Nothing);
    }

    #[test]
    fn anything_else_is_the_whole_body() {
        for header in ["bytes=0-1,3-4", "bytes=5-4", "bytes=+1-2", "lines=0-1", "bytes=a-b", "x"] {
            check(header, Asked::Whole);
        }
        check("bytes=99999999999999999999-", Asked::Whole);
        assert_eq!(parse(None, 5), Asked::Whole);
    }
}
