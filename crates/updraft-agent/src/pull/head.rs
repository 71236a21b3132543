//! The head of an answer, read as the stock clients do: line by line, most of it ignored, odd things
//! forgiven. A push reader for blocks of any size; what a head means is not decided here.

use core::ops::Range;

use updraft_core::Family;

/// Least room for one line: the longest field that matters and has a fixed form, `x-MD5`, or
/// `Transfer-Encoding`, with some blanks.
const LINE: usize = 64;

/// Reads a head into the rest of a buffer, whose first `kept` bytes it does not touch.
#[derive(Debug)]
pub(crate) struct HeadReader {
    family: Family,
    head: Head,
    /// Where the current line starts, behind what is kept.
    start: usize,
    /// Length of what is there of the current line.
    length: usize,
    /// Whether the current line is longer than the buffer; blanks at its end do not count.
    cut: bool,
    first_line: bool,
}

/// What is known of an answer when its head is complete.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// The number in the status line; 0 if there was none.
    pub status: i64,
    /// `Content-Length`, as `String::toInt` reads it.
    pub size: Option<i64>,
    pub encoding: Encoding,
    pub md5: Md5Field,
    /// Where the value is in the buffer.
    pub location: Place,
    /// The same of `x-version`.
    pub version: Place,
}

/// What `Transfer-Encoding` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Chunked,
    Other,
}

/// What `x-MD5` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Md5Field {
    Absent,
    Digest([u8; 16]),
    Wrong,
}

/// Where a value is in the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Absent,
    At(Range<usize>),
    /// It is longer than the buffer.
    TooLong,
}

/// A field that matters is longer than the buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Md5Field {
    /// The digest, if it is one.
    pub(crate) fn digest(self) -> Option<[u8; 16]> {
        match self {
            Self::Digest(digest) => Some(digest),
            Self::Absent | Self::Wrong => None,
        }
    }
}

impl HeadReader {
    pub(crate) fn new(family: Family, kept: usize) -> Self {
        let head = Head {
            status: 0,
            size: None,
            encoding: Encoding::Identity,
            md5: Md5Field::Absent,
            location: Place::Absent,
            version: Place::Absent,
        };
        Self { family, head, start: kept, length: 0, cut: false, first_line: true }
    }

    /// Takes what belongs to the head from the front of `bytes`: how much that was, and the head if
    /// it is complete with that.
    pub(crate) fn push(
        &mut self,
        buffer: &mut [u8],
        bytes: &[u8],
    ) -> Result<(usize, Option<Head>), TooLong> {
        let room = buffer.get(self.start..).map_or(0, <[u8]>::len);
        if room < LINE {
            return Err(TooLong);
        }
        for (at, byte) in bytes.iter().enumerate() {
            if *byte == b'\n' {
                if self.end_line(buffer)? {
                    return Ok((at + 1, Some(self.head.clone())));
                }
            } else if let Some(slot) = buffer.get_mut(self.start + self.length) {
                *slot = *byte;
                self.length += 1;
            } else if !byte.is_ascii_whitespace() {
                self.cut = true;
            }
        }
        Ok((bytes.len(), None))
    }

    /// Takes the line in; whether it was the last one.
    fn end_line(&mut self, buffer: &mut [u8]) -> Result<bool, TooLong> {
        let range = self.start..self.start + core::mem::take(&mut self.length);
        let cut = core::mem::take(&mut self.cut);
        let first = core::mem::take(&mut self.first_line);
        let line = buffer.get(range.clone()).unwrap_or_default();
        let is_last = !cut && line.trim_ascii().is_empty();
        match self.family {
            // A status line counts wherever it stands, the last one most.
            Family::Esp8266 if line.starts_with(b"HTTP/1.") => {
                self.head.status = number(word(line.get(9..).unwrap_or_default()));
            }
            // The first line is one, whatever it looks like.
            Family::Esp32 if first => {
                let line = line.trim_ascii();
                let code = line.iter().position(|byte| *byte == b' ').map_or(0, |at| at + 1);
                self.head.status = number(word(line.get(code..).unwrap_or_default()));
            }
            _ => self.field(buffer, range, cut)?,
        }
        Ok(is_last)
    }

    /// Takes a field in, if it is one that matters.
    fn field(&mut self, buffer: &mut [u8], range: Range<usize>, cut: bool) -> Result<(), TooLong> {
        let line = buffer.get(range.clone()).unwrap_or_default();
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return Ok(()) };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default();
        let value = trimmed(value, range.start + colon + 1);
        let name = if self.family == Family::Esp32 { name.trim_ascii() } else { name };
        let text = buffer.get(value.clone()).unwrap_or_default();
        let whole = if cut { Err(TooLong) } else { Ok(text) };
        if name.eq_ignore_ascii_case(b"Content-Length") {
            self.head.size = Some(number(whole?));
        } else if name.eq_ignore_ascii_case(b"Transfer-Encoding") {
            self.head.encoding = self.encoding(whole?);
        } else if name.eq_ignore_ascii_case(b"x-MD5") {
            self.head.md5 = self.md5(text, cut);
        } else if name.eq_ignore_ascii_case(b"Location") {
            self.head.location = self.keep(buffer, value, cut);
        } else if name.eq_ignore_ascii_case(b"x-version") {
            self.head.version = self.keep(buffer, value, cut);
        }
        Ok(())
    }

    fn encoding(&self, text: &[u8]) -> Encoding {
        match text {
            b"" => Encoding::Identity,
            _ if text.eq_ignore_ascii_case(b"chunked") => Encoding::Chunked,
            // The ESP8266's client knows chunks, and no other word.
            _ if self.family == Family::Esp32 && text.eq_ignore_ascii_case(b"identity") => {
                Encoding::Identity
            }
            _ => Encoding::Other,
        }
    }

    /// What the field says now. Of several, an ESP8266 joins the values, an ESP32 takes the last.
    fn md5(&self, text: &[u8], cut: bool) -> Md5Field {
        let joined = self.family == Family::Esp8266 && self.head.md5 != Md5Field::Absent;
        match (text, digest(text)) {
            _ if cut => Md5Field::Wrong,
            (b"", _) if self.family == Family::Esp8266 && !joined => Md5Field::Absent,
            (b"", _) if self.family == Family::Esp32 => Md5Field::Absent,
            (_, Some(digest)) if !joined => Md5Field::Digest(digest),
            _ => Md5Field::Wrong,
        }
    }

    /// Keeps a value in the buffer, in front of the lines to come, if that leaves room for them.
    fn keep(&mut self, buffer: &mut [u8], value: Range<usize>, cut: bool) -> Place {
        let kept = self.start..self.start + value.len();
        if value.is_empty() {
            return Place::Absent;
        }
        if cut || buffer.len() < kept.end + LINE {
            return Place::TooLong;
        }
        buffer.copy_within(value, kept.start);
        self.start = kept.end;
        Place::At(kept)
    }
}

/// A part of a buffer as text.
pub(crate) fn text<'b>(buffer: &'b [u8], range: &Range<usize>) -> Option<&'b str> {
    core::str::from_utf8(buffer.get(range.clone())?).ok()
}

/// A number as `String::toInt` reads it: what stands in front, and 0 if that is no number.
fn number(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (sign, digits) = match text.split_first() {
        Some((b'-', digits)) => (-1, digits),
        Some((b'+', digits)) => (1, digits),
        _ => (1, text),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    sign * digits
        .fold(0_i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')))
}

/// What stands before the first blank.
fn word(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == b' ').next().unwrap_or_default()
}

/// Where a text that starts at `start` is without the blanks around it.
fn trimmed(text: &[u8], start: usize) -> Range<usize> {
    let blanks = text.len() - text.trim_ascii_start().len();
    let start = start + blanks;
    start..start + text.trim_ascii().len()
}

/// An MD5 in hexadecimal digits of any case.
fn digest(text: &[u8]) -> Option<[u8; 16]> {
    let mut digest = [0; 16];
    let (pairs, rest) = text.as_chunks();
    if pairs.len() != digest.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok());
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use super::*;

    /// Reads a head in one piece; what is left of the text behind it.
    fn read(family: Family, text: &str) -> (Head, Option<String>, Option<String>, usize) {
        let mut buffer = [0; 256];
        let mut reader = HeadReader::new(family, 0);
        let (taken, head) = reader.push(&mut buffer, text.as_bytes()).unwrap();
        let head = head.unwrap();
        let text_of = |place: &Place| match place {
            Place::At(range) => Some(String::from_utf8(buffer[range.clone()].to_vec()).unwrap()),
            _ => None,
        };
        let (location, version) = (text_of(&head.location), text_of(&head.version));
        (head, location, version, text.len() - taken)
    }

    #[test]
    fn numbers_are_read_as_the_cores_do() {
        let check = |text: &str, expected| assert_eq!(number(text.as_bytes()), expected, "{text}");
        check("264272", 264_272);
        check("  12 bytes", 12);
        check("-1", -1);
        check("+7x", 7);
        check("x7", 0);
        check("", 0);
        check("99999999999999999999999", i64::MAX);
    }

    #[test]
    fn a_head_is_read() {
        let text = "HTTP/1.0 200 OK\r\ncontent-length:  7 \r\nX-MD5: 3EFB75911B5BEDBA688E4469DB3EE44B\
                    \r\nLocation: /a\r\nx-Version: 1.2.0\r\n: odd\r\nno colon\r\n\r\nbody";
        for family in [Family::Esp8266, Family::Esp32] {
            let (head, location, version, left) = read(family, text);
            assert_eq!((head.status, head.size, left), (200, Some(7), 4));
            assert_eq!(location.as_deref(), Some("/a"));
            assert_eq!(version.as_deref(), Some("1.2.0"));
            let Md5Field::Digest([0x3e, .., 0x4b]) = head.md5 else { panic!("{:?}", head.md5) };
        }
    }

    #[test]
    fn what_is_a_status_depends_on_the_family() {
        let check = |text: &str, esp8266, esp32| {
            assert_eq!(read(Family::Esp8266, text).0.status, esp8266, "{text:?}");
            assert_eq!(read(Family::Esp32, text).0.status, esp32, "{text:?}");
        };
        check("HTTP/1.1 304\n\n", 304, 304);
        check("HTTP/2 200\n\n", 0, 200);
        check("HTTP/1.1  200 OK\n\n", 0, 0);
        check("200\n\n", 0, 200);
        check("SSH-2.0-x\n\n", 0, 0);
        check("\r\n", 0, 0);
        check("x: y\nHTTP/1.1 200 OK\n\n", 200, 0);
        check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 100, 100);
    }

    #[test]
    fn several_md5_fields_are_joined_or_the_last_counts() {
        let check = |values: [&str; 2], esp8266: bool, esp32: bool| {
            let text = std::format!("HTTP/1.1 200\nx-MD5: {}\nx-MD5: {}\n\n", values[0], values[1]);
            let right = |family| matches!(read(family, &text).0.md5, Md5Field::Digest(_));
            assert_eq!((right(Family::Esp8266), right(Family::Esp32)), (esp8266, esp32), "{text}");
        };
        let digest = "3efb75911b5bedba688e4469db3ee44b";
        check([digest, digest], false, true);
        check(["", digest], true, true);
        check([digest, ""], false, false);
        check(["short", digest], false, true);
    }

    #[test]
    fn a_long_line_that_does_not_matter_is_skipped() {
        let long = "x".repeat(9_000);
        let text = std::format!("HTTP/1.1 200\nx-other: {long}\nContent-Length: 5\n\n");
        assert_eq!(read(Family::Esp8266, &text).0.size, Some(5));
        let text = std::format!("HTTP/1.1 200\nx-version: {long}\nLocation: {long}\n\n");
        let (head, ..) = read(Family::Esp8266, &text);
        assert_eq!((head.version, head.location), (Place::TooLong, Place::TooLong));
        let text = std::format!("HTTP/1.1 200\nContent-Length: {}5\n\n", " ".repeat(300));
        let mut reader = HeadReader::new(Family::Esp8266, 0);
        assert_eq!(reader.push(&mut [0; 256], text.as_bytes()).unwrap_err(), TooLong);
        let mut reader = HeadReader::new(Family::Esp8266, 0);
        assert_eq!(reader.push(&mut [0; 63], b"HTTP/1.1 200\n\n").unwrap_err(), TooLong);
    }
    #[test]
    fn blanks_at_the_end_of_a_line_do_not_count() {
        let (blanks, digest) = (" ".repeat(300), "3efb75911b5bedba688e4469db3ee44b");
        let check = |line: &str, expected: Md5Field| {
            let text = std::format!("HTTP/1.1 200\n{line}\nx-MD5: {digest}\n\n");
            assert_eq!(read(Family::Esp32, &text).0.md5, expected, "{line}");
        };
        let right = Md5Field::Digest(super::digest(digest.as_bytes()).unwrap());
        check(&std::format!("x-a: b\nx-MD5: {digest}{blanks}\r\n\n"), right);
        check(&std::format!("x-a: b\nx-MD5: {digest}{blanks}x\n\n"), Md5Field::Wrong);
        // A line of blanks ends the head, before the digest; with something behind them it does not.
        check(&blanks, Md5Field::Absent);
        check(&std::format!("{blanks}x"), right);
    }
}
