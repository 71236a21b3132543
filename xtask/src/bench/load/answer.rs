//! What devices must be told: heads of answers, and the answer that is right, judged as it comes in. It
//! opens no connection.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use md5::{Digest as _, Md5};

use super::sys::Mapped;

/// A request, and the answer it must get.
pub(crate) struct Ask {
    pub(crate) request: Vec<u8>,
    pub(crate) right: Right,
}

/// The head of an answer, as far as a device looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Bytes of the body; `None` if only the connection's end will tell.
    pub(crate) length: Option<usize>,
    /// `x-MD5`.
    pub(crate) md5: Option<String>,
    /// Bytes of the head itself, the blank line included.
    pub(crate) size: usize,
}

/// The largest head that is read.
const MAX_HEAD: usize = 16 << 10;

impl Head {
    /// Reads the head that these bytes start with; `None` if it is not complete yet.
    pub(crate) fn read(bytes: &[u8]) -> Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            if bytes.len() > MAX_HEAD {
                bail!("an answer's head is over {MAX_HEAD} bytes");
            }
            return Ok(None);
        };
        let text = std::str::from_utf8(&bytes[..end]).context("an answer's head is no text")?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let status = status.context("an answer has no status")?;
        let mut head = Self { status, length: None, md5: None, size: end + 4 };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            if name.eq_ignore_ascii_case("Content-Length") {
                head.length = Some(value.parse().context("Content-Length is no number")?);
            } else if name.eq_ignore_ascii_case("x-MD5") {
                head.md5 = Some(value.to_ascii_lowercase());
            }
        }
        if [204, 304].contains(&status) {
            // RFC 9112, 6.3: whatever the head says.
            head.length = Some(0);
        }
        Ok(Some(head))
    }
}

/// A body that must arrive, byte for byte.
pub(crate) struct Content {
    file: Mapped,
    /// `x-MD5` must be this.
    pub(crate) md5: String,
}

impl Content {
    /// What a file holds.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let file = File::open(path).and_then(|file| Mapped::new(&file));
        let file = file.with_context(|| format!("cannot read {}", path.display()))?;
        let md5 = md5_hex(file.bytes());
        Ok(Self { file, md5 })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.file.bytes()
    }
}

/// MD5 in lower hex, as `x-MD5` has it.
pub(crate) fn md5_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Md5::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The answer that is right.
#[derive(Clone)]
pub(crate) enum Right {
    /// 304, no body.
    NotModified,
    /// 200 with this image and its MD5.
    Image(Arc<Content>),
    /// 200 with a body of any content, its length said.
    Anything,
}

impl Right {
    /// Whether an answer starts as it must; the length of its body.
    pub(crate) fn check(&self, head: &Head) -> Result<usize> {
        let wanted = if matches!(self, Self::NotModified) { 304 } else { 200 };
        if head.status != wanted {
            bail!("status {} instead of {wanted}", head.status);
        }
        let length = head.length.context("no Content-Length")?;
        if let Self::Image(content) = self {
            if head.md5.as_deref() != Some(&content.md5) {
                bail!("x-MD5 {:?} instead of {}", head.md5, content.md5);
            }
            if length != content.bytes().len() {
                bail!("{length} bytes instead of {}", content.bytes().len());
            }
        }
        Ok(length)
    }

    /// Whether these bytes of the body, from this place on, are right.
    pub(crate) fn check_body(&self, from: usize, bytes: &[u8]) -> Result<()> {
        if let Self::Image(content) = self
            && content.bytes().get(from..from + bytes.len()) != Some(bytes)
        {
            bail!("the body differs within {} bytes from byte {from} on", bytes.len());
        }
        Ok(())
    }
}

/// An answer as it comes in, piece by piece.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    /// The head, as long as it is not complete.
    head: Vec<u8>,
    /// Once it is: bytes of the body that are there, and all.
    body: Option<(usize, usize)>,
}

impl Incoming {
    /// Judges the next bytes.
    pub(crate) fn take(&mut self, right: &Right, bytes: &[u8]) -> Result<()> {
        if self.body.is_some() {
            return self.take_body(right, bytes);
        }
        // Mostly the head comes in one piece and need not be copied.
        let together;
        let all = if self.head.is_empty() {
            bytes
        } else {
            together = [&self.head, bytes].concat();
            &together
        };
        match Head::read(all)? {
            Some(head) => {
                self.body = Some((0, right.check(&head)?));
                self.head = Vec::new();
                self.take_body(right, &all[head.size..])
            }
            None => {
                self.head = all.to_vec();
                Ok(())
            }
        }
    }

    fn take_body(&mut self, right: &Right, bytes: &[u8]) -> Result<()> {
        let from = self.body.map_or(0, |(there, _)| there);
        self.skip(bytes.len())?;
        right.check_body(from, bytes)
    }

    /// Counts bytes of the body that nobody looked at.
    pub(crate) fn skip(&mut self, bytes: usize) -> Result<()> {
        match &mut self.body {
            Some((there, all)) if *all - *there >= bytes => {
                *there += bytes;
                Ok(())
            }
            _ => bail!("{bytes} bytes that belong to no answer"),
        }
    }

    /// Bytes of the body still to come, once that is known.
    pub(crate) fn left(&self) -> Option<usize> {
        self.body.map(|(there, all)| all - there)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn heads_are_read() {
        let head = |text: &str| Head::read(text.as_bytes()).unwrap();
        let answer = "HTTP/1.1 200 OK\r\nContent-length: 5\r\nx-md5: AB\r\n\r\nhello";
        assert_eq!(
            head(answer),
            Some(Head { status: 200, length: Some(5), md5: Some("ab".into()), size: 49 })
        );
        assert_eq!(head(&answer[..48]), None);
        let no_body = head("HTTP/1.0 304 Not Modified\r\nContent-Length: 7\r\n\r\n").unwrap();
        assert_eq!(no_body.length, Some(0));
        assert_eq!(head("HTTP/1.1 200 OK\r\n\r\n").unwrap().length, None);
    }

    #[test]
    fn what_is_no_head_is_an_error() {
        assert!(Head::read(b"nonsense\r\n\r\n").is_err());
        assert!(Head::read(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n").is_err());
        assert!(Head::read(&vec![b'a'; MAX_HEAD + 1]).is_err());
    }

    #[test]
    fn answers_are_judged() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"image").unwrap();
        let content = Arc::new(Content::of(file.path()).unwrap());
        let md5 = content.md5.clone();
        let right = Right::Image(content);
        let head = Head { status: 200, length: Some(5), md5: Some(md5), size: 0 };
        assert_eq!(right.check(&head).unwrap(), 5);
        assert!(right.check(&Head { status: 404, ..head.clone() }).is_err());
        assert!(right.check(&Head { length: Some(4), ..head.clone() }).is_err());
        assert!(right.check(&Head { md5: None, ..head.clone() }).is_err());
        right.check_body(1, b"mag").unwrap();
        assert!(right.check_body(1, b"nag").is_err());
        assert!(right.check_body(3, b"gee").is_err());
        assert!(Right::NotModified.check(&head).is_err());
        let head = Head { status: 304, length: Some(0), md5: None, size: 0 };
        assert_eq!(Right::NotModified.check(&head).unwrap(), 0);
    }

    #[test]
    fn an_answer_may_come_in_any_pieces() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        for size in 1..answer.len() {
            let mut incoming = Incoming::default();
            for piece in answer.chunks(size) {
                assert_ne!(incoming.left(), Some(0));
                incoming.take(&Right::Anything, piece).unwrap();
            }
            assert_eq!(incoming.left(), Some(0), "{size}");
            assert!(incoming.take(&Right::Anything, b"!").is_err());
        }
        let mut incoming = Incoming::default();
        incoming.take(&Right::Anything, &answer[..40]).unwrap();
        incoming.skip(incoming.left().unwrap()).unwrap();
        assert_eq!(incoming.left(), Some(0));
        assert!(incoming.skip(1).is_err());
    }
}
